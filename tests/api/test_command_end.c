/* The end of commands: nothing of their trees outlives the call, the task, or (guarded) the program. */
#include "commands.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>

#define SHORT (KNIT_SECOND / 20)

/* ---- cancel ---------------------------------------------------------------------------------- */

/* Runs a command under a context that ends as soon as `processes` of it have begun. */
struct run {
    knit_command command;
    lifeline life;
    knit_ctx *ctx;
    int processes;
    int result;
    knit_command_result details;
};

static int run_it(void *arg)
{
    struct run *run = arg;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_enter(run->ctx, &scope), 0);
    run->result = knit_command_run(&run->command, &run->details);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    return 0;
}

static int cancel_it(void *arg)
{
    struct run *run = arg;
    lifeline_begun(&run->life, run->processes);
    knit_ctx_cancel(run->ctx, 0);
    return 0;
}

static void run_and_cancel(struct run *run)
{
    knit_errgroup g = {0};
    run->life = lifeline_new();
    run->command.fds = &run->life.theirs;
    run->command.fd_count = 1;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &run->ctx), 0);
    CHECK_INT(knit_errgroup_go(&g, run_it, run), 0);
    CHECK_INT(knit_errgroup_go(&g, cancel_it, run), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(run->result, -ECANCELED);
    knit_ctx_unref(run->ctx);
    lifeline_ends(&run->life);
}

static void a_cancel_asks_first(void)
{
    struct run run = {.command = {.argv = SH("echo >&3; sleep 1000"), .grace = KNIT_FOREVER},
                      .processes = 1};
    run_and_cancel(&run);
    commands_left_no_child();
    CHECK_INT(run.details.signal, SIGTERM);
}

/* It has begun when its child has: a shell that is forked and not yet executed loses a SIGTERM for
 * which its parent has a trap. */
static void what_it_says_when_asked_is_heard(void)
{
    struct run run = {
        .command = {.argv = SH("trap 'echo bye; exit 3' TERM; sh -c 'echo >&3; exec sleep 1000' &"
                               " wait"),
                    .out = KNIT_STDIO_CAPTURE,
                    .grace = KNIT_FOREVER},
        .processes = 1};
    run_and_cancel(&run);
    commands_left_no_child();
    CHECK_INT(run.details.status, 3);
    CHECK_INT(strcmp(run.details.out.data, "bye\n"), 0);
    knit_command_result_fini(&run.details);
}

static void who_ignores_that_is_killed_after_the_grace(void)
{
    struct run run = {
        .command = {.argv = (const char *[]){"sh", "-c", SURVIVOR, NULL}, .grace = SHORT},
        .processes = 1};
    run_and_cancel(&run);
    commands_left_no_child();
    CHECK_INT(run.details.signal, SIGKILL);
}

static void without_grace_it_is_killed_at_once(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct run run = {.command = {.argv = SH("trap 'exit 3' TERM; echo >&3; sleep 1000 & wait"),
                                      .grace = -1,
                                      .flags = i},
                          .processes = 1};
        run_and_cancel(&run);
        commands_left_no_child();
        CHECK_INT(run.details.signal, SIGKILL);
    }
}

static void a_stopped_command_ends_too(void)
{
    struct run run = {.command = {.argv = SH("echo >&3; kill -STOP $$"), .grace = KNIT_FOREVER},
                      .processes = 1};
    run_and_cancel(&run);
    commands_left_no_child();
    CHECK_INT(run.details.signal, SIGTERM);
}

static void an_ended_context_starts_nothing(void)
{
    knit_command_result result;
    knit_process *process = NULL;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), 0, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH(":")}, &result), -ETIMEDOUT);
    CHECK_INT(result.pid, 0);
    CHECK_INT(knit_command_start(&(knit_command){.argv = SH(":")}, &process), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

/* True: it was started before its time was over. */
static bool a_command_under_a_deadline(knit_duration timeout)
{
    knit_command_result result;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), timeout, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(
        knit_command_run(&(knit_command){.argv = (const char *[]){"sleep", "1000", NULL}}, &result),
        -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    CHECK(result.pid == 0 || result.signal == SIGTERM);
    commands_left_no_child();
    return result.pid != 0;
}

static void a_deadline_ends_a_command(void)
{
    knit_duration timeout = SHORT;
    while (!a_command_under_a_deadline(timeout))
        timeout *= 2;
}

/* ---- the tree -------------------------------------------------------------------------------- */

#define TREE(rest) ((const char *[]){"sh", "-c", SURVIVORS_SCRIPT rest, SURVIVOR, NULL})

static void cancel_a_tree(void)
{
    struct run run = {
        .command = {.argv = TREE("echo >&3; while :; do sleep 1; done"), .grace = SHORT},
        .processes = SURVIVORS + 1};
    run_and_cancel(&run);
    CHECK_INT(run.details.signal, SIGKILL);
}

static void a_cancel_ends_the_whole_tree(void)
{
    cancel_a_tree();
    commands_left_no_child();
}

static void a_group_that_is_closed_leaves_nothing(void)
{
    lifeline life = lifeline_new();
    knit_command c = {.argv = TREE("wait"), .grace = SHORT, .fds = &life.theirs, .fd_count = 1};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, knit_command_task, &c), 0);
    lifeline_begun(&life, SURVIVORS);
    (void)knit_errgroup_close(&g);
    lifeline_ends(&life);
    commands_left_no_child();
}

