/* The end of the process: exit, _exit and abort from anywhere, at any time, end it promptly and
 * with the right status. Each test looks at a child process; "promptly" is its time limit. */
#include "knittest.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Static, for tasks that are still there when main has returned. */
static knit_errgroup group;
static kt_gate gate;
static atomic_int ready;
static atomic_bool over; /* never set */

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int wait_at_gate(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ready, 1);
    return kt_gate_wait(gate);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ready, 1);
    return knit_sleep(KNIT_FOREVER);
}

static void park_tasks(int n)
{
    gate = kt_gate_new();
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&group, i % 2 ? wait_at_gate : sleep_for_ever, NULL), 0);
    kt_until(ready == n);
}

/* Return from main is exit(status) by definition (C11 5.1.2.2.3); kt_child calls exit with what
 * the body returns. */
static int return_idle(void *arg)
{
    atomic_int ran = 0;
    (void)arg;
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&group, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&group), 0);
    CHECK_INT(ran, 100);
    return 7;
}

static void exit_while_the_runtime_is_idle(void)
{
    CHECK_INT(kt_child(return_idle, NULL), 7);
}

static int return_unused(void *arg)
{
    (void)arg;
    return 6;
}

static void exit_without_any_use(void)
{
    CHECK_INT(kt_child(return_unused, NULL), 6);
}

static int return_with_parked_tasks(void *arg)
{
    (void)arg;
    park_tasks(100);
    return 8;
}

static void return_from_main_while_tasks_are_parked(void)
{
    CHECK_INT(kt_child(return_with_parked_tasks, NULL), 8);
}

static int call_exit(void *arg)
{
    exit(*(int *)arg);
}

static int call_underscore_exit(void *arg)
{
    _exit(*(int *)arg);
}

static int call_abort(void *arg)
{
    (void)arg;
    abort();
}

static int exit_from_task(void *arg)
{
    static int status;
    status = *(int *)arg;
    park_tasks(20);
    CHECK_INT(knit_errgroup_go(&group, status == 10 ? call_underscore_exit : call_exit, &status),
              0);
    (void)knit_errgroup_wait(&group);
    return 99;
}

static void exit_from_a_task(void)
{
    int status = 9;
    CHECK_INT(kt_child(exit_from_task, &status), 9);
    status = 0;
    CHECK_INT(kt_child(exit_from_task, &status), 0);
}

static void underscore_exit_from_a_task(void)
{
    int status = 10;
    CHECK_INT(kt_child(exit_from_task, &status), 10);
}

static int exit_from_parked_task(void *arg)
{
    (void)arg;
    if (knit_sleep(KNIT_MILLISECOND) < 0)
        return -EINTR;
    exit(11);
}

static int let_parked_task_exit(void *arg)
{
    (void)arg;
    CHECK_INT(knit_errgroup_go(&group, exit_from_parked_task, NULL), 0);
    (void)knit_sleep(KNIT_FOREVER);
    return 99;
}

static void exit_from_a_task_that_was_parked(void)
{
    CHECK_INT(kt_child(let_parked_task_exit, NULL), 11);
}

static void exit_from_plain_thread(void *arg)
{
    (void)arg;
    kt_until(ready == 20);
    exit(12);
}

static int wait_while_a_thread_exits(void *arg)
{
    (void)arg;
    kt_thread *thread = kt_thread_start(exit_from_plain_thread, NULL);
    park_tasks(20);
    (void)knit_errgroup_wait(&group);
    kt_thread_join(thread);
    return 99;
}

static void exit_from_a_thread_while_main_waits(void)
{
    CHECK_INT(kt_child(wait_while_a_thread_exits, NULL), 12);
}

static int compute_for_ever(void *arg)
{
    atomic_fetch_add(&ready, 1);
    while (!over)
        atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int return_while_a_task_computes(void *arg)
{
    static atomic_int rounds;
    (void)arg;
    CHECK_INT(knit_errgroup_go(&group, compute_for_ever, &rounds), 0);
    kt_until(ready == 1);
    return 13;
}

static void exit_while_a_task_computes(void)
{
    CHECK_INT(kt_child(return_while_a_task_computes, NULL), 13);
}

static int make_noise(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ready, 1);
    while (!over) {
        atomic_int ran = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        for (int i = 0; i < 10; i++)
            CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(knit_yield(), 0);
    }
    return 0;
}

static int return_in_the_middle_of_work(void *arg)
{
    (void)arg;
    for (int i = 0; i < 8; i++)
        CHECK_INT(knit_errgroup_go(&group, make_noise, NULL), 0);
    kt_until(ready == 8);
    return 14;
}

static void exit_in_the_middle_of_work(void)
{
    for (int i = 0; i < kt_count(30); i++)
        CHECK_INT(kt_child(return_in_the_middle_of_work, NULL), 14);
}

static int abort_in_task(void *arg)
{
    (void)arg;
    CHECK_INT(knit_errgroup_go(&group, call_abort, NULL), 0);
    (void)knit_errgroup_wait(&group);
    return 99;
}

static void abort_in_a_task_is_a_crash(void)
{
    CHECK_INT(kt_child(abort_in_task, NULL), -SIGABRT);
}

static int wanted_workers;

static int count_workers(void *arg)
{
    CHECK_INT(setenv("KNIT_WORKERS", arg, 1), 0);
    return knit_workers() == wanted_workers ? 15 : 99;
}

static void knit_workers_is_read_from_the_environment(void)
{
    char one[] = "1", three[] = "3";
    wanted_workers = 1;
    CHECK_INT(kt_child(count_workers, one), 15);
    wanted_workers = 3;
    CHECK_INT(kt_child(count_workers, three), 15);
}

static int use_default_for_nonsense(void *arg)
{
    CHECK_INT(setenv("KNIT_WORKERS", arg, 1), 0);
    CHECK_INT(setenv("KNIT_STACK", "enormous", 1), 0);
    return knit_workers() >= 1 && return_idle(NULL) == 7 ? 16 : 99;
}

static void an_environment_that_makes_no_sense_gives_the_default(void)
{
    char zero[] = "0", words[] = "many", huge[] = "99999999999999999999";
    CHECK_INT(kt_child(use_default_for_nonsense, zero), 16);
    CHECK_INT(kt_child(use_default_for_nonsense, words), 16);
    CHECK_INT(kt_child(use_default_for_nonsense, huge), 16);
}

static const knittest tests[] = {
    COLD(exit_without_any_use),
    COLD(exit_while_the_runtime_is_idle),
    COLD(return_from_main_while_tasks_are_parked),
    COLD(exit_from_a_task),
    COLD(underscore_exit_from_a_task),
    COLD(exit_from_a_task_that_was_parked),
    COLD(exit_from_a_thread_while_main_waits),
    COLD(exit_while_a_task_computes),
    COLD(exit_in_the_middle_of_work),
    COLD(abort_in_a_task_is_a_crash),
    COLD(knit_workers_is_read_from_the_environment),
    COLD(an_environment_that_makes_no_sense_gives_the_default),
};
KNITTEST_MAIN(tests)
