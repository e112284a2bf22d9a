/* The tests of errgroup's relatives: KR-n (kratos), NEIL-n (neilotoole), PWG-n (go-waitgroup). What
 * they measure by sleeping and by the number of goroutines is told here by gates and by the group's
 * counts. What differs is in docs/conformance.md. */
#include "bodies.h"

static const knit_policy queued = {.queue = KNIT_UNBOUNDED};

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

/* Also: a queued task starts as soon as there is a place, not at the wait. */
static void kr_2_so_many_workers_and_the_rest_is_queued(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    init_group(&g, 2, 0, &queued);
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
    init_group(&g, 2, 0, &queued);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0); /* only its context can end it */
    CHECK_INT(knit_errgroup_go(&g, return_copied_code, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).failed, 1);
    kt_gate_free(gate);
}

static int panics(void *arg)
{
    knit_panic("%s", (const char *)arg);
    return 0;
}

static void kr_3_kr_4_a_panic_is_an_error_with_a_limit_too(void)
{
    char text[] = "2233";
    knit_error_record record;
    knit_errgroup g;
    init_group(&g, 1, KNIT_ERRGROUP_PANIC_ERROR, &queued);
    for (int i = 0; i < 2; i++) {
        int r = knit_errgroup_go(&g, panics, text);
        CHECK(r == 0 || r == -ECANCELED);
    }
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.text, text);
}

/* KR-5, NEIL-4 (both are XEG-1): the first error stays, whatever comes after. */
static void kr_5_the_first_error_is_sticky(void)
{
    int codes[3] = {-EIO, 0, -ENOENT}, first = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < 3; i++) {
        if (first == 0)
            first = codes[i];
        CHECK_INT(knit_errgroup_go(&g, return_copied_code, &codes[i]), 0);
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
    init_group(&g, 0, 0, NULL);
    CHECK_INT(knit_errgroup_go(&g, note_ctx_err, &seen), 0);
    kt_until(counts_of(&g).pending == 1);
    CHECK_INT(knit_errgroup_go(&g, return_copied_code, &code), 0);
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
    init_group(&g, 2, 0, &queued);
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
    init_group(&g, 1, 0, &queued);
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

/* Workers and the length of the queue. */
static void neil_1_fibonacci_by_every_shape_of_pool(void)
{
    static const int shapes[][2] = {{0, 0}, {1, 0}, {1, 1}, {4, 16}, {16, 4}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        const knit_policy policy = {.queue = (unsigned)shapes[k][1]};
        knit_errgroup g;
        init_group(&g, shapes[k][0], 0, &policy);
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

static void neil_2_go_wait_then_go_again(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init_group(&g, 1, 0, &queued);
    for (int round = 1; round <= 2; round++) {
        knit_ctx *ctx = knit_ctx_ref(knit_errgroup_ctx(&g));
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(ran, round);
        CHECK_INT(knit_ctx_err(ctx), 0); /* the wait has not cancelled it */
        knit_ctx_unref(ctx);
    }
}

static void neil_3_a_wait_before_any_task(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init_group(&g, 1, 0, &queued);
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
    init_group(&g, 8, 0, &policy);
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
        init_group(&g, 1, 0, &policy);
        for (int i = 0; i < 7; i++) {
            int r = i == 3 ? knit_errgroup_go(&g, return_copied_code, &code)
                           : knit_errgroup_go(&g, count_up, &ran);
            CHECK(r == 0 || r == -ECANCELED);
        }
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
        CHECK_INT(counts_of(&g).failed, 1);
        CHECK_INT(ran + 1 + (int)counts_of(&g).skipped, 7); /* none is lost without a word */
    }
}

/* ---- go-waitgroup ---------------------------------------------------------------------------- */

static void pwg_1_pwg_2_the_pending_count(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    init_group(&g, 1, 0, &queued);
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
    init_group(&g, 1, 0, NULL);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_go(&g, return_copied_code, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 1);
}

static const knittest tests[] = {
    BOTH(kr_1_tasks_change_what_they_are_given),
    BOTH(kr_2_so_many_workers_and_the_rest_is_queued),
    BOTH(kr_2_a_failure_is_seen_by_the_other_worker),
    BOTH(kr_3_kr_4_a_panic_is_an_error_with_a_limit_too),
    BOTH(kr_5_the_first_error_is_sticky),
    BOTH(kr_6_the_others_see_their_context_end),
    BOTH(kr_defects_nothing_submitted_by_many_is_lost),
    BOTH(an_exit_costs_no_worker),
    BOTH(neil_1_fibonacci_by_every_shape_of_pool),
    BOTH(neil_2_go_wait_then_go_again),
    BOTH(neil_3_a_wait_before_any_task),
    BOTH(neil_defect_workers_without_a_queue_work_in_parallel),
    BOTH(neil_defect_an_error_behind_a_full_queue_hangs_nobody),
    BOTH(pwg_1_pwg_2_the_pending_count),
    BOTH(pwg_3_a_success_then_a_failure),
};

KNITTEST_MAIN(tests)