#define UNTIL_INPUT_ENDS "read line; exit 0"

/* A command that ends by itself, with 0, as soon as so many processes of it have begun. */
static void run_until_begun(knit_command command, lifeline *life, int processes)
{
    knit_errgroup g = {0};
    int in[2];
    CHECK_INT(pipe(in), 0);
    *life = lifeline_new();
    command.in = in[0];
    command.fds = &life->theirs;
    command.fd_count = 1;
    CHECK_INT(knit_errgroup_go(&g, knit_command_task, &command), 0);
    lifeline_begun(life, processes);
    CHECK_INT(close(in[1]), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(close(in[0]), 0);
}

/* The command itself exits with 0; its daemons go with it. */
static void a_normal_end_leaves_nothing_either(void)
{
    for (unsigned i = 0; i < 2; i++) {
        lifeline life;
        run_until_begun((knit_command){.argv = TREE(UNTIL_INPUT_ENDS), .grace = SHORT, .flags = i},
                        &life, SURVIVORS);
        lifeline_ends(&life);
        commands_left_no_child();
    }
}

/* As in what_it_says_when_asked_is_heard: its child says that it has begun. */
static void what_obeys_is_not_killed(void)
{
    static const char obeys[] = "trap 'echo b >&3; exit' TERM; sh -c 'echo >&3; exec sleep 1000' &"
                                " wait";
    lifeline life;
    char said[8] = "";
    run_until_begun(
        (knit_command){.argv =
                           (const char *[]){"sh", "-c", "setsid sh -c \"$0\" & " UNTIL_INPUT_ENDS,
                                            obeys, NULL},
                       .grace = KNIT_FOREVER},
        &life, 1);
    CHECK_INT(read(life.mine, said, sizeof said), 2);
    CHECK_INT(memcmp(said, "b\n", 2), 0);
    lifeline_ends(&life);
    commands_left_no_child();
}

/* Two of one program: the end of one leaves the other alone. */
static void other_commands_are_left_alone(void)
{
    lifeline life = lifeline_new();
    knit_process *other;
    char byte;
    CHECK_INT(knit_command_start(
                  &(knit_command){
                      .argv = TREE("wait"), .grace = SHORT, .fds = &life.theirs, .fd_count = 1},
                  &other),
              0);
    lifeline_begun(&life, SURVIVORS);
    cancel_a_tree();
    CHECK_INT(knit_process_wait(other, knit_now(), NULL), -ETIMEDOUT);
    CHECK_INT(knit_read_until(life.mine, &byte, 1, knit_now()), -ETIMEDOUT);
    CHECK_INT(knit_process_close(other, NULL), KNIT_COMMAND_FAILED);
    lifeline_ends(&life);
    commands_left_no_child();
}

/* Many of them: none is taken for a part of another one's tree. */
static void each_of_many_ends_by_itself(void)
{
    enum { MANY = 40 };
    knit_process *p[MANY];
    for (int i = 0; i < MANY; i++)
        CHECK_INT(knit_command_start(&(knit_command){.argv = (const char *[]){"cat", NULL},
                                                     .in = KNIT_STDIO_PIPE,
                                                     .grace = KNIT_FOREVER},
                                     &p[i]),
                  0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(knit_process_wait(p[i], knit_now(), NULL), -ETIMEDOUT);
        CHECK_INT(knit_process_close(p[i], NULL), KNIT_COMMAND_FAILED);
    }
    commands_left_no_child();
}

/* ---- start, wait, close ---------------------------------------------------------------------- */

static void a_started_command_is_talked_to_by_pipes(void)
{
    for (unsigned i = 0; i < 2; i++) {
        knit_command_result result;
        knit_process *p;
        char text[32];
        CHECK_INT(knit_command_start(&(knit_command){.argv = (const char *[]){"cat", NULL},
                                                     .in = KNIT_STDIO_PIPE,
                                                     .out = KNIT_STDIO_PIPE,
                                                     .flags = i},
                                     &p),
                  0);
        const int in = knit_process_take(p, 0), out = knit_process_take(p, 1);
        CHECK_INT(knit_process_take(p, 0), -EBADF);
        CHECK_INT(knit_process_take(p, 2), -EBADF);
        CHECK_INT(knit_process_take(p, 3), -EINVAL);
        CHECK_INT(knit_write_full(in, "question", 8, NULL), 0);
        CHECK_INT(knit_read_full(out, text, 8, NULL), 0);
        CHECK_INT(memcmp(text, "question", 8), 0);
        CHECK_INT(knit_process_wait(p, knit_now(), &result), -ETIMEDOUT);
        CHECK_INT(knit_close(in), 0);
        CHECK_INT(knit_process_wait(p, KNIT_FOREVER, &result), 0);
        CHECK_INT(result.status, 0);
        CHECK_INT(result.pid, knit_process_pid(p));
        CHECK_INT(knit_process_wait(p, KNIT_FOREVER, NULL), 0);
        CHECK_INT(knit_process_signal(p, SIGTERM), -ESRCH);
        CHECK_INT(knit_process_close(p, &result), 0);
        CHECK_INT(knit_close(out), 0);
        commands_left_no_child();
    }
}

static void a_signal_reaches_the_command(void)
{
    for (unsigned i = 0; i < 2; i++) {
        lifeline life = lifeline_new();
        knit_command_result result;
        knit_process *p;
        CHECK_INT(knit_command_start(
                      &(knit_command){.argv = SH("trap 'exit 9' USR1; echo >&3; sleep 1000 & wait"),
                                      .fds = &life.theirs,
                                      .fd_count = 1,
                                      .flags = i},
                      &p),
                  0);
        lifeline_begun(&life, 1);
        CHECK_INT(knit_process_signal(p, SIGUSR1), 0);
        CHECK_INT(knit_process_wait(p, KNIT_FOREVER, &result), KNIT_COMMAND_FAILED);
        CHECK_INT(result.status, 9);
        CHECK_INT(knit_process_close(p, NULL), KNIT_COMMAND_FAILED);
        lifeline_ends(&life);
        commands_left_no_child();
    }
}

static void close_ends_what_runs(void)
{
    for (unsigned i = 0; i < 2; i++) {
        lifeline life = lifeline_new();
        knit_command_result result;
        knit_process *p;
        CHECK_INT(knit_command_start(&(knit_command){.argv = TREE("wait"),
                                                     .fds = &life.theirs,
                                                     .fd_count = 1,
                                                     .in = KNIT_STDIO_PIPE,
                                                     .grace = SHORT,
                                                     .flags = i},
                                     &p),
                  0);
        lifeline_begun(&life, SURVIVORS);
        CHECK_INT(knit_process_close(p, &result), KNIT_COMMAND_FAILED);
        CHECK_INT(result.signal, SIGKILL);
        lifeline_ends(&life);
        commands_left_no_child();
    }
}

static void a_cancelled_wait_leaves_it_running(void)
{
    lifeline life = lifeline_new();
    knit_process *p;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_command_start(
                  &(knit_command){.argv = SH("read line; exit 5"), .in = KNIT_STDIO_PIPE}, &p),
              0);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_process_wait(p, KNIT_FOREVER, NULL), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    const int in = knit_process_take(p, 0);
    CHECK_INT(knit_close(in), 0);
    CHECK_INT(knit_process_wait(p, KNIT_FOREVER, NULL), KNIT_COMMAND_FAILED);
    knit_command_result result;
    CHECK_INT(knit_process_close(p, &result), KNIT_COMMAND_FAILED);
    CHECK_INT(result.status, 5);
    lifeline_ends(&life);
}

