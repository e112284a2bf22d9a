/* Admission policies: queue length and overflow, weights, priorities, a shared limiter, a rate. What
 * waits is told by the counts; nothing here depends on how long anything takes. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

static int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

/* The same, and tells that it has begun: a task that has not may still be skipped. */
typedef struct holder {
    kt_gate gate;
    atomic_int begun;
} holder;

static int hold_at_gate(void *arg)
{
    holder *h = arg;
    atomic_store(&h->begun, 1);
    return kt_gate_wait(h->gate);
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

static void init(knit_errgroup *g, int limit, const knit_policy *policy)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.limit = limit, .policy = policy}), 0);
}

/* A go that may wait, in a task of its own. */
typedef struct caller {
    knit_errgroup *g;
    atomic_int *ran;
    atomic_int arrived, returned, errors;
} caller;

static int call_go(void *arg)
{
    caller *c = arg;
    atomic_fetch_add(&c->arrived, 1);
    int r = knit_errgroup_go(c->g, count_up, c->ran);
    atomic_fetch_add(r == 0 ? &c->returned : &c->errors, 1);
    return 0;
}

static void yield_some(int n)
{
    for (int i = 0; i < n; i++)
        (void)knit_yield();
}

/* ---- queue and overflow ---------------------------------------------------------------------- */

static void the_queue_takes_so_many_then_go_waits(void)
{
    const knit_policy policy = {.queue = 3};
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    init(&g, 2, &policy);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(counts_of(&g).pending, 5);
    CHECK_INT(counts_of(&g).running, 2);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&callers, call_go, &c), 0);
    kt_until(c.arrived == 4);
    yield_some(100);
    CHECK_INT(c.returned, 0);
    CHECK_INT(counts_of(&g).pending, 5);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    CHECK_INT(c.returned, 4);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 7);
    CHECK_INT(counts_of(&g).submitted, 9);
    kt_gate_free(gate);
}

/* A caller that waits behind a full queue goes into the queue, not to a worker: it returns as soon
 * as the queue has moved. */
static void a_place_in_the_queue_is_enough_for_a_caller(void)
{
    const knit_policy policy = {.queue = 1};
    kt_gate first = kt_gate_new(), second = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    init(&g, 1, &policy);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &first), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &second), 0);
    CHECK_INT(knit_errgroup_go(&callers, call_go, &c), 0);
    kt_until(c.arrived == 1);
    kt_gate_open(first);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    CHECK_INT(c.returned, 1);
    CHECK_INT(ran, 0);
    kt_gate_open(second);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
    kt_gate_free(first);
    kt_gate_free(second);
}

static void an_unbounded_queue_never_makes_go_wait(void)
{
    enum { N = 1000 };
    const knit_policy policy = {.queue = KNIT_UNBOUNDED};
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 1, &policy);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(counts_of(&g).running, 1);
    CHECK_INT(counts_of(&g).pending, N + 1);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, N);
    CHECK_INT(counts_of(&g).running, 0);
    kt_gate_free(gate);
}

static void reject_says_so(void)
{
    const knit_policy policy = {.queue = 2, .overflow = KNIT_OVERFLOW_REJECT};
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init(&g, 1, &policy);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), -EAGAIN);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).submitted, 3);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

static void drop_counts_what_it_drops(void)
{
    const knit_policy policy = {.overflow = KNIT_OVERFLOW_DROP};
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 1, &policy);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < 9; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), KNIT_DROPPED);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).dropped, 9);
    CHECK_INT(counts_of(&g).submitted, 1);
    CHECK_INT(counts_of(&g).skipped, 0);
    kt_gate_free(gate);
}

static int on_this_stack(void *arg)
{
    char here;
    *(char **)arg = &here;
    return knit_ctx_current() == knit_ctx_background() ? -EINVAL : 0; /* the group's */
}

static int fail_inline(void *arg)
{
    (void)arg;
    return knit_task_exit(-EIO);
}

static void inline_runs_in_the_caller(void)
{
    const knit_policy policy = {.overflow = KNIT_OVERFLOW_INLINE};
    kt_gate gate = kt_gate_new();
    char *there = NULL, here;
    knit_errgroup g;
    init(&g, 1, &policy);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&g, on_this_stack, &there), 0);
    CHECK(there != NULL); /* it has run before go returned */
    CHECK(&here - there < 64 * 1024 && there - &here < 64 * 1024);
    CHECK_INT(counts_of(&g).pending, 1);
    CHECK_INT(knit_errgroup_go(&g, fail_inline, NULL), 0);
    CHECK_INT(counts_of(&g).failed, 1);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    kt_gate_free(gate);
}

