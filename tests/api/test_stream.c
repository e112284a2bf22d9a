/* The ordered stream: calls in order, one at a time; window, failures, cancel. The IDs CS-n are those
 * of conc's tests of its package stream. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

struct item {
    struct trace *trace;
    int value;
};

struct trace {
    knit_stream stream;
    struct item items[2000];
    int calls; /* made so far: they come one at a time */
    int values[2000];
    atomic_int working, calling, most_working, ran;
    kt_gate gate;
};

static void trace_init(struct trace *t, const knit_stream_options *options)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < 2000; i++)
        t->items[i] = (struct item){t, i};
    CHECK_INT(knit_stream_init(&t->stream, options), 0);
}

static int twice(void *arg)
{
    struct item *item = arg;
    atomic_fetch_add(&item->trace->ran, 1);
    item->value *= 2;
    return 0;
}

static int append(void *arg, int result)
{
    struct item *item = arg;
    struct trace *t = item->trace;
    CHECK_INT(result, 0);
    CHECK_INT(atomic_fetch_add(&t->calling, 1), 0);
    t->values[t->calls++] = item->value;
    atomic_fetch_sub(&t->calling, 1);
    return 0;
}

static void go_n(struct trace *t, int n, knit_fn *fn, knit_stream_fn *then)
{
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_stream_go(&t->stream, fn, then, &t->items[i]), 0);
}

/* CS-1; and a stream may be used again. */
static void calls_come_in_the_order_of_submission(void)
{
    static struct trace t;
    trace_init(&t, NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++)
            t.items[i].value = i;
        go_n(&t, 5, twice, append);
        CHECK_INT(knit_stream_wait(&t.stream), 0);
    }
    CHECK_INT(t.calls, 10);
    for (int i = 0; i < 10; i++)
        CHECK_INT(t.values[i], i % 5 * 2);
}

/* CS-2, on a {0} stream */
static void a_call_is_optional(void)
{
    static struct trace t;
    trace_init(&t, NULL);
    memset(&t.stream, 0, sizeof t.stream);
    go_n(&t, 5, twice, NULL);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.ran, 5);
}

static void misuse_is_refused(void)
{
    knit_stream s;
    CHECK_INT(knit_stream_init(NULL, NULL), -EINVAL);
    CHECK_INT(knit_stream_init(&s, &(knit_stream_options){.flags = 1u << 20}), -EINVAL);
    CHECK_INT(knit_stream_init(&s, &(knit_stream_options){.timeout = -1}), -EINVAL);
    CHECK_INT(knit_stream_init(&s, NULL), 0);
    CHECK_INT(knit_stream_go(NULL, twice, NULL, NULL), -EINVAL);
    CHECK_INT(knit_stream_go(&s, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(knit_stream_wait(NULL), -EINVAL);
    CHECK_INT(knit_stream_close(NULL), -EINVAL);
    CHECK(knit_stream_group(NULL) == NULL);
    CHECK_INT(knit_stream_wait(&s), 0);
    CHECK_INT(knit_stream_close(&s), 0);
    CHECK_INT(knit_stream_close(&s), 0);
    CHECK_INT(knit_stream_go(&s, twice, NULL, NULL), -ECANCELED);
}

static int work_a_while(void *arg)
{
    struct trace *t = ((struct item *)arg)->trace;
    int now = atomic_fetch_add(&t->working, 1) + 1, most = atomic_load(&t->most_working);
    while (now > most && !atomic_compare_exchange_weak(&t->most_working, &most, now)) {
    }
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    atomic_fetch_sub(&t->working, 1);
    return 0;
}

static int call_a_while(void *arg, int result)
{
    struct trace *t = ((struct item *)arg)->trace;
    CHECK_INT(atomic_fetch_add(&t->calling, 1), 0);
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    atomic_fetch_sub(&t->calling, 1);
    return append(arg, result);
}

/* CS-3 */
static void the_limit_holds_and_calls_come_one_at_a_time(void)
{
    static struct trace t;
    trace_init(&t, &(knit_stream_options){.limit = 5});
    go_n(&t, 50, work_a_while, call_a_while);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.calls, 50);
    CHECK(t.most_working <= 5);
}

static int meet_all(void *arg)
{
    struct trace *t = ((struct item *)arg)->trace;
    if (atomic_fetch_add(&t->working, 1) + 1 == 40)
        kt_gate_open(t->gate);
    return kt_gate_wait(t->gate);
}

/* A stream of conc's without a limit runs two tasks at once. */
static void without_a_limit_the_window_is_the_limit(void)
{
    static struct trace t;
    trace_init(&t, NULL);
    t.gate = kt_gate_new();
    go_n(&t, 40, meet_all, append);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    kt_gate_free(t.gate);
}

static int first_waits(void *arg)
{
    struct item *item = arg;
    atomic_fetch_add(&item->trace->ran, 1);
    return item->value == 0 ? kt_gate_wait(item->trace->gate) : 0;
}

static int submit_all(void *arg)
{
    struct trace *t = arg;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(knit_stream_go(&t->stream, first_waits, append, &t->items[i]), 0);
        atomic_store(&t->working, i + 1);
    }
    return 0;
}

