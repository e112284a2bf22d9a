/* The tests of errgroup's relatives: KR-n (kratos), NEIL-n (neilotoole), SG-n and ESG-n (go-pkgz),
 * PWG-n (go-waitgroup). KR-4 is in test_panic.c, SEMA-P1 and -P2 in test_semaphore.c, FB-n in
 * test_waitgroup.c.
 *
 * What they measure by sleeping and by the number of goroutines is told here by gates and by the
 * group's counts. What differs on purpose is said at each. */
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

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

static size_t records_of(const knit_errgroup *g)
{
    knit_error_record record;
    size_t n = 0;
    while (knit_errgroup_error(g, n, &record) == 0)
        n++;
    return n;
}

static void init(knit_errgroup *g, int limit, unsigned flags, const knit_policy *policy)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.limit = limit,
                                                             .flags = flags,
                                                             .policy = policy,
                                                             .keep_errors = KNIT_ALL_ERRORS}),
              0);
}

static const knit_policy queued = {.queue = KNIT_UNBOUNDED};
static const knit_policy dropping = {.overflow = KNIT_OVERFLOW_DROP};

/* ---- kratos ---------------------------------------------------------------------------------- */

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void kr_1_tasks_change_what_they_are_given(void)
{
    int values[2] = {10, 20};
    knit_errgroup g = {0};
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, add_one, &values[i]), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(values[0], 11);
    CHECK_INT(values[1], 21);
}

static int fail_with(void *arg)
{
    return *(int *)arg;
}

/* Also: a queued task starts as soon as there is a place, not at the wait. */
static void kr_2_so_many_workers_and_the_rest_is_queued(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 2, 0, &queued);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0); /* never blocks */
    CHECK_INT(counts_of(&g).running, 2);
    CHECK_INT(counts_of(&g).pending, 8);
    kt_gate_open(gate);
    kt_until(ran == 4); /* nobody waits yet */
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

static void kr_2_a_failure_is_seen_by_the_other_worker(void)
{
    kt_gate gate = kt_gate_new();
    int code = -EIO;
    knit_errgroup g;
    init(&g, 2, 0, &queued);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0); /* only its context can end it */
    CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).failed, 1);
    kt_gate_free(gate);
}

static int panics(void *arg)
{
    knit_panic("%s", (const char *)arg);
    return 0;
}

/* A fault of the processor stays a crash here; a panic is the nearest thing. */
static void kr_3_a_panic_is_an_error_with_a_limit_too(void)
{
    char text[] = "2233";
    knit_errgroup g;
    init(&g, 1, KNIT_ERRGROUP_PANIC_ERROR, &queued);
    for (int i = 0; i < 2; i++) {
        int r = knit_errgroup_go(&g, panics, text);
        CHECK(r == 0 || r == -ECANCELED);
    }
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
}

/* KR-5 = NEIL-4 = XEG-1: the first error stays, whatever comes after. */
static void kr_5_the_first_error_is_sticky(void)
{
    int codes[3] = {-EIO, 0, -ENOENT}, first = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < 3; i++) {
        if (first == 0)
            first = codes[i];
        CHECK_INT(knit_errgroup_go(&g, fail_with, &codes[i]), 0);
        CHECK_INT(knit_errgroup_wait(&g), first);
    }
}

static int note_ctx_err(void *arg)
{
    int r = knit_sleep(KNIT_FOREVER);
    *(int *)arg = knit_ctx_err(knit_ctx_current());
    return r;
}

static void kr_6_the_others_see_their_context_end(void)
{
    int code = -EIO, seen = 0;
    knit_errgroup g;
    init(&g, 0, 0, NULL);
    CHECK_INT(knit_errgroup_go(&g, note_ctx_err, &seen), 0);
    kt_until(counts_of(&g).pending == 1);
    CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK(seen == -ECANCELED || counts_of(&g).skipped == 1);
}

typedef struct spawner {
    knit_errgroup *g;
    atomic_int *ran;
    int n;
} spawner;