typedef struct deep {
    knit_errgroup *g;
    atomic_int *ran;
    int depth;
} deep;

static int go_deeper(void *arg)
{
    deep d = *(deep *)arg;
    atomic_fetch_add(d.ran, 1);
    return d.depth-- > 0 ? knit_errgroup_go_copy(d.g, go_deeper, &d, sizeof d) : 0;
}

/* Each level runs on top of the one before until half of the stack is used; then they queue. */
static void inline_stops_before_the_stack_does(void)
{
    enum { N = 3000 };
    const knit_policy policy = {.overflow = KNIT_OVERFLOW_INLINE};
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 1, &policy);
    deep d = {&g, &ran, N - 1};
    CHECK_INT(knit_errgroup_go_copy(&g, go_deeper, &d, sizeof d), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, N);
}

static void a_cancel_turns_away_callers_and_skips_the_queue(void)
{
    const knit_policy policy = {.queue = 2};
    holder h = {.gate = kt_gate_new()};
    atomic_int ran = 0;
    knit_errgroup g, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    init(&g, 1, &policy);
    CHECK_INT(knit_errgroup_go(&g, hold_at_gate, &h), 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&callers, call_go, &c), 0);
    kt_until(h.begun && c.arrived == 3);
    yield_some(100);
    knit_errgroup_cancel(&g, -EPIPE);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    CHECK_INT(c.errors, 3);
    CHECK_INT(knit_errgroup_wait(&g), -EPIPE);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 5);
    kt_gate_free(h.gate);
}

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct load {
    atomic_int now, most, ran;
    int weight;
} load;

static int carry(void *arg)
{
    load *l = arg;
    int now = atomic_fetch_add(&l->now, l->weight) + l->weight, most = atomic_load(&l->most);
    while (now > most && !atomic_compare_exchange_weak(&l->most, &most, now))
        continue;
    int r = knit_yield();
    atomic_fetch_sub(&l->now, l->weight);
    atomic_fetch_add(&l->ran, 1);
    return r;
}

typedef struct porter {
    load *total;
    int weight;
} porter;

static int carry_some(void *arg)
{
    porter *p = arg;
    load *l = p->total;
    int now = atomic_fetch_add(&l->now, p->weight) + p->weight, most = atomic_load(&l->most);
    while (now > most && !atomic_compare_exchange_weak(&l->most, &most, now))
        continue;
    for (int i = 0; i < 3; i++)
        (void)knit_yield();
    atomic_fetch_sub(&l->now, p->weight);
    atomic_fetch_add(&l->ran, 1);
    return 0;
}

static void weights_together_stay_below_the_limit(void)
{
    load total = {0};
    porter porters[5];
    knit_errgroup g;
    init(&g, 5, NULL);
    for (int i = 0; i < 5; i++)
        porters[i] = (porter){&total, i + 1};
    for (int i = 0; i < 300; i++) {
        porter *p = &porters[i % 5];
        CHECK_INT(knit_errgroup_go_with(&g, carry_some, p,
                                        &(knit_task_options){.weight = (unsigned)p->weight}),
                  0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(total.ran, 300);
    CHECK(total.most <= 5);
}

static void plain_tasks_and_heavy_ones_share_the_limit(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init(&g, 4, NULL);
    CHECK_INT(knit_errgroup_go_with(&g, wait_at_gate, &gate, &(knit_task_options){.weight = 3}), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < 4; i++) /* all places are back */
        CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

static void one_heavier_than_the_limit_runs_alone(void)
{
    load total = {.weight = 1};
    porter heavy = {&total, 100};
    knit_errgroup g;
    init(&g, 2, NULL);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, carry, &total), 0);
    CHECK_INT(knit_errgroup_go_with(&g, carry_some, &heavy, &(knit_task_options){.weight = 100}),
              0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, carry, &total), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(total.ran, 21);
    CHECK_INT(total.most, 100);
}

/* ---- priorities ------------------------------------------------------------------------------ */

typedef struct order {
    atomic_int next;
    int seen[64];
} order;

typedef struct place {
    order *order;
    int id;
} place;

static int note_order(void *arg)
{
    place *p = arg;
    p->order->seen[atomic_fetch_add(&p->order->next, 1)] = p->id;
    return 0;
}

static void the_higher_priority_leaves_the_queue_first(void)
{
    enum { N = 50 };
    const knit_policy policy = {.queue = KNIT_UNBOUNDED};
    kt_gate gate = kt_gate_new();
    order o = {0};
    place places[N];
    knit_errgroup g;
    init(&g, 1, &policy);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < N; i++) {
        int priority = i % 5 + KNIT_PRIORITY_LEAST;
        places[i] = (place){&o, i};
        CHECK_INT(knit_errgroup_go_with(&g, note_order, &places[i],
                                        &(knit_task_options){.priority = priority}),
                  0);
    }
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < N; i++) /* 4, 9, 14 .. 49, then 3, 8 .. 48, and so on */
        CHECK_INT(o.seen[i], (i % 10) * 5 + 4 - i / 10);
    kt_gate_free(gate);
}

