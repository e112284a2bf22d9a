/* Every call by which the library asks the system for something fails once, and nothing is lost.
 *
 * A test is a scenario (scenarios*.c), run in one child process for each n: the n-th call fails;
 * then, in the same process, the scenario must succeed. n goes up until nothing is left to fail.
 * Then the same with all calls from the n-th on failing. A child must end in time, with every block
 * freed, mapping undone and thread joined, and no file open that was not.
 *
 *   FAULT_ONLY=n[+]   run only the child whose n-th call (and, +, all after it) fails; it is not
 *                     forked, for a debugger */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "inject.h"
#include "knittest.h"
#include "scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CHILD_SECONDS = 15, N_MAX = 2000, CLEAN_RUNS = 2, REPORTS_MAX = 5, FD_MAX = 64 };

/* What a child tells its parent. */
struct told {
    const char *first; /* same program, same address */
    int failures;
};
static volatile struct told *told;

struct run {
    void (*scenario)(void);
    bool in_task;
    int n;
    bool onwards;
};

/* ---- in the child ---------------------------------------------------------------------------- */

static bool fds_before[FD_MAX];
static struct inject_counts before;

static void list_fds(bool open[FD_MAX])
{
    for (int fd = 0; fd < FD_MAX; fd++)
        open[fd] = fcntl(fd, F_GETFD) != -1;
}

/* Runs after the library's own exit handler, which was registered later. A look-up that was given up
 * has a thread that nobody waits for, and which frees it in the end; there is no runtime any more to wait
 * with, hence the real pause. */
static void check_nothing_is_left(void)
{
    struct timespec pause = {.tv_nsec = 1000 * 1000};
    struct inject_counts counts = inject_outstanding();
    for (int i = 0; i < 2000 && counts.blocks != before.blocks; i++) {
        nanosleep(&pause, NULL);
        counts = inject_outstanding();
    }
    CHECK_INT(counts.blocks, before.blocks);
    CHECK_INT(counts.mappings, before.mappings);
    CHECK_INT(counts.threads, before.threads);
    bool fds[FD_MAX];
    list_fds(fds);
    CHECK(memcmp(fds, fds_before, sizeof fds) == 0);
}

static void timed_out(int signal)
{
    static const char words[] = "# a child did not end\n";
    (void)signal;
    told->first = inject_first();
    if (write(STDERR_FILENO, words, sizeof words - 1) < 0)
        return;
    abort();
}

struct call {
    void (*scenario)(void);
    bool ran;
};

static int call_scenario(void *arg)
{
    struct call *call = arg;
    call->ran = true;
    call->scenario();
    return 0;
}

static void play(const struct run *run)
{
    if (!run->in_task) {
        run->scenario();
        return;
    }
    struct call call = {run->scenario, false};
    knit_errgroup g = {0};
    int r = knit_errgroup_go(&g, call_scenario, &call);
    int s = knit_errgroup_wait(&g);
    CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN);
    CHECK(r == 0 || s != 0);
    CHECK_INT(s == 0, call.ran);
    CHECK(call.ran || !expect_success);
}

static int child(void *arg)
{
    const struct run *run = arg;
    signal(SIGALRM, timed_out);
    alarm((unsigned)(CHILD_SECONDS * kt_scale()));
    list_fds(fds_before);
    before = inject_outstanding();
    CHECK_INT(setenv("KNIT_WORKERS", "2", 0), 0);
    CHECK_INT(atexit(check_nothing_is_left), 0);

    inject_start(run->n, run->onwards);
    play(run);
    inject_stop();
    told->failures = inject_failures();
    told->first = inject_first();
    kt_note(inject_first());
    expect_success = true;
    play(run);
    return 0;
}

/* ---- in the parent --------------------------------------------------------------------------- */

/* FAULT_ONLY: does not come back. */
static void maybe_only(const struct run *run)
{
    const char *only = getenv("FAULT_ONLY");
    if (!only || !*only)
        return;
    struct run one = *run;
    one.n = atoi(only);
    one.onwards = strchr(only, '+') != NULL;
    exit(child(&one));
}