static void a_slow_head_holds_up_the_window_and_no_more(void)
{
    static struct trace t;
    knit_errgroup g = {0};
    trace_init(&t, &(knit_stream_options){.limit = 3, .window = 8});
    t.gate = kt_gate_new();
    CHECK_INT(knit_errgroup_go(&g, submit_all, &t), 0);
    kt_until(t.ran == 8 && t.working == 8); /* a task may have begun before its go returns */
    for (int i = 0; i < 100; i++)
        (void)knit_yield();
    CHECK_INT(t.working, 8);
    CHECK_INT(t.ran, 8);
    kt_gate_open(t.gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.calls, 100);
    for (int i = 0; i < 100; i++)
        CHECK_INT(t.values[i], i);
    kt_gate_free(t.gate);
}

static int work_randomly(void *arg)
{
    struct item *item = arg;
    if (item->value % 7 == 0)
        return knit_sleep((item->value % 5) * KNIT_MICROSECOND);
    if (item->value % 3 == 0)
        (void)knit_yield();
    return 0;
}

static void the_order_holds_whatever_tasks_take(void)
{
    static struct trace t;
    int n = kt_count(2000);
    for (int limit = 0; limit < 10; limit += 3) {
        trace_init(&t, &(knit_stream_options){.limit = limit});
        go_n(&t, n, work_randomly, append);
        CHECK_INT(knit_stream_wait(&t.stream), 0);
        CHECK_INT(t.calls, n);
        for (int i = 0; i < n; i++)
            CHECK_INT(t.values[i], i);
    }
}

struct producer {
    struct trace *trace;
    int first;
};

static int produce(void *arg)
{
    struct producer *p = arg;
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_stream_go(&p->trace->stream, work_randomly, append,
                                 &p->trace->items[p->first + i]),
                  0);
    return 0;
}

static void produce_in_thread(void *arg)
{
    CHECK_INT(produce(arg), 0);
}

/* Each producer's are in its order. */
static void several_may_submit(void)
{
    static struct trace t;
    struct producer producers[4];
    knit_errgroup g = {0};
    kt_thread *thread;
    int next[4] = {0};
    trace_init(&t, &(knit_stream_options){.limit = 2, .window = 3});
    for (int i = 0; i < 4; i++)
        producers[i] = (struct producer){&t, i * 100};
    thread = kt_thread_start(produce_in_thread, &producers[0]);
    for (int i = 1; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, produce, &producers[i]), 0);
    kt_thread_join(thread);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.calls, 400);
    for (int i = 0; i < 400; i++) {
        int who = t.values[i] / 100;
        CHECK_INT(t.values[i] % 100, next[who]++);
    }
}

static int submit_more(void *arg)
{
    struct item *item = arg;
    struct trace *t = item->trace;
    int twice_as_high = 2 * item->value + 1;
    if (twice_as_high < 100)
        CHECK_INT(knit_stream_go(&t->stream, submit_more, append, &t->items[twice_as_high]), 0);
    if (twice_as_high + 1 < 100)
        CHECK_INT(knit_stream_go(&t->stream, submit_more, append, &t->items[twice_as_high + 1]), 0);
    CHECK_INT(knit_stream_wait(&t->stream), -EDEADLK);
    CHECK_INT(knit_stream_close(&t->stream), -EDEADLK);
    return 0;
}

