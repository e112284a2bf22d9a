/* Pitfalls 8 to 12, 18 and 20 of docs/pitfalls.md, and 13 in part.
 *
 * Six things Go's errgroup (golang.org/x/sync) does to its users, and what Knit does instead. Each
 * test begins with the Go behaviour, as it was reproduced. */
#include "knittest.h"

#include <stdatomic.h>

static int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int return_copied_code(void *arg)
{
    return *(int *)arg;
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

/* 1. Go: a task that calls Go on its own limited group blocks while it holds a slot; once every
 * slot is held that way, "all goroutines are asleep". */

typedef struct walker {
    knit_errgroup *g;
    atomic_int *ran;
    int depth;
} walker;

static int walk(void *arg)
{
    walker w = *(walker *)arg;
    atomic_fetch_add(w.ran, 1);
    if (w.depth-- == 0)
        return 0;
    for (int i = 0; i < 3; i++) {
        int r = knit_errgroup_go_copy(w.g, walk, &w, sizeof w);
        if (r < 0)
            return r;
    }
    return 0;
}

static void misbehaviour_1_nested_go_under_a_limit_does_not_deadlock(void)
{
    const int depth = knit_simulated(NULL) ? 4 : 6, tasks = depth == 4 ? 121 : 1093;
    for (int limit = 1; limit <= 4; limit++) {
        atomic_int ran = 0;
        knit_errgroup_options options = {.limit = limit};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, &options), 0);
        walker w = {&g, &ran, depth};
        CHECK_INT(knit_errgroup_go_copy(&g, walk, &w, sizeof w), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(ran, tasks); /* (3^(depth + 1) - 1) / 2 */
    }
}

/* 2. Go: SetLimit(0) makes every Go block for ever; SetLimit on a group with active tasks panics,
 * or hangs its Wait when it was unlimited before. */

static int lift_limit(void *arg)
{
    return knit_errgroup_set_limit(arg, -1);
}

static void misbehaviour_2_limit_0_is_a_pause_that_can_be_lifted(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0}, helper = {0};
    CHECK_INT(knit_errgroup_set_limit(&g, 0), 0);
    CHECK_INT(knit_errgroup_try_go(&g, count_up, &ran), -EAGAIN);
    CHECK_INT(knit_errgroup_go(&helper, lift_limit, &g), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0); /* waits until it is lifted */
    CHECK_INT(knit_errgroup_wait(&helper), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
}

static void misbehaviour_2_the_limit_of_an_active_group_can_be_changed(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g = {0};
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 2), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    CHECK_INT(knit_errgroup_set_limit(&g, 6), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

/* 3. Go: a Go that is blocked at the limit does not notice that the context was cancelled. */

typedef struct blocked {
    knit_errgroup *g;
    atomic_int *ran;
    atomic_int at_go;
    int result;
} blocked;

static int go_at_the_limit(void *arg)
{
    blocked *b = arg;
    b->at_go = 1;
    b->result = knit_errgroup_go(b->g, count_up, b->ran);
    return 0;
}

static int ignore_cancel(void *arg)
{
    atomic_int *may_end = arg;
    kt_until(*may_end);
    return 0;
}

static void misbehaviour_3_a_blocked_go_is_woken_by_the_cancel(void)
{
    atomic_int ran = 0, may_end = 0;
    knit_errgroup g, caller = {0};
    knit_errgroup_options options = {.limit = 1};
    blocked b = {.g = &g, .ran = &ran, .result = 1};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, ignore_cancel, &may_end), 0);
    CHECK_INT(knit_errgroup_go(&caller, go_at_the_limit, &b), 0);
    kt_until(b.at_go);
    knit_errgroup_cancel(&g, -EXDEV);
    CHECK_INT(knit_errgroup_wait(&caller), 0); /* although the slot is still held */
    CHECK_INT(b.result, -ECANCELED);
    may_end = 1;
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(ran, 0);
}

/* 4. Go: a task that is handed to Go after another failed is started all the same, 5 of 5. */

static void misbehaviour_4_no_task_starts_after_a_failure(void)
{
    atomic_int ran = 0;
    int code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    kt_until(knit_ctx_err(knit_errgroup_ctx(&g)));
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 5);
}

static int fail_with_a_queue_behind(void *arg)
{
    blocked *b = arg;
    for (int i = 0; i < 5; i++) {
        int r = knit_errgroup_go(b->g, count_up, b->ran);
        if (r < 0)
            return r;
    }
    return -EIO;
}

static void misbehaviour_4_what_was_queued_before_the_failure_is_skipped(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    knit_errgroup_options options = {.limit = 1};
    blocked b = {.g = &g, .ran = &ran};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_with_a_queue_behind, &b), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 5);
    CHECK_INT(counts_of(&g).submitted, 6);
}

