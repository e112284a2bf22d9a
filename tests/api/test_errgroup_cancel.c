/* Errgroups that end before their time: by an error, a cancel, a close, a parent, a deadline. What
 * wait returns, what is skipped, what is an echo; and blocks that are left early. */
#include "knittest.h"

#include <stdatomic.h>

static int return_copied_code(void *arg)
{
    return *(int *)arg;
}

static int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

/* Counts itself alive, and sleeps until its context ends. */
static int live_for_ever(void *arg)
{
    atomic_int *alive = arg;
    atomic_fetch_add(alive, 1);
    int r = knit_sleep(KNIT_FOREVER);
    atomic_fetch_sub(alive, 1);
    return r;
}

/* Sees the end of its context and succeeds all the same. */
static int succeed_late(void *arg)
{
    atomic_int *alive = arg;
    atomic_fetch_add(alive, 1);
    knit_ctx_wait(knit_ctx_current());
    return 0;
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

static void start(knit_errgroup *g, int n, knit_fn *fn, atomic_int *alive)
{
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(g, fn, alive), 0);
    kt_until(*alive == n);
}

static void start_code(knit_errgroup *g, int code)
{
    CHECK_INT(knit_errgroup_go_copy(g, return_copied_code, &code, sizeof code), 0);
}

/* ---- cause and echo -------------------------------------------------------------------------- */

static void the_first_error_is_the_result_and_echoes_are_counted_apart(void)
{
    atomic_int alive = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, 50, live_for_ever, &alive);
    start_code(&g, -EIO);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(alive, 0);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.submitted, 51);
    CHECK_INT(counts.failed, 1);
    CHECK_INT(counts.echoes, 50);
    CHECK_INT(counts.skipped, 0);
    CHECK_INT(counts.pending, 0);
}

static void ecanceled_without_a_cancel_is_a_real_failure(void)
{
    static const int codes[] = {-ECANCELED, -ETIMEDOUT};
    for (int i = 0; i < 2; i++) {
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        start_code(&g, codes[i]);
        CHECK_INT(knit_errgroup_wait(&g), codes[i]);
        CHECK_INT(counts_of(&g).failed, 1);
        CHECK_INT(counts_of(&g).echoes, 0);
    }
}

static int fail_when_canceled(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    knit_ctx_wait(knit_ctx_current());
    return -EBUSY;
}

static void a_later_failure_is_counted_but_the_first_one_stays(void)
{
    atomic_int alive = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, 10, fail_when_canceled, &alive);
    start_code(&g, -EIO);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).failed, 11);
    CHECK_INT(counts_of(&g).echoes, 0);
}

typedef struct cause_seen {
    atomic_int alive, cause;
} cause_seen;

static int note_cause(void *arg)
{
    cause_seen *seen = arg;
    atomic_fetch_add(&seen->alive, 1);
    int r = knit_ctx_wait(knit_ctx_current());
    seen->cause = knit_ctx_cause(knit_ctx_current());
    return r;
}

static void the_cause_is_readable_in_the_siblings(void)
{
    cause_seen seen = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, note_cause, &seen), 0);
    kt_until(seen.alive == 1);
    start_code(&g, -EIO);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(seen.cause, -EIO);
}

static void tasks_that_come_after_the_failure_are_skipped(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start_code(&g, -EIO);
    kt_until(counts_of(&g).failed == 1 && knit_ctx_err(knit_errgroup_ctx(&g)) != 0);
    for (int i = 0; i < 10; i++) {
        int value = 0;
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
        CHECK_INT(knit_errgroup_go_copy(&g, count_up, &value, sizeof value), -ECANCELED);
        CHECK_INT(knit_errgroup_try_go(&g, count_up, &ran), -ECANCELED);
    }
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 30);
    CHECK_INT(counts_of(&g).submitted, 31);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

static void cancel_makes_wait_return_the_cause(void)
{
    static const int causes[] = {0, -ECANCELED, -EXDEV, -ETIMEDOUT};
    for (int i = 0; i < 4; i++) {
        atomic_int alive = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        start(&g, 3, live_for_ever, &alive);
        knit_errgroup_cancel(&g, causes[i]);
        knit_errgroup_cancel(&g, -EIO); /* the first cancel counts */
        int want = causes[i] ? causes[i] : -ECANCELED;
        CHECK_INT(knit_errgroup_wait(&g), want);
        CHECK_INT(knit_errgroup_wait(&g), want);
        CHECK_INT(counts_of(&g).echoes, 3);
        CHECK_INT(counts_of(&g).failed, 0);
        CHECK_INT(knit_errgroup_go(&g, live_for_ever, &alive), -ECANCELED);
    }
}

