/* Commands: what they are given, and what becomes of them. */
#include "commands.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Run it and compare its output. */
static void check_output(const knit_command *command, const char *want)
{
    knit_command c = *command;
    knit_command_result result;
    c.out = KNIT_STDIO_CAPTURE;
    CHECK_INT(knit_command_run(&c, &result), 0);
    CHECK_INT(result.status, 0);
    CHECK_INT(result.signal, 0);
    CHECK_HAS(result.out.data, want);
    CHECK_INT(result.out.size, strlen(want));
    CHECK(result.err.data == NULL);
    knit_command_result_fini(&result);
}

/* ---- what it is given ------------------------------------------------------------------------ */

static void arguments_arrive_as_they_are(void)
{
    check_output(
        &(knit_command){.argv = (const char *[]){"printf", "%s|", "a b", "", "*", "\"", NULL}},
        "a b||*|\"|");
    commands_left_no_child();
}

static void the_environment_is_inherited(void)
{
    CHECK_INT(setenv("KNIT_TEST_WORD", "inherited", 1), 0);
    check_output(&(knit_command){.argv = SH("echo $KNIT_TEST_WORD")}, "inherited\n");
}

static void an_environment_replaces_the_inherited_one(void)
{
    const char *env[] = {"KNIT_TEST_OTHER=given", NULL};
    CHECK_INT(setenv("KNIT_TEST_WORD", "inherited", 1), 0);
    check_output(&(knit_command){.argv = SH("echo $KNIT_TEST_WORD-$KNIT_TEST_OTHER"), .env = env},
                 "-given\n");
}

static void a_command_of_a_command_has_both_marks(void)
{
    CHECK_INT(setenv("KNIT_TREE", "outer", 1), 0);
    check_output(&(knit_command){.argv = SH("echo ${KNIT_TREE%%:*}; set | grep -c ^KNIT_TREE=")},
                 "outer\n1\n");
    CHECK_INT(unsetenv("KNIT_TREE"), 0);
}

static void it_runs_in_its_directory(void)
{
    check_output(&(knit_command){.argv = SH("pwd"), .directory = "/"}, "/\n");
}

static void a_relative_path_begins_in_its_directory(void)
{
    check_output(&(knit_command){.argv = (const char *[]){"./sh", "-c", "echo here", NULL},
                                 .directory = "/bin"},
                 "here\n");
}

static void its_input_is_empty_if_nothing_is_said(void)
{
    check_output(&(knit_command){.argv = SH("cat; echo end")}, "end\n");
}

static void input_is_written_and_ends(void)
{
    check_output(&(knit_command){.argv = (const char *[]){"cat", NULL},
                                 .input = "two\nlines",
                                 .input_size = 9},
                 "two\nlines");
    check_output(&(knit_command){.argv = (const char *[]){"cat", NULL}, .input = ""}, "");
}

static void input_that_is_not_read_is_dropped(void)
{
    static char much[1 << 20];
    CHECK_INT(knit_command_run(&(knit_command){.argv = (const char *[]){"true", NULL},
                                               .input = much,
                                               .input_size = sizeof much},
                               NULL),
              0);
    commands_left_no_child();
}

static void descriptors_are_given_in_any_order(void)
{
    int in[2], out[2], extra[2];
    char text[32] = "";
    CHECK_INT(pipe(in), 0);
    CHECK_INT(pipe(out), 0);
    CHECK_INT(pipe(extra), 0);
    CHECK_INT(write(in[1], "word", 4), 4);
    CHECK_INT(close(in[1]), 0);
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH("cat; echo 4 >&4; echo 3 >&3"),
                                               .in = in[0],
                                               .out = out[1],
                                               .fds = (int[]){extra[1], out[1]},
                                               .fd_count = 2},
                               NULL),
              0);
    CHECK_INT(read(out[0], text, sizeof text), 6);
    CHECK_INT(memcmp(text, "word4\n", 6), 0);
    CHECK_INT(read(extra[0], text, sizeof text), 2);
    CHECK_INT(memcmp(text, "3\n", 2), 0);
    CHECK_INT(close(in[0]) + close(out[0]) + close(out[1]) + close(extra[0]) + close(extra[1]), 0);
}

