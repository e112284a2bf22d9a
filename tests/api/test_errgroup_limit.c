/* Errgroups with a limit: it can be changed at any time, 0 pauses, a caller from outside waits for
 * room and is woken by a cancel, a member never waits. XEG-3 is here. */
#include "knittest.h"

#include <stdatomic.h>

static int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

/* ---- XEG-3 ----------------------------------------------------------------------------------- */

static int send_signal(void *arg)
{
    return knit_chan_send(arg, NULL);
}

typedef struct drain {
    knit_chan *ch;
    int n;
} drain;

static int receive_n(void *arg)
{
    drain *d = arg;
    for (int i = 0; i < d->n; i++) {
        int r = knit_chan_recv(d->ch, NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

static void receive_and_wait(knit_errgroup *g, knit_chan *ch, int n)
{
    drain d = {ch, n};
    knit_errgroup receivers = {0};
    CHECK_INT(knit_errgroup_go(&receivers, receive_n, &d), 0);
    CHECK_INT(knit_errgroup_wait(g), 0);
    CHECK_INT(knit_errgroup_wait(&receivers), 0);
}

static void xeg_3_try_go_takes_as_many_as_the_limit_allows(void)
{
    knit_chan *ch;
    knit_errgroup g = {0};
    CHECK_INT(knit_chan_new(0, 0, &ch), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 42), 0);
    for (int i = 0; i < 42; i++)
        CHECK_INT(knit_errgroup_try_go(&g, send_signal, ch), 0);
    CHECK_INT(knit_errgroup_try_go(&g, send_signal, ch), -EAGAIN);
    receive_and_wait(&g, ch, 42);
    CHECK_INT(knit_errgroup_try_go(&g, send_signal, ch), 0);
    receive_and_wait(&g, ch, 1);

    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_try_go(&g, send_signal, ch), 0);
    CHECK_INT(knit_errgroup_try_go(&g, send_signal, ch), -EAGAIN);
    receive_and_wait(&g, ch, 1);

    CHECK_INT(knit_errgroup_set_limit(&g, 0), 0);
    for (int i = 0; i < kt_some(1024); i++)
        CHECK_INT(knit_errgroup_try_go(&g, send_signal, ch), -EAGAIN);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).submitted, 44); /* a refusal is no submission */
    knit_chan_unref(ch);
}

/* ---- set_limit at any time ------------------------------------------------------------------- */

static void try_go_without_a_limit_always_starts(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < kt_some(1000); i++)
        CHECK_INT(knit_errgroup_try_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, kt_some(1000));
}

/* What runs already is counted, too, and a caller waits until it has gone down to the new limit
 * (x/sync panics or, golang/sync#14, waits for ever). */
static void a_limit_set_while_tasks_run_counts_them(void)
{
    enum { N = 10 };
    kt_gate gate = kt_gate_new(), limited = kt_gate_new();
    knit_errgroup g = {0};
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 2), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &limited), -EAGAIN);
    CHECK_INT(knit_errgroup_set_limit(&g, N + 1), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &limited), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &limited), -EAGAIN);
    CHECK_INT(knit_errgroup_set_limit(&g, 2), 0);
    CHECK_INT(counts_of(&g).pending, N + 1);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &limited), 0); /* waits for the ten */
    CHECK_INT(counts_of(&g).pending, 2);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &limited), -EAGAIN);
    kt_gate_open(limited);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &limited), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
    kt_gate_free(limited);
}

static void a_limit_is_lifted_while_tasks_run(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    CHECK_INT(knit_errgroup_set_limit(&g, 3), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    CHECK_INT(knit_errgroup_set_limit(&g, -1), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 4), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).submitted, 23);
    kt_gate_free(gate);
}

typedef struct caller {
    knit_errgroup *g;
    atomic_int *ran;
    atomic_int arrived, results[3]; /* of go: 0, -ECANCELED, anything else */
} caller;

static void call_go(caller *c)
{
    atomic_fetch_add(&c->arrived, 1);
    int r = knit_errgroup_go(c->g, count_up, c->ran);
    atomic_fetch_add(&c->results[r == 0 ? 0 : r == -ECANCELED ? 1 : 2], 1);
}

static int call_go_in_task(void *arg)
{
    call_go(arg);
    return 0;
}

static void call_go_in_thread(void *arg)
{
    call_go(arg);
}

/* Lets the callers that have arrived go to sleep in go, or not: nothing below depends on it. */
static void yield_some(int n)
{
    for (int i = 0; i < n; i++)
        (void)knit_yield();
}

