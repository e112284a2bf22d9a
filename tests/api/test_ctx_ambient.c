/* Contexts at work: the ambient context of tasks and threads, the waiting calls under one that
 * ends, and callbacks (CTX-25, CTX-26). */
#include "knittest.h"

#include <stdatomic.h>
#include <stdlib.h>

static int key_a, key_b; /* only their addresses count */

static knit_ctx *cancelable(knit_ctx *parent)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_cancel(parent, &ctx), 0);
    return ctx;
}

static knit_ctx *valued(knit_ctx *parent, const void *key, void *value)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_value(parent, key, value, &ctx), 0);
    return ctx;
}

static void enter(knit_ctx *ctx, knit_ctx_scope *scope)
{
    CHECK_INT(knit_ctx_enter(ctx, scope), 0);
}

static void leave(knit_ctx_scope *scope)
{
    CHECK_INT(knit_ctx_leave(scope), 0);
}

/* ---- enter and leave ------------------------------------------------------------------------- */

static void a_plain_thread_has_the_background_context(void)
{
    CHECK(knit_ctx_current() == knit_ctx_background());
    CHECK_INT(knit_canceled(), 0);
}

static void enter_and_leave_nest(void)
{
    knit_ctx *before = knit_ctx_current(), *all[3];
    knit_ctx_scope scopes[3];
    for (int i = 0; i < 3; i++) {
        all[i] = cancelable(knit_ctx_current());
        enter(all[i], &scopes[i]);
        CHECK(knit_ctx_current() == all[i]);
        knit_ctx_unref(all[i]); /* enter holds a reference of its own */
    }
    for (int i = 2; i >= 0; i--) {
        CHECK(knit_ctx_current() == all[i]);
        leave(&scopes[i]);
    }
    CHECK(knit_ctx_current() == before);
}

static void the_same_context_may_be_entered_twice(void)
{
    knit_ctx *before = knit_ctx_current(), *ctx = cancelable(before);
    knit_ctx_scope outer, inner;
    enter(ctx, &outer);
    enter(ctx, &inner);
    leave(&inner);
    CHECK(knit_ctx_current() == ctx);
    leave(&outer);
    CHECK(knit_ctx_current() == before);
    knit_ctx_unref(ctx);
}

static void the_background_may_be_entered(void)
{
    knit_ctx *ctx = cancelable(knit_ctx_current());
    knit_ctx_scope outer, inner;
    knit_ctx_cancel(ctx, 0);
    enter(ctx, &outer);
    CHECK_INT(knit_sleep(0), -ECANCELED);
    enter(knit_ctx_background(), &inner);
    CHECK_INT(knit_canceled(), 0);
    CHECK_INT(knit_sleep(0), 0);
    leave(&inner);
    CHECK_INT(knit_canceled(), 1);
    leave(&outer);
    knit_ctx_unref(ctx);
}

static int leave_scope_of_another(void *arg)
{
    knit_ctx *before = knit_ctx_current();
    int r = knit_ctx_leave(arg);
    return knit_ctx_current() == before ? r : -EPROTO;
}

static void leave_scope_in_thread(void *arg)
{
    CHECK_INT(knit_ctx_leave(arg), -EPERM);
    CHECK(knit_ctx_current() == knit_ctx_background());
}

static void leaving_out_of_order_or_elsewhere_is_refused(void)
{
    knit_ctx *before = knit_ctx_current();
    knit_ctx *a = cancelable(before), *b = cancelable(a);
    knit_ctx_scope outer, inner;
    knit_errgroup g = {0};
    enter(a, &outer);
    enter(b, &inner);
    CHECK_INT(knit_ctx_leave(&outer), -EPERM);
    CHECK(knit_ctx_current() == b);
    CHECK_INT(knit_errgroup_go(&g, leave_scope_of_another, &inner), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EPERM);
    kt_thread_join(kt_thread_start(leave_scope_in_thread, &inner));
    CHECK(knit_ctx_current() == b);
    leave(&inner);
    leave(&outer);
    int r = knit_ctx_leave(&outer);
    CHECK(r == -EPERM || r == -EINVAL);
    CHECK(knit_ctx_current() == before);
    CHECK_INT(knit_ctx_enter(NULL, &outer), -EINVAL);
    CHECK_INT(knit_ctx_enter(a, NULL), -EINVAL);
    CHECK_INT(knit_ctx_leave(NULL), -EINVAL);
    CHECK(knit_ctx_current() == before);
    knit_ctx_unref(b);
    knit_ctx_unref(a);
}

