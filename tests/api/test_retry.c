/* knit_retry. IDs: docs of the systems it comes from (GB: gollback, HU: Hunch). */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

/* A function that fails some times first. */
struct flaky {
    int failures; /* left; < 0: always */
    int code;
    int calls;
    const char *text; /* said with each failure */
    knit_time at[8];  /* of the first calls */
};

static int call(void *arg)
{
    struct flaky *f = arg;

    if (f->calls < 8)
        f->at[f->calls] = knit_now();
    f->calls++;
    if (f->failures == 0)
        return 0;
    if (f->failures > 0)
        f->failures--;
    return f->text ? knit_error(f->code, "%s %d", f->text, f->calls) : f->code;
}

static const knit_retry_policy at_once = {.base = -1};

static knit_retry_policy at_once_times(int attempts)
{
    return (knit_retry_policy){.attempts = attempts, .base = -1};
}

/* ---- how often ---- */

/* HU-10, HU-13, GB-7 */
static void success_is_returned_after_one_call(void)
{
    struct flaky f = {0};
    knit_retry_policy p = at_once_times(10);

    CHECK_INT(knit_retry(call, &f, &p), 0);
    CHECK_INT(f.calls, 1);
}

/* HU-14 */
static void a_failure_is_tried_again(void)
{
    struct flaky f = {.failures = 1, .code = -EIO};
    knit_retry_policy p = at_once_times(3);

    CHECK_INT(knit_retry(call, &f, &p), 0);
    CHECK_INT(f.calls, 2);
}

/* GB-6, HU-15 */
static void the_last_error_comes_back_when_the_attempts_are_used_up(void)
{
    struct flaky f = {.failures = -1, .code = -EIO};
    knit_retry_policy p = at_once_times(5);

    CHECK_INT(knit_retry(call, &f, &p), -EIO);
    CHECK_INT(f.calls, 5);
    f = (struct flaky){.failures = -1, .code = 7};
    p = at_once_times(1);
    CHECK_INT(knit_retry(call, &f, &p), 7);
    CHECK_INT(f.calls, 1);
}

static void zero_attempts_means_any_number(void)
{
    struct flaky f = {.failures = 1000, .code = -EIO};

    CHECK_INT(knit_retry(call, &f, &at_once), 0);
    CHECK_INT(f.calls, 1001);
}

static int not_eperm(int code, void *arg)
{
    ++*(int *)arg;
    return code != -EPERM;
}

static int io_then_perm(void *arg)
{
    return ++*(int *)arg < 3 ? -EIO : -EPERM;
}

static void retry_if_decides_by_the_code(void)
{
    int calls = 0, asked = 0;
    knit_retry_policy p = {.base = -1, .retry_if = not_eperm, .arg = &asked};

    CHECK_INT(knit_retry(io_then_perm, &calls, &p), -EPERM);
    CHECK_INT(calls, 3);
    CHECK_INT(asked, 3);
}

/* ---- contexts ---- */

/* Run with the ambient context ctx. */
static int retry_under(knit_ctx *ctx, knit_fn *fn, void *arg, const knit_retry_policy *p)
{
    knit_ctx_scope scope;
    int r;

    knit_ctx_enter(ctx, &scope);
    r = knit_retry(fn, arg, p);
    knit_ctx_leave(&scope);
    return r;
}

/* With a deadline; later and later, until one attempt at least came before it. */
static int retry_until_deadline(struct flaky *f)
{
    int r = 0;

    for (knit_duration timeout = 20 * KNIT_MILLISECOND; f->calls == 0; timeout *= 2) {
        knit_ctx *ctx;

        CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), timeout, &ctx), 0);
        r = retry_under(ctx, call, f, &at_once);
        knit_ctx_unref(ctx);
    }
    return r;
}

/* GB-5 */
static void a_deadline_ends_a_retry_without_bound(void)
{
    struct flaky f = {.failures = -1, .code = -EIO};

    CHECK_INT(retry_until_deadline(&f), -ETIMEDOUT);
}

struct waiting {
    knit_ctx *ctx;
    atomic_int calls;
};

static int fail_when_cancelled(void *arg)
{
    struct waiting *w = arg;
    int r;

    atomic_fetch_add(&w->calls, 1);
    r = knit_sleep(KNIT_FOREVER);
    return r < 0 ? r : -EIO;
}

static int cancel_when_called(void *arg)
{
    struct waiting *w = arg;

    kt_until(atomic_load(&w->calls) > 0);
    knit_ctx_cancel(w->ctx, 0);
    return 0;
}

/* HU-16 */
static void a_cancel_reaches_the_attempt_that_waits(void)
{
    knit_errgroup g = {0};
    struct waiting w = {0};

    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &w.ctx), 0);
    CHECK_INT(knit_errgroup_go(&g, cancel_when_called, &w), 0);
    CHECK_INT(retry_under(w.ctx, fail_when_cancelled, &w, &(knit_retry_policy){.attempts = 30}),
              -ECANCELED);
    CHECK_INT(w.calls, 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_ctx_unref(w.ctx);
}

static int cancel_here(void *arg)
{
    knit_ctx_cancel(arg, 0);
    return -EIO;
}

static void a_cancel_ends_an_hour_of_pause(void)
{
    knit_retry_policy p = {
        .base = 3600 * KNIT_SECOND, .max = 3600 * KNIT_SECOND, .flags = KNIT_RETRY_NO_JITTER};
    knit_ctx *ctx;

    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(retry_under(ctx, cancel_here, ctx, &p), -ECANCELED);
    knit_ctx_unref(ctx);
}

