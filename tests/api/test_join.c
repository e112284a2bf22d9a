/* Joins: when a group has had enough, and what its wait returns. Zero tasks, 0 of n, n of too few. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

static int succeed(void *arg)
{
    (void)arg;
    return 0;
}

static int fail_with(void *arg)
{
    return *(int *)arg;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
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

static void init(knit_errgroup *g, const knit_policy *policy)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.policy = policy}), 0);
}

static int wait_for(const knit_join *join, int successes, int failures, int code)
{
    const knit_policy policy = {.join = join};
    knit_errgroup g;
    int r;
    init(&g, &policy);
    for (int i = 0; i < failures; i++) {
        r = knit_errgroup_go(&g, fail_with, &code);
        CHECK(r == 0 || r == -ECANCELED);
    }
    for (int i = 0; i < successes; i++) {
        r = knit_errgroup_go(&g, succeed, NULL);
        CHECK(r == 0 || r == -ECANCELED);
    }
    r = knit_errgroup_wait(&g);
    CHECK_INT(knit_errgroup_wait(&g), r);
    CHECK_INT(counts_of(&g).pending, 0);
    return r;
}

static const knit_join all = KNIT_JOIN_ALL, settle = KNIT_JOIN_SETTLE, any = KNIT_JOIN_ANY,
                       take_0 = KNIT_JOIN_TAKE(0), take_3 = KNIT_JOIN_TAKE(3);

static void all_wants_every_task_to_succeed(void)
{
    CHECK_INT(wait_for(&all, 5, 0, 0), 0);
    CHECK_INT(wait_for(&all, 5, 1, -EIO), -EIO);
}

static void all_cancels_the_rest_at_the_first_failure(void)
{
    const knit_policy policy = {.join = &all};
    int code = -EIO;
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).failed, 1);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 5);
    CHECK_INT(knit_errgroup_go(&g, succeed, NULL), -ECANCELED);
}

static void settle_runs_all_and_is_content(void)
{
    CHECK_INT(wait_for(&settle, 5, 3, -EIO), 0);
    CHECK_INT(wait_for(&settle, 0, 3, -EIO), 0);
}

static void any_is_content_with_one_success(void)
{
    CHECK_INT(wait_for(&any, 1, 3, -EIO), 0);
    CHECK_INT(wait_for(&any, 0, 3, -EIO), -EIO);
    CHECK_INT(wait_for(&any, 0, 3, 7), -ECHILD); /* a verdict is 0 or negative */
}

static void zero_tasks_are_defined_for_every_join(void)
{
    CHECK_INT(wait_for(&all, 0, 0, 0), 0);
    CHECK_INT(wait_for(&settle, 0, 0, 0), 0);
    CHECK_INT(wait_for(&any, 0, 0, 0), -ENODATA);
    CHECK_INT(wait_for(&take_0, 0, 0, 0), 0);
    CHECK_INT(wait_for(&take_3, 0, 0, 0), -ENODATA);
}

static void zero_of_n_is_content_at_once(void)
{
    const knit_policy policy = {.join = &take_0};
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).failed, 0);
}

static void more_than_there_are_tasks_is_a_failure(void)
{
    CHECK_INT(wait_for(&take_3, 2, 0, 0), -ENODATA);
    CHECK_INT(wait_for(&take_3, 2, 1, -EIO), -EIO);
    CHECK_INT(wait_for(&take_3, 3, 0, 0), 0);
}

/* The five are told apart by what they do: three fail, so three successes cannot be reached any more,
 * and the two that sleep are cancelled. */
static void an_impossible_quorum_fails_at_once(void)
{
    const knit_policy policy = {.join = &take_3};
    kt_gate gate = kt_gate_new();
    int code = -EIO;
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).failed, 3);
    CHECK_INT(counts_of(&g).pending, 0);
    kt_gate_free(gate);
}

/* The same when all failures have come before anybody waits. */
static void a_quorum_that_became_impossible_is_seen_by_the_wait(void)
{
    const knit_policy policy = {.join = &take_3};
    int code = -EIO;
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    kt_until(counts_of(&g).failed == 3);
    CHECK_INT(counts_of(&g).echoes, 0); /* more could still have been submitted */
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
}

static void a_quorum_of_three_of_five_cancels_the_others(void)
{
    const knit_policy policy = {.join = &take_3};
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).done, 3);
    CHECK_INT(counts_of(&g).failed, 0);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 2);
}

static int is_seven(void *state, const knit_join_event *e)
{
    atomic_fetch_add((atomic_int *)state, 1);
    return e->result == 7;
}

static void until_stops_at_the_end_that_is_looked_for(void)
{
    atomic_int asked = 0;
    const knit_join join = KNIT_JOIN_UNTIL(is_seven, &asked);
    const knit_policy policy = {.join = &join};
    int seven = 7, eight = 8;
    knit_errgroup g;
    init(&g, &policy);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_with, &eight), 0);
    kt_until(atomic_load(&asked) == 1); /* a failure is counted before the join is asked */
    CHECK_INT(knit_errgroup_go(&g, fail_with, &seven), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(asked, 2); /* not after the decision */
    atomic_store(&asked, 0);
    CHECK_INT(wait_for(&join, 2, 0, 0), -ENODATA);
    CHECK_INT(asked, 2);
}