/* ---- a shared limiter ------------------------------------------------------------------------ */

static void a_limiter_holds_for_all_groups_together(void)
{
    enum { GROUPS = 4, N = 50, MOST = 3 };
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, MOST), 0);
    const knit_policy policy = {.limiter = &limiter, .queue = KNIT_UNBOUNDED};
    load total = {.weight = 1};
    knit_errgroup g[GROUPS];
    for (int i = 0; i < GROUPS; i++)
        init(&g[i], 0, &policy);
    for (int k = 0; k < N * GROUPS; k++)
        CHECK_INT(knit_errgroup_go(&g[k % GROUPS], carry, &total), 0);
    for (int i = 0; i < GROUPS; i++)
        CHECK_INT(knit_errgroup_wait(&g[i]), 0);
    CHECK_INT(total.ran, N * GROUPS);
    CHECK(total.most <= MOST);
    CHECK_INT(knit_semaphore_held(&limiter), 0);
}

static void callers_wait_for_the_limiter_too(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 1), 0);
    const knit_policy policy = {.limiter = &limiter};
    atomic_int ran = 0;
    knit_errgroup g, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    init(&g, 0, &policy);
    CHECK_INT(knit_semaphore_acquire(&limiter, 1), 0); /* somebody who is no group */
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&callers, call_go, &c), 0);
    kt_until(c.arrived == 5);
    yield_some(100);
    CHECK_INT(c.returned, 0);
    CHECK_INT(knit_semaphore_release(&limiter, 1), 0);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 5);
    CHECK_INT(knit_semaphore_held(&limiter), 0);
}

static void what_a_cancelled_group_held_goes_to_the_others(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 2), 0);
    const knit_policy policy = {.limiter = &limiter, .queue = KNIT_UNBOUNDED};
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup a, b;
    init(&a, 0, &policy);
    init(&b, 0, &policy);
    for (int i = 0; i < 6; i++)
        CHECK_INT(knit_errgroup_go(&a, wait_at_gate, &gate), 0);
    for (int i = 0; i < 6; i++)
        CHECK_INT(knit_errgroup_go(&b, count_up, &ran), 0);
    yield_some(100);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_errgroup_close(&a), 0);
    CHECK_INT(knit_errgroup_wait(&b), 0);
    CHECK_INT(ran, 6);
    CHECK_INT(knit_semaphore_held(&limiter), 0);
    kt_gate_free(gate);
}

static void a_group_is_closed_while_it_waits_for_the_limiter(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 1), 0);
    const knit_policy policy = {.limiter = &limiter, .queue = KNIT_UNBOUNDED};
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 0, &policy);
    CHECK_INT(knit_semaphore_acquire(&limiter, 1), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    yield_some(100);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 5);
    CHECK_INT(knit_semaphore_held(&limiter), 1);
    CHECK_INT(knit_semaphore_release(&limiter, 1), 0);
}

/* Nobody waits for the group: its tasks end all the same, and nothing spins at the gate. */
static void the_end_of_the_context_empties_the_queue_at_the_gate(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 1), 0);
    const knit_policy policy = {.limiter = &limiter, .queue = KNIT_UNBOUNDED};
    knit_ctx *ctx;
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.ctx = ctx, .policy = &policy}), 0);
    CHECK_INT(knit_semaphore_acquire(&limiter, 1), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    knit_ctx_cancel(ctx, 0);
    kt_until(counts_of(&g).pending == 0);
    CHECK_INT(counts_of(&g).skipped, 3);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_semaphore_held(&limiter), 1);
    CHECK_INT(knit_semaphore_release(&limiter, 1), 0);
    knit_ctx_unref(ctx);
}

static int give_up_at_the_gate(void *arg)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    int r = call_go(arg);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    return r;
}

static void a_wait_does_not_wait_for_the_gate_when_the_callers_have_left(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 1), 0);
    const knit_policy policy = {.limiter = &limiter};
    atomic_int ran = 0;
    knit_errgroup g, callers = {0};
    caller c = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_init(
                  &g, &(knit_errgroup_options){.ctx = knit_ctx_background(), .policy = &policy}),
              0);
    CHECK_INT(knit_semaphore_acquire(&limiter, 1), 0); /* kept until after the wait */
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&callers, give_up_at_the_gate, &c), 0);
    CHECK_INT(knit_errgroup_wait(&callers), 0);
    CHECK_INT(c.errors, 3);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_semaphore_held(&limiter), 1);
    CHECK_INT(knit_semaphore_release(&limiter, 1), 0);
}

