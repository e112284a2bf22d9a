/* Contexts that are linked by knit_ctx_after. In Go anything that has four methods is a context;
 * here the type is closed, and what such a foreign context is made for (an end that comes from
 * elsewhere: another tree, a connection, a signal) is a context of one's own that an after ends.
 * CTX-n are the tests of Go's package context that are about foreign ones, and the rest of those
 * that have no counterpart of their own. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

#define LONG_TIME (1000 * 3600 * KNIT_SECOND)

static knit_ctx *cancelable(knit_ctx *parent)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_cancel(parent, &ctx), 0);
    return ctx;
}

static knit_ctx *timed(knit_ctx *parent, knit_duration timeout)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_timeout(parent, timeout, &ctx), 0);
    return ctx;
}

/* A context in the tree of parent that also ends when source does. */
typedef struct linked {
    knit_ctx *ctx, *source;
    knit_ctx_after_handle after;
} linked;

static void pass_on(void *arg)
{
    linked *l = arg;
    knit_ctx_cancel(l->ctx, knit_ctx_cause(l->source));
}

static void link_up(linked *l, knit_ctx *parent, knit_ctx *source)
{
    *l = (linked){cancelable(parent), source, {{0}}};
    CHECK_INT(knit_ctx_after(source, pass_on, l, &l->after), 0);
}

/* Returns 1 if the source had not ended. */
static int unlink_and_drop(linked *l)
{
    int r = knit_ctx_after_stop(&l->after);
    knit_ctx_unref(l->ctx);
    return r;
}

static void check_ended(const knit_ctx *ctx, int cause)
{
    CHECK_INT(knit_ctx_err(ctx), -ECANCELED);
    CHECK_INT(knit_ctx_cause(ctx), cause);
}

static void ctx_6_no_context_starts_a_task(void)
{
    knit_runtime_counts counts;
    linked l;
    knit_ctx *source = cancelable(knit_ctx_background());
    knit_ctx *ended = cancelable(source), *of_ended;
    link_up(&l, knit_ctx_background(), source);
    knit_ctx *child = cancelable(l.ctx), *grandchild = timed(child, LONG_TIME);
    knit_ctx_cancel(ended, 0);
    of_ended = timed(ended, LONG_TIME);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    CHECK_INT(counts.tasks_run, 0);
    CHECK_INT(counts.spares_started, 0);
    knit_ctx_cancel(source, -EIO);
    check_ended(grandchild, -EIO);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    CHECK_INT(counts.tasks_run, 0);
    knit_ctx *all[] = {of_ended, ended, grandchild, child, source};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        knit_ctx_unref(all[i]);
    CHECK_INT(unlink_and_drop(&l), 0);
}

static int sleep_until(void *arg)
{
    return knit_sleep(*(knit_duration *)arg);
}

static void ctx_19_a_deadline_has_one_code(void)
{
    knit_duration forever = KNIT_FOREVER;
    knit_ctx *ctx = timed(knit_ctx_background(), KNIT_MILLISECOND);
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.ctx = ctx}), 0);
    int r = knit_errgroup_go(&g, sleep_until, &forever);
    CHECK(r == 0 || r == -ETIMEDOUT);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
    CHECK_INT(knit_ctx_wait(ctx), -ETIMEDOUT);
    CHECK_INT(knit_ctx_err(ctx), -ETIMEDOUT);
    CHECK_INT(knit_ctx_cause(ctx), -ETIMEDOUT);
    CHECK(strlen(knit_strerror(-ETIMEDOUT)) > 0);
    knit_ctx_unref(ctx);
}

static void ctx_23_an_end_from_elsewhere_keeps_its_cause(void)
{
    linked l;
    knit_ctx *source = cancelable(knit_ctx_background());
    link_up(&l, knit_ctx_background(), source);
    knit_ctx *child = cancelable(l.ctx);
    CHECK_INT(knit_ctx_err(child), 0);
    knit_ctx_cancel(source, -EIO);
    check_ended(child, -EIO);
    knit_ctx_unref(child);
    CHECK_INT(unlink_and_drop(&l), 0);
    knit_ctx_unref(source);
}

static void ctx_24_a_child_that_ended_first_keeps_its_own_cause(void)
{
    linked l;
    knit_ctx *source = cancelable(knit_ctx_background());
    link_up(&l, knit_ctx_background(), source);
    knit_ctx *child = cancelable(l.ctx), *other = cancelable(l.ctx);
    knit_ctx_cancel(child, -ENOENT);
    check_ended(child, -ENOENT);
    CHECK_INT(knit_ctx_err(l.ctx), 0); /* the parent is not affected */
    knit_ctx_cancel(source, 0);
    check_ended(l.ctx, -ECANCELED);
    check_ended(child, -ENOENT);
    check_ended(other, -ECANCELED);
    knit_ctx_unref(other);
    knit_ctx_unref(child);
    CHECK_INT(unlink_and_drop(&l), 0);
    knit_ctx_unref(source);
}

static void note_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void ctx_28_an_end_from_elsewhere_reaches_all_below(void)
{
    linked l;
    atomic_int calls = 0;
    knit_ctx_after_handle after;
    knit_ctx *source = cancelable(knit_ctx_background());
    link_up(&l, knit_ctx_background(), source);
    knit_ctx *child = cancelable(l.ctx), *with_time = timed(l.ctx, LONG_TIME);
    CHECK_INT(knit_ctx_after(l.ctx, note_call, &calls, &after), 0);
    knit_ctx_cancel(source, 0);
    check_ended(child, -ECANCELED);
    check_ended(with_time, -ECANCELED);
    CHECK_INT(calls, 1);
    CHECK_INT(knit_ctx_after_stop(&after), 0);
    knit_ctx_unref(with_time);
    knit_ctx_unref(child);
    CHECK_INT(unlink_and_drop(&l), 0);
    knit_ctx_unref(source);
}

static void ctx_29_what_is_taken_back_is_not_called(void)
{
    linked kept, dropped;
    atomic_int calls = 0;
    knit_ctx_after_handle after;
    knit_ctx *source = cancelable(knit_ctx_background());
    link_up(&kept, knit_ctx_background(), source);
    link_up(&dropped, knit_ctx_background(), source);
    CHECK_INT(knit_ctx_after(source, note_call, &calls, &after), 0);
    knit_ctx *child = cancelable(dropped.ctx);
    knit_ctx_ref(dropped.ctx);
    CHECK_INT(unlink_and_drop(&dropped), 1);
    CHECK_INT(knit_ctx_after_stop(&after), 1);
    knit_ctx_cancel(source, 0);
    check_ended(kept.ctx, -ECANCELED);
    CHECK_INT(knit_ctx_err(dropped.ctx), 0);
    CHECK_INT(knit_ctx_err(child), 0);
    CHECK_INT(calls, 0);
    knit_ctx_unref(child);
    knit_ctx_unref(dropped.ctx);
    CHECK_INT(unlink_and_drop(&kept), 0);
    knit_ctx_unref(source);
}

static const knittest tests[] = {
    COLD(ctx_6_no_context_starts_a_task),
    BOTH(ctx_19_a_deadline_has_one_code),
    BOTH(ctx_23_an_end_from_elsewhere_keeps_its_cause),
    BOTH(ctx_24_a_child_that_ended_first_keeps_its_own_cause),
    BOTH(ctx_28_an_end_from_elsewhere_reaches_all_below),
    BOTH(ctx_29_what_is_taken_back_is_not_called),
};

KNITTEST_MAIN(tests)