static void an_error_before_the_cancel_wins(void)
{
    atomic_int alive = 0;
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    start(&g, 3, live_for_ever, &alive);
    start_code(&g, -EIO);
    kt_until(counts_of(&g).failed == 1);
    knit_errgroup_cancel(&g, -EXDEV);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).echoes, 3);
}

static void a_cancel_before_the_first_go_refuses_it(void)
{
    atomic_int ran = 0;
    knit_errgroup made, zero = {0};
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    knit_errgroup_cancel(&made, -EXDEV);
    knit_errgroup_cancel(&zero, -EXDEV);
    CHECK_INT(knit_errgroup_go(&made, count_up, &ran), -ECANCELED);
    CHECK_INT(knit_errgroup_go(&zero, count_up, &ran), -ECANCELED);
    CHECK_INT(knit_ctx_cause(knit_errgroup_ctx(&made)), -EXDEV);
    CHECK_INT(knit_errgroup_wait(&made), -EXDEV);
    CHECK_INT(knit_errgroup_wait(&zero), -EXDEV);
    CHECK_INT(ran, 0);
}

static void cancel_of_a_zero_group_skips_but_tells_nobody(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_wait_until(&g, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    knit_errgroup_cancel(&g, -EXDEV);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.submitted, 2);
    CHECK(counts.skipped == 1 || counts.skipped == 2); /* 2: the first had not begun */
    CHECK_INT(counts.echoes, 0);
    CHECK_INT(ran, 0);
    kt_gate_free(gate);
}

static void every_task_is_run_or_skipped_when_a_cancel_comes_at_any_moment(void)
{
    for (int round = 0; round < kt_count(200); round++) {
        atomic_int ran = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        int taken = 0, refused = 0;
        for (int i = 0; i < 100; i++) {
            if (i == round % 100)
                knit_errgroup_cancel(&g, 0);
            int r = knit_errgroup_go(&g, count_up, &ran);
            CHECK(r == 0 || r == -ECANCELED);
            taken += r == 0;
            refused += r != 0;
        }
        CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
        CHECK_INT(refused, 100 - round % 100);
        CHECK_INT(counts_of(&g).submitted, 100);
        CHECK_INT((size_t)ran + counts_of(&g).skipped, 100);
        CHECK(ran <= taken);
    }
}

/* ---- parent and deadline --------------------------------------------------------------------- */

static void the_end_of_the_parent_reaches_the_group(void)
{
    atomic_int alive = 0;
    knit_ctx *parent;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &parent), 0);
    knit_errgroup_options options = {.ctx = parent};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    start(&g, 5, live_for_ever, &alive);
    knit_ctx_cancel(parent, -EXDEV);
    CHECK_INT(knit_errgroup_go(&g, live_for_ever, &alive), -ECANCELED);
    CHECK_INT(knit_ctx_cause(knit_errgroup_ctx(&g)), -EXDEV);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(counts_of(&g).echoes, 5);
    CHECK_INT(counts_of(&g).skipped, 1);
    knit_ctx_unref(parent);
}

static void success_in_spite_of_a_canceled_parent_is_a_success(void)
{
    atomic_int alive = 0;
    knit_ctx *parent;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &parent), 0);
    knit_errgroup_options options = {.ctx = parent};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    start(&g, 5, succeed_late, &alive);
    knit_ctx_cancel(parent, 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_ctx_unref(parent);
}

static int run_group_of_sleepers(void *arg)
{
    knit_errgroup g;
    int r = knit_errgroup_init(&g, NULL);
    for (int i = 0; i < 5 && r == 0; i++)
        r = knit_errgroup_go(&g, live_for_ever, arg);
    int w = knit_errgroup_wait(&g);
    return r ? r : w;
}

static void a_cancel_reaches_the_groups_within_the_group(void)
{
    atomic_int alive = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, run_group_of_sleepers, &alive), 0);
    kt_until(alive == 25);
    start_code(&g, -EIO);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(alive, 0);
    CHECK_INT(counts_of(&g).failed, 1);
    CHECK_INT(counts_of(&g).echoes, 5);
}