/* ---- what tasks inherit ---------------------------------------------------------------------- */

static int read_key_a(void *arg)
{
    *(void **)arg = knit_ctx_value(knit_ctx_current(), &key_a);
    return 0;
}

static void tasks_inherit_the_ambient_context(void)
{
    int inner_value, outer_value;
    void *in_zero = NULL, *in_made = NULL, *after = NULL, *by_option = NULL;
    knit_ctx *outer = valued(knit_ctx_current(), &key_a, &outer_value);
    knit_ctx *ctx = valued(outer, &key_a, &inner_value);
    knit_ctx_scope scope;
    knit_errgroup zero = {0}, made, optioned;
    knit_errgroup_options options = {.ctx = outer};
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    CHECK_INT(knit_errgroup_init(&optioned, &options), 0);
    enter(ctx, &scope);
    CHECK_INT(knit_errgroup_go(&zero, read_key_a, &in_zero), 0);
    CHECK_INT(knit_errgroup_go(&made, read_key_a, &in_made), 0);
    CHECK_INT(knit_errgroup_go(&optioned, read_key_a, &by_option), 0);
    leave(&scope);
    CHECK_INT(knit_errgroup_go(&zero, read_key_a, &after), 0);
    CHECK_INT(knit_errgroup_wait(&zero), 0);
    CHECK_INT(knit_errgroup_wait(&made), 0);
    CHECK_INT(knit_errgroup_wait(&optioned), 0);
    CHECK(in_zero == &inner_value);
    CHECK(in_made == &inner_value); /* a child of the ambient context of its first use */
    CHECK(by_option == &outer_value);
    CHECK(after == &inner_value); /* the first to use a {0} group counts, until it was waited for */
    knit_ctx_unref(ctx);
    knit_ctx_unref(outer);
}

static int wait_for_own_end(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_ctx_wait(knit_ctx_current());
}

static void tasks_of_a_zero_group_end_with_their_inherited_context(void)
{
    atomic_int started = 0;
    knit_ctx *ctx = cancelable(knit_ctx_background());
    knit_ctx_scope scope;
    knit_errgroup g = {0};
    knit_errgroup_counts counts;
    enter(ctx, &scope);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_for_own_end, &started), 0);
    leave(&scope);
    kt_until(started == 10);
    knit_ctx_cancel(ctx, -EXDEV);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.echoes, 10);
    CHECK_INT(counts.failed, 0);
    knit_ctx_unref(ctx);
}

static int nested_read_key_a(void *arg)
{
    int value;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    int r = knit_ctx_with_value(knit_ctx_current(), &key_b, &value, &ctx);
    if (r < 0)
        return r;
    r = knit_ctx_enter(ctx, &scope);
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, read_key_a, arg), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    return r;
}

static void values_reach_the_tasks_of_nested_groups(void)
{
    int value;
    void *seen = NULL;
    knit_ctx *ctx = valued(knit_ctx_current(), &key_a, &value);
    knit_errgroup_options options = {.ctx = ctx};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, nested_read_key_a, &seen), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(seen == &value);
    knit_ctx_unref(ctx);
}

static int note_context(void *arg)
{
    knit_ctx *ctx = knit_ctx_current();
    int r = knit_yield();
    *(knit_ctx **)arg = knit_ctx_ref(knit_ctx_current());
    return ctx == knit_ctx_current() ? r : -EPROTO;
}

static void ending_the_groups_context_from_a_reference_ends_its_tasks(void)
{
    atomic_int started = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_for_own_end, &started), 0);
    knit_ctx *ctx = knit_ctx_ref(knit_errgroup_ctx(&g));
    kt_until(started == 1);
    CHECK_INT(knit_ctx_err(ctx), 0);
    knit_errgroup_cancel(&g, -EXDEV);
    CHECK_INT(knit_ctx_err(ctx), -ECANCELED);
    CHECK_INT(knit_ctx_cause(ctx), -EXDEV);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(knit_ctx_err(ctx), -ECANCELED); /* it outlives the group */
    knit_ctx_unref(ctx);
}

static void a_context_kept_by_a_task_outlives_the_task(void)
{
    knit_ctx *kept = NULL;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, note_context, &kept), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_ctx_err(kept), 0);
    knit_ctx_unref(kept);
}

