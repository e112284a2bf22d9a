/* Extra blocks: who keeps one, and how long. */
#include "group/extra.h"

#include "knittest.h"

#include <stdatomic.h>

typedef struct paused {
    knit_errgroup group;
    atomic_int asking;
} paused;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int ask_for_room(void *arg)
{
    paused *p = arg;
    atomic_fetch_add(&p->asking, 1);
    CHECK_INT(knit_errgroup_go(&p->group, nothing, NULL), -ECANCELED);
    return 0;
}

static bool has_block(const paused *p)
{
    return (knit__group_flags(knit__group_of(&p->group)) & GROUP_EXTRA) != 0;
}

/* Several wait for room at once; all are turned away, and nobody waits for the group. */
static void callers_turned_away_leave_no_block_behind(void)
{
    for (int i = kt_count(50); i > 0; i--) {
        paused p = {0};
        knit_errgroup callers;
        CHECK_INT(knit_errgroup_init(&callers, NULL), 0);
        CHECK_INT(knit_errgroup_set_limit(&p.group, 0), 0);
        for (int k = 0; k < 3; k++)
            CHECK_INT(knit_errgroup_go(&callers, ask_for_room, &p), 0);
        kt_until(atomic_load(&p.asking) == 3);
        kt_until(has_block(&p));
        knit_errgroup_cancel(&callers, 0);
        CHECK_INT(knit_errgroup_wait(&callers), -ECANCELED);
        CHECK(!has_block(&p));
        knit_errgroup_counts counts;
        CHECK_INT(knit_errgroup_stats(&p.group, &counts), 0);
        CHECK_INT(counts.skipped, 3);
    }
}

static const knittest tests[] = {
    BOTH(callers_turned_away_leave_no_block_behind),
};
KNITTEST_MAIN(tests)