/* Hunch starts the first attempt; gollback makes none. */
static void nothing_is_tried_under_an_ended_context(void)
{
    struct flaky f = {0};
    knit_ctx *ctx;

    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, -EIO);
    CHECK_INT(retry_under(ctx, call, &f, &at_once), -ECANCELED);
    CHECK_INT(f.calls, 0);
    knit_ctx_unref(ctx);
}

/* ---- pauses ---- */

static void pauses_grow_up_to_their_bound(void)
{
    struct flaky f = {.failures = 4, .code = -EIO};
    knit_retry_policy p = {
        .base = 2 * KNIT_MILLISECOND, .max = 6 * KNIT_MILLISECOND, .flags = KNIT_RETRY_NO_JITTER};
    const int least[] = {2, 4, 6, 6};

    CHECK_INT(knit_retry(call, &f, &p), 0);
    for (int i = 0; i < 4; i++)
        CHECK(f.at[i + 1] - f.at[i] >= least[i] * KNIT_MILLISECOND);
}

/* Full jitter: 20 pauses of at most 1 ms, all together not the 20 ms they could be. The virtual clock
 * of the simulation makes it exact; elsewhere a pause may last longer than asked for. */
static void pauses_are_drawn_at_random(void)
{
    struct flaky f = {.failures = 20, .code = -EIO};
    knit_retry_policy p = {.base = KNIT_SECOND, .max = KNIT_SECOND};
    knit_time begin = knit_now();

    if (!knit_simulated(NULL))
        kt_skip("seconds of pauses: in the simulated world");
    CHECK_INT(knit_retry(call, &f, &p), 0);
    CHECK(knit_now() - begin > KNIT_SECOND);
    CHECK(knit_now() - begin < 19 * KNIT_SECOND);
}

static void a_bound_that_grows_for_ever_stays_a_time(void)
{
    struct flaky f = {.failures = -1, .code = -EIO};
    knit_retry_policy p = {.attempts = 300, .base = 1, .max = KNIT_FOREVER, .multiplier = 1e300};
    knit_ctx *ctx;

    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), 5 * KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(retry_under(ctx, call, &f, &p), -ETIMEDOUT);
    CHECK(f.calls < 300);
    knit_ctx_unref(ctx);
}

/* ---- texts ---- */

static int retry_twice(void *arg)
{
    knit_retry_policy p = at_once_times(2);

    return knit_retry(call, arg, &p);
}

static void the_text_is_that_of_the_last_attempt(void)
{
    struct flaky f = {.failures = -1, .code = -EIO, .text = "attempt"};
    knit_errgroup g = {0};
    knit_error_record rec;

    CHECK_INT(knit_errgroup_go(&g, retry_twice, &f), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, "attempt 2");
    CHECK_INT(knit_errgroup_close(&g), -EIO);
}

static int says_it_once(void *arg)
{
    return ++*(int *)arg == 1 ? knit_error(-EIO, "only the first") : -EIO;
}

static int retry_saying_it_once(void *arg)
{
    knit_retry_policy p = at_once_times(2);

    return knit_retry(says_it_once, arg, &p);
}

static void the_text_of_a_former_attempt_is_forgotten(void)
{
    knit_errgroup g = {0};
    knit_error_record rec;
    int calls = 0;

    CHECK_INT(knit_errgroup_go(&g, retry_saying_it_once, &calls), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_INT(strlen(rec.text), 0);
    CHECK_INT(knit_errgroup_close(&g), -EIO);
}

static int retry_with_a_deadline(void *arg)
{
    return retry_until_deadline(arg);
}

static void a_deadline_says_what_failed_until_then(void)
{
    struct flaky f = {.failures = -1, .code = -ECONNREFUSED};
    knit_errgroup g = {0};
    knit_error_record rec;

    CHECK_INT(knit_errgroup_go(&g, retry_with_a_deadline, &f), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, "failed attempts");
    CHECK_HAS(rec.text, knit_strerror(-ECONNREFUSED));
    CHECK_INT(knit_errgroup_close(&g), -ETIMEDOUT);
}

/* ---- misuse ---- */

static void a_policy_that_makes_no_sense_is_refused(void)
{
    const knit_retry_policy bad[] = {
        {.attempts = -1}, {.max = -1}, {.flags = 1u << 20}, {.multiplier = 0.5}, {.multiplier = -2},
    };
    struct flaky f = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(knit_retry(call, &f, &bad[i]), -EINVAL);
    CHECK_INT(knit_retry(NULL, NULL, NULL), -EINVAL);
    CHECK_INT(f.calls, 0);
    CHECK_INT(knit_retry(call, &f, NULL), 0);
}

static const knittest tests[] = {
    BOTH(success_is_returned_after_one_call),
    BOTH(a_failure_is_tried_again),
    BOTH(the_last_error_comes_back_when_the_attempts_are_used_up),
    BOTH(zero_attempts_means_any_number),
    BOTH(retry_if_decides_by_the_code),
    BOTH(a_deadline_ends_a_retry_without_bound),
    BOTH(a_cancel_reaches_the_attempt_that_waits),
    BOTH(a_cancel_ends_an_hour_of_pause),
    BOTH(nothing_is_tried_under_an_ended_context),
    BOTH(pauses_grow_up_to_their_bound),
    BOTH(pauses_are_drawn_at_random),
    BOTH(a_bound_that_grows_for_ever_stays_a_time),
    BOTH(the_text_is_that_of_the_last_attempt),
    BOTH(the_text_of_a_former_attempt_is_forgotten),
    BOTH(a_deadline_says_what_failed_until_then),
    BOTH(a_policy_that_makes_no_sense_is_refused),
};
KNITTEST_MAIN(tests)