static int fail_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg) == 0 ? -EIO : -ECANCELED;
}

/* A group that stops leaves its context alone, so that does not tell who is at the gate. */
static void a_stop_does_not_wait_for_the_gate(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 2), 0);
    const knit_policy policy = {.limiter = &limiter, .queue = KNIT_UNBOUNDED};
    const knit_errgroup_options options = {.flags = KNIT_ERRGROUP_STOP, .policy = &policy};
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_semaphore_acquire(&limiter, 1), 0); /* kept until after the wait */
    CHECK_INT(knit_errgroup_go(&g, fail_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go_with(&g, count_up, &ran, &(knit_task_options){.weight = 2}), 0);
    yield_some(100);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_semaphore_held(&limiter), 1);
    CHECK_INT(knit_semaphore_release(&limiter, 1), 0);
    kt_gate_free(gate);
}

static void weights_count_for_the_limiter(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 5), 0);
    const knit_policy policy = {.limiter = &limiter};
    load total = {0};
    porter porters[5];
    knit_errgroup g;
    init(&g, 0, &policy);
    for (int i = 0; i < 5; i++)
        porters[i] = (porter){&total, i + 1};
    for (int i = 0; i < 100; i++) {
        porter *p = &porters[i % 5];
        CHECK_INT(knit_errgroup_go_with(&g, carry_some, p,
                                        &(knit_task_options){.weight = (unsigned)p->weight}),
                  0);
    }
    CHECK_INT(knit_errgroup_go_with(&g, count_up, NULL, &(knit_task_options){.weight = 6}), -E2BIG);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(total.ran, 100);
    CHECK(total.most <= 5);
    CHECK_INT(knit_semaphore_held(&limiter), 0);
}

/* ---- a rate ---------------------------------------------------------------------------------- */

static void a_rate_spreads_the_starts(void)
{
    enum { N = 12, BURST = 3 };
    const knit_duration step = 5 * KNIT_MILLISECOND;
    const knit_policy policy = {.interval = step, .burst = BURST, .queue = KNIT_UNBOUNDED};
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 0, &policy);
    knit_time began = knit_now();
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, N);
    CHECK(knit_now() - began >= (N - BURST) * step); /* never faster; how much slower is not ours */
}

static void a_rate_makes_callers_wait(void)
{
    enum { N = 5 };
    const knit_duration step = 5 * KNIT_MILLISECOND;
    const knit_policy policy = {.interval = step};
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 0, &policy);
    knit_time began = knit_now();
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK(knit_now() - began >= (N - 1) * step);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, N);
}

static void a_cancel_ends_the_wait_for_the_rate(void)
{
    const knit_policy policy = {.interval = 3600 * KNIT_SECOND, .queue = KNIT_UNBOUNDED};
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 0, &policy);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_until(counts_of(&g).pending == 4);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(ran, 1);
    CHECK_INT(counts_of(&g).skipped, 4);
}

static const knittest tests[] = {
    BOTH(the_queue_takes_so_many_then_go_waits),
    BOTH(a_place_in_the_queue_is_enough_for_a_caller),
    BOTH(an_unbounded_queue_never_makes_go_wait),
    BOTH(reject_says_so),
    BOTH(drop_counts_what_it_drops),
    TASK(inline_runs_in_the_caller),
    BOTH(inline_stops_before_the_stack_does),
    BOTH(a_cancel_turns_away_callers_and_skips_the_queue),
    BOTH(weights_together_stay_below_the_limit),
    BOTH(plain_tasks_and_heavy_ones_share_the_limit),
    BOTH(one_heavier_than_the_limit_runs_alone),
    BOTH(the_higher_priority_leaves_the_queue_first),
    BOTH(a_limiter_holds_for_all_groups_together),
    BOTH(callers_wait_for_the_limiter_too),
    BOTH(what_a_cancelled_group_held_goes_to_the_others),
    BOTH(a_group_is_closed_while_it_waits_for_the_limiter),
    BOTH(the_end_of_the_context_empties_the_queue_at_the_gate),
    BOTH(a_wait_does_not_wait_for_the_gate_when_the_callers_have_left),
    BOTH(a_stop_does_not_wait_for_the_gate),
    BOTH(weights_count_for_the_limiter),
    BOTH(a_rate_spreads_the_starts),
    BOTH(a_rate_makes_callers_wait),
    BOTH(a_cancel_ends_the_wait_for_the_rate),
};

KNITTEST_MAIN(tests)