static int start_and_forget(void *arg)
{
    lifeline *life = arg;
    knit_process *p;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(knit_command_start(
                      &(knit_command){
                          .argv = TREE("wait"), .fds = &life->theirs, .fd_count = 1, .grace = -1},
                      &p),
                  0);
        if (i == 1)
            CHECK_INT(knit_process_close(p, NULL), KNIT_COMMAND_FAILED);
    }
    return 0;
}

static void a_command_does_not_outlive_its_task(void)
{
    lifeline life = lifeline_new();
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, start_and_forget, &life), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    lifeline_ends(&life);
    commands_left_no_child();
}

/* ---- with a guardian ------------------------------------------------------------------------- */

/* What only a guardian finds: orphans without a trace of the command in their environment, group or
 * session. */
#define TRACELESS "(env -i PATH=\"$PATH\" setsid sh -c '(sh -c \"$0\" &)' \"$0\" &) ; "

static void a_guardian_finds_what_has_no_trace(void)
{
    struct run run = {
        .command = {.argv = (const char *[]){"sh", "-c",
                                             SURVIVORS_SCRIPT TRACELESS "while :; do sleep 1; done",
                                             SURVIVOR, NULL},
                    .grace = SHORT,
                    .flags = KNIT_COMMAND_GUARD},
        .processes = SURVIVORS + 1};
    run_and_cancel(&run);
    commands_left_no_child();
    CHECK_INT(run.details.signal, SIGKILL);
}

