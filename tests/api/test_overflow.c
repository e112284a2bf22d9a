/* A stack that overflows: the process ends, and stderr says which task it was, of which group, from
 * where, on what stack. Every test looks at a child process. */
#include "dive.h"
#include "knittest.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char said[8192]; /* stderr of the last child */

static int go_deep(void *arg)
{
    CHECK_INT(knit_task_set_name("diver"), 0);
    int r = dive(*(int *)arg);
    return knit_yield() + r;
}

static int run_named_group_on(size_t stack, int bytes)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.name = "pool", .stack = stack}), 0);
    CHECK_INT(knit_errgroup_go(&g, go_deep, &bytes), 0);
    return knit_errgroup_wait(&g);
}

static int run_named_group(int bytes)
{
    return run_named_group_on(0, bytes);
}

enum { FOR_EVER = 1 << 30, A_LITTLE = 4096 };

static int overflow(void *arg)
{
    (void)arg;
    return run_named_group(FOR_EVER);
}

static int parent(void *arg)
{
    (void)arg;
    CHECK_INT(knit_task_set_name("parent"), 0);
    return run_named_group(FOR_EVER);
}

static int overflow_inline(void *arg)
{
    (void)arg;
    setenv("KNIT_WORKERS", "1", 1); /* the waiting parent runs its child itself, */
    setenv("KNIT_SPARES", "0", 1);  /* and nobody else while its thread does not get on */
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, parent, NULL), 0);
    return knit_errgroup_wait(&g);
}

static int overflow_large(void *arg)
{
    setenv("KNIT_STACK", "1m", 1);
    return overflow(arg);
}

static int overflow_of_group(void *arg)
{
    (void)arg;
    CHECK_INT(run_named_group_on(256 * 1024, 128 * 1024), 0);
    return run_named_group_on(256 * 1024, FOR_EVER);
}

/* A little deeper each time: the first that goes too far stays within the canary, which is the page
 * below the stack. */
static int overflow_bare(void *arg)
{
    (void)arg;
    setenv("KNIT_GUARDS", "0", 1);
    setenv("KNIT_STACK", "16k", 1);
    for (int bytes = 4096; bytes < 3 * 16384; bytes += 256) {
        int r = run_named_group(bytes);
        if (r != 0)
            return r;
    }
    return 0;
}

static int bare_but_sound(void *arg)
{
    (void)arg;
    setenv("KNIT_GUARDS", "3", 1);
    for (int i = 0; i < 100; i++) {
        int r = run_named_group(A_LITTLE);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- handlers of the program ----------------------------------------------------------------- */

static void say_and_leave(int sig)
{
    static const char text[] = "the program's handler\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(n > 0 && sig == SIGSEGV ? 42 : 1);
}

static void say_with_info(int sig, siginfo_t *info, void *context)
{
    if (!context || info->si_addr != (void *)16)
        _exit(2);
    say_and_leave(sig);
}

static void handle_plain(void)
{
    struct sigaction act = {.sa_handler = say_and_leave};
    CHECK_INT(sigaction(SIGSEGV, &act, NULL), 0);
}

static int overflow_with_a_handler(void *arg)
{
    handle_plain();
    return overflow(arg);
}

static int bad_read(void *arg)
{
    int *volatile nowhere = (int *)(uintptr_t)16; /* volatile: compilers refuse it otherwise */
    (void)arg;
    return *nowhere;
}

static int fault_in_task(void *arg)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, bad_read, arg), 0);
    return knit_errgroup_wait(&g);
}

static int fault_with_a_handler(void *arg)
{
    handle_plain();
    return fault_in_task(arg);
}

static int fault_with_info(void *arg)
{
    struct sigaction act = {.sa_sigaction = say_with_info, .sa_flags = SA_SIGINFO};
    CHECK_INT(sigaction(SIGSEGV, &act, NULL), 0);
    return fault_in_task(arg);
}

static int fault_in_thread(void *arg)
{
    CHECK(knit_workers() > 0); /* the runtime is there */
    return bad_read(arg);
}

static int sent_by_kill(void *arg)
{
    (void)arg;
    CHECK(knit_workers() > 0);
    raise(SIGSEGV);
    return 0;
}

static int sent_but_ignored(void *arg)
{
    signal(SIGSEGV, SIG_IGN);
    return sent_by_kill(arg);
}