static void a_paused_group_starts_nothing_until_it_is_lifted(void)
{
    enum { N = 5 };
    atomic_int ran = 0;
    knit_errgroup g = {0}, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_set_limit(&g, 0), 0);
    kt_thread *threads[N];
    for (int i = 0; i < N; i++) {
        CHECK_INT(knit_errgroup_go(&callers, call_go_in_task, &c), 0);
        threads[i] = kt_thread_start(call_go_in_thread, &c);
    }
    kt_until(c.arrived == 2 * N);
    yield_some(100);
    CHECK_INT(ran, 0);
    CHECK_INT(c.results[0], 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 2 * N);
    CHECK_INT(c.results[0], 2 * N);
}

static void a_higher_limit_admits_who_waits(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g = {0}, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&callers, call_go_in_task, &c), 0);
    kt_until(c.arrived == 10);
    yield_some(100);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 2), 0);
    CHECK_INT(knit_errgroup_wait(&callers), 0); /* the gate is still shut */
    kt_until(ran == 10);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

/* ---- members never block --------------------------------------------------------------------- */

typedef struct node {
    knit_errgroup *g;
    atomic_int *active, *ran;
    int depth;
} node;

static int spawn_two_more(void *arg)
{
    node n = *(node *)arg;
    if (atomic_fetch_add(n.active, 1) != 0)
        return knit_error(-ERANGE, "two at once under limit 1");
    atomic_fetch_add(n.ran, 1);
    int r = 0;
    if (n.depth-- > 0) {
        for (int i = 0; i < 2 && r == 0; i++)
            r = knit_errgroup_go_copy(n.g, spawn_two_more, &n, sizeof n);
        if (r == 0)
            r = knit_yield();
    }
    atomic_fetch_sub(n.active, 1);
    return r;
}

/* x/sync, neilotoole/errgroup#6: such a start hangs, and who waits with it. */
static void members_spawn_recursively_under_limit_1(void)
{
    atomic_int active = 0, ran = 0;
    knit_errgroup g;
    knit_errgroup_options options = {.limit = 1};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    const int depth = knit_simulated(NULL) ? 5 : 9;
    node n = {&g, &active, &ran, depth};
    CHECK_INT(knit_errgroup_go_copy(&g, spawn_two_more, &n, sizeof n), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, (2 << depth) - 1);
}

typedef struct nested {
    knit_errgroup *outer;
    atomic_int *ran;
    int try_result;
} nested;

static int spawn_into_outer(void *arg)
{
    nested *n = arg;
    n->try_result = knit_errgroup_try_go(n->outer, count_up, n->ran);
    return knit_errgroup_go(n->outer, count_up, n->ran);
}

static int run_inner_group(void *arg)
{
    knit_errgroup inner = {0};
    int r = knit_errgroup_go(&inner, spawn_into_outer, arg);
    int w = knit_errgroup_wait(&inner);
    return r ? r : w;
}

static void a_task_of_a_nested_group_is_a_member_too(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    nested n = {&g, &ran, 1};
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, run_inner_group, &n), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(n.try_result, -EAGAIN);
    CHECK_INT(ran, 1);
}

static int queue_ten(void *arg)
{
    caller *c = arg;
    for (int i = 0; i < 10; i++) {
        int r = knit_errgroup_go(c->g, count_up, c->ran);
        if (r < 0)
            return r;
    }
    return atomic_load(c->ran) == 0 ? 0 : -ERANGE; /* they wait for this task's place */
}

/* kratos: what is queued after the wait has begun is never run. */
static void what_a_member_queued_runs_after_it(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    caller c = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, queue_ten, &c), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 10);
}

typedef struct pauser {
    knit_errgroup *g;
    atomic_int *ran;
    kt_gate queued;
} pauser;

static int pause_and_queue(void *arg)
{
    pauser *p = arg;
    int r = knit_errgroup_set_limit(p->g, 0);
    for (int i = 0; i < 10 && r == 0; i++)
        r = knit_errgroup_go(p->g, count_up, p->ran);
    kt_gate_open(p->queued);
    return r;
}

static void what_a_member_queued_in_a_paused_group_starts_when_it_is_lifted(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    pauser p = {&g, &ran, kt_gate_new()};
    CHECK_INT(knit_errgroup_go(&g, pause_and_queue, &p), 0);
    CHECK_INT(kt_gate_wait(p.queued), 0);
    yield_some(100);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_errgroup_wait_until(&g, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_set_limit(&g, 3), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 10);
    kt_gate_free(p.queued);
}

static void closing_a_paused_group_skips_what_is_queued(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    pauser p = {&g, &ran, kt_gate_new()};
    CHECK_INT(knit_errgroup_go(&g, pause_and_queue, &p), 0);
    CHECK_INT(kt_gate_wait(p.queued), 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 10);
    CHECK_INT(counts_of(&g).submitted, 11);
    kt_gate_free(p.queued);
}

/* ---- waking a go that waits for room --------------------------------------------------------- */

typedef enum ending { CANCEL, CLOSE, ERROR } ending;

static int fail_at_gate(void *arg)
{
    int r = kt_gate_wait(*(kt_gate *)arg);
    return r < 0 ? r : -EIO;
}

