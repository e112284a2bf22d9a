/* knit_panic where nothing contains it: the process stops, with a line that says why. Apart from
 * test_panic: user-mode emulators do not survive the abort of a process with threads. */
#include "knittest.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int panic_in_task(void *arg)
{
    (void)arg;
    knit_panic("shard %d is %s", 7, "gone");
}

static void group_with(knit_errgroup *g, unsigned flags)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.flags = flags, .name = "shards"}), 0);
}

/* Run body in a child with its standard error in a pipe; ret_text gets what it wrote. */
typedef struct stopping {
    int (*body)(void *arg);
    int fds[2];
} stopping;

static int run_with_pipe(void *arg)
{
    stopping *s = arg;
    dup2(s->fds[1], 2);
    (void)s->body(NULL);
    return 0;
}

static void expect_stop(int (*body)(void *arg), char *ret_text, size_t size)
{
    stopping s = {.body = body};
    CHECK_INT(pipe(s.fds), 0);
    CHECK_INT(kt_child(run_with_pipe, &s), -SIGABRT);
    close(s.fds[1]);
    ssize_t n = read(s.fds[0], ret_text, size - 1);
    CHECK(n > 0);
    ret_text[n] = 0;
    close(s.fds[0]);
}

static int panic_by_default(void *arg)
{
    knit_errgroup g;
    (void)arg;
    group_with(&g, 0);
    (void)knit_errgroup_go(&g, panic_in_task, NULL);
    return knit_errgroup_wait(&g);
}

/* WG-6, ONC-11 */
static void by_default_the_process_stops_with_a_line(void)
{
    char text[4096];
    expect_stop(panic_by_default, text, sizeof text);
    CHECK_HAS(text, "knit: panic in panic_in_task");
    CHECK_HAS(text, "test_panic_stop.c");
    CHECK_HAS(text, "group shards");
    CHECK_HAS(text, "shard 7 is gone");
}

static int panic_on_thread(void *arg)
{
    (void)arg;
    knit_panic("no task to end");
}

static void on_a_thread_the_process_stops(void)
{
    char text[4096];
    expect_stop(panic_on_thread, text, sizeof text);
    CHECK_HAS(text, "panic in thread: no task to end");
}

static int thread_waits(void *arg)
{
    knit_errgroup g;
    (void)arg;
    group_with(&g, KNIT_ERRGROUP_PANIC_WAITER);
    (void)knit_errgroup_go(&g, panic_in_task, NULL);
    return knit_errgroup_wait(&g);
}

static void a_thread_that_waits_for_a_panic_stops_the_process(void)
{
    char text[4096];
    expect_stop(thread_waits, text, sizeof text);
    CHECK_HAS(text, "panic in thread: shard 7 is gone");
}

/* ---- in the function of a singleflight --------------------------------------------------------- */

static int fetch_and_panic(void *arg, void **ret_value)
{
    (void)arg;
    *ret_value = NULL;
    knit_panic("Panicking in DoChan");
}

static int panic_in_do_chan(void *arg)
{
    static knit_singleflight sf;
    knit_errgroup g = {0};
    knit_chan *ch;
    (void)arg;
    (void)knit_singleflight_do_chan(&sf, &g, "key", fetch_and_panic, NULL, &ch);
    (void)knit_errgroup_wait(&g);
    return 0;
}

static void sf9_a_panic_in_do_chan_stops_the_process(void)
{
    char text[4096];
    expect_stop(panic_in_do_chan, text, sizeof text);
    CHECK_HAS(text, "Panicking in DoChan");
}

static knit_singleflight joined;

static int not_fetched(void *arg, void **ret_value)
{
    (void)arg;
    *ret_value = NULL;
    _Exit(3);
}

/* Joined by a channel before it panics; golang/go#33519: that must not be lost. */
static int join_and_panic(void *arg, void **ret_value)
{
    knit_chan *ch;
    *ret_value = NULL;
    if (knit_singleflight_do_chan(&joined, arg, "key", not_fetched, NULL, &ch) < 0)
        _Exit(4);
    knit_panic("Panicking in Do");
}

static int lead_do(void *arg)
{
    return knit_singleflight_do(&joined, "key", join_and_panic, arg, NULL);
}

static int panic_in_do_joined(void *arg)
{
    knit_errgroup g = {0}, other = {0};
    (void)arg;
    (void)knit_errgroup_go(&g, lead_do, &other);
    (void)knit_errgroup_wait(&g);
    return 0;
}

static void sf10_a_panic_in_do_that_a_channel_joined_stops_the_process(void)
{
    char text[4096];
    expect_stop(panic_in_do_joined, text, sizeof text);
    CHECK_HAS(text, "Panicking in Do");
}

static const knittest tests[] = {
    COLD(by_default_the_process_stops_with_a_line),
    COLD(on_a_thread_the_process_stops),
    COLD(a_thread_that_waits_for_a_panic_stops_the_process),
    COLD(sf9_a_panic_in_do_chan_stops_the_process),
    COLD(sf10_a_panic_in_do_that_a_channel_joined_stops_the_process),
};

KNITTEST_MAIN(tests)