static int spawn_some(void *arg)
{
    spawner *s = arg;
    for (int i = 0; i < s->n; i++) {
        int r = knit_errgroup_go(s->g, count_up, s->ran);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Defects 1 and 2 of kratos: tasks submitted by several at once, also by tasks during the wait, are
 * lost there, and the wait hangs. Defect 3: waiting twice, and starting after a wait. */
static void kr_defects_nothing_submitted_by_many_is_lost(void)
{
    enum { SPAWNERS = 8, N = 500 };
    const int n = kt_count(N);
    atomic_int ran = 0;
    knit_errgroup g, spawners = {0};
    spawner s = {&g, &ran, n};
    init(&g, 2, 0, &queued);
    for (int i = 0; i < SPAWNERS; i++) {
        CHECK_INT(knit_errgroup_go(&spawners, spawn_some, &s), 0);
        CHECK_INT(knit_errgroup_go(&g, spawn_some, &s), 0);
    }
    CHECK_INT(knit_errgroup_wait(&spawners), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 2 * SPAWNERS * n);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 2 * SPAWNERS * n + 1);
}

static int leave_early(void *arg)
{
    (void)arg;
    return knit_task_exit(0);
}

/* There a Goexit costs a worker, and the tasks behind it are dropped (neilotoole) or hang. */
static void an_exit_costs_no_worker(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 1, 0, &queued);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(knit_errgroup_go(&g, leave_early, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 10);
}

/* ---- neilotoole ------------------------------------------------------------------------------ */

typedef struct fib {
    uint64_t *slot;
    int n;
} fib;

static int compute_fib(void *arg)
{
    const fib *f = arg;
    uint64_t a = 0, b = 1;
    for (int i = 0; i < f->n; i++) {
        uint64_t c = a + b;
        a = b;
        b = c;
    }
    *f->slot = a;
    return 0;
}

/* NEIL-1 and -2: workers x queue length; there (N, 0) runs one at a time. */
static void neil_1_fibonacci_by_every_shape_of_pool(void)
{
    static const int shapes[][2] = {{0, 0}, {1, 0}, {1, 1}, {4, 16}, {16, 4}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        const knit_policy policy = {.queue = (unsigned)shapes[k][1]};
        knit_errgroup g;
        init(&g, shapes[k][0], 0, &policy);
        for (int round = 0; round < 2; round++) {
            uint64_t values[50] = {0};
            for (int i = 0; i < 50; i++) {
                fib f = {&values[i], i};
                CHECK_INT(knit_errgroup_go_copy(&g, compute_fib, &f, sizeof f), 0);
            }
            CHECK_INT(knit_errgroup_wait(&g), 0);
            for (int i = 2; i < 50; i++)
                CHECK_INT(values[i], values[i - 1] + values[i - 2]);
            CHECK_INT(values[1], 1);
        }
    }
}

static void neil_3_a_wait_before_any_task(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 1, 0, &queued);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
}

static void neil_defect_workers_without_a_queue_work_in_parallel(void)
{
    const knit_policy policy = {.queue = 0};
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init(&g, 8, 0, &policy);
    for (int i = 0; i < 8; i++) /* hangs if they came one after the other */
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(counts_of(&g).running, 8);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

/* There the last worker dies of an error, and the next go hangs with the lock held. */
static void neil_defect_an_error_behind_a_full_queue_hangs_nobody(void)
{
    for (int round = 0; round < kt_count(200); round++) {
        const knit_policy policy = {.queue = 1};
        atomic_int ran = 0;
        int code = -EIO;
        knit_errgroup g;
        init(&g, 1, 0, &policy);
        for (int i = 0; i < 7; i++) {
            int r = i == 3 ? knit_errgroup_go(&g, fail_with, &code)
                           : knit_errgroup_go(&g, count_up, &ran);
            CHECK(r == 0 || r == -ECANCELED);
        }
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
        CHECK_INT(counts_of(&g).failed, 1);
        CHECK_INT(ran + 1 + (int)counts_of(&g).skipped, 7); /* none is lost without a word */
    }
}

/* ---- go-pkgz --------------------------------------------------------------------------------- */

static void sg_1_submitting_does_not_wait_for_the_limit(void)
{
    const int n = kt_count(1000);
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init(&g, 10, 0, &queued);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(counts_of(&g).pending, n);
    CHECK_INT(counts_of(&g).running, n < 10 ? n : 10);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).done, n);
    kt_gate_free(gate);
}

static void sg_2_esg_3_what_does_not_fit_is_discarded(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init(&g, 10, 0, &dropping);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), i < 10 ? 0 : KNIT_DROPPED);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).done, 10);
    CHECK_INT(counts_of(&g).dropped, 90);
    kt_gate_free(gate);
}

typedef struct crowd {
    atomic_int now, most, ran;
} crowd;