/* ---- the tests ------------------------------------------------------------------------------- */

struct quiet {
    int (*body)(void *arg);
    FILE *out;
};

static int run_quiet(void *arg)
{
    const struct quiet *q = arg;
    struct rlimit none = {0};
    CHECK_INT(setrlimit(RLIMIT_CORE, &none), 0);
    CHECK(dup2(fileno(q->out), STDERR_FILENO) >= 0);
    return q->body(NULL);
}

/* How the child ended; what it wrote is in `said`. */
static int end_of(int (*body)(void *arg))
{
    if (SANITIZED)
        kt_skip("the sanitizer has its own handler and its own report");
    FILE *out = tmpfile();
    CHECK(out != NULL);
    int end = kt_child(run_quiet, &(struct quiet){body, out});
    rewind(out);
    said[fread(said, 1, sizeof said - 1, out)] = 0;
    fclose(out);
    return end;
}

static void check_report(void)
{
    CHECK_HAS(said, "knit: stack overflow: task \"diver\" of group \"pool\", started at ");
    CHECK_HAS(said, "test_overflow.c:");
}

static void an_overflow_is_reported_and_ends_the_process(void)
{
    CHECK_INT(end_of(overflow), -SIGSEGV);
    check_report();
    CHECK_HAS(said, " of 65536; KNIT_STACK=size");
}

static void the_report_names_who_was_below(void)
{
    CHECK_INT(end_of(overflow_inline), -SIGSEGV);
    check_report();
    CHECK_HAS(said, "on top of task \"parent\" of a group without a name, started at ");
}

static void the_size_of_the_environment_is_reported(void)
{
    CHECK_INT(end_of(overflow_large), -SIGSEGV);
    check_report();
    CHECK_HAS(said, " of 1048576; ");
}

static void the_size_that_the_group_asked_for_is_reported(void)
{
    CHECK_INT(end_of(overflow_of_group), -SIGSEGV);
    check_report();
    CHECK_HAS(said, " of 262144; its group asked for that size");
}

static void an_overflow_does_not_reach_the_handler_of_the_program(void)
{
    CHECK_INT(end_of(overflow_with_a_handler), -SIGSEGV);
    check_report();
    CHECK(!strstr(said, "the program's handler"));
}

static void another_fault_goes_to_the_handler_of_the_program(void)
{
    CHECK_INT(end_of(fault_with_a_handler), 42);
    CHECK_HAS(said, "the program's handler");
    CHECK(!strstr(said, "overflow"));
    CHECK_INT(end_of(fault_with_info), 42);
    CHECK_HAS(said, "the program's handler");
}

static void another_fault_has_its_default_effect(void)
{
    CHECK_INT(end_of(fault_in_task), -SIGSEGV);
    CHECK_INT(said[0], 0);
    CHECK_INT(end_of(fault_in_thread), -SIGSEGV);
    CHECK_INT(said[0], 0);
}

static void a_sent_signal_has_its_usual_effect(void)
{
    CHECK_INT(end_of(sent_by_kill), -SIGSEGV);
    CHECK_INT(said[0], 0);
    CHECK_INT(end_of(sent_but_ignored), 0);
}

static void a_bare_stack_is_noticed_by_its_canary(void)
{
    CHECK_INT(end_of(overflow_bare), -SIGABRT);
    check_report();
    CHECK_HAS(said, " of 16384; ");
}

static void bare_stacks_serve_as_others_do(void)
{
    CHECK_INT(end_of(bare_but_sound), 0);
    CHECK_INT(said[0], 0);
}

static const knittest tests[] = {
    COLD(an_overflow_is_reported_and_ends_the_process),
    COLD(the_report_names_who_was_below),
    COLD(the_size_of_the_environment_is_reported),
    COLD(the_size_that_the_group_asked_for_is_reported),
    COLD(an_overflow_does_not_reach_the_handler_of_the_program),
    COLD(another_fault_goes_to_the_handler_of_the_program),
    COLD(another_fault_has_its_default_effect),
    COLD(a_sent_signal_has_its_usual_effect),
    COLD(a_bare_stack_is_noticed_by_its_canary),
    COLD(bare_stacks_serve_as_others_do),
};
KNITTEST_MAIN(tests)