/* One go from a task and one from a thread wait behind a limit of 1; the group ends. */
static void end_group_under_waiting_callers(ending how, int yields)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g, callers = {0};
    knit_errgroup_options options = {.limit = 1};
    caller c = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&callers, call_go_in_task, &c), 0);
    kt_thread *thread = kt_thread_start(call_go_in_thread, &c);
    kt_until(c.arrived == 2);
    yield_some(yields);
    int want = 0;
    if (how == ERROR) {
        kt_gate_open(gate);
        want = -EIO;
    } else if (how == CANCEL) {
        knit_errgroup_cancel(&g, -EXDEV);
        want = -EXDEV;
    } else {
        CHECK_INT(knit_errgroup_close(&g), 0);
    }
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    kt_thread_join(thread);
    CHECK_INT(knit_errgroup_wait(&g), want);
    CHECK_INT(ran, 0);
    CHECK_INT(c.results[1], 2);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.submitted, 3);
    CHECK_INT(counts.failed, how == ERROR);
    CHECK_INT(counts.skipped + counts.echoes + counts.failed, 3);
    kt_gate_free(gate);
}

static void a_waiting_go_is_woken_by_cancel(void)
{
    for (int i = 0; i < kt_count(100); i++)
        end_group_under_waiting_callers(CANCEL, i);
}

static void a_waiting_go_is_woken_by_close(void)
{
    for (int i = 0; i < kt_count(100); i++)
        end_group_under_waiting_callers(CLOSE, i);
}

/* ESG-8, go-pkgz/syncs#9: deadlock. */
static void a_waiting_go_is_woken_by_the_first_error(void)
{
    for (int i = 0; i < kt_count(100); i++)
        end_group_under_waiting_callers(ERROR, i);
}

static void a_waiting_go_ends_with_the_callers_context(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_errgroup g = {0}, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    for (int i = 0; i < 10; i++) /* {0}: they inherit ctx */
        CHECK_INT(knit_errgroup_go(&callers, call_go_in_task, &c), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    kt_until(c.arrived == 10);
    yield_some(50);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    CHECK_INT(c.results[1], 10);
    CHECK_INT(knit_errgroup_set_limit(&g, -1), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0); /* the group itself goes on */
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
    CHECK_INT(counts_of(&g).skipped, 10);
    CHECK_INT(counts_of(&g).submitted, 12);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
}

static void a_waiting_go_ends_with_the_callers_deadline(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    knit_time deadline = knit_now() + KNIT_MILLISECOND;
    CHECK_INT(knit_ctx_with_deadline(knit_ctx_current(), deadline, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ETIMEDOUT);
    CHECK(knit_now() >= deadline);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 1);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
}

/* ---- changed all the time -------------------------------------------------------------------- */

static int change_limit(void *arg)
{
    knit_errgroup *g = arg;
    kt_rng rng = {42};
    for (int i = 0; i < kt_count(2000); i++) {
        int r = knit_errgroup_set_limit(g, (int)kt_below(&rng, 7) - 1);
        if (r < 0 || (r = knit_yield()) < 0)
            return r;
    }
    return knit_errgroup_set_limit(g, 1);
}

static int yield_and_count(void *arg)
{
    int r = knit_yield();
    atomic_fetch_add((atomic_int *)arg, 1);
    return r;
}

static void no_task_is_lost_while_the_limit_changes(void)
{
    atomic_int ran = 0;
    int n = kt_count(5000);
    knit_errgroup g = {0}, changers = {0};
    CHECK_INT(knit_errgroup_go(&changers, change_limit, &g), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, yield_and_count, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&changers), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, n);
}

static const knittest tests[] = {
    BOTH(xeg_3_try_go_takes_as_many_as_the_limit_allows),
    BOTH(try_go_without_a_limit_always_starts),
    BOTH(a_limit_set_while_tasks_run_counts_them),
    BOTH(a_limit_is_lifted_while_tasks_run),
    BOTH(a_paused_group_starts_nothing_until_it_is_lifted),
    BOTH(a_higher_limit_admits_who_waits),
    BOTH(members_spawn_recursively_under_limit_1),
    BOTH(a_task_of_a_nested_group_is_a_member_too),
    BOTH(what_a_member_queued_runs_after_it),
    BOTH(what_a_member_queued_in_a_paused_group_starts_when_it_is_lifted),
    BOTH(closing_a_paused_group_skips_what_is_queued),
    BOTH(a_waiting_go_is_woken_by_cancel),
    BOTH(a_waiting_go_is_woken_by_close),
    BOTH(a_waiting_go_is_woken_by_the_first_error),
    BOTH(a_waiting_go_ends_with_the_callers_context),
    BOTH(a_waiting_go_ends_with_the_callers_deadline),
    BOTH(no_task_is_lost_while_the_limit_changes),
};
KNITTEST_MAIN(tests)