/* ---- waiting calls under an ended context ---------------------------------------------------- */

static void check_all_waiting_calls(int want)
{
    int item = 7, got = 0;
    knit_chan *ch;
    CHECK_INT(knit_chan_new(sizeof item, 2, &ch), 0);
    CHECK_INT(knit_sleep(KNIT_FOREVER), want);
    CHECK_INT(knit_sleep(0), want);
    CHECK_INT(knit_sleep_until(0), want);
    CHECK_INT(knit_yield(), want);
    CHECK_INT(knit_chan_send(ch, &item), want); /* although there is room */
    CHECK_INT(knit_chan_send_until(ch, &item, KNIT_FOREVER), want);
    CHECK_INT(knit_chan_len(ch), 0);
    CHECK_INT(knit_chan_try_send(ch, &item), 0); /* does not look at it */
    CHECK_INT(knit_chan_recv(ch, &got), want);   /* although there is an item */
    CHECK_INT(knit_chan_recv_until(ch, &got, KNIT_FOREVER), want);
    CHECK_INT(got, 0);
    CHECK_INT(knit_chan_try_recv(ch, &got), 0);
    CHECK_INT(got, 7);
    knit_ctx *alive = cancelable(knit_ctx_background());
    CHECK_INT(knit_ctx_wait(alive), want);
    CHECK_INT(knit_ctx_err(alive), 0);
    knit_ctx_unref(alive);
    CHECK_INT(knit_canceled(), 1);
    knit_chan_unref(ch);
}

static void every_waiting_call_fails_at_once_and_again(void)
{
    knit_ctx_scope scope;
    knit_ctx *canceled = cancelable(knit_ctx_current()), *over;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), 0, &over), 0);
    knit_ctx_cancel(canceled, -EXDEV); /* the cause does not matter */
    enter(canceled, &scope);
    for (int i = 0; i < 3; i++)
        check_all_waiting_calls(-ECANCELED);
    leave(&scope);
    enter(over, &scope);
    for (int i = 0; i < 3; i++)
        check_all_waiting_calls(-ETIMEDOUT);
    leave(&scope);
    CHECK_INT(knit_yield(), 0);
    knit_ctx_unref(canceled);
    knit_ctx_unref(over);
}

typedef struct sleeper {
    knit_ctx *ctx;
    knit_chan *never;
    atomic_int arrived;
    int how, result;
} sleeper;

static void park_until_ended(void *arg)
{
    sleeper *s = arg;
    knit_ctx_scope scope;
    int item = 0;
    enter(s->ctx, &scope);
    s->arrived = 1;
    switch (s->how) {
    case 0: s->result = knit_sleep(KNIT_FOREVER); break;
    case 1: s->result = knit_chan_send(s->never, &item); break;
    case 2: s->result = knit_chan_recv(s->never, NULL); break;
    case 3: s->result = knit_chan_recv_until(s->never, NULL, KNIT_FOREVER - 1); break;
    default: s->result = knit_ctx_wait(s->ctx); break;
    }
    leave(&scope);
}

static int park_until_ended_in_task(void *arg)
{
    park_until_ended(arg);
    return 0;
}

enum { WAYS = 5 };

static void every_parked_call_is_woken_by_the_end(void)
{
    for (int round = 0; round < kt_count(50); round++) {
        bool by_deadline = round % 5 == 4;
        knit_chan *send_never, *recv_never;
        sleeper s[2 * WAYS] = {{0}};
        kt_thread *threads[WAYS];
        knit_errgroup g = {0};
        knit_ctx *ctx;
        CHECK_INT(knit_chan_new(sizeof(int), 0, &send_never), 0);
        CHECK_INT(knit_chan_new(sizeof(int), 0, &recv_never), 0);
        CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(),
                                        by_deadline ? KNIT_MILLISECOND : KNIT_FOREVER, &ctx),
                  0);
        for (int i = 0; i < 2 * WAYS; i++) {
            s[i].ctx = ctx;
            s[i].how = i % WAYS;
            s[i].never = s[i].how == 1 ? send_never : recv_never;
            if (i < WAYS)
                CHECK_INT(knit_errgroup_go(&g, park_until_ended_in_task, &s[i]), 0);
            else
                threads[i - WAYS] = kt_thread_start(park_until_ended, &s[i]);
        }
        for (int i = 0; i < 2 * WAYS; i++)
            kt_until(s[i].arrived);
        for (int i = 0; i < round; i++)
            (void)knit_yield();
        if (!by_deadline)
            knit_ctx_cancel(ctx, -EXDEV);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        for (int i = 0; i < WAYS; i++)
            kt_thread_join(threads[i]);
        for (int i = 0; i < 2 * WAYS; i++)
            CHECK_INT(s[i].result, by_deadline ? -ETIMEDOUT : -ECANCELED);
        knit_ctx_unref(ctx);
        knit_chan_unref(send_never);
        knit_chan_unref(recv_never);
    }
}

