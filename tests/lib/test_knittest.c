/* The harness reports what it must: tests with a planted fault fail, and only they. */
#include "knittest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void pass(void)
{
    CHECK(knit_now() > 0);
    CHECK_INT(1 + 1, 2);
    CHECK_HAS("needle in hay", "in");
}

static void skip(void)
{
    kt_skip("planted");
}

static void fail_check(void)
{
    CHECK(knit_now() < 0);
}

static void fail_check_int(void)
{
    CHECK_INT(-ENOENT, 0);
}

static void fail_check_has(void)
{
    CHECK_HAS("hay", "needle");
}

static void fail_in_thread_body(void *arg)
{
    CHECK(arg);
}

static void fail_in_thread(void)
{
    kt_thread_join(kt_thread_start(fail_in_thread_body, NULL));
}

static int fail_in_task_body(void *arg)
{
    TASK_CHECK(arg);
    return 0;
}

static void fail_in_task(void)
{
    knit_errgroup g = {0};
    (void)knit_errgroup_go(&g, fail_in_task_body, NULL);
    (void)knit_errgroup_wait(&g);
}

static void crash(void)
{
    raise(SIGKILL); /* no core, no sanitizer report */
}

static void hang(void)
{
    (void)knit_sleep(KNIT_FOREVER);
}

static void leave_fd_open(void)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
}

/* Runs one test with the whole harness, in a child, silently. */
static int run_planted(void *arg)
{
    const knittest *t = arg;
    char program[] = "planted", *argv[] = {program, NULL};
    int fd = open("/dev/null", O_WRONLY);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 || close(fd) < 0)
        return 99;
    if (t->fn == hang) {
        setenv("KNIT_TEST_SECONDS", "1", 1);
        setenv("KNIT_TEST_SCALE", "1", 1);
    }
    return knittest_main(1, argv, t, 1);
}

static void expect(void (*fn)(void), int status)
{
    for (unsigned flags = 0; flags <= KNITTEST_IN_TASK; flags++) {
        knittest t = {"planted", fn, flags};
        CHECK_INT(kt_child(run_planted, &t), status);
    }
}

static void a_good_test_passes_and_a_skipped_one_is_no_failure(void)
{
    expect(pass, 0);
    expect(skip, 0);
}

static void a_check_that_does_not_hold_fails_the_test(void)
{
    expect(fail_check, 1);
    expect(fail_check_int, 1);
    expect(fail_check_has, 1);
}

static void a_check_in_a_thread_or_task_fails_the_test(void)
{
    expect(fail_in_thread, 1);
    expect(fail_in_task, 1);
}

static void a_crash_and_a_hang_fail_the_test(void)
{
    expect(crash, 1);
    expect(hang, 1);
}

static void an_open_fd_fails_the_test(void)
{
    expect(leave_fd_open, 1);
}

static void random_numbers_stay_in_range_and_repeat(void)
{
    kt_rng a = {7}, b = {7};
    bool seen[10] = {false};
    for (int i = 0; i < 1000; i++) {
        unsigned x = kt_below(&a, 10);
        CHECK(x < 10);
        CHECK_INT(x, kt_below(&b, 10));
        seen[x] = true;
    }
    for (int i = 0; i < 10; i++)
        CHECK(seen[i]);
    CHECK(kt_next(&a) != kt_next(&a));
}

static void amounts_shrink_but_not_to_nothing(void)
{
    CHECK_INT(setenv("KNIT_TEST_SCALE", "50", 1), 0);
    CHECK_INT(kt_count(1000), 20);
    CHECK_INT(kt_count(100), 10);
    CHECK_INT(kt_count(5), 5);
    CHECK_INT(setenv("KNIT_TEST_SCALE", "nonsense", 1), 0);
    CHECK_INT(kt_count(1000), 1000);
}

static const knittest tests[] = {
    COLD(a_good_test_passes_and_a_skipped_one_is_no_failure),
    COLD(a_check_that_does_not_hold_fails_the_test),
    COLD(a_check_in_a_thread_or_task_fails_the_test),
    COLD(a_crash_and_a_hang_fail_the_test),
    COLD(an_open_fd_fails_the_test),
    COLD(random_numbers_stay_in_range_and_repeat),
    COLD(amounts_shrink_but_not_to_nothing),
};
KNITTEST_MAIN(tests)