static int be_crowded(void *arg)
{
    crowd *c = arg;
    int now = atomic_fetch_add(&c->now, 1) + 1, most = atomic_load(&c->most);
    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        continue;
    (void)knit_yield();
    atomic_fetch_sub(&c->now, 1);
    atomic_fetch_add(&c->ran, 1);
    return 0;
}

static void sg_3_esg_9_no_more_than_so_many_at_once(void)
{
    crowd c = {0};
    knit_errgroup g;
    init(&g, 5, 0, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, be_crowded, &c), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(c.ran, 100);
    CHECK(c.most <= 5);
}

/* There what waits for a permit runs even after the context has ended. */
static void sg_4_esg_12_a_context_that_ends_skips_what_waits(void)
{
    kt_gate gate = kt_gate_new();
    knit_ctx *ctx;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(
                  &g, &(knit_errgroup_options){.limit = 10, .ctx = ctx, .policy = &queued}),
              0);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(counts_of(&g).done, 0);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 100);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
}

static int go_one(void *arg)
{
    spawner *s = arg;
    atomic_fetch_add(s->ran, 1); /* it is about to be blocked */
    int r = knit_errgroup_go(s->g, count_up, s->ran);
    return r == -ECANCELED ? 0 : -EINVAL;
}

static void sg_5_a_cancelled_go_gives_its_place_back(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_ctx *ctx;
    knit_errgroup g, callers = {0};
    spawner s = {&g, &ran, 1};
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1, .ctx = ctx}), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&callers, go_one, &s), 0);
    kt_until(ran == 1);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait(&callers), 0); /* its go returned -ECANCELED */
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(ran, 1);
    CHECK_INT(counts_of(&g).pending, 0);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
}

typedef struct numbered {
    atomic_int *ran;
    int i, code;
} numbered;

static int fail_some(void *arg)
{
    const numbered *n = arg;
    atomic_fetch_add(n->ran, 1);
    return n->code == 0 ? 0 : knit_error(n->code, "error from %d", n->i);
}

static void submit_failing(knit_errgroup *g, atomic_int *ran, int n, int first, int second)
{
    for (int i = 0; i < n; i++) {
        numbered one = {ran, i, i == first ? -EIO : i == second ? -ENOENT : 0};
        int r = knit_errgroup_go_copy(g, fail_some, &one, sizeof one);
        CHECK(r == 0 || r == -ECANCELED);
    }
}

/* ESG-1, -2, -4, -10, -13: all run, all errors are kept, each with its text. */
static void esg_1_2_10_all_errors_are_collected(void)
{
    const knit_policy *policies[] = {&queued, NULL};
    for (int k = 0; k < 2; k++) {
        atomic_int ran = 0;
        knit_error_record record;
        knit_errgroup g;
        init(&g, 10, KNIT_ERRGROUP_KEEP_GOING, policies[k]);
        submit_failing(&g, &ran, 300, 100, 200);
        int r = knit_errgroup_wait(&g);
        CHECK(r == -EIO || r == -ENOENT);
        CHECK_INT(ran, 300);
        CHECK_INT(records_of(&g), 2);
        for (size_t i = 0; i < 2; i++) {
            CHECK_INT(knit_errgroup_error(&g, i, &record), 0);
            CHECK_HAS(record.text, record.code == -EIO ? "error from 100" : "error from 200");
        }
    }
}

static void esg_4_no_error(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init(&g, 10, 0, &queued);
    submit_failing(&g, &ran, 1000, -1, -1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1000);
    CHECK_INT(records_of(&g), 0);
}

/* ESG-5, -6, -8: there "terminate on error" stops only what has not come to its check; here nothing
 * starts after the error, and the counts say how many did not. */
static void esg_5_6_8_after_an_error_nothing_starts(void)
{
    const unsigned flags[] = {0, KNIT_ERRGROUP_STOP};
    const knit_policy *policies[] = {&queued, NULL};
    for (int k = 0; k < 4; k++) {
        atomic_int ran = 0;
        knit_errgroup g;
        init(&g, 1, flags[k / 2], policies[k % 2]);
        submit_failing(&g, &ran, 1000, 100, -1);
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
        CHECK_INT(ran, 101);
        CHECK_INT(counts_of(&g).skipped, 899);
        CHECK_INT(records_of(&g), 1);
    }
}

