/* What the simulated world makes of threads that sleep where it does not look. */
#include "knittest.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

#define YEAR (365 * 24 * 3600 * KNIT_SECOND)

/* ---- beside virtual time --------------------------------------------------------------------- */

static void *sleep_for_a_year(void *arg)
{
    knit_time before = knit_now();

    CHECK_INT(knit_sleep(YEAR), 0);
    CHECK(knit_now() - before >= YEAR);
    return arg;
}

/* The join is asleep in the kernel. In a task it takes its worker along; that the worker has nothing
 * to do cannot be known, and the monitor looks after it all year. */
static void a_year_passes_beside_a_call_that_blocks(void)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, sleep_for_a_year, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
}

static int block_in_a_join(void *arg)
{
    (void)arg;
    a_year_passes_beside_a_call_that_blocks();
    return 0;
}

static int sleep_for_two_years(void *arg)
{
    (void)arg;
    return knit_sleep(2 * YEAR);
}

/* More blocked tasks than workers: then the monitor sees to the timer. */
static void a_timer_of_blocked_workers_is_due(void)
{
    knit_errgroup g = {0};

    CHECK_INT(knit_errgroup_go(&g, sleep_for_two_years, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, block_in_a_join, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- a worker that blocks is replaced --------------------------------------------------------- */

static sem_t posted;

/* Two threads run beside each other after the post, until each of them calls: at once, then. */
static int wait_for_the_post(void *arg)
{
    (void)arg;
    while (sem_wait(&posted) != 0)
        CHECK_INT(errno, EINTR);
    return knit_yield();
}

static int post(void *arg)
{
    (void)arg;
    CHECK_INT(sem_post(&posted), 0);
    return knit_yield();
}

/* All workers block, and only a task can end it. */
static void tasks_run_beside_blocked_workers(void)
{
    knit_errgroup g = {0};
    int n = knit_workers();

    CHECK_INT(sem_init(&posted, 0, 0), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_for_the_post, NULL), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, post, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(sem_destroy(&posted), 0);
}

/* ---- what is a deadlock ------------------------------------------------------------------------ */

static void post_from_signal(int number)
{
    (void)number;
    (void)sem_post(&posted);
}

static double real_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void sleep_until_the_signal(void)
{
    struct itimerval soon = {.it_value = {.tv_usec = 20 * 1000}};

    CHECK_INT(setitimer(ITIMER_REAL, &soon, NULL), 0);
    (void)wait_for_the_post(NULL);
}

/* Everybody asleep for more than a second is a deadlock. Twice for a moment, with more than a second
 * between, is none. */
static void two_short_sleeps_are_no_deadlock(void)
{
    struct sigaction action = {.sa_handler = post_from_signal};

    CHECK_INT(sem_init(&posted, 0, 0), 0);
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    sleep_until_the_signal();
    for (double until = real_seconds() + 1.1; real_seconds() < until;)
        (void)knit_yield();
    sleep_until_the_signal();
    CHECK_INT(sem_destroy(&posted), 0);
}

static const knittest tests[] = {
    BOTH(a_year_passes_beside_a_call_that_blocks),
    BOTH(a_timer_of_blocked_workers_is_due),
    BOTH(tasks_run_beside_blocked_workers),
    REAL(two_short_sleeps_are_no_deadlock),
};
KNITTEST_MAIN(tests)
