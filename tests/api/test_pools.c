/* The pools of sourcegraph/conc: CPL-n (Pool), CEP-n (ErrorPool), CCX-n (ContextPool), CRP-n
 * (ResultPool), CRE-n (ResultErrorPool), CRC-n (ResultContextPool). What differs is in
 * docs/conformance.md. */
#include "bodies.h"

#include <string.h>

enum { FAIL_FAST = 0, KEEP = KNIT_ERRGROUP_KEEP_GOING };

/* How often code is among the records. */
static int recorded(const knit_errgroup *g, int code)
{
    knit_error_record record;
    int n = 0;
    for (size_t i = 0; knit_errgroup_error(g, i, &record) == 0; i++)
        n += record.code == code;
    return n;
}

static int panics(void *arg)
{
    knit_panic("%s", (const char *)arg);
    return 0;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static int err1 = -EIO, err2 = -ENOENT, success = 0;

/* ---- a pool with results --------------------------------------------------------------------- */

enum { SLOTS = 1000 };

typedef struct slot {
    struct pool *pool;
    int value, code; /* what it shall give */
    int got;
    bool set;
} slot;

typedef struct pool {
    knit_errgroup g;
    slot slots[SLOTS];
    int n;
    atomic_int now, most;
} pool;

static pool *pool_new(int limit, unsigned flags)
{
    static pool p;
    memset(&p, 0, sizeof p);
    init_group(&p.g, limit, flags, NULL);
    return &p;
}

static int give(void *arg)
{
    slot *s = arg;
    pool *p = s->pool;
    int now = atomic_fetch_add(&p->now, 1) + 1, most = atomic_load(&p->most);
    while (now > most && !atomic_compare_exchange_weak(&p->most, &most, now))
        continue;
    (void)knit_yield();
    s->got = s->value;
    s->set = s->code == 0;
    atomic_fetch_sub(&p->now, 1);
    return s->code;
}

static void pool_go(pool *p, int value, int code)
{
    slot *s = &p->slots[p->n++];
    *s = (slot){.pool = p, .value = value, .code = code};
    int r = knit_errgroup_go(&p->g, give, s);
    CHECK(r == 0 || r == -ECANCELED);
}

/* The values of the tasks that succeeded, in the order of their submission, and how many. */
static int results(const pool *p, int *ret_values)
{
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->slots[i].set)
            ret_values[n++] = p->slots[i].got;
    }
    return n;
}

static void check_results(const pool *p, int n, const int *want)
{
    static int values[SLOTS];
    CHECK_INT(results(p, values), n);
    for (int i = 0; i < n; i++)
        CHECK_INT(values[i], want[i]);
}

/* ---- Pool ------------------------------------------------------------------------------------ */

static void cpl_1_cwg_2_all_run(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 100);
}

/* CPL-2, CEP-1, CCX-1, CRP-1, CRE-1, CRC-1 */
static void cpl_2_the_limit_may_be_changed_later(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init_group(&g, 0, 0, NULL);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 10), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 10), 0);
    CHECK_INT(ran, 2);
}

/* 0: no limit in options, a pause in set_limit. */
static void cpl_6_cpl_7_what_a_limit_says(void)
{
    static const int limits[] = {0, 42};
    for (int k = 0; k < 2; k++) {
        const knit_policy queued = {.queue = KNIT_UNBOUNDED};
        kt_gate gate = kt_gate_new();
        atomic_int ran = 0;
        knit_errgroup g;
        CHECK_INT(
            knit_errgroup_init(&g, &(knit_errgroup_options){.limit = limits[k], .policy = &queued}),
            0);
        for (int i = 0; i < 100; i++)
            CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
        CHECK_INT(counts_of(&g).pending, 100);
        CHECK_INT(counts_of(&g).running, limits[k] ? limits[k] : 100);
        CHECK_INT(knit_errgroup_set_limit(&g, 0), 0);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0); /* queued */
        CHECK_INT(knit_errgroup_set_limit(&g, -1), 0);
        kt_until(ran == 1);
        kt_gate_open(gate);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        kt_gate_free(gate);
    }
}

/* CPL-3, CEP-6, CCX-13, CRP-2, CRP-3, CRP-4, CRE-7, CRC-12 */
static void cpl_3_crp_2_4_limits_and_ordered_results(void)
{
    static const int limits[] = {0, 1, 10, 100};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        int limit = limits[k], n = limit ? 10 * limit : 100;
        pool *p = pool_new(limit, FAIL_FAST);
        for (int i = 0; i < n; i++)
            pool_go(p, i, 0);
        CHECK_INT(knit_errgroup_wait(&p->g), 0);
        CHECK(limit == 0 || p->most <= limit);
        CHECK_INT(p->now, 0);
        static int values[SLOTS];
        CHECK_INT(results(p, values), n);
        for (int i = 0; i < n; i++)
            CHECK_INT(values[i], i);
    }
}

/* ---- panics ---------------------------------------------------------------------------------- */

typedef struct panicking {
    int n, panic_at, limit;
    atomic_int ran;
} panicking;