/* The program of its own that is killed: it starts guarded commands and waits. */
static int be_killed(void *arg)
{
    lifeline *life = arg;
    knit_command c = {
        .argv = (const char *[]){"sh", "-c", SURVIVORS_SCRIPT TRACELESS "wait", SURVIVOR, NULL},
        .grace = SHORT,
        .fds = &life->theirs,
        .fd_count = 1,
        .flags = KNIT_COMMAND_GUARD};
    knit_errgroup g = {0};
    CHECK_INT(close(life->mine), 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, knit_command_task, &c), 0);
    return knit_errgroup_wait(&g);
}

static void a_guarded_command_does_not_outlive_the_program(void)
{
    kt_needs_fork();
    lifeline life = lifeline_new();
    const pid_t program = fork();
    CHECK(program >= 0);
    if (program == 0)
        _exit(be_killed(&life));
    lifeline_begun(&life, 2 * (SURVIVORS + 1));
    CHECK_INT(kill(program, SIGKILL), 0);
    int status;
    CHECK_INT(waitpid(program, &status, 0), program);
    CHECK_INT(WTERMSIG(status), SIGKILL);
    lifeline_ends(&life);
}

static int run_and_kill_guardian(int pause, lifeline *life, knit_command_result *ret_result)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", pause);
    return knit_command_run(
        &(knit_command){.argv = (const char *[]){"sh", "-c",
                                                 SURVIVORS_SCRIPT "sleep $1; kill -9 $PPID; wait",
                                                 SURVIVOR, seconds, NULL},
                        .grace = SHORT,
                        .fds = &life->theirs,
                        .fd_count = 1,
                        .flags = KNIT_COMMAND_GUARD},
        ret_result);
}

/* Then the program does what it does without. The guardian may be killed before it could say that the
 * command has started: that is an error of its own, and the same end. */
static void a_killed_guardian_is_noticed(void)
{
    knit_command_result result = {0};
    int r = -EPERM;
    for (int pause = 0; r == -EPERM; pause++) {
        lifeline life = lifeline_new();
        r = run_and_kill_guardian(pause, &life, &result);
        lifeline_ends(&life);
        commands_left_no_child();
    }
    CHECK_INT(r, KNIT_COMMAND_FAILED);
    CHECK_INT(result.signal, SIGKILL);
}

static const knittest tests[] = {
    BOTH(a_cancel_asks_first),
    TASK(what_it_says_when_asked_is_heard),
    TASK(who_ignores_that_is_killed_after_the_grace),
    TASK(without_grace_it_is_killed_at_once),
    TASK(a_stopped_command_ends_too),
    BOTH(an_ended_context_starts_nothing),
    BOTH(a_deadline_ends_a_command),
    BOTH(a_cancel_ends_the_whole_tree),
    THREAD(a_group_that_is_closed_leaves_nothing),
    BOTH(a_normal_end_leaves_nothing_either),
    THREAD(what_obeys_is_not_killed),
    THREAD(other_commands_are_left_alone),
    BOTH(each_of_many_ends_by_itself),
    BOTH(a_started_command_is_talked_to_by_pipes),
    BOTH(a_signal_reaches_the_command),
    BOTH(close_ends_what_runs),
    BOTH(a_cancelled_wait_leaves_it_running),
    THREAD(a_command_does_not_outlive_its_task),
    BOTH(a_guardian_finds_what_has_no_trace),
    ALONE(a_guarded_command_does_not_outlive_the_program),
    THREAD(a_killed_guardian_is_noticed),
};
KNITTEST_MAIN(tests)