/* The program's 1 and 2 may be named as any others: here they change places. */
static void output_and_errors_can_change_places(void)
{
    int out[2], err[2];
    char text[8] = "";
    const int before1 = dup(1), before2 = dup(2);
    CHECK_INT(pipe(out), 0);
    CHECK_INT(pipe(err), 0);
    CHECK(dup2(out[1], 1) == 1 && dup2(err[1], 2) == 2);
    int r = knit_command_run(
        &(knit_command){.argv = SH("echo out; echo err >&2"), .out = 2, .err = 1}, NULL);
    CHECK(dup2(before1, 1) == 1 && dup2(before2, 2) == 2);
    CHECK_INT(r, 0);
    CHECK_INT(read(err[0], text, sizeof text), 4);
    CHECK_INT(memcmp(text, "out\n", 4), 0);
    CHECK_INT(read(out[0], text, sizeof text), 4);
    CHECK_INT(memcmp(text, "err\n", 4), 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(close(out[i]) + close(err[i]), 0);
    CHECK_INT(close(before1) + close(before2), 0);
}

static void errors_go_where_the_output_goes(void)
{
    check_output(&(knit_command){.argv = SH("echo a; echo b >&2; echo c"), .err = KNIT_STDIO_OUT},
                 "a\nb\nc\n");
}

/* One without FD_CLOEXEC, as libraries make them. */
static void no_other_descriptor_is_inherited(void)
{
    const int leak = fcntl(0, F_DUPFD, 50);
    CHECK(leak >= 50);
    check_output(&(knit_command){.argv = SH("ls /proc/self/fd | grep -v 3 | tr '\\n' ' '")},
                 "0 1 2 ");
    CHECK_INT(close(leak), 0);
}

static void signals_are_at_their_defaults(void)
{
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    /* 32 and 33 are the C library's own */
    check_output(
        &(knit_command){.argv = SH("while read name mask; do case $name in SigBlk:|SigIgn:) "
                                   "echo $((0x$mask & ~0x180000000));; esac; "
                                   "done </proc/$$/status")},
        "0\n0\n");
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
}

static void it_leads_a_group_or_a_session(void)
{
    /* fields of /proc/PID/stat: 1 itself, 5 its group, 6 its session */
    const char *const show = "cut -d' ' -f1,5,6 /proc/self/stat | (read p g s; "
                             "[ $g = $$ ] && echo group; [ $s = $$ ] && echo session; :)";
    check_output(&(knit_command){.argv = SH(show)}, "group\n");
    check_output(&(knit_command){.argv = SH(show), .flags = KNIT_COMMAND_SESSION},
                 "group\nsession\n");
    check_output(&(knit_command){.argv = SH(show), .flags = KNIT_COMMAND_GUARD}, "group\n");
    check_output(
        &(knit_command){.argv = SH(show), .flags = KNIT_COMMAND_SESSION | KNIT_COMMAND_GUARD},
        "group\nsession\n");
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static void an_exit_status_is_in_the_result(void)
{
    static const unsigned flags[] = {0, KNIT_COMMAND_GUARD};
    for (int i = 0; i < 2; i++) {
        knit_command_result result;
        CHECK_INT(
            knit_command_run(&(knit_command){.argv = SH("exit 7"), .flags = flags[i]}, &result),
            KNIT_COMMAND_FAILED);
        CHECK_INT(result.status, 7);
        CHECK_INT(result.signal, 0);
        CHECK(result.pid > 0);
    }
    commands_left_no_child();
}

static void a_signal_is_in_the_result(void)
{
    static const unsigned flags[] = {0, KNIT_COMMAND_GUARD};
    for (int i = 0; i < 2; i++) {
        knit_command_result result;
        CHECK_INT(knit_command_run(&(knit_command){.argv = SH("kill -USR1 $$"), .flags = flags[i]},
                                   &result),
                  KNIT_COMMAND_FAILED);
        CHECK_INT(result.status, -1);
        CHECK_INT(result.signal, SIGUSR1);
        CHECK_INT(result.core, 0);
    }
    commands_left_no_child();
}

static void check_start_fails(const knit_command *command, int want)
{
    knit_command c = *command;
    knit_command_result result;
    knit_process *process = NULL;
    CHECK_INT(knit_command_run(&c, &result), want);
    CHECK_INT(result.status, -1);
    CHECK_INT(knit_command_start(&c, &process), want);
    CHECK(process == NULL);
    c.flags |= KNIT_COMMAND_GUARD;
    CHECK_INT(knit_command_run(&c, &result), want);
    CHECK_INT(knit_command_start(&c, &process), want);
    commands_left_no_child();
}

static void what_cannot_be_started_has_its_errno(void)
{
    check_start_fails(&(knit_command){.argv = (const char *[]){"knit-no-such-program", NULL}},
                      -ENOENT);
    check_start_fails(&(knit_command){.argv = (const char *[]){"/no/such/program", NULL}}, -ENOENT);
    check_start_fails(&(knit_command){.argv = SH(":"), .directory = "/no/such"}, -ENOENT);
    check_start_fails(&(knit_command){.argv = (const char *[]){"/etc/passwd", NULL}}, -EACCES);
    check_start_fails(&(knit_command){.argv = SH(":"), .directory = "/etc/passwd"}, -ENOTDIR);
    check_start_fails(&(knit_command){.argv = (const char *[]){"/etc", NULL}}, -EACCES);
    check_start_fails(&(knit_command){.argv = SH(":"), .out = 999}, -EBADF);
    check_start_fails(&(knit_command){.argv = SH(":"), .fds = (int[]){-1}, .fd_count = 1}, -EBADF);
}

static void what_is_no_program_is_enoexec(void)
{
    char path[] = "/tmp/knit-test-XXXXXX";
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, "no program\n", 11), 11);
    CHECK_INT(fchmod(fd, 0700), 0);
    CHECK_INT(close(fd), 0);
    check_start_fails(&(knit_command){.argv = (const char *[]){path, NULL}}, -ENOEXEC);
    CHECK_INT(unlink(path), 0);
}

