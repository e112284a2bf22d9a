/* Schedgroups under load: nothing that was scheduled is lost, whoever does what at the same time. */
#include "knittest.h"

#include <stdatomic.h>

#define HOUR (3600 * KNIT_SECOND)

static _Atomic int ran;

static int count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
    return 0;
}

/* ---- the two known defects of mdlayher/schedgroup: signals that are dropped ---- */

static int schedule_once(void *arg)
{
    return knit_schedgroup_delay(arg, 0, count, NULL);
}

/* Lost wake-up: a task scheduled between the look at the heap and the sleep that follows never runs.
 * Here the group comes to rest and is woken again, over and over, from two sides. */
static void a_task_scheduled_while_the_group_comes_to_rest_runs(void)
{
    int rounds = kt_count(5000);
    knit_schedgroup s = {0};
    knit_errgroup g = {0};

    atomic_store(&ran, 0);
    CHECK_INT(knit_schedgroup_delay(&s, KNIT_FOREVER, count, NULL), 0); /* nobody waits for it */
    for (int i = 1; i <= rounds; i++) {
        CHECK_INT(knit_errgroup_go(&g, schedule_once, &s), 0);
        CHECK_INT(knit_schedgroup_delay(&s, i % 4 * KNIT_MICROSECOND, count, NULL), 0);
        kt_until(atomic_load(&ran) == 2 * i);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_schedgroup_close(&s), 0);
    CHECK_INT(ran, 2 * rounds);
}

/* Lost completion: the last task ends between wait's look and its sleep, and wait hangs for ever. */
static void wait_sees_the_end_of_a_task_that_runs_as_it_begins(void)
{
    int rounds = kt_count(1000);

    atomic_store(&ran, 0);
    for (int i = 0; i < rounds; i++) {
        knit_schedgroup s;

        CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
        CHECK_INT(knit_schedgroup_delay(&s, 0, count, NULL), 0);
        CHECK_INT(knit_schedgroup_delay(&s, i % 50 * KNIT_MICROSECOND, count, NULL), 0);
        CHECK_INT(knit_schedgroup_wait(&s), 0);
        CHECK_INT(ran, 2 * (i + 1));
    }
}

/* ---- everybody at once ---- */

struct load {
    knit_schedgroup s;
    uint64_t seed;
    int tasks;              /* that one who schedules schedules */
    _Atomic int schedulers; /* have begun */
};

static int schedule_some(void *arg)
{
    struct load *load = arg;
    kt_rng rng = {load->seed + (uint64_t)atomic_fetch_add(&load->schedulers, 1)};

    for (int i = 0; i < load->tasks; i++) {
        int r = knit_schedgroup_delay_copy(&load->s, kt_below(&rng, 200) * KNIT_MICROSECOND, count,
                                           &i, sizeof i);

        CHECK(r == 0 || r == -ECANCELED);
        if (kt_below(&rng, 16) == 0)
            (void)knit_yield();
    }
    return 0;
}

static void schedule_in_a_thread(void *arg)
{
    (void)schedule_some(arg);
}

/* Four tasks and a thread schedule; cancel: so many of theirs into it. */
static void play(struct load *load, int tasks, int cancel_after)
{
    knit_errgroup g = {0};
    knit_errgroup_counts counts;
    kt_thread *thread;

    atomic_store(&ran, 0);
    load->tasks = tasks;
    CHECK_INT(knit_schedgroup_init(&load->s, NULL), 0);
    thread = kt_thread_start(schedule_in_a_thread, load);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, schedule_some, load), 0);
    if (cancel_after > 0) {
        kt_until(atomic_load(&ran) >= cancel_after);
        knit_schedgroup_cancel(&load->s, -ECANCELED);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_thread_join(thread);
    CHECK_INT(knit_schedgroup_wait(&load->s), cancel_after > 0 ? -ECANCELED : 0);
    CHECK_INT(knit_errgroup_stats(knit_schedgroup_errgroup(&load->s), &counts), 0);
    CHECK_INT(counts.submitted, 5 * tasks);
    CHECK_INT(counts.pending, 0);
    CHECK_INT(counts.skipped + (size_t)atomic_load(&ran), 5 * tasks);
    CHECK_INT(counts.failed, 0);
}

static void all_that_many_schedule_at_once_runs(void)
{
    struct load load = {.seed = kt_seed()};

    play(&load, kt_count(2000), 0);
    CHECK_INT(ran, 5 * load.tasks);
}

static void a_cancel_among_them_leaves_none_uncounted(void)
{
    uint64_t seed = kt_seed();

    for (int i = 0; i < kt_count(50); i++) {
        struct load load = {.seed = seed + (uint64_t)i};

        play(&load, 100, 1 + i * 5);
    }
}

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

/* The failure, the waiter that drops the rest, and the tasks that begin meet. */
static void a_failure_among_them_leaves_none_uncounted(void)
{
    for (int i = 0; i < kt_count(200); i++) {
        knit_schedgroup s;
        knit_errgroup_counts counts;

        atomic_store(&ran, 0);
        CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
        for (int k = 0; k < 40; k++) {
            int r = knit_schedgroup_delay_copy(&s, k % 3 == 0 ? HOUR : k * KNIT_MICROSECOND,
                                               k == 20 ? fail : count, &k, sizeof k);
            CHECK(r == 0 || r == -ECANCELED);
        }
        CHECK_INT(knit_schedgroup_wait(&s), -EIO);
        CHECK_INT(knit_errgroup_stats(knit_schedgroup_errgroup(&s), &counts), 0);
        CHECK_INT(counts.submitted, 40);
        CHECK_INT(counts.failed, 1);
        CHECK_INT(counts.skipped + (size_t)atomic_load(&ran), 39);
        CHECK_INT(knit_schedgroup_close(&s), -EIO);
    }
}

static const knittest tests[] = {
    BOTH(a_task_scheduled_while_the_group_comes_to_rest_runs),
    BOTH(wait_sees_the_end_of_a_task_that_runs_as_it_begins),
    BOTH(all_that_many_schedule_at_once_runs),
    BOTH(a_cancel_among_them_leaves_none_uncounted),
    BOTH(a_failure_among_them_leaves_none_uncounted),
};
KNITTEST_MAIN(tests)