/* Pitfall 8: a task that submits never waits, even with a window of one. */
static void members_never_wait_for_room(void)
{
    static struct trace t;
    trace_init(&t, &(knit_stream_options){.limit = 1, .window = 1});
    go_n(&t, 1, submit_more, append);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.calls, 100);
}

static int submit_next(void *arg, int result)
{
    struct item *item = arg;
    struct trace *t = item->trace;
    if (item->value < 99)
        CHECK_INT(knit_stream_go(&t->stream, twice, submit_next, &t->items[t->calls + 1]), 0);
    CHECK_INT(append(arg, result), 0);
    return 0;
}

static void a_call_may_submit(void)
{
    static struct trace t;
    trace_init(&t, &(knit_stream_options){.window = 1});
    go_n(&t, 1, twice, submit_next);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK(t.calls >= 50);
}

/* ---- failures -------------------------------------------------------------------------------- */

static int fail_at_five(void *arg)
{
    struct item *item = arg;
    struct trace *t = item->trace;
    atomic_fetch_add(&t->ran, 1);
    if (item->value == 5) {
        kt_until(atomic_load(&t->working) == 5);
        return knit_error(-EIO, "item %d", 5);
    }
    return item->value > 5 ? knit_sleep(KNIT_FOREVER) : 0;
}

static int append_and_tell(void *arg, int result)
{
    struct trace *t = ((struct item *)arg)->trace;
    CHECK_INT(append(arg, result), 0);
    atomic_fetch_add(&t->working, 1);
    return 0;
}

static void no_call_comes_after_a_failed_task(void)
{
    static struct trace t;
    knit_error_record rec;
    int r = 0, started = 0;
    trace_init(&t, &(knit_stream_options){.window = 10});
    while (r == 0 && started < 1000)
        r = knit_stream_go(&t.stream, fail_at_five, append_and_tell, &t.items[started++]);
    CHECK_INT(r, -ECANCELED);
    CHECK_INT(knit_stream_wait(&t.stream), -EIO);
    CHECK_INT(t.calls, 5);
    CHECK_INT(knit_errgroup_error(knit_stream_group(&t.stream), 0, &rec), 0);
    CHECK_INT(rec.index, 5);
    CHECK_HAS(rec.text, "item 5");
    CHECK_HAS(rec.task, "fail_at_five");
    CHECK_INT(knit_stream_go(&t.stream, twice, NULL, &t.items[0]), -ECANCELED);
    CHECK_INT(knit_stream_close(&t.stream), -EIO);
}

static int fail_first(void *arg)
{
    struct item *item = arg;
    struct trace *t = item->trace;
    atomic_fetch_add(&t->ran, 1);
    if (item->value == 0) {
        kt_until(atomic_load(&t->ran) == 4);
        return -EIO;
    }
    return kt_gate_wait(t->gate); /* not told of the failure */
}

static int submit_until_refused(void *arg)
{
    struct trace *t = arg;
    int r = 0;
    for (int i = 0; r == 0; i++)
        r = knit_stream_go(&t->stream, fail_first, append, &t->items[i]);
    CHECK_INT(r, -ECANCELED);
    kt_gate_open(t->gate);
    return 0;
}

/* KNIT_ERRGROUP_STOP: what runs goes on, and who waits for room is told. */
static void a_stream_that_stops_lets_go_of_its_callers(void)
{
    static struct trace t;
    knit_errgroup g = {0};
    trace_init(&t, &(knit_stream_options){.window = 4, .flags = KNIT_ERRGROUP_STOP});
    t.gate = kt_gate_new();
    CHECK_INT(knit_errgroup_go(&g, submit_until_refused, &t), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_stream_wait(&t.stream), -EIO);
    CHECK_INT(t.ran, 4);
    CHECK_INT(t.calls, 0);
    kt_gate_free(t.gate);
}

static int fail_odd(void *arg)
{
    return ((struct item *)arg)->value % 2 ? -EIO : 0;
}

