/* Who is counted as vacant: asleep or away, not both. */
#include "sched/handoff.h"

#include "knittest.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int32_t vacant(void)
{
    return atomic_load(&knit__vacant);
}

static bool all_sleep(void)
{
    for (uint32_t i = 0; i < knit__sched.count; i++) {
        if (!atomic_load(&knit__sched.workers[i]->asleep))
            return false;
    }
    return true;
}

/* Vacant is also one that was noticed as away on its way to sleep: it comes back first. */
static void run_one_and_let_all_sleep(void)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, nothing, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_until(all_sleep() && vacant() == (int32_t)knit__sched.count &&
             atomic_load(&knit__searchers) == 0);
}

/* The monitor may have seen it awake a moment ago. */
static void a_sleeper_is_not_noticed_as_away(void)
{
    run_one_and_let_all_sleep();
    for (uint32_t i = 0; i < knit__sched.count; i++)
        CHECK(!knit__away_notice(knit__sched.workers[i], KNIT__AWAY_BLOCKED));
    CHECK_INT(vacant(), knit__sched.count);
}

static const knittest tests[] = {
    COLD(a_sleeper_is_not_noticed_as_away),
};
KNITTEST_MAIN(tests)