/* 5. Go: a group whose context had a deadline returns nil when its tasks succeed after it (nil
 * after 200 ms with a limit of 50 ms). */

static int succeed_after_the_deadline(void *arg)
{
    (void)arg;
    kt_until(knit_ctx_err(knit_ctx_current()) != 0);
    return 0;
}

/* 1: not all tasks could start before the deadline, so it proves nothing. */
static int wait_under_deadline(unsigned flags, int tasks, knit_duration timeout)
{
    knit_errgroup_options options = {.flags = flags, .timeout = timeout};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    for (int i = 0; i < tasks; i++)
        (void)knit_errgroup_go(&g, succeed_after_the_deadline, NULL);
    int r = knit_errgroup_wait(&g);
    return counts_of(&g).skipped ? 1 : r;
}

static int wait_under_deadline_until_all_ran(unsigned flags, int tasks)
{
    int r = 1;
    for (knit_duration timeout = 200 * KNIT_MICROSECOND; r == 1; timeout *= 2)
        r = wait_under_deadline(flags, tasks, timeout);
    return r;
}

static void misbehaviour_5_success_after_the_deadline_is_no_success(void)
{
    CHECK_INT(wait_under_deadline_until_all_ran(0, 1), -ETIMEDOUT);
    CHECK_INT(wait_under_deadline_until_all_ran(0, 3), -ETIMEDOUT);
    CHECK_INT(wait_under_deadline_until_all_ran(KNIT_ERRGROUP_KEEP_GOING, 3), -ETIMEDOUT);
}

static void misbehaviour_5_late_ok_makes_it_one(void)
{
    CHECK_INT(wait_under_deadline_until_all_ran(KNIT_ERRGROUP_LATE_OK, 3), 0);
}

static int wait_for_context(void *arg)
{
    (void)arg;
    return knit_ctx_wait(knit_ctx_current());
}

static void misbehaviour_5_late_ok_needs_all_tasks_to_succeed(void)
{
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_LATE_OK, .timeout = KNIT_MILLISECOND};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    (void)knit_errgroup_go(&g, wait_for_context, NULL);
    (void)knit_errgroup_go(&g, succeed_after_the_deadline, NULL);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
    CHECK_INT(counts_of(&g).failed, 0);
}

/* 6. Go: Wait cancels the context also after a success, so a group that is used again hands its
 * tasks a dead one, and what was derived from it fails after the Wait. */

static int need_a_living_context(void *arg)
{
    int r = knit_sleep(KNIT_MICROSECOND);
    if (r == 0)
        atomic_fetch_add((atomic_int *)arg, 1);
    return r;
}

static void misbehaviour_6_a_group_works_again_after_wait(void)
{
    atomic_int ran = 0;
    knit_errgroup made, zero = {0};
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 3; i++) {
            CHECK_INT(knit_errgroup_go(&made, need_a_living_context, &ran), 0);
            CHECK_INT(knit_errgroup_go(&zero, need_a_living_context, &ran), 0);
        }
        CHECK_INT(knit_errgroup_wait(&made), 0);
        CHECK_INT(knit_errgroup_wait(&zero), 0);
        CHECK_INT(ran, 6 * round);
    }
}

static void misbehaviour_6_the_context_lives_on_after_a_success(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    knit_ctx *ctx = knit_ctx_ref(knit_errgroup_ctx(&g));
    CHECK_INT(knit_errgroup_go(&g, need_a_living_context, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_ctx_err(ctx), 0);
    knit_ctx_unref(ctx);
}

static const knittest tests[] = {
    BOTH(misbehaviour_1_nested_go_under_a_limit_does_not_deadlock),
    BOTH(misbehaviour_2_limit_0_is_a_pause_that_can_be_lifted),
    BOTH(misbehaviour_2_the_limit_of_an_active_group_can_be_changed),
    BOTH(misbehaviour_3_a_blocked_go_is_woken_by_the_cancel),
    BOTH(misbehaviour_4_no_task_starts_after_a_failure),
    BOTH(misbehaviour_4_what_was_queued_before_the_failure_is_skipped),
    BOTH(misbehaviour_5_success_after_the_deadline_is_no_success),
    BOTH(misbehaviour_5_late_ok_makes_it_one),
    BOTH(misbehaviour_5_late_ok_needs_all_tasks_to_succeed),
    BOTH(misbehaviour_6_a_group_works_again_after_wait),
    BOTH(misbehaviour_6_the_context_lives_on_after_a_success),
};
KNITTEST_MAIN(tests)