static int append_result(void *arg, int result)
{
    struct trace *t = ((struct item *)arg)->trace;
    t->values[t->calls++] = result;
    return 0;
}

static void with_keep_going_every_call_comes_with_its_result(void)
{
    static struct trace t;
    knit_errgroup_counts counts;
    trace_init(&t, &(knit_stream_options){.flags = KNIT_ERRGROUP_KEEP_GOING, .limit = 3});
    go_n(&t, 100, fail_odd, append_result);
    CHECK_INT(knit_stream_wait(&t.stream), -EIO);
    CHECK_INT(t.calls, 100);
    for (int i = 0; i < 100; i++)
        CHECK_INT(t.values[i], i % 2 ? -EIO : 0);
    CHECK_INT(knit_errgroup_stats(knit_stream_group(&t.stream), &counts), 0);
    CHECK_INT(counts.failed, 50);
}

static int fail_third_call(void *arg, int result)
{
    struct item *item = arg;
    CHECK_INT(append(arg, result), 0);
    return item->value == 4 ? -ENOSPC : 0;
}

static void a_call_that_fails_is_the_last(void)
{
    static struct trace t;
    trace_init(&t, NULL);
    for (int i = 0; i < 20; i++)
        (void)knit_stream_go(&t.stream, twice, fail_third_call, &t.items[i]);
    CHECK_INT(knit_stream_wait(&t.stream), -ENOSPC);
    CHECK_INT(t.calls, 3);
}

static int panic_at_one(void *arg)
{
    if (((struct item *)arg)->value == 1)
        knit_panic("task %d", 1);
    return 0;
}

static int succeed(void *arg)
{
    (void)arg;
    return 0;
}

static int panic_call(void *arg, int result)
{
    (void)result;
    if (((struct item *)arg)->value == 1)
        knit_panic("call %d", 1);
    return append_result(arg, result);
}

static int stream_with_panic(void *arg)
{
    static struct trace t;
    bool in_call = arg != NULL;
    trace_init(&t, &(knit_stream_options){.limit = 5, .flags = KNIT_ERRGROUP_PANIC_WAITER});
    for (int i = 0; i < 5; i++)
        (void)knit_stream_go(&t.stream, in_call ? succeed : panic_at_one,
                             in_call ? panic_call : append_result, &t.items[i]);
    (void)knit_stream_wait(&t.stream);
    CHECK(false);
    return 0;
}

static void check_panic(void *in_call, const char *text)
{
    knit_errgroup g;
    knit_error_record rec;
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_PANIC_ERROR};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, stream_with_panic, in_call), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, text);
}

/* CS-4 */
static void a_panic_in_a_task_goes_to_the_waiter(void)
{
    check_panic(NULL, "task 1");
}

/* CS-5 */
static void a_panic_in_a_call_goes_to_the_waiter(void)
{
    check_panic("", "call 1");
}

/* CS-6: the rest goes on where the stream keeps going; else its end says so at once. */
static void a_panic_in_a_call_holds_up_nobody(void)
{
    static struct trace t;
    for (int keep = 0; keep < 2; keep++) {
        unsigned flags = KNIT_ERRGROUP_PANIC_ERROR | (keep ? KNIT_ERRGROUP_KEEP_GOING : 0);
        int refused = 0;
        trace_init(&t, &(knit_stream_options){.limit = 2, .flags = flags});
        for (int i = 1; i <= 101; i++) {
            int r = knit_stream_go(&t.stream, succeed, panic_call, &t.items[i]);
            CHECK(r == 0 || r == -ECANCELED);
            refused += r != 0;
        }
        CHECK_INT(knit_stream_wait(&t.stream), KNIT_PANICKED);
        CHECK_INT(t.calls, keep ? 100 : 0);
        CHECK(keep ? refused == 0 : refused > 0);
    }
}

static int exit_task(void *arg)
{
    (void)arg;
    return knit_task_exit(0);
}

static int exit_call(void *arg, int result)
{
    (void)append(arg, result);
    return knit_task_exit(0);
}