/* ---- a join of one's own --------------------------------------------------------------------- */

typedef struct diary {
    atomic_int inside;
    int added, waited, done, result, timeout;
    size_t seen[64];
    int refuse_from;
} diary;

static int on_add(const knit_join *join, const knit_join_event *e)
{
    diary *d = join->state;
    CHECK_INT(atomic_fetch_add(&d->inside, 1), 0);
    CHECK_INT(e->waited, d->waited > 0);
    d->added++;
    atomic_fetch_sub(&d->inside, 1);
    return d->refuse_from && d->added >= d->refuse_from ? -EPERM : 0;
}

static int on_wait(const knit_join *join, const knit_join_event *e)
{
    diary *d = join->state;
    CHECK_INT(e->waited, 1);
    d->waited++;
    return 0;
}

static int on_done(const knit_join *join, const knit_join_event *e)
{
    diary *d = join->state;
    CHECK_INT(atomic_fetch_add(&d->inside, 1), 0); /* one at a time */
    CHECK_INT(e->succeeded + e->failed + e->echoes + e->skipped, d->done + 1);
    CHECK(e->index < 64 && d->seen[e->index] == 0);
    d->seen[e->index]++;
    d->done++;
    atomic_fetch_sub(&d->inside, 1);
    return 0;
}

static int on_result(const knit_join *join, const knit_join_event *e)
{
    diary *d = join->state;
    CHECK_INT(e->open, 0);
    d->result++;
    return -EXDEV;
}

static int on_timeout(const knit_join *join, const knit_join_event *e)
{
    diary *d = join->state;
    d->timeout++;
    return e->succeeded > 0 ? 0 : -ETIME;
}

static knit_join join_of(diary *d)
{
    return (knit_join){.on_add = on_add,
                       .on_wait = on_wait,
                       .on_done = on_done,
                       .on_timeout = on_timeout,
                       .result = on_result,
                       .state = d};
}

static void a_join_sees_every_end_once_and_alone(void)
{
    enum { N = 64 };
    diary d = {0};
    const knit_join join = join_of(&d);
    const knit_policy policy = {.join = &join};
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(d.added, N);
    CHECK_INT(d.done, N);
    CHECK_INT(d.waited, 1);
    CHECK_INT(d.result, 1);
    CHECK_INT(d.timeout, 0);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(d.result, 1);
}

static void a_join_may_refuse_tasks(void)
{
    diary d = {.refuse_from = 3};
    const knit_join join = join_of(&d);
    const knit_policy policy = {.join = &join};
    knit_errgroup g;
    init(&g, &policy);
    CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, succeed, NULL), -EPERM);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(d.done, 2);
}

/* False: the deadline came before the success, so it proves nothing. */
static bool wait_under_deadline(bool good, knit_duration timeout)
{
    diary d = {0};
    const knit_join join = join_of(&d);
    const knit_policy policy = {.join = &join};
    knit_errgroup g;
    CHECK_INT(
        knit_errgroup_init(&g, &(knit_errgroup_options){.policy = &policy, .timeout = timeout}), 0);
    if (good) {
        bool began = knit_errgroup_go(&g, succeed, NULL) == 0;
        kt_until(counts_of(&g).pending == 0);
        if (!began || counts_of(&g).skipped) {
            (void)knit_errgroup_wait(&g);
            return false;
        }
    }
    int r = knit_errgroup_go(&g, sleep_for_ever, NULL);
    CHECK(r == 0 || r == -ETIMEDOUT); /* this machine may be slow */
    CHECK_INT(knit_errgroup_wait(&g), good ? 0 : r == 0 ? -ETIME : -ETIMEDOUT);
    CHECK_INT(d.timeout, good || r == 0);
    CHECK_INT(d.result, 0);
    return true;
}

static void a_join_says_what_a_deadline_means(void)
{
    knit_duration timeout = 20 * KNIT_MILLISECOND;
    CHECK(wait_under_deadline(false, timeout));
    while (!wait_under_deadline(true, timeout))
        timeout *= 2;
}

/* ---- with the rest --------------------------------------------------------------------------- */

static void failures_are_recorded_although_the_join_is_content(void)
{
    const knit_policy policy = {.join = &settle};
    int code = -EIO;
    knit_error_record record;
    knit_errgroup g;
    init(&g, &policy);
    CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_INT(record.code, -EIO);
    CHECK_INT(record.index, 1);
    CHECK_INT(counts_of(&g).failed, 1);
}

static void a_cancel_from_outside_is_the_result(void)
{
    const knit_policy policy = {.join = &take_3};
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    knit_errgroup_cancel(&g, -EPIPE);
    CHECK_INT(knit_errgroup_wait(&g), -EPIPE);
}

static void a_parent_that_ends_is_the_result(void)
{
    const knit_policy policy = {.join = &take_3};
    knit_ctx *ctx;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.policy = &policy, .ctx = ctx}), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    knit_ctx_unref(ctx);
}

