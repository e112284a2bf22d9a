/* A pool of eight workers over a queue that never ends, or not for long: 10,000,000 jobs, or as many
 * as the first argument says.
 *
 * The pool is a group with a limit; whoever feeds it waits for room, so the queue is never longer
 * than what runs. The group keeps nothing of a task that has ended: the memory in use is the same
 * after a million jobs as after ten. */
#include <inttypes.h>
#include <knit.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS = 8 };

static _Atomic uint64_t sum;

struct job {
    uint64_t number;
};

static int work(void *arg)
{
    const struct job *job = arg;
    atomic_fetch_add(&sum, job->number);
    return 0;
}

/* Resident memory, KiB. */
static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

/* What feeds the pool is a task, too: it then waits for room without stopping a thread. */
struct feed {
    knit_errgroup *pool;
    uint64_t jobs;
    long before; /* resident memory after a tenth of them */
};

static int feed_pool(void *arg)
{
    struct feed *feed = arg;
    for (uint64_t i = 0; i < feed->jobs; i++) {
        struct job job = {i};
        int r = knit_errgroup_go_copy(feed->pool, work, &job, sizeof job);
        if (r < 0)
            return r;
        if (i == feed->jobs / 10)
            feed->before = resident();
    }
    return 0;
}

int main(int argc, char **argv)
{
    knit_errgroup pool, feeders;
    struct feed feed = {.pool = &pool, .jobs = 10 * 1000 * 1000};
    if (argc > 1)
        feed.jobs = strtoull(argv[1], NULL, 10);
    knit_errgroup_init(&pool, &(knit_errgroup_options){.limit = WORKERS});
    knit_errgroup_init(&feeders, NULL);
    knit_errgroup_go(&feeders, feed_pool, &feed);
    int fed = knit_errgroup_wait(&feeders), done = knit_errgroup_wait(&pool);
    long after = resident();

    printf("%" PRIu64 " jobs, sum %" PRIu64 "\n", feed.jobs, atomic_load(&sum));
    printf("resident memory after a tenth of them: %ld KiB, after all: %ld KiB\n", feed.before,
           after);
    return fed != 0 || done != 0 || after > feed.before + 4096;
}
