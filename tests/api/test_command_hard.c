/* Commands that do not make it easy: that never stop writing, that have descriptors missing, that are
 * deep, or that somebody else waits for. */
#define _GNU_SOURCE
#include "commands.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define SHORT (KNIT_SECOND / 20)

/* ---- output without end ---------------------------------------------------------------------- */

/* Slower than what writes, so that there is always something to read. With a context: ends it. */
static int drop_slowly(const knit_line *line, void *arg)
{
    const knit_time until = knit_now() + KNIT_MILLISECOND;
    (void)line;
    if (arg)
        knit_ctx_cancel(arg, 0);
    while (knit_now() < until)
        continue;
    return 0;
}

#define ENDLESS "line=$(printf %04000d 0); yes $line & yes $line & yes $line & "

/* It ignores SIGTERM and goes on writing: the grace passes all the same. */
static void who_never_stops_writing_is_killed(void)
{
    knit_command_result result;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH("trap '' TERM; " ENDLESS "wait"),
                                               .out = KNIT_STDIO_LINES,
                                               .on_line = drop_slowly,
                                               .on_line_arg = ctx,
                                               .grace = SHORT},
                               &result),
              -ECANCELED);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    CHECK_INT(result.signal, SIGKILL);
    commands_left_no_child();
}

/* What may live on goes on writing: what it had written by the end is read, no more. */
static void who_is_left_writing_does_not_hold_the_call(void)
{
    lifeline l = lifeline_new();
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH(ENDLESS "sleep 0.1"),
                                               .fds = &l.theirs,
                                               .fd_count = 1,
                                               .out = KNIT_STDIO_LINES,
                                               .on_line = drop_slowly,
                                               .flags = KNIT_COMMAND_LEAVE},
                               NULL),
              0);
    lifeline_ends(&l); /* by SIGPIPE: nobody reads any more */
}

/* Others run, though there is always something to read. */
static int run_yes(void *arg)
{
    (void)arg;
    return knit_command_run(&(knit_command){.argv = SH(ENDLESS "wait"),
                                            .out = KNIT_STDIO_LINES,
                                            .on_line = drop_slowly},
                            NULL);
}

static int fail_soon(void *arg)
{
    (void)arg;
    return -EPROTO;
}

static void who_never_stops_writing_lets_others_run(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, run_yes, NULL), 0);
    CHECK_INT(knit_sleep(SHORT), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_soon, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EPROTO);
    CHECK_INT(knit_errgroup_close(&g), -EPROTO);
    commands_left_no_child();
}

/* ---- lines under an ended context ------------------------------------------------------------ */

struct parked {
    knit_ctx *ctx;
    int lines, slept;
};

/* The first line ends the context; the second one, said when asked to end, would wait for good. */
static int park(const knit_line *line, void *arg)
{
    struct parked *p = arg;
    (void)line;
    if (p->lines++ == 0)
        knit_ctx_cancel(p->ctx, 0);
    else
        p->slept = knit_sleep_until(KNIT_FOREVER);
    return 0;
}

static void a_line_waits_under_the_callers_context(void)
{
    struct parked p = {0};
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &p.ctx), 0);
    CHECK_INT(knit_ctx_enter(p.ctx, &scope), 0);
    CHECK_INT(
        knit_command_run(
            &(knit_command){
                .argv = SH("trap 'echo bye; exit 3' TERM; sh -c 'echo; exec sleep 1000' & wait"),
                .out = KNIT_STDIO_LINES,
                .on_line = park,
                .on_line_arg = &p},
            NULL),
        -ECANCELED);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(p.ctx);
    CHECK_INT(p.lines, 2);
    CHECK_INT(p.slept, -ECANCELED);
    commands_left_no_child();
}

/* ---- with a guardian ------------------------------------------------------------------------- */

/* A program without input, output or errors, as daemons are. */
static void a_guardian_lives_without_the_first_descriptors(void)
{
    const int before[2] = {dup(0), dup(1)};
    CHECK(before[0] > 2 && before[1] > 2);
    CHECK_INT(close(0) + close(1), 0);
    knit_command_result result;
    const int r = knit_command_run(&(knit_command){.argv = SH("sleep 0.1; exit 3"),
                                                   .in = KNIT_STDIO_INHERIT,
                                                   .flags = KNIT_COMMAND_GUARD},
                                   &result);
    for (int i = 0; i < 2; i++) {
        kt_until(dup2(before[i], i) == i); /* EBUSY: another thread is about to open it */
        CHECK_INT(close(before[i]), 0);
    }
    CHECK_INT(r, KNIT_COMMAND_FAILED);
    CHECK_INT(result.status, 3);
}

/* Each in a session of its own and without a trace, each the parent of the next one. */
#define DEEP 60
#define CHAIN                                                                                      \
    "trap '' TERM HUP; echo >&3; [ $1 -gt 1 ] && env -i PATH=\"$PATH\" setsid sh -c \"$0\" "       \
    "\"$0\" $(($1 - 1)); while :; do sleep 1; done"