/* One child for each n; on a slow machine, where all from the n-th on fail, for each third. Returns
 * how many of them went wrong. */
static int each_n(const struct run *how, bool onwards)
{
    int wrong = 0, clean = 0, step = onwards && kt_scale() > 1 ? 3 : 1;
    for (int n = 1; clean < CLEAN_RUNS && n <= N_MAX && wrong < REPORTS_MAX; n += step) {
        struct run run = {how->scenario, how->in_task, n, onwards};
        told->failures = -1;
        told->first = "?";
        int status = kt_child(child, &run);
        clean = status == 0 && told->failures == 0 ? clean + 1 : 0;
        if (status == 0)
            continue;
        fprintf(stderr, "# FAULT_ONLY=%d%s (%s failed): %s %d\n", n, onwards ? "+" : "",
                told->first, status < 0 ? "signal" : "exit status", abs(status));
        wrong++;
    }
    return wrong;
}

static void explore(void (*scenario)(void), bool in_task)
{
    struct run run = {scenario, in_task, 0, false};
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(told != MAP_FAILED);
    maybe_only(&run);
    int wrong = each_n(&run, false);
    wrong += each_n(&run, true);
    CHECK_INT(munmap((void *)(uintptr_t)told, sizeof *told), 0);
    CHECK_INT(wrong, 0);
}

#define EXPLORE(scenario)                                                                          \
    static void scenario##_from_a_thread(void)                                                     \
    {                                                                                              \
        explore(scenario, false);                                                                  \
    }                                                                                              \
    static void scenario##_from_a_task(void)                                                       \
    {                                                                                              \
        explore(scenario, true);                                                                   \
    }

EXPLORE(plain_group)
EXPLORE(many_tasks)
EXPLORE(limit_and_nested)
EXPLORE(paused_queue)
EXPLORE(copies)
EXPLORE(contexts)
EXPLORE(context_of_group)
EXPLORE(parked_tasks)
EXPLORE(rendezvous)
EXPLORE(errors_and_texts)
EXPLORE(timed_waits)
EXPLORE(selects)
EXPLORE(maps)
EXPLORE(locks)
EXPLORE(waitgroup_errors)
EXPLORE(one_call_for_many)
EXPLORE(lives)
EXPLORE(panics)
EXPLORE(handles)
EXPLORE(handshakes)
EXPLORE(blocking_calls)
EXPLORE(descriptors)
EXPLORE(sockets)
EXPLORE(signals)
EXPLORE(commands)
EXPLORE(large_stacks)
EXPLORE(schedules)
EXPLORE(policies)
EXPLORE(task_options)
EXPLORE(retries)
EXPLORE(fronts)
EXPLORE(loops)
EXPLORE(foreign_loop)
EXPLORE(streams)
EXPLORE(results)

static void two_threads_use_it_first(void)
{
    explore(two_threads, false);
}

/* ---- a thread that cannot be started while all are away ---- */

struct stuck {
    int fds[2];
    knit_chan *ch;
    atomic_int begun;
};

static int read_one(void *arg)
{
    struct stuck *s = arg;
    char c;
    return read(s->fds[0], &c, 1) == 1 ? 0 : -EIO;
}

static int read_in_a_call(void *arg)
{
    struct stuck *s = arg;
    atomic_fetch_add(&s->begun, 1);
    return knit_blocking(read_one, s);
}

static int write_when_told(void *arg)
{
    struct stuck *s = arg;
    atomic_fetch_add(&s->begun, 1);
    CHECK_INT(knit_chan_recv(s->ch, NULL), 0);
    return write(s->fds[1], "x", 1) == 1 ? 0 : -EIO;
}