/* conc's Wait hangs after a Goexit in a task. */
static void an_exit_ends_one_function(void)
{
    static struct trace t;
    trace_init(&t, &(knit_stream_options){.limit = 2});
    go_n(&t, 50, exit_task, exit_call);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.calls, 50);
}

/* ---- the context ----------------------------------------------------------------------------- */

static int wait_for_end(void *arg)
{
    atomic_fetch_add(&((struct item *)arg)->trace->working, 1);
    return knit_sleep(KNIT_FOREVER);
}

static int submit_until_end(void *arg)
{
    struct trace *t = arg;
    int r = 0;
    for (int i = 0; r == 0; i++)
        r = knit_stream_go(&t->stream, wait_for_end, append, &t->items[i]);
    return r;
}

enum how { BY_GROUP, BY_CONTEXT, BY_CLOSE, HOWS };

/* Whatever ends it: who waits for room is told, tasks are woken, nothing is called any more. */
static void the_end_of_the_context_ends_the_stream(void)
{
    static struct trace t;
    for (int how = 0; how < HOWS; how++) {
        knit_errgroup g = {0};
        knit_ctx *ctx;
        int r;
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
        trace_init(&t, &(knit_stream_options){.window = 4, .ctx = ctx});
        CHECK_INT(knit_errgroup_go(&g, submit_until_end, &t), 0);
        kt_until(t.working == 4);
        if (how == BY_GROUP)
            knit_errgroup_cancel(knit_stream_group(&t.stream), -EPERM);
        if (how == BY_CONTEXT)
            knit_ctx_cancel(ctx, 0);
        r = how == BY_CLOSE ? knit_stream_close(&t.stream) : knit_stream_wait(&t.stream);
        CHECK_INT(r, how == BY_GROUP ? -EPERM : how == BY_CONTEXT ? -ECANCELED : 0);
        CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
        CHECK_INT(t.calls, 0);
        CHECK_INT(knit_stream_close(&t.stream), r);
        knit_ctx_unref(ctx);
    }
}

static int submit_under_timeout(void *arg)
{
    struct trace *t = arg;
    knit_ctx_scope scope;
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_stream_go(&t->stream, first_waits, append, &t->items[1]), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    kt_gate_open(t->gate);
    return 0;
}

static void a_caller_who_gives_up_leaves_the_stream_as_it_was(void)
{
    static struct trace t;
    knit_errgroup g = {0};
    trace_init(&t, &(knit_stream_options){.window = 1, .ctx = knit_ctx_background()});
    t.gate = kt_gate_new();
    go_n(&t, 1, first_waits, append);
    CHECK_INT(knit_errgroup_go(&g, submit_under_timeout, &t), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_stream_go(&t.stream, first_waits, append, &t.items[2]), 0);
    CHECK_INT(knit_stream_wait(&t.stream), 0);
    CHECK_INT(t.calls, 2);
    kt_gate_free(t.gate);
}

static const knittest tests[] = {
    BOTH(calls_come_in_the_order_of_submission),
    BOTH(a_call_is_optional),
    BOTH(misuse_is_refused),
    BOTH(the_limit_holds_and_calls_come_one_at_a_time),
    BOTH(without_a_limit_the_window_is_the_limit),
    BOTH(a_slow_head_holds_up_the_window_and_no_more),
    BOTH(the_order_holds_whatever_tasks_take),
    BOTH(several_may_submit),
    BOTH(members_never_wait_for_room),
    THREAD(a_call_may_submit),
    BOTH(no_call_comes_after_a_failed_task),
    BOTH(a_stream_that_stops_lets_go_of_its_callers),
    BOTH(with_keep_going_every_call_comes_with_its_result),
    BOTH(a_call_that_fails_is_the_last),
    BOTH(a_panic_in_a_task_goes_to_the_waiter),
    BOTH(a_panic_in_a_call_goes_to_the_waiter),
    BOTH(a_panic_in_a_call_holds_up_nobody),
    BOTH(an_exit_ends_one_function),
    BOTH(the_end_of_the_context_ends_the_stream),
    BOTH(a_caller_who_gives_up_leaves_the_stream_as_it_was),
};
KNITTEST_MAIN(tests)
