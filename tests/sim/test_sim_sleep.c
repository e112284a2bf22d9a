/* In a simulated run sleeping takes no time, and all of it passes. */
#include "knittest.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define HOUR (3600 * KNIT_SECOND)

static int sleep_a_part_of_an_hour(void *arg)
{
    knit_duration d = HOUR / 100 * (knit_duration)(1 + *(const int *)arg);
    knit_time before = knit_now();
    int r = knit_sleep(d);

    CHECK(knit_now() - before >= d);
    return r;
}

static void an_hour_of_sleeping_passes(void)
{
    knit_errgroup g = {0};
    knit_time before = knit_now();

    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go_copy(&g, sleep_a_part_of_an_hour, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(knit_now() - before >= HOUR);
}

static void a_thread_sleeps_for_a_year(void *arg)
{
    (void)arg;
    knit_time before = knit_now();
    CHECK_INT(knit_sleep(365 * 24 * HOUR), 0);
    CHECK(knit_now() - before >= 365 * 24 * HOUR);
}

static void threads_sleep_in_the_same_time(void)
{
    kt_thread *threads[3];

    for (int i = 0; i < 3; i++)
        threads[i] = kt_thread_start(a_thread_sleeps_for_a_year, NULL);
    for (int i = 0; i < 3; i++)
        kt_thread_join(threads[i]);
}

enum { CROWD = 2000, AT_MOST_LATE = KNIT_MILLISECOND };

static int wake_in_time(void *arg)
{
    knit_time when = knit_now() + *(const knit_duration *)arg;
    int r = knit_sleep_until(when);

    CHECK(knit_now() >= when);
    CHECK(knit_now() <= when + AT_MOST_LATE);
    return r;
}

static void a_crowd_of_sleepers_wakes_in_time(void)
{
    knit_errgroup g = {0};
    kt_rng rng = {kt_seed()};

    for (int i = 0; i < CROWD; i++) {
        knit_duration d = (knit_duration)kt_below(&rng, 20 * KNIT_MILLISECOND);
        CHECK_INT(knit_errgroup_go_copy(&g, wake_in_time, &d, sizeof d), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void a_deadline_comes_before_a_longer_sleep(void)
{
    knit_chan *ch;
    knit_time deadline = knit_now() + HOUR;

    CHECK_INT(knit_chan_new(0, 0, &ch), 0);
    CHECK_INT(knit_chan_recv_until(ch, NULL, deadline), -ETIMEDOUT);
    CHECK(knit_now() >= deadline);
    CHECK(knit_now() < deadline + KNIT_SECOND); /* virtual: nothing else passes time */
    knit_chan_unref(ch);
}

/* ---- time passes for who waits, not for who works ---------------------------------------------- */

enum { TASKS = 400 };

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* None of the tasks waits for anything, so an hour is enough for them. */
static void who_works_is_in_time(void)
{
    knit_errgroup_options options = {.timeout = HOUR};
    knit_errgroup g;
    atomic_int ran = 0;

    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_until(atomic_load(&ran) == TASKS);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* Others that spin wait for those who work. */
static int spin_until_all_ran(void *arg)
{
    kt_until(atomic_load((atomic_int *)arg) == TASKS);
    return 0;
}

static void who_works_is_in_time_beside_who_spins(void)
{
    knit_errgroup_options options = {.timeout = HOUR};
    knit_errgroup g, spinners = {0};
    atomic_int ran = 0;

    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&spinners, spin_until_all_ran, &ran), 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&spinners), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void the_run_knows_its_seed(void)
{
    uint64_t seed = 0;

    CHECK_INT(knit_simulated(&seed), 1);
    CHECK_INT(knit_simulated(NULL), 1);
    CHECK_INT(seed, strtoull(getenv("KNIT_SIM"), NULL, 0));
}

static const knittest tests[] = {
    BOTH(an_hour_of_sleeping_passes),
    BOTH(threads_sleep_in_the_same_time),
    BOTH(a_crowd_of_sleepers_wakes_in_time),
    BOTH(a_deadline_comes_before_a_longer_sleep),
    BOTH(who_works_is_in_time),
    BOTH(who_works_is_in_time_beside_who_spins),
    BOTH(the_run_knows_its_seed),
};
KNITTEST_MAIN(tests)
