/* Groups in groups: one shard fails, its region is given up, the whole migration stops, and the
 * error is printed as a tree with the cause at the bottom. */
#include <knit.h>
#include <stdio.h>

enum { REGIONS = 3, SHARDS = 4, BROKEN = 6 };

static int migrate_shard(void *arg)
{
    const int *shard = arg;
    if (*shard == BROKEN)
        return knit_error(-ENOSPC, "shard %d: copy table \"orders\"", *shard);
    return knit_sleep(KNIT_SECOND * 3600); /* cancelled long before */
}

static int migrate_region(void *arg)
{
    const int *region = arg;
    int r = -ECANCELED;
    KNIT_SCOPE(shards, NULL) {
        for (int i = 0; i < SHARDS; i++) {
            int shard = *region * SHARDS + i;
            knit_errgroup_go_copy(shards, migrate_shard, &shard, sizeof shard);
        }
        r = knit_errgroup_wait(shards);
    }
    return r < 0 ? knit_error(r, "region %d", *region) : 0;
}

int main(void)
{
    knit_errgroup regions;
    knit_errgroup_init(&regions, &(knit_errgroup_options){.name = "migration"});
    for (int i = 0; i < REGIONS; i++)
        knit_errgroup_go_copy(&regions, migrate_region, &i, sizeof i);
    int r = knit_errgroup_wait(&regions);

    char report[1024] = "";
    knit_errgroup_format(&regions, report, sizeof report);
    printf("the migration failed:\n%s", report);

    knit_errgroup_counts counts;
    knit_errgroup_stats(&regions, &counts);
    printf("regions: %zu failed, %zu stopped or never started\n", counts.failed,
           counts.echoes + counts.skipped);
    return r != -ENOSPC;
}