static int clean_up_under_shield(void *arg)
{
    knit_ctx *shield;
    knit_ctx_scope scope;
    atomic_fetch_add((atomic_int *)arg, 1);
    int r = knit_sleep(KNIT_FOREVER);
    CHECK_INT(knit_ctx_shield(knit_ctx_current(), 100 * KNIT_SECOND, &shield), 0);
    CHECK_INT(knit_ctx_enter(shield, &scope), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_sleep(KNIT_MICROSECOND), 0); /* clean-up that waits */
    CHECK_INT(knit_canceled(), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(shield);
    CHECK_INT(knit_yield(), -ECANCELED);
    return r;
}

static void a_canceled_task_cleans_up_under_a_shield(void)
{
    atomic_int started = 0;
    knit_errgroup g;
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, clean_up_under_shield, &started), 0);
    kt_until(started == 1);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.echoes, 1);
}

/* ---- knit_ctx_after -------------------------------------------------------------------------- */

static void note_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void ctx_25_after_is_called_once_by_the_cancel(void)
{
    atomic_int calls = 0;
    knit_ctx_after_handle handle;
    knit_ctx *ctx = cancelable(knit_ctx_background());
    CHECK_INT(knit_ctx_after(ctx, note_call, &calls, &handle), 0);
    CHECK_INT(calls, 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(calls, 1);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(calls, 1);
    CHECK_INT(knit_ctx_after_stop(&handle), 0);
    knit_ctx_unref(ctx);
}

static void ctx_26_after_is_called_at_the_deadline(void)
{
    atomic_int calls = 0;
    knit_ctx_after_handle handle;
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_after(ctx, note_call, &calls, &handle), 0);
    kt_until(calls == 1);
    CHECK_INT(knit_ctx_err(ctx), -ETIMEDOUT);
    CHECK_INT(knit_ctx_after_stop(&handle), 0);
    knit_ctx_unref(ctx);
}

static void ctx_26_after_an_end_it_is_called_at_once(void)
{
    atomic_int calls = 0;
    knit_ctx_after_handle handle;
    knit_ctx *ctx = cancelable(knit_ctx_background());
    knit_ctx_cancel(ctx, 0);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(knit_ctx_after(ctx, note_call, &calls, &handle), 0);
        CHECK_INT(calls, i);
    }
    CHECK_INT(knit_ctx_after_stop(&handle), 0);
    knit_ctx_unref(ctx);
}

