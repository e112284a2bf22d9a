/* Blocking calls at the limit of spare threads, at the end of the process, and in a fork. */
#include "knittest.h"
#include "source.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static int read_marked(void *arg)
{
    return knit_blocking(read_byte, arg);
}

static int read_unmarked(void *arg)
{
    return read_byte(arg);
}

/* ---- the limit of spares --------------------------------------------------------------------- */

static int start_readers(source *s, int n, knit_errgroup *g)
{
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(g, read_marked, s), 0);
    return n;
}

static void no_more_spares_than_allowed(void)
{
    source s = source_new();
    knit_errgroup g = {0};
    knit_runtime_counts counts;
    setenv("KNIT_WORKERS", "1", 1);
    setenv("KNIT_SPARES", "2", 1);
    start_readers(&s, 10, &g);
    kt_until(atomic_load(&s.in) == 3);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    CHECK_INT(counts.spares, 2);
    for (int i = 0; i < 10; i++)
        CHECK_INT(write(s.fds[1], "x", 1), 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(s.most, 3);
    CHECK_INT(s.done, 10);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    CHECK_INT(counts.spares_started, 2); /* used again, not started again */
    source_free(&s);
}

static void without_spares_a_call_blocks_the_worker(void)
{
    source s = source_new();
    knit_errgroup g = {0};
    knit_runtime_counts counts;
    setenv("KNIT_WORKERS", "1", 1);
    setenv("KNIT_SPARES", "0", 1);
    start_readers(&s, 10, &g);
    for (int i = 0; i < 10; i++)
        CHECK_INT(write(s.fds[1], "x", 1), 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(s.most, 1);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    CHECK_INT(counts.spares_started, 0);
    source_free(&s);
}

/* The signal is sent by the monitor, which a child must have of its own. */
static void interrupt_a_call(void)
{
    source s = source_new();
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), 3 * KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_blocking_interruptible(read_byte, &s), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    source_free(&s);
}

/* ---- the end of the process, and fork -------------------------------------------------------- */

static source lasting; /* blocked calls may outlive the test function */
static knit_errgroup lasting_group;

static int return_while_blocked(void *arg)
{
    const bool marked = *(bool *)arg;
    lasting = source_new();
    for (int i = 0; i < knit_workers() + 1; i++)
        CHECK_INT(knit_errgroup_go(&lasting_group, marked ? read_marked : read_unmarked, &lasting),
                  0);
    kt_until(atomic_load(&lasting.in) == knit_workers() + 1);
    return 11;
}

static void the_process_ends_while_calls_block(void)
{
    bool marked = true;
    CHECK_INT(kt_child(return_while_blocked, &marked), 11);
    marked = false;
    CHECK_INT(kt_child(return_while_blocked, &marked), 11);
}

static int read_some(void *arg)
{
    source s = source_new();
    knit_errgroup g = {0};
    (void)arg;
    start_readers(&s, 5, &g);
    for (int i = 0; i < 5; i++)
        CHECK_INT(write(s.fds[1], "x", 1), 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    source_free(&s);
    interrupt_a_call();
    return 12;
}

static void a_fork_while_calls_block(void)
{
    source s = source_new();
    knit_errgroup g = {0};
    kt_needs_fork();
    start_readers(&s, 3, &g);
    kt_until(atomic_load(&s.in) == 3);
    CHECK_INT(kt_child(read_some, NULL), 12);
    for (int i = 0; i < 3; i++)
        CHECK_INT(write(s.fds[1], "x", 1), 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(read_some(NULL), 12);
    source_free(&s);
}

static const knittest tests[] = {
    COLD(no_more_spares_than_allowed),
    COLD(without_spares_a_call_blocks_the_worker),
    COLD(the_process_ends_while_calls_block),
    ALONE(a_fork_while_calls_block),
};

KNITTEST_MAIN(tests)