static void the_groups_deadline_ends_its_tasks(void)
{
    atomic_int alive = 0;
    knit_errgroup_options options = {.timeout = 50 * KNIT_MILLISECOND};
    knit_errgroup g;
    knit_time start_time = knit_now();
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    for (int i = 0; i < 5; i++)
        (void)knit_errgroup_go(&g, live_for_ever, &alive);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
    CHECK(knit_now() >= start_time + options.timeout);
    CHECK_INT(alive, 0);
    CHECK_INT(counts_of(&g).failed, 0);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 5);
    CHECK_INT(knit_errgroup_go(&g, live_for_ever, &alive), -ETIMEDOUT);
}

/* ---- close ----------------------------------------------------------------------------------- */

static void close_cancels_then_waits_and_is_idempotent(void)
{
    atomic_int alive = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, 20, live_for_ever, &alive);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(alive, 0);
    CHECK_INT(counts_of(&g).echoes, 20);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(knit_errgroup_close(&g), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(knit_errgroup_wait_until(&g, 0), 0);
        CHECK_INT(knit_errgroup_go(&g, live_for_ever, &alive), -ECANCELED);
        CHECK_INT(knit_errgroup_try_go(&g, live_for_ever, &alive), -ECANCELED);
    }
    CHECK_INT(counts_of(&g).skipped, 6);
}

static void close_after_wait_returns_the_same_error(void)
{
    knit_errgroup made, zero = {0};
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    start_code(&made, -EIO);
    start_code(&zero, -ENOENT);
    CHECK_INT(knit_errgroup_wait(&made), -EIO);
    CHECK_INT(knit_errgroup_wait(&zero), -ENOENT);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(knit_errgroup_close(&made), -EIO);
        CHECK_INT(knit_errgroup_close(&zero), -ENOENT);
    }
}

static void close_of_a_zero_group_waits_for_what_it_cannot_cancel(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(counts_of(&g).pending, 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
    kt_gate_free(gate);
}

static int close_group(void *arg)
{
    return knit_errgroup_close(arg) == -EIO ? 0 : -EPROTO;
}

static void close_group_in_thread(void *arg)
{
    CHECK_INT(knit_errgroup_close(arg), -EIO);
}

static void several_may_close_at_once(void)
{
    enum { N = 5 };
    atomic_int alive = 0;
    knit_errgroup g, closers = {0};
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING};
    kt_thread *threads[N];
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    start(&g, 20, live_for_ever, &alive);
    start_code(&g, -EIO);
    kt_until(counts_of(&g).failed == 1);
    for (int i = 0; i < N; i++) {
        threads[i] = kt_thread_start(close_group_in_thread, &g);
        CHECK_INT(knit_errgroup_go(&closers, close_group, &g), 0);
    }
    CHECK_INT(knit_errgroup_close(&g), -EIO);
    CHECK_INT(alive, 0);
    CHECK_INT(knit_errgroup_wait(&closers), 0);
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
}

static int wait_expecting_0(void *arg)
{
    return knit_errgroup_wait(arg);
}

static void close_wakes_who_waits(void)
{
    atomic_int alive = 0;
    knit_errgroup g, waiters = {0};
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, 5, live_for_ever, &alive);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&waiters, wait_expecting_0, &g), 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(knit_errgroup_wait(&waiters), 0);
}

/* ---- KNIT_SCOPE ------------------------------------------------------------------------------ */

static atomic_int alive_now; /* shared by the ways out below; each test has a process of its own */

static void fill(knit_errgroup *g)
{
    start(g, kt_live(1000), live_for_ever, &alive_now);
}

static void a_scope_left_by_its_end_leaves_nobody(void)
{
    knit_errgroup *seen = NULL;
    int rounds = 0;
    KNIT_SCOPE(g, NULL) {
        fill(g);
        seen = g;
        rounds++;
    }
    CHECK(seen);
    CHECK_INT(rounds, 1);
    CHECK_INT(alive_now, 0);
}

static void a_scope_left_by_break_leaves_nobody(void)
{
    int reached = 0;
    KNIT_SCOPE(g, NULL) {
        fill(g);
        if (alive_now > 0)
            break;
        reached = 1;
    }
    CHECK_INT(reached, 0);
    CHECK_INT(alive_now, 0);
}