static void a_group_that_settles_can_be_used_again(void)
{
    const knit_policy policy = {.join = &settle};
    knit_errgroup g;
    init(&g, &policy);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(counts_of(&g).done, 4 * (round + 1));
    }
}

static void a_close_needs_no_decision(void)
{
    const knit_policy policy = {.join = &take_3};
    knit_errgroup g;
    init(&g, &policy);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
}

static void many_ends_at_once_decide_once(void)
{
    const knit_policy policy = {.join = &any};
    for (int round = 0; round < kt_count(200); round++) {
        kt_gate gate = kt_gate_new();
        knit_errgroup g;
        init(&g, &policy);
        for (int i = 0; i < 16; i++)
            CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
        kt_gate_open(gate);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK(counts_of(&g).done >= 1);
        CHECK_INT(counts_of(&g).failed, 0);
        kt_gate_free(gate);
    }
}

/* ---- error policies -------------------------------------------------------------------------- */

static void stop_lets_go_on_what_runs_and_skips_the_rest(void)
{
    kt_gate gate = kt_gate_new();
    int code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_STOP}), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    (void)knit_yield();
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.pending, 2);
    CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    kt_until(counts_of(&g).failed == 1 && knit_errgroup_go(&g, succeed, NULL) == -ECANCELED);
    CHECK_INT(knit_ctx_err(knit_errgroup_ctx(&g)), 0); /* nobody is told */
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).echoes, 0);
    CHECK_INT(counts_of(&g).failed, 1);
    kt_gate_free(gate);
}

static void all_errors_can_be_kept(void)
{
    enum { N = 500 };
    int code = -EIO;
    knit_error_record record;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_KEEP_GOING,
                                                              .keep_errors = KNIT_ALL_ERRORS}),
              0);
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, fail_with, &code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, N - 1, &record), 0);
    CHECK_INT(knit_errgroup_error(&g, N, &record), -ENOENT);
    CHECK_INT(counts_of(&g).failed, N);
}

/* ---- progress -------------------------------------------------------------------------------- */

typedef struct progress {
    atomic_int inside;
    int calls;
    knit_errgroup_counts last;
} progress;

static void on_progress(void *arg, const knit_errgroup_counts *counts)
{
    progress *p = arg;
    CHECK_INT(atomic_fetch_add(&p->inside, 1), 0);
    CHECK(counts->done >= p->last.done);
    p->calls++;
    p->last = *counts;
    atomic_fetch_sub(&p->inside, 1);
}

static void progress_is_told_at_ends_and_at_the_end(void)
{
    progress p = {0};
    const knit_policy policy = {.progress = on_progress, .progress_arg = &p};
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(p.calls, 101);
    CHECK_INT(p.last.done, 100);
    CHECK_INT(p.last.pending, 0);
}

static void progress_is_told_no_more_often_than_asked(void)
{
    progress p = {0};
    const knit_policy policy = {
        .progress = on_progress, .progress_arg = &p, .progress_every = 3600 * KNIT_SECOND};
    knit_errgroup g;
    init(&g, &policy);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, succeed, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(p.calls, 2); /* at the first end, and at the last word */
}

static void policies_that_make_no_sense_are_refused(void)
{
    const knit_policy bad[] = {{.overflow = 9},
                               {.interval = -1},
                               {.progress_every = -1},
                               {.interval = INT64_MAX / 2, .burst = 4}};
    knit_errgroup g;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.policy = &bad[i]}), -EINVAL);
}

static const knittest tests[] = {
    BOTH(all_wants_every_task_to_succeed),
    BOTH(all_cancels_the_rest_at_the_first_failure),
    BOTH(settle_runs_all_and_is_content),
    BOTH(any_is_content_with_one_success),
    BOTH(zero_tasks_are_defined_for_every_join),
    BOTH(zero_of_n_is_content_at_once),
    BOTH(more_than_there_are_tasks_is_a_failure),
    BOTH(an_impossible_quorum_fails_at_once),
    BOTH(a_quorum_that_became_impossible_is_seen_by_the_wait),
    BOTH(a_quorum_of_three_of_five_cancels_the_others),
    BOTH(until_stops_at_the_end_that_is_looked_for),
    BOTH(a_join_sees_every_end_once_and_alone),
    BOTH(a_join_may_refuse_tasks),
    BOTH(a_join_says_what_a_deadline_means),
    BOTH(failures_are_recorded_although_the_join_is_content),
    BOTH(a_cancel_from_outside_is_the_result),
    BOTH(a_parent_that_ends_is_the_result),
    BOTH(a_group_that_settles_can_be_used_again),
    BOTH(a_close_needs_no_decision),
    BOTH(many_ends_at_once_decide_once),
    BOTH(stop_lets_go_on_what_runs_and_skips_the_rest),
    BOTH(all_errors_can_be_kept),
    BOTH(progress_is_told_at_ends_and_at_the_end),
    BOTH(progress_is_told_no_more_often_than_asked),
    THREAD(policies_that_make_no_sense_are_refused),
};

KNITTEST_MAIN(tests)