static int wait_with_panics(void *arg)
{
    panicking *p = arg;
    char text[] = "super bad thing";
    knit_errgroup g;
    init_group(&g, p->limit, KNIT_ERRGROUP_KEEP_GOING | KNIT_ERRGROUP_PANIC_WAITER, NULL);
    for (int i = 0; i < p->n; i++) {
        if (p->panic_at < 0 || i == p->panic_at)
            CHECK_INT(knit_errgroup_go(&g, panics, text), 0);
        else
            CHECK_INT(knit_errgroup_go(&g, count_up, &p->ran), 0);
    }
    return knit_errgroup_wait(&g); /* panics in its turn */
}

/* A waiter that panicked, seen from its own group. */
static void check_panic(panicking *p)
{
    knit_error_record record;
    knit_errgroup g;
    init_group(&g, 0, KNIT_ERRGROUP_PANIC_ERROR, NULL);
    CHECK_INT(knit_errgroup_go(&g, wait_with_panics, p), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.text, "super bad thing");
}

static void cpl_4_cep_5_a_panic_reaches_the_waiter(void)
{
    panicking p = {.n = 10, .panic_at = 5};
    check_panic(&p);
    CHECK_INT(p.ran, 9);
}

static void cpl_5_panics_do_not_use_up_the_places(void)
{
    panicking p = {.n = 10, .panic_at = -1, .limit = 2};
    check_panic(&p);
}

/* CCX-12, CRC-8 */
static void ccx_12_a_panic_cancels_the_others(void)
{
    char text[] = "super bad thing";
    knit_errgroup g;
    init_group(&g, 0, KNIT_ERRGROUP_PANIC_ERROR, NULL);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, panics, text), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 2);
}

static void cpl_8_crp_5_a_group_is_reusable(void)
{
    pool *p = pool_new(0, FAIL_FAST);
    atomic_int ran = 0;
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 10; i++)
            CHECK_INT(knit_errgroup_go(&p->g, count_up, &ran), 0);
        p->n = 0;
        pool_go(p, round, 0);
        CHECK_INT(knit_errgroup_wait(&p->g), 0);
        CHECK_INT(ran, 10 * round);
        check_results(p, 1, &round);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

static int wait_for_codes(knit_errgroup *g, unsigned flags, int *const *codes, int n)
{
    init_group(g, 0, flags, NULL);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(g, return_copied_code, codes[i]), 0);
    return knit_errgroup_wait(g);
}

/* CEP-2, CEP-3, CEP-4, CCX-2, CCX-3, CCX-4 */
static void cep_2_4_errors_are_returned_and_collected(void)
{
    int *const none[] = {&success}, *const one[] = {&err1}, *const two[] = {&err1, &success, &err2};
    knit_errgroup g;
    CHECK_INT(wait_for_codes(&g, KEEP, none, 1), 0);
    CHECK_INT(wait_for_codes(&g, KEEP, one, 1), err1);
    int r = wait_for_codes(&g, KEEP, two, 3);
    CHECK(r == err1 || r == err2);
    CHECK_INT(recorded(&g, err1), 1);
    CHECK_INT(recorded(&g, err2), 1);
}

static void cep_7_another_round_begins_with_another_init(void)
{
    int *const one[] = {&err1}, *const two[] = {&err2};
    knit_errgroup g;
    CHECK_INT(wait_for_codes(&g, KEEP, one, 1), err1);
    CHECK_INT(wait_for_codes(&g, KEEP, two, 1), err2);
    CHECK_INT(recorded(&g, err1), 0);
    CHECK_INT(recorded(&g, err2), 1);
}

static void ccx_5_a_cancel_from_outside(void)
{
    knit_ctx *ctx;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.ctx = ctx}), 0);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    knit_ctx_unref(ctx);
}

static void ccx_6_a_timeout(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.timeout = KNIT_MILLISECOND}), 0);
    int r = knit_errgroup_go(&g, sleep_for_ever, NULL);
    CHECK(r == 0 || r == -ETIMEDOUT);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
}

static void ccx_7_an_end_before_the_timeout(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.timeout = 3600 * KNIT_SECOND}), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* CCX-8, CCX-11, CRC-6, CRC-7 */
static void ccx_8_11_the_cause_not_the_echo(void)
{
    knit_errgroup g;
    init_group(&g, 0, FAIL_FAST, NULL);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, return_copied_code, &err1), 0);
    CHECK_INT(knit_errgroup_wait(&g), err1);
    CHECK_INT(recorded(&g, err1), 1);
    CHECK_INT(recorded(&g, -ECANCELED), 0);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 1);
}

static int wait_until_failed(void *arg)
{
    knit_errgroup *g = arg;
    kt_until(counts_of(g).failed == 1);
    return knit_ctx_err(knit_ctx_current());
}

/* CCX-9, CRC-9 */
static void ccx_9_without_cancel_the_others_go_on(void)
{
    knit_errgroup g;
    init_group(&g, 0, KEEP, NULL);
    CHECK_INT(knit_errgroup_go(&g, wait_until_failed, &g), 0);
    CHECK_INT(knit_errgroup_go(&g, return_copied_code, &err1), 0);
    CHECK_INT(knit_errgroup_wait(&g), err1);
    CHECK_INT(counts_of(&g).done, 1);
    CHECK_INT(recorded(&g, -ECANCELED), 0);
}