static void a_guardian_ends_a_deep_tree(void)
{
    lifeline l = lifeline_new();
    knit_process *p;
    knit_command_result result;
    CHECK_INT(knit_command_start(
                  &(knit_command){.argv = (const char *[]){"sh", "-c", CHAIN, CHAIN, "60", NULL},
                                  .fds = &l.theirs,
                                  .fd_count = 1,
                                  .grace = -1,
                                  .flags = KNIT_COMMAND_GUARD},
                  &p),
              0);
    lifeline_begun(&l, DEEP);
    CHECK_INT(knit_process_close(p, &result), KNIT_COMMAND_FAILED);
    CHECK_INT(result.signal, SIGKILL);
    lifeline_ends(&l);
    commands_left_no_child();
}

/* ---- without descriptors --------------------------------------------------------------------- */

static int give_back(void *limit)
{
    CHECK_INT(knit_sleep(4 * SHORT), 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, limit), 0);
    return 0;
}

/* Nothing can be seen then, and what was not seen is not gone. */
static void who_is_not_seen_is_waited_for(void)
{
    lifeline l = lifeline_new();
    struct rlimit before, none;
    knit_errgroup g = {0};
    knit_process *p;
    CHECK_INT(knit_command_start(
                  &(knit_command){.argv = (const char *[]){"sh", "-c", "setsid sh -c \"$0\" & wait",
                                                           SURVIVOR, NULL},
                                  .fds = &l.theirs,
                                  .fd_count = 1,
                                  .grace = 10 * SHORT},
                  &p),
              0);
    lifeline_begun(&l, 1);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_INT(knit_errgroup_go(&g, give_back, &before), 0);
    CHECK_INT(knit_process_close(p, NULL), KNIT_COMMAND_FAILED);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(close(l.theirs), 0);
    char rest[8];
    CHECK_INT(knit_read_until(l.mine, rest, sizeof rest, knit_now()), 0); /* gone by now */
    CHECK_INT(close(l.mine), 0);
    commands_left_no_child();
}

/* ---- beside a wait ---------------------------------------------------------------------------- */

static int wait_for(void *process)
{
    return knit_process_wait(process, KNIT_FOREVER, NULL);
}

static void a_signal_may_come_beside_a_wait(void)
{
    knit_errgroup g = {0};
    knit_process *p;
    CHECK_INT(
        knit_command_start(&(knit_command){.argv = (const char *[]){"sleep", "0.05", NULL}}, &p),
        0);
    CHECK_INT(knit_errgroup_go(&g, wait_for, p), 0);
    while (knit_process_signal(p, SIGCONT) == 0)
        CHECK_INT(knit_yield(), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_process_close(p, NULL), 0);
}

/* ---- lost ------------------------------------------------------------------------------------ */

/* A process of that number and group, which has a child; or -1: not allowed. */
static pid_t start_as(pid_t number, int ready)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, signal, stack, stack_size, tls, set_tid,
            count;
    } args = {.signal = SIGCHLD, .set_tid = (uintptr_t)&number, .count = 1};
    const long r = syscall(SYS_clone3, &args, sizeof args);

    if (r == 0) {
        /* not fork(): it wants locks that other threads had when this process was made */
        setpgid(0, 0);
        if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0 && write(ready, "x", 1) == 1)
            for (;;)
                pause();
    }
    return (pid_t)r;
}

/* Its number is somebody else's when it is closed. */
static void a_lost_number_is_left_alone(void)
{
    knit_process *p;
    int ready[2];
    char bytes[2];
    CHECK_INT(pipe(ready), 0);
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    CHECK_INT(knit_command_start(&(knit_command){.argv = SH("exit 3")}, &p), 0);
    const int pid = knit_process_pid(p);
    CHECK_INT(knit_process_wait(p, KNIT_FOREVER, NULL), -ECHILD);
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    const pid_t other = start_as(pid, ready[1]);
    if (other < 0)
        kt_skip("only the superuser may choose a number");
    CHECK_INT(other, pid);
    for (int i = 0; i < 2; i++)
        CHECK_INT(read(ready[0], bytes, 1), 1);
    CHECK_INT(knit_process_close(p, NULL), -ECHILD);
    siginfo_t info = {0};
    CHECK_INT(waitid(P_PID, (id_t)other, &info, WEXITED | WNOHANG), 0);
    CHECK_INT(info.si_pid, 0); /* alive */
    CHECK_INT(kill(-other, SIGKILL), 0);
    CHECK_INT(waitpid(other, NULL, 0), other);
    CHECK_INT(close(ready[0]) + close(ready[1]), 0);
}

static const knittest tests[] = {
    BOTH(who_never_stops_writing_is_killed),
    BOTH(who_is_left_writing_does_not_hold_the_call),
    THREAD(who_never_stops_writing_lets_others_run),
    BOTH(a_line_waits_under_the_callers_context),
    ALONE(a_guardian_lives_without_the_first_descriptors),
    THREAD(a_guardian_ends_a_deep_tree),
    ALONE(who_is_not_seen_is_waited_for),
    THREAD(a_signal_may_come_beside_a_wait),
    ALONE(a_lost_number_is_left_alone),
};
KNITTEST_MAIN(tests)