static void ctx_26_after_stop_it_is_never_called(void)
{
    atomic_int calls = 0, other = 0;
    knit_ctx_after_handle handle, second;
    knit_ctx *ctx = cancelable(knit_ctx_background());
    CHECK_INT(knit_ctx_after(ctx, note_call, &calls, &handle), 0);
    CHECK_INT(knit_ctx_after(ctx, note_call, &other, &second), 0);
    CHECK_INT(knit_ctx_after_stop(&handle), 1);
    CHECK_INT(knit_ctx_after_stop(&handle), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(calls, 0);
    CHECK_INT(other, 1);
    CHECK_INT(knit_ctx_after_stop(&handle), 0);
    knit_ctx_unref(ctx);

    CHECK_INT(knit_ctx_after(knit_ctx_background(), note_call, &calls, &handle), 0);
    CHECK_INT(knit_ctx_after_stop(&handle), 1);
    CHECK_INT(calls, 0);
}

static void after_refuses_null(void)
{
    knit_ctx_after_handle handle;
    CHECK_INT(knit_ctx_after(NULL, note_call, NULL, &handle), -EINVAL);
    CHECK_INT(knit_ctx_after(knit_ctx_background(), NULL, NULL, &handle), -EINVAL);
    CHECK_INT(knit_ctx_after(knit_ctx_background(), note_call, NULL, NULL), -EINVAL);
    CHECK_INT(knit_ctx_after_stop(NULL), -EINVAL);
}

typedef struct self_stopper {
    knit_ctx_after_handle handle;
    int result;
} self_stopper;

static void stop_itself(void *arg)
{
    self_stopper *s = arg;
    s->result = knit_ctx_after_stop(&s->handle);
}

static void a_callback_may_stop_itself(void)
{
    self_stopper s = {.result = 7};
    knit_ctx *ctx = cancelable(knit_ctx_background());
    CHECK_INT(knit_ctx_after(ctx, stop_itself, &s, &s.handle), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(s.result, 0);
    knit_ctx_unref(ctx);
}

static void cancel_other(void *arg)
{
    knit_ctx_cancel(arg, -EXDEV);
}

static void close_channel(void *arg)
{
    (void)knit_chan_close(arg);
}

static void a_callback_may_cancel_and_close(void)
{
    knit_ctx_after_handle first, second;
    knit_chan *ch;
    knit_ctx *ctx = cancelable(knit_ctx_background());
    knit_ctx *other = cancelable(knit_ctx_background()); /* merging two contexts */
    CHECK_INT(knit_chan_new(0, 0, &ch), 0);
    CHECK_INT(knit_ctx_after(ctx, cancel_other, other, &first), 0);
    CHECK_INT(knit_ctx_after(other, close_channel, ch, &second), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_ctx_cause(other), -EXDEV);
    CHECK_INT(knit_chan_recv(ch, NULL), -EPIPE);
    knit_chan_unref(ch);
    knit_ctx_unref(ctx);
    knit_ctx_unref(other);
}

static int cancel_task(void *arg)
{
    knit_ctx_cancel(arg, 0);
    return 0;
}

typedef struct slow_callback {
    atomic_int entered, left;
} slow_callback;

static void take_some_time(void *arg)
{
    slow_callback *slow = arg;
    slow->entered = 1;
    for (int i = 0; i < 1000; i++)
        atomic_signal_fence(memory_order_seq_cst);
    slow->left = 1;
}

static void stop_and_cancel_at_once_agree(void)
{
    for (int i = 0; i < kt_count(5000); i++) {
        slow_callback slow = {0};
        knit_ctx_after_handle handle;
        knit_ctx *ctx = cancelable(knit_ctx_background());
        knit_errgroup g = {0};
        CHECK_INT(knit_ctx_after(ctx, take_some_time, &slow, &handle), 0);
        CHECK_INT(knit_errgroup_go(&g, cancel_task, ctx), 0);
        for (int k = 0; k < i % 4; k++)
            (void)knit_yield();
        int r = knit_ctx_after_stop(&handle);
        CHECK(r == 0 || r == 1);
        CHECK_INT(slow.left, !r); /* it has returned, or it will never run */
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(slow.entered, !r);
        knit_ctx_unref(ctx);
    }
}

static const knittest tests[] = {
    COLD(a_plain_thread_has_the_background_context),
    THREAD(a_plain_thread_has_the_background_context),
    BOTH(enter_and_leave_nest),
    BOTH(the_same_context_may_be_entered_twice),
    BOTH(the_background_may_be_entered),
    BOTH(leaving_out_of_order_or_elsewhere_is_refused),
    BOTH(tasks_inherit_the_ambient_context),
    BOTH(tasks_of_a_zero_group_end_with_their_inherited_context),
    BOTH(values_reach_the_tasks_of_nested_groups),
    BOTH(ending_the_groups_context_from_a_reference_ends_its_tasks),
    BOTH(a_context_kept_by_a_task_outlives_the_task),
    BOTH(every_waiting_call_fails_at_once_and_again),
    BOTH(every_parked_call_is_woken_by_the_end),
    BOTH(a_canceled_task_cleans_up_under_a_shield),
    BOTH(ctx_25_after_is_called_once_by_the_cancel),
    BOTH(ctx_26_after_is_called_at_the_deadline),
    BOTH(ctx_26_after_an_end_it_is_called_at_once),
    BOTH(ctx_26_after_stop_it_is_never_called),
    BOTH(after_refuses_null),
    BOTH(a_callback_may_stop_itself),
    BOTH(a_callback_may_cancel_and_close),
    BOTH(stop_and_cancel_at_once_agree),
};
KNITTEST_MAIN(tests)