/* The monitor sleeps for good by then, which takes it real time: nobody but it would try again. */
static void a_thread_that_could_not_be_started_is_tried_again(void)
{
    const struct timespec long_enough = {.tv_nsec = 100 * 1000 * 1000};
    struct stuck s = {.begun = 0};
    knit_errgroup g = {0};

    CHECK_INT(setenv("KNIT_WORKERS", "1", 1), 0);
    CHECK_INT(pipe(s.fds), 0);
    CHECK_INT(knit_chan_new(0, 0, &s.ch), 0);
    CHECK_INT(knit_errgroup_go(&g, write_when_told, &s), 0);
    kt_until(atomic_load(&s.begun) == 1);
    CHECK_INT(knit_errgroup_go(&g, read_in_a_call, &s), 0);
    kt_until(atomic_load(&s.begun) == 2);
    nanosleep(&long_enough, NULL);
    inject_start(1, true);
    CHECK_INT(knit_chan_send(s.ch, NULL), 0);
    inject_stop();
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(inject_failures() > 0);
    knit_chan_unref(s.ch);
    close(s.fds[0]);
    close(s.fds[1]);
}

static const knittest tests[] = {
    COLD(a_thread_that_could_not_be_started_is_tried_again),
    COLD(plain_group_from_a_thread),
    COLD(plain_group_from_a_task),
    COLD(many_tasks_from_a_thread),
    COLD(many_tasks_from_a_task),
    COLD(limit_and_nested_from_a_thread),
    COLD(limit_and_nested_from_a_task),
    COLD(paused_queue_from_a_thread),
    COLD(paused_queue_from_a_task),
    COLD(copies_from_a_thread),
    COLD(copies_from_a_task),
    COLD(contexts_from_a_thread),
    COLD(contexts_from_a_task),
    COLD(context_of_group_from_a_thread),
    COLD(context_of_group_from_a_task),
    COLD(parked_tasks_from_a_thread),
    COLD(parked_tasks_from_a_task),
    COLD(rendezvous_from_a_thread),
    COLD(rendezvous_from_a_task),
    COLD(errors_and_texts_from_a_thread),
    COLD(errors_and_texts_from_a_task),
    COLD(timed_waits_from_a_thread),
    COLD(timed_waits_from_a_task),
    COLD(selects_from_a_thread),
    COLD(selects_from_a_task),
    COLD(maps_from_a_thread),
    COLD(maps_from_a_task),
    COLD(locks_from_a_thread),
    COLD(locks_from_a_task),
    COLD(waitgroup_errors_from_a_thread),
    COLD(waitgroup_errors_from_a_task),
    COLD(one_call_for_many_from_a_thread),
    COLD(one_call_for_many_from_a_task),
    COLD(lives_from_a_thread),
    COLD(lives_from_a_task),
    COLD(panics_from_a_thread),
    COLD(panics_from_a_task),
    COLD(handles_from_a_thread),
    COLD(handles_from_a_task),
    COLD(handshakes_from_a_thread),
    COLD(handshakes_from_a_task),
    COLD(blocking_calls_from_a_thread),
    COLD(blocking_calls_from_a_task),
    COLD(descriptors_from_a_thread),
    COLD(descriptors_from_a_task),
    COLD(sockets_from_a_thread),
    COLD(sockets_from_a_task),
    COLD(signals_from_a_thread),
    COLD(signals_from_a_task),
    COLD(commands_from_a_thread),
    COLD(commands_from_a_task),
    COLD(large_stacks_from_a_thread),
    COLD(large_stacks_from_a_task),
    COLD(schedules_from_a_thread),
    COLD(schedules_from_a_task),
    COLD(policies_from_a_thread),
    COLD(policies_from_a_task),
    COLD(task_options_from_a_thread),
    COLD(task_options_from_a_task),
    COLD(retries_from_a_thread),
    COLD(retries_from_a_task),
    COLD(fronts_from_a_thread),
    COLD(fronts_from_a_task),
    COLD(loops_from_a_thread),
    COLD(loops_from_a_task),
    COLD(foreign_loop_from_a_thread),
    COLD(foreign_loop_from_a_task),
    COLD(streams_from_a_thread),
    COLD(streams_from_a_task),
    COLD(results_from_a_thread),
    COLD(results_from_a_task),
    COLD(two_threads_use_it_first),
};
KNITTEST_MAIN(tests)
