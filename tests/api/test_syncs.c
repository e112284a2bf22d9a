/* The tests of go-pkgz/syncs: SG-n (SizedGroup) and ESG-n (ErrSizedGroup). What they measure by
 * sleeping and by the number of goroutines is told here by gates and by the group's
 * counts. What differs is in docs/conformance.md. */
#include "bodies.h"

#include <stdio.h>

static size_t records_of(const knit_errgroup *g)
{
    knit_error_record record;
    size_t n = 0;
    while (knit_errgroup_error(g, n, &record) == 0)
        n++;
    return n;
}

static const knit_policy queued = {.queue = KNIT_UNBOUNDED};
static const knit_policy dropping = {.overflow = KNIT_OVERFLOW_DROP};

typedef struct submitter {
    knit_errgroup *g;
    atomic_int *ran;
} submitter;

static void sg_1_submitting_does_not_wait_for_the_limit(void)
{
    const int n = kt_count(1000);
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init_group(&g, 10, 0, &queued);
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
    init_group(&g, 10, 0, &dropping);
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
    init_group(&g, 5, 0, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, be_crowded, &c), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(c.ran, 100);
    CHECK(c.most <= 5);
}

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
    submitter *s = arg;
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
    submitter s = {&g, &ran};
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

static void esg_1_esg_2_all_errors_are_collected(void)
{
    const knit_policy *policies[] = {&queued, NULL};
    for (int k = 0; k < 2; k++) {
        atomic_int ran = 0;
        knit_error_record record;
        knit_errgroup g;
        init_group(&g, 10, KNIT_ERRGROUP_KEEP_GOING, policies[k]);
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
    init_group(&g, 10, 0, &queued);
    submit_failing(&g, &ran, 1000, -1, -1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1000);
    CHECK_INT(records_of(&g), 0);
}

static void esg_5_esg_8_after_an_error_nothing_starts(void)
{
    const unsigned flags[] = {0, KNIT_ERRGROUP_STOP};
    const knit_policy *policies[] = {&queued, NULL};
    for (int k = 0; k < 4; k++) {
        atomic_int ran = 0;
        knit_errgroup g;
        init_group(&g, 1, flags[k / 2], policies[k % 2]);
        submit_failing(&g, &ran, 1000, 100, -1);
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
        CHECK_INT(ran, 101);
        CHECK_INT(counts_of(&g).skipped, 899);
        CHECK_INT(records_of(&g), 1);
    }
}

static int fail_from_here_on(void *arg)
{
    const numbered *f = arg;
    int ran = atomic_fetch_add(f->ran, 1);
    (void)knit_yield();
    return f->i == 100 || ran > 100 ? knit_error(-EIO, "err from function %d", f->i) : 0;
}

static void esg_6_what_runs_beside_the_error_may_fail_too(void)
{
    enum { LIMIT = 10 };
    atomic_int ran = 0;
    knit_error_record record;
    knit_errgroup g;
    init_group(&g, LIMIT, KNIT_ERRGROUP_STOP, &queued);
    for (int i = 0; i < 1000; i++) {
        numbered f = {&ran, i, 0};
        int r = knit_errgroup_go_copy(&g, fail_from_here_on, &f, sizeof f);
        CHECK(r == 0 || r == -ECANCELED);
    }
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK(ran > 100 - LIMIT && ran <= 101 + LIMIT);
    CHECK_INT(ran + (int)counts_of(&g).skipped, 1000);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.text, "err from function ");
}

static void esg_7_a_wait_without_tasks(void)
{
    knit_errgroup g;
    init_group(&g, 10, KNIT_ERRGROUP_STOP, &queued);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void esg_10_esg_13_every_error_can_be_found(void)
{
    atomic_int ran = 0;
    char text[2000], want[40];
    bool seen[10] = {false};
    knit_error_record record;
    knit_errgroup g;
    init_group(&g, 10, KNIT_ERRGROUP_KEEP_GOING, &queued);
    for (int i = 0; i < 10; i++) {
        numbered one = {&ran, i, -EIO - i};
        CHECK_INT(knit_errgroup_go_copy(&g, fail_some, &one, sizeof one), 0);
    }
    CHECK(knit_errgroup_wait(&g) <= -EIO);
    CHECK_INT(records_of(&g), 10);
    CHECK(knit_errgroup_format(&g, text, sizeof text) < (int)sizeof text);
    for (size_t i = 0; i < 10; i++) {
        CHECK_INT(knit_errgroup_error(&g, i, &record), 0);
        CHECK_INT(record.code, -EIO - (int)record.index);
        seen[record.index] = true;
        snprintf(want, sizeof want, "error from %zu", record.index);
        CHECK_HAS(text, want);
        CHECK_HAS(record.text, want);
        record.code = 0; /* ours alone */
    }
    for (int i = 0; i < 10; i++)
        CHECK(seen[i]);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK(record.code <= -EIO);
}

static int cancel_at(void *arg)
{
    knit_ctx_cancel(arg, 0);
    return 0;
}

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

static const knittest tests[] = {
    BOTH(sg_1_submitting_does_not_wait_for_the_limit),
    BOTH(sg_2_esg_3_what_does_not_fit_is_discarded),
    BOTH(sg_3_esg_9_no_more_than_so_many_at_once),
    BOTH(sg_4_esg_12_a_context_that_ends_skips_what_waits),
    BOTH(sg_5_a_cancelled_go_gives_its_place_back),
    BOTH(esg_1_esg_2_all_errors_are_collected),
    BOTH(esg_4_no_error),
    BOTH(esg_5_esg_8_after_an_error_nothing_starts),
    BOTH(esg_6_what_runs_beside_the_error_may_fail_too),
    BOTH(esg_7_a_wait_without_tasks),
    BOTH(esg_10_esg_13_every_error_can_be_found),
    BOTH(esg_11_a_cancel_from_a_task),
    BOTH(esg_14_failures_after_a_cancel_are_failures),
};

KNITTEST_MAIN(tests)