static void a_scope_left_by_continue_leaves_nobody(void)
{
    int rounds = 0, reached = 0;
    KNIT_SCOPE(g, NULL) {
        rounds++;
        fill(g);
        if (alive_now > 0)
            continue;
        reached = 1;
    }
    CHECK_INT(rounds, 1);
    CHECK_INT(reached, 0);
    CHECK_INT(alive_now, 0);
}

static int return_out_of_scope(void)
{
    KNIT_SCOPE(g, NULL) {
        fill(g);
        return alive_now;
    }
    return -1;
}

static void a_scope_left_by_return_leaves_nobody(void)
{
    CHECK_INT(return_out_of_scope(), kt_live(1000));
    CHECK_INT(alive_now, 0);
}

static void a_scope_left_by_goto_leaves_nobody(void)
{
    int reached = 0;
    KNIT_SCOPE(g, NULL) {
        fill(g);
        if (alive_now > 0)
            goto out;
        reached = 1;
    }
out:
    CHECK_INT(reached, 0);
    CHECK_INT(alive_now, 0);
}

static int wait_in_scope(void)
{
    KNIT_SCOPE(g, NULL) {
        start_code(g, -EIO);
        return knit_errgroup_wait(g);
    }
    return 0;
}

static void a_scope_that_waits_gives_the_error(void)
{
    CHECK_INT(wait_in_scope(), -EIO);
}

static void scopes_nest(void)
{
    atomic_int outer = 0, inner = 0;
    KNIT_SCOPE(a, NULL) {
        start(a, 5, live_for_ever, &outer);
        KNIT_SCOPE(b, NULL) {
            start(b, 5, live_for_ever, &inner);
        }
        CHECK_INT(inner, 0);
        CHECK_INT(outer, 5);
    }
    CHECK_INT(outer, 0);
}

static void a_scope_with_options_it_refuses_says_so(void)
{
    atomic_int ran = 0;
    knit_errgroup_options options = {.flags = 1u << 31};
    KNIT_SCOPE(g, &options) {
        CHECK_INT(knit_errgroup_go(g, count_up, &ran), -EINVAL);
        CHECK_INT(knit_errgroup_wait(g), -EINVAL);
    }
    CHECK_INT(ran, 0);
}

static void a_scope_takes_options(void)
{
    atomic_int ran = 0;
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING, .limit = 2};
    KNIT_SCOPE(g, &options) {
        start_code(g, -EIO);
        for (int i = 0; i < 10; i++)
            CHECK_INT(knit_errgroup_go(g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(g), -EIO);
    }
    CHECK_INT(ran, 10);
}

static const knittest tests[] = {
    BOTH(the_first_error_is_the_result_and_echoes_are_counted_apart),
    BOTH(ecanceled_without_a_cancel_is_a_real_failure),
    BOTH(a_later_failure_is_counted_but_the_first_one_stays),
    BOTH(the_cause_is_readable_in_the_siblings),
    BOTH(tasks_that_come_after_the_failure_are_skipped),
    BOTH(cancel_makes_wait_return_the_cause),
    BOTH(an_error_before_the_cancel_wins),
    BOTH(a_cancel_before_the_first_go_refuses_it),
    BOTH(cancel_of_a_zero_group_skips_but_tells_nobody),
    BOTH(every_task_is_run_or_skipped_when_a_cancel_comes_at_any_moment),
    BOTH(the_end_of_the_parent_reaches_the_group),
    BOTH(success_in_spite_of_a_canceled_parent_is_a_success),
    BOTH(a_cancel_reaches_the_groups_within_the_group),
    BOTH(the_groups_deadline_ends_its_tasks),
    BOTH(close_cancels_then_waits_and_is_idempotent),
    BOTH(close_after_wait_returns_the_same_error),
    BOTH(close_of_a_zero_group_waits_for_what_it_cannot_cancel),
    BOTH(several_may_close_at_once),
    BOTH(close_wakes_who_waits),
    BOTH(a_scope_left_by_its_end_leaves_nobody),
    BOTH(a_scope_left_by_break_leaves_nobody),
    BOTH(a_scope_left_by_continue_leaves_nobody),
    BOTH(a_scope_left_by_return_leaves_nobody),
    BOTH(a_scope_left_by_goto_leaves_nobody),
    BOTH(a_scope_that_waits_gives_the_error),
    BOTH(scopes_nest),
    BOTH(a_scope_with_options_it_refuses_says_so),
    BOTH(a_scope_takes_options),
};
KNITTEST_MAIN(tests)