static void without_descriptors_it_is_emfile(void)
{
    struct rlimit before, none = {.rlim_cur = 0};
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH(":")}, NULL),
              0); /* the runtime has its own */
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (unsigned i = 0; i < 2; i++) {
        const knit_command c = {.argv = SH(":"), .flags = i};
        CHECK_INT(knit_command_run(&c, NULL), -EMFILE);
    }
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH(":")}, NULL), 0);
    commands_left_no_child();
}

static int ignore_line(const knit_line *line, void *arg)
{
    (void)line, (void)arg;
    return 0;
}

static void nonsense_is_einval(void)
{
    static const char *nothing[] = {NULL};
    const char *const *argv = SH(":");
    const knit_command run[] = {
        {0},
        {.argv = nothing},
        {.argv = argv, .flags = 64},
        {.argv = argv, .flags = KNIT_COMMAND_GUARD | KNIT_COMMAND_LEAVE},
        {.argv = argv, .in = KNIT_STDIO_CAPTURE},
        {.argv = argv, .out = KNIT_STDIO_OUT},
        {.argv = argv, .out = KNIT_STDIO_PIPE},
        {.argv = argv, .err = -7},
        {.argv = argv, .out = KNIT_STDIO_CAPTURE},
        {.argv = argv, .out = KNIT_STDIO_LINES},
        {.argv = argv, .input = "", .in = KNIT_STDIO_NULL},
        {.argv = argv, .fd_count = 1},
        {.argv = argv, .fd_count = 65, .fds = (int[65]){0}},
    };
    const knit_command start[] = {
        {.argv = argv, .out = KNIT_STDIO_CAPTURE},
        {.argv = argv, .out = KNIT_STDIO_LINES, .on_line = ignore_line},
        {.argv = argv, .input = ""},
    };
    knit_process *process;
    for (size_t i = 0; i < sizeof run / sizeof run[0]; i++)
        CHECK_INT(knit_command_run(&run[i], NULL), -EINVAL);
    for (size_t i = 0; i < sizeof start / sizeof start[0]; i++)
        CHECK_INT(knit_command_start(&start[i], &process), -EINVAL);
    CHECK_INT(knit_command_run(NULL, NULL), -EINVAL);
    CHECK_INT(knit_command_task(NULL), -EINVAL);
    CHECK_INT(knit_command_start(&(knit_command){.argv = argv}, NULL), -EINVAL);
    CHECK_INT(knit_process_pid(NULL), -EINVAL);
    CHECK_INT(knit_process_take(NULL, 0), -EINVAL);
    CHECK_INT(knit_process_signal(NULL, 0), -EINVAL);
    CHECK_INT(knit_process_wait(NULL, 0, NULL), -EINVAL);
    CHECK_INT(knit_process_close(NULL, NULL), -EINVAL);
    knit_command_result_fini(NULL);
}

