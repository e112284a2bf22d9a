/* Scenarios of groups with policies and tasks with options. See scenarios.h. */
#include "scenarios.h"

#include "knittest.h"

#include <stdatomic.h>

static int bear(int r)
{
    if (expect_success)
        CHECK(r >= 0);
    else
        CHECK(r >= 0 || r == -ENOMEM || r == -EAGAIN || r == -ECANCELED || r == -ENODATA);
    return r;
}

static int count_task(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int fail_first(void *arg)
{
    return atomic_fetch_add((atomic_int *)arg, 1) == 0 ? -EIO : 0;
}

static int serve(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_sleep(KNIT_FOREVER);
}

/* Everything that was started has run, was skipped, or failed the group; nothing is left. */
static void finish(knit_errgroup *g, int accepted, const atomic_int *ran)
{
    int r = bear(knit_errgroup_wait(g));
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    CHECK_INT(counts.pending, 0);
    CHECK_INT(counts.running, 0);
    CHECK((int)(counts.skipped + counts.failed + counts.echoes) >= accepted - atomic_load(ran));
    CHECK_INT(bear(knit_errgroup_close(g)), r);
}

static void submit(knit_errgroup *g, int n, const knit_task_options *options, atomic_int *ran)
{
    int accepted = 0;
    for (int i = 0; i < n; i++)
        accepted += bear(options ? knit_errgroup_go_with(g, count_task, ran, options)
                                 : knit_errgroup_go(g, count_task, ran)) == 0;
    finish(g, accepted, ran);
}

void policies(void)
{
    static const knit_join settle = KNIT_JOIN_SETTLE;
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 2), 0);
    const knit_policy all[] = {
        {.queue = KNIT_UNBOUNDED},
        {.queue = 1, .limiter = &limiter},
        {.join = &settle, .overflow = KNIT_OVERFLOW_INLINE},
        {.interval = KNIT_MICROSECOND, .burst = 2, .queue = 200},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        atomic_int ran = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 2, .policy = &all[i]}),
                  0);
        submit(&g, 20, NULL, &ran);
        CHECK_INT(knit_semaphore_held(&limiter), 0);
    }
}

void task_options(void)
{
    static const knit_task_options all[] = {
        {.weight = 2, .priority = 1},
        {.delay = KNIT_MICROSECOND},
        {.timeout = 3600 * KNIT_SECOND},
        {.flags = KNIT_TASK_RUN_ANYWAY},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        atomic_int ran = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 2}), 0);
        submit(&g, 6, &all[i], &ran);
    }
}

void retries(void)
{
    static const knit_retry_policy retry = {.base = KNIT_MICROSECOND};
    atomic_int calls = 0, served = 0;
    knit_task *task = NULL;
    knit_errgroup g = {0};
    int accepted = 0;
    accepted +=
        bear(knit_errgroup_go_with(&g, fail_first, &calls,
                                   &(knit_task_options){.retry = &retry, .ret_task = &task})) == 0;
    accepted += bear(knit_errgroup_go_with(&g, serve, &served,
                                           &(knit_task_options){.flags = KNIT_TASK_SERVICE})) == 0;
    (void)knit_errgroup_wait(&g);
    if (calls > 0)
        atomic_fetch_add(&served, 1);
    finish(&g, accepted, &served);
    if (expect_success)
        CHECK_INT(calls, 2);
    knit_task_unref(task);
}

void fronts(void)
{
    atomic_int ran = 0;
    knit_call calls[5];
    int results[5];
    size_t indexes[5];
    for (int i = 0; i < 5; i++)
        calls[i] = (knit_call){count_task, &ran};
    int missing = bear(knit_gather(calls, 5, NULL, results)), failed = 0;
    for (int i = 0; i < 5; i++)
        failed += results[i] != 0;
    CHECK_INT(missing, failed);
    bear(knit_all(calls, 5, NULL));
    bear(knit_race(calls, 5, NULL, indexes));
    bear(knit_take(calls, 5, NULL, 3, indexes));
    bear(knit_last(calls, 5, NULL, 3, indexes));
}