static void esg_7_a_wait_without_tasks(void)
{
    knit_errgroup g;
    init(&g, 10, KNIT_ERRGROUP_STOP, &queued);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int cancel_at(void *arg)
{
    knit_ctx_cancel(arg, 0);
    return 0;
}

/* There the cancel is one more error, recorded by the next go. Here it is what wait returns, and no
 * record: nothing has failed. */
static void esg_11_a_cancel_from_a_task(void)
{
    atomic_int ran = 0;
    knit_ctx *ctx;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(
        knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1, .ctx = ctx, .policy = &queued}),
        0);
    for (int i = 0; i < 1000; i++) {
        int r =
            i == 100 ? knit_errgroup_go(&g, cancel_at, ctx) : knit_errgroup_go(&g, count_up, &ran);
        CHECK(r == 0 || r == -ECANCELED);
    }
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(ran, 100);
    CHECK_INT(records_of(&g), 0);
    knit_ctx_unref(ctx);
}

static int fail_at_gate(void *arg)
{
    int r = kt_gate_wait(*(kt_gate *)arg);
    return r == 0 ? -EIO : r == -ECANCELED ? -EIO : r; /* a failure of its own, whatever happens */
}

static void esg_14_failures_after_a_cancel_are_failures(void)
{
    kt_gate gate = kt_gate_new();
    knit_ctx *ctx;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 4,
                                                              .ctx = ctx,
                                                              .flags = KNIT_ERRGROUP_KEEP_GOING,
                                                              .keep_errors = KNIT_ALL_ERRORS}),
              0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, fail_at_gate, &gate), 0);
    (void)knit_yield();
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_go(&g, fail_at_gate, &gate), -ECANCELED);
    kt_gate_open(gate);
    int r = knit_errgroup_wait(&g);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK(r == (counts.failed > 0 ? -EIO : -ECANCELED));
    CHECK_INT(counts.failed + counts.skipped, 5); /* who had begun has failed */
    CHECK_INT(records_of(&g), counts.failed);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
}

/* ---- go-waitgroup ---------------------------------------------------------------------------- */

static void pwg_1_2_the_pending_count(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init(&g, 1, 0, &queued);
    CHECK_INT(counts_of(&g).running, 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(counts_of(&g).running, 1); /* what it calls pending */
    CHECK_INT(counts_of(&g).pending, 3);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).running, 0);
    kt_gate_free(gate);
}

static void pwg_3_a_success_then_a_failure(void)
{
    atomic_int ran = 0;
    int code = -EIO;
    knit_errgroup g;
    init(&g, 1, 0, NULL);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 1);
}

static const knittest tests[] = {
    BOTH(kr_1_tasks_change_what_they_are_given),
    BOTH(kr_2_so_many_workers_and_the_rest_is_queued),
    BOTH(kr_2_a_failure_is_seen_by_the_other_worker),
    BOTH(kr_3_a_panic_is_an_error_with_a_limit_too),
    BOTH(kr_5_the_first_error_is_sticky),
    BOTH(kr_6_the_others_see_their_context_end),
    BOTH(kr_defects_nothing_submitted_by_many_is_lost),
    BOTH(an_exit_costs_no_worker),
    BOTH(neil_1_fibonacci_by_every_shape_of_pool),
    BOTH(neil_3_a_wait_before_any_task),
    BOTH(neil_defect_workers_without_a_queue_work_in_parallel),
    BOTH(neil_defect_an_error_behind_a_full_queue_hangs_nobody),
    BOTH(sg_1_submitting_does_not_wait_for_the_limit),
    BOTH(sg_2_esg_3_what_does_not_fit_is_discarded),
    BOTH(sg_3_esg_9_no_more_than_so_many_at_once),
    BOTH(sg_4_esg_12_a_context_that_ends_skips_what_waits),
    BOTH(sg_5_a_cancelled_go_gives_its_place_back),
    BOTH(esg_1_2_10_all_errors_are_collected),
    BOTH(esg_4_no_error),
    BOTH(esg_5_6_8_after_an_error_nothing_starts),
    BOTH(esg_7_a_wait_without_tasks),
    BOTH(esg_11_a_cancel_from_a_task),
    BOTH(esg_14_failures_after_a_cancel_are_failures),
    BOTH(pwg_1_2_the_pending_count),
    BOTH(pwg_3_a_success_then_a_failure),
};

KNITTEST_MAIN(tests)
