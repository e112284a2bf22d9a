/* fork(): the child of a thread starts with a fresh runtime of its own; the child of a task may
 * exec or _exit. The parent notices nothing. */
#include "fds.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 50 };

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

/* Some of everything, in a process that may have inherited any state. */
static int use_knit(void *arg)
{
    (void)arg;
    atomic_int ran = 0;
    knit_errgroup g;
    kt_gate gate = kt_gate_new();
    CHECK_INT(knit_in_task(), 0);
    CHECK(knit_ctx_current() == knit_ctx_background());
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    }
    kt_until(ran == TASKS);
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
    kt_gate_free(gate);
    return 42;
}

static void the_child_of_a_thread_can_use_knit_again(void)
{
    kt_needs_fork();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(kt_child(use_knit, NULL), 42);
        CHECK_INT(use_knit(NULL), 42);
    }
}

static int use_knit_in_a_grandchild(void *arg)
{
    CHECK_INT(use_knit(arg), 42);
    CHECK_INT(kt_child(use_knit, arg), 42);
    CHECK_INT(use_knit(arg), 42);
    return 43;
}

static void the_child_of_a_child_can_use_knit_again(void)
{
    kt_needs_fork();
    CHECK_INT(kt_child(use_knit_in_a_grandchild, NULL), 43);
}

static void a_fork_before_the_first_use_gives_two_runtimes(void)
{
    CHECK_INT(kt_child(use_knit, NULL), 42);
    CHECK_INT(use_knit(NULL), 42);
}

static int exit_at_once(void *arg)
{
    (void)arg;
    return 44;
}

static void a_child_that_does_not_use_knit_exits_cleanly(void)
{
    kt_needs_fork();
    CHECK_INT(kt_child(exit_at_once, NULL), 44);
}

static void parked_tasks_stay_with_the_parent(void)
{
    kt_needs_fork();
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    uint64_t before = kt_parks();
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    kt_until(kt_parks() - before >= TASKS);
    CHECK_INT(kt_child(use_knit, NULL), 42);
    for (int i = 0; i < TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, TASKS);
    kt_gate_free(gate);
}

static int use_descriptors(void *arg)
{
    const fds *f = arg;
    char c = 0;
    CHECK_INT(knit_wait_fd(f->in, KNIT_READABLE, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_write(f->out, "x", 1), 1);
    CHECK_INT(knit_read(f->in, &c, 1), 1);
    CHECK_INT(c, 'x');
    return 45;
}

static void a_child_has_its_own_poller(void)
{
    kt_needs_fork();
    fds f = fds_new(FDS_SOCKET_ADOPTED);
    CHECK_INT(use_descriptors(&f), 45);
    CHECK_INT(kt_child(use_descriptors, &f), 45);
    CHECK_INT(use_descriptors(&f), 45);
    fds_close(&f);
}

/* Keeps every lock of the runtime busy. */
static int make_noise(void *arg)
{
    atomic_bool *stop = arg;
    while (!*stop) {
        atomic_int ran = 0;
        kt_gate gate = kt_gate_new();
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
            CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
        }
        CHECK_INT(knit_yield(), 0);
        kt_gate_open(gate);
        CHECK_INT(knit_errgroup_close(&g), 0);
        kt_gate_free(gate);
    }
    return 0;
}

static void a_fork_in_the_middle_of_work_gives_a_sound_child(void)
{
    kt_needs_fork();
    atomic_bool stop = false;
    knit_errgroup g = {0};
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, make_noise, &stop), 0);
    for (int i = 0; i < kt_count(30); i++)
        CHECK_INT(kt_child(use_knit, NULL), 42);
    stop = true;
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- from a task ----------------------------------------------------------------------------- */

/* Without blocking the worker. */
static int wait_for_child(pid_t pid)
{
    int status;
    pid_t got;
    kt_until((got = waitpid(pid, &status, WNOHANG)) != 0);
    CHECK_INT(got, pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int fork_and_leave(void *arg)
{
    int code = *(int *)arg;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        _exit(code);
    return wait_for_child(pid) == code ? 0 : -ECHILD;
}

static void a_task_may_fork_and_exit_the_child(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 1; i <= 10; i++)
        CHECK_INT(knit_errgroup_go_copy(&g, fork_and_leave, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int fork_and_exec(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
        _exit(127);
    }
    return wait_for_child(pid) == 5 ? 0 : -ECHILD;
}

static void a_task_may_fork_and_exec_in_the_child(void)
{
    if (access("/bin/sh", X_OK) != 0)
        kt_skip("no /bin/sh");
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, fork_and_exec, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static const knittest tests[] = {
    COLD(a_fork_before_the_first_use_gives_two_runtimes),
    ALONE(the_child_of_a_thread_can_use_knit_again),
    ALONE(the_child_of_a_child_can_use_knit_again),
    ALONE(a_child_that_does_not_use_knit_exits_cleanly),
    ALONE(parked_tasks_stay_with_the_parent),
    ALONE(a_child_has_its_own_poller),
    ALONE(a_fork_in_the_middle_of_work_gives_a_sound_child),
    ALONE(a_task_may_fork_and_exit_the_child),
    ALONE(a_task_may_fork_and_exec_in_the_child),
};
KNITTEST_MAIN(tests)