static int fail_later(void *arg)
{
    kt_until(counts_of(arg).failed == 1);
    return err2;
}

/* CCX-10, CRE-5, CRC-11 */
static void ccx_10_the_first_error_is_the_result(void)
{
    knit_errgroup g;
    init_group(&g, 0, KEEP, NULL);
    CHECK_INT(knit_errgroup_go(&g, fail_later, &g), 0);
    CHECK_INT(knit_errgroup_go(&g, return_copied_code, &err1), 0);
    CHECK_INT(knit_errgroup_wait(&g), err1);
}

/* ---- results and errors ---------------------------------------------------------------------- */

/* CRE-2, CRE-3, CRE-4, CRE-6, CRC-2, CRC-3, CRC-4, CRC-10: a task that fails may leave its result,
 * too: the slot is the caller's. */
static void cre_2_6_results_of_the_successes(void)
{
    pool *p = pool_new(0, KEEP);
    pool_go(p, 1, 0);
    CHECK_INT(knit_errgroup_wait(&p->g), 0);
    check_results(p, 1, (int[]){1});

    p = pool_new(0, KEEP);
    pool_go(p, 7, err1);
    CHECK_INT(knit_errgroup_wait(&p->g), err1);
    check_results(p, 0, NULL);
    CHECK_INT(p->slots[0].got, 7); /* collected although it failed */

    p = pool_new(0, KEEP);
    pool_go(p, 1, err1);
    pool_go(p, 2, 0);
    pool_go(p, 3, err2);
    int r = knit_errgroup_wait(&p->g);
    CHECK(r == err1 || r == err2);
    check_results(p, 1, (int[]){2});
    CHECK_INT(recorded(&p->g, err1) + recorded(&p->g, err2), 2);
}

static void cre_9_no_result_behind_a_failure_is_lost(void)
{
    pool *p = pool_new(0, KEEP);
    pool_go(p, 1, 0);
    pool_go(p, 2, err1);
    pool_go(p, 3, 0);
    CHECK_INT(knit_errgroup_wait(&p->g), err1);
    check_results(p, 2, (int[]){1, 3});

    p = pool_new(0, KEEP);
    pool_go(p, 1, err1);
    pool_go(p, 2, 0);
    pool_go(p, 3, 0);
    CHECK_INT(knit_errgroup_wait(&p->g), err1);
    check_results(p, 2, (int[]){2, 3});

    p = pool_new(0, KEEP);
    for (int i = 1; i <= 5; i++)
        pool_go(p, i, i % 2 ? 0 : err1);
    CHECK_INT(knit_errgroup_wait(&p->g), err1);
    check_results(p, 3, (int[]){1, 3, 5});
}

/* CRE-8, CRC-13 */
static void cre_8_another_round(void)
{
    int codes[2] = {-EIO, -ENOENT};
    for (int round = 0; round < 2; round++) {
        pool *p = pool_new(0, KEEP);
        pool_go(p, 1, codes[round]);
        CHECK_INT(knit_errgroup_wait(&p->g), codes[round]);
        check_results(p, 0, NULL);
        CHECK_INT(recorded(&p->g, codes[1 - round]), 0);
    }
}

static void crc_5_a_cancel_leaves_no_result(void)
{
    knit_ctx *ctx;
    pool *p = pool_new(0, FAIL_FAST);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(&p->g, &(knit_errgroup_options){.ctx = ctx}), 0);
    CHECK_INT(knit_errgroup_go(&p->g, sleep_for_ever, NULL), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait(&p->g), -ECANCELED);
    check_results(p, 0, NULL);
    knit_ctx_unref(ctx);
}

static const knittest tests[] = {
    BOTH(cpl_1_cwg_2_all_run),
    BOTH(cpl_2_the_limit_may_be_changed_later),
    BOTH(cpl_6_cpl_7_what_a_limit_says),
    BOTH(cpl_3_crp_2_4_limits_and_ordered_results),
    BOTH(cpl_4_cep_5_a_panic_reaches_the_waiter),
    BOTH(cpl_5_panics_do_not_use_up_the_places),
    BOTH(ccx_12_a_panic_cancels_the_others),
    BOTH(cpl_8_crp_5_a_group_is_reusable),
    BOTH(cep_2_4_errors_are_returned_and_collected),
    BOTH(cep_7_another_round_begins_with_another_init),
    BOTH(ccx_5_a_cancel_from_outside),
    BOTH(ccx_6_a_timeout),
    BOTH(ccx_7_an_end_before_the_timeout),
    BOTH(ccx_8_11_the_cause_not_the_echo),
    BOTH(ccx_9_without_cancel_the_others_go_on),
    BOTH(ccx_10_the_first_error_is_the_result),
    BOTH(cre_2_6_results_of_the_successes),
    BOTH(cre_9_no_result_behind_a_failure_is_lost),
    BOTH(cre_8_another_round),
    BOTH(crc_5_a_cancel_leaves_no_result),
};

KNITTEST_MAIN(tests)