static void lost_results_are_echild(void)
{
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH("exit 3")}, NULL), -ECHILD);
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

/* ---- as tasks -------------------------------------------------------------------------------- */

static void run_many(unsigned flags, int commands)
{
    knit_command c = {.argv = (const char *[]){"true", NULL}, .flags = flags};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 8}), 0);
    for (int i = 0; i < kt_count(commands); i++)
        CHECK_INT(knit_errgroup_go(&g, knit_command_task, &c), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    commands_left_no_child();
}

static void a_group_runs_commands_within_its_limit(void)
{
    run_many(0, 200);
}

static void a_group_runs_guarded_commands(void)
{
    run_many(KNIT_COMMAND_GUARD, 100);
}

static void the_first_failure_ends_the_others(void)
{
    knit_command_result slept = {0}; /* a task that is skipped writes none */
    knit_command sleeps = {.argv = (const char *[]){"sleep", "1000", NULL}, .result = &slept};
    knit_command fails = {.argv = SH("echo first; echo the cause >&2; exit 4"),
                          .out = KNIT_STDIO_NULL,
                          .err = KNIT_STDIO_CAPTURE};
    knit_command_result failed;
    knit_error_record record;
    knit_errgroup g;
    fails.result = &failed;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, knit_command_task, &sleeps), 0);
    CHECK_INT(knit_errgroup_go(&g, knit_command_task, &fails), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_COMMAND_FAILED);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_INT(strcmp(record.text, "sh: exit status 4: the cause"), 0);
    CHECK_INT(knit_errgroup_error(&g, 1, &record), -ENOENT);
    CHECK(slept.pid == 0 || slept.signal == SIGTERM); /* not started at all, or ended */
    CHECK_INT(knit_errgroup_close(&g), KNIT_COMMAND_FAILED);
    knit_command_result_fini(&failed);
    commands_left_no_child();
}

static void a_missing_program_is_named(void)
{
    knit_command c = {.argv = (const char *[]){"knit-no-such-program", NULL}};
    knit_error_record record;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, knit_command_task, &c), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_INT(strcmp(record.text, "knit-no-such-program"), 0);
    CHECK_INT(knit_errgroup_close(&g), -ENOENT);
}

static const knittest tests[] = {
    BOTH(arguments_arrive_as_they_are),
    ALONE(the_environment_is_inherited),
    ALONE(an_environment_replaces_the_inherited_one),
    ALONE(a_command_of_a_command_has_both_marks),
    THREAD(it_runs_in_its_directory),
    THREAD(a_relative_path_begins_in_its_directory),
    THREAD(its_input_is_empty_if_nothing_is_said),
    BOTH(input_is_written_and_ends),
    BOTH(input_that_is_not_read_is_dropped),
    THREAD(descriptors_are_given_in_any_order),
    ALONE(output_and_errors_can_change_places),
    THREAD(errors_go_where_the_output_goes),
    THREAD(no_other_descriptor_is_inherited),
    ALONE(signals_are_at_their_defaults),
    THREAD(it_leads_a_group_or_a_session),
    BOTH(an_exit_status_is_in_the_result),
    BOTH(a_signal_is_in_the_result),
    BOTH(what_cannot_be_started_has_its_errno),
    THREAD(what_is_no_program_is_enoexec),
    ALONE(without_descriptors_it_is_emfile),
    THREAD(nonsense_is_einval),
    ALONE(lost_results_are_echild),
    BOTH(a_group_runs_commands_within_its_limit),
    THREAD(a_group_runs_guarded_commands),
    BOTH(the_first_failure_ends_the_others),
    THREAD(a_missing_program_is_named),
};
KNITTEST_MAIN(tests)
