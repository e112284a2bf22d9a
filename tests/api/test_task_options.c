/* Tasks with options of their own: names, delays, timeouts, retries, services, clean-up. */
#include "knittest.h"

#include <limits.h>
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

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static int fail_with(void *arg)
{
    return *(int *)arg;
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

static void yield_some(int n)
{
    for (int i = 0; i < n; i++)
        (void)knit_yield();
}

/* ---- names, timeouts, delays ----------------------------------------------------------------- */

static void options_null_is_a_plain_go(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go_with(&g, count_up, &ran, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 100);
    CHECK_INT(counts_of(&g).done, 100);
}

static int check_name(void *arg)
{
    return strcmp(knit_task_name(), arg) == 0 ? 0 : -EINVAL;
}

static void a_task_is_called_what_it_is_told(void)
{
    char name[] = "number 7";
    int code = -EIO;
    knit_error_record record;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_with(&g, check_name, name, &(knit_task_options){.name = name}), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_go_with(&g, fail_with, &code, &(knit_task_options){.name = name}), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.task, "number 7");
    CHECK_INT(record.index, 1);
}

static void a_timeout_is_the_failure_of_its_task_alone(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_KEEP_GOING}),
              0);
    CHECK_INT(knit_errgroup_go_with(&g, sleep_for_ever, NULL,
                                    &(knit_task_options){.timeout = 5 * KNIT_MILLISECOND}),
              0);
    CHECK_INT(knit_errgroup_go_with(&g, count_up, &ran,
                                    &(knit_task_options){.timeout = 3600 * KNIT_SECOND}),
              0);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
    CHECK_INT(ran, 1);
    CHECK_INT(counts_of(&g).failed, 1);
    CHECK_INT(counts_of(&g).echoes, 0);
}

static int note_time(void *arg)
{
    *(knit_time *)arg = knit_now();
    return 0;
}

static void a_delay_is_at_least_as_long_as_asked(void)
{
    const knit_duration delay = 20 * KNIT_MILLISECOND;
    knit_time began = knit_now(), ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_with(&g, note_time, &ran, &(knit_task_options){.delay = delay}), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(ran - began >= delay);
}

static void a_delayed_task_holds_no_place(void)
{
    atomic_int ran = 0, late = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1}), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go_with(&g, count_up, &late,
                                        &(knit_task_options){.delay = 3600 * KNIT_SECOND}),
                  0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_until(ran == 20);
    kt_until(counts_of(&g).pending == 5); /* the last one that counted may not have ended yet */
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(late, 0);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 5);
}

static void after_its_delay_a_task_asks_for_a_place(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int late = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1}), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go_with(&g, count_up, &late,
                                        &(knit_task_options){.delay = KNIT_MILLISECOND}),
                  0);
    CHECK_INT(knit_sleep(20 * KNIT_MILLISECOND), 0);
    CHECK_INT(late, 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(late, 5);
    kt_gate_free(gate);
}

/* ---- retries --------------------------------------------------------------------------------- */

typedef struct flaky {
    atomic_int calls;
    int good; /* the call that succeeds */
} flaky;

static int fail_some_times(void *arg)
{
    flaky *f = arg;
    return atomic_fetch_add(&f->calls, 1) + 1 >= f->good ? 0 : knit_error(-EIO, "not yet");
}

static void a_task_is_tried_again(void)
{
    const knit_retry_policy retry = {.attempts = 10, .base = KNIT_MICROSECOND};
    flaky f = {.good = 4}, hopeless = {.good = 100};
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_with(&g, fail_some_times, &f, &(knit_task_options){.retry = &retry}),
              0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(f.calls, 4);
    CHECK_INT(counts_of(&g).failed, 0);
    CHECK_INT(knit_errgroup_go_with(&g, fail_some_times, &hopeless,
                                    &(knit_task_options){.retry = &retry}),
              0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(hopeless.calls, 10);
    CHECK_INT(counts_of(&g).failed, 1);
    knit_error_record record;
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.text, "not yet");
}

typedef struct inliner {
    knit_errgroup *g;
    flaky f;
    int started;
} inliner;

static int start_inline(void *arg)
{
    static const knit_retry_policy retry = {.base = KNIT_MICROSECOND};
    inliner *i = arg;
    i->started =
        knit_errgroup_go_with(i->g, fail_some_times, &i->f, &(knit_task_options){.retry = &retry});
    return 0;
}

/* The only place is its caller's, who goes on when it has ended. */
static void a_task_that_runs_inline_asks_for_no_place_between_attempts(void)
{
    const knit_policy policy = {.overflow = KNIT_OVERFLOW_INLINE};
    inliner i = {.f = {.good = 3}};
    knit_errgroup g;
    i.g = &g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1, .policy = &policy}), 0);
    CHECK_INT(knit_errgroup_go(&g, start_inline, &i), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(i.started, 0);
    CHECK_INT(i.f.calls, 3);
}

static int only_eio(int code, void *arg)
{
    (void)arg;
    return code == -EIO;
}

static void a_test_decides_which_errors_are_tried_again(void)
{
    const knit_retry_policy retry = {.attempts = 10, .base = -1, .retry_if = only_eio};
    int code = -ENOENT;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_with(&g, fail_with, &code, &(knit_task_options){.retry = &retry}),
              0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);
}

static void the_pause_between_two_attempts_holds_no_place(void)
{
    const knit_retry_policy retry = {
        .base = 3600 * KNIT_SECOND, .max = 3600 * KNIT_SECOND, .flags = KNIT_RETRY_NO_JITTER};
    flaky f = {.good = 2};
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1}), 0);
    CHECK_INT(knit_errgroup_go_with(&g, fail_some_times, &f, &(knit_task_options){.retry = &retry}),
              0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_until(ran == 20);
    CHECK_INT(f.calls, 1);
    kt_until(counts_of(&g).pending == 1);  /* who has counted may not have ended yet */
    CHECK_INT(knit_errgroup_close(&g), 0); /* and it ends at a cancel */
    CHECK_INT(counts_of(&g).echoes, 1);
}

typedef struct crowded {
    atomic_int now, most, calls;
} crowded;

static int fail_twice_crowded(void *arg)
{
    crowded *c = arg;
    int now = atomic_fetch_add(&c->now, 1) + 1, most = atomic_load(&c->most);
    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        continue;
    (void)knit_yield();
    atomic_fetch_sub(&c->now, 1);
    return atomic_fetch_add(&c->calls, 1) % 3 == 2 ? 0 : -EIO;
}

/* Half of them weigh two, and the places given back in a pause are the ones asked for again. */
static void retries_respect_the_limit(void)
{
    const knit_retry_policy retry = {.base = 10 * KNIT_MICROSECOND};
    crowded c = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 4}), 0);
    for (int i = 0; i < 60; i++)
        CHECK_INT(knit_errgroup_go_with(
                      &g, fail_twice_crowded, &c,
                      &(knit_task_options){.retry = &retry, .weight = 1 + (unsigned)i % 2}),
                  0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(c.most <= 4);
    kt_gate gate = kt_gate_new();
    for (int i = 0; i < 4; i++) /* all places are back, and no more */
        CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

/* It grows until one attempt at least came before it. */
static void a_timeout_covers_all_attempts(void)
{
    const knit_retry_policy retry = {.base = KNIT_MILLISECOND, .max = KNIT_MILLISECOND};
    flaky f = {.good = INT_MAX};
    for (knit_duration timeout = 30 * KNIT_MILLISECOND; f.calls == 0; timeout *= 2) {
        knit_error_record record;
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go_with(&g, fail_some_times, &f,
                                        &(knit_task_options){.retry = &retry, .timeout = timeout}),
                  0);
        CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
        CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
        if (f.calls > 0)
            CHECK_HAS(record.text, knit_strerror(-EIO));
    }
}

/* ---- services -------------------------------------------------------------------------------- */

static int serve(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_sleep(KNIT_FOREVER);
}

static const knit_task_options service = {.flags = KNIT_TASK_SERVICE};

static void services_end_with_the_last_task_that_is_none(void)
{
    for (int inited = 0; inited < 2; inited++) {
        kt_gate gate = kt_gate_new();
        atomic_int serving = 0, ran = 0;
        knit_errgroup g = {0};
        if (inited)
            CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1}), 0);
        for (int i = 0; i < 3; i++)
            CHECK_INT(knit_errgroup_go_with(&g, serve, &serving, &service), 0);
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
        kt_until(serving == 3); /* under limit 1, beside a task that holds the place */
        kt_gate_open(gate);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(ran, 1);
        CHECK_INT(counts_of(&g).echoes, 3);
        CHECK_INT(counts_of(&g).failed, 0);
        kt_gate_free(gate);
    }
}

typedef struct told {
    atomic_int begun, calls, looked;
} told;

static void look_at_context(void *arg)
{
    told *t = arg;
    if (knit_ctx_current())
        atomic_fetch_add(&t->looked, 1);
    atomic_fetch_add(&t->calls, 1);
}

static int serve_and_be_told(void *arg)
{
    told *t = arg;
    knit_ctx_after_handle after;
    CHECK_INT(knit_ctx_after(knit_ctx_current(), look_at_context, arg, &after), 0);
    atomic_fetch_add(&t->begun, 1);
    int r = knit_sleep(KNIT_FOREVER);
    kt_until(atomic_load(&t->calls) == 3); /* a stop might come before the call */
    CHECK_INT(knit_ctx_after_stop(&after), 0);
    return r;
}

static int yield_and_end(void *arg)
{
    told *t = arg;
    kt_until(atomic_load(&t->begun) == 3); /* else they may be skipped */
    yield_some(20);
    return 0;
}

/* The last task has ended then, and it may be a worker's loop that tells them. */
static void what_follows_the_end_of_services_has_a_context(void)
{
    told t = {0};
    knit_errgroup g = {0};
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go_with(&g, serve_and_be_told, &t,
                                        &(knit_task_options){.flags = KNIT_TASK_SERVICE}),
                  0);
    CHECK_INT(knit_errgroup_go(&g, yield_and_end, &t), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(t.looked, 3);
}

static void services_do_not_end_before_somebody_waits(void)
{
    atomic_int serving = 0, ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_with(&g, serve, &serving, &service), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_until(serving == 1 && ran == 1 && counts_of(&g).pending == 1);
    yield_some(100);
    CHECK_INT(counts_of(&g).pending, 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_go_with(&g, serve, &serving, &service), 0); /* and again */
    kt_until(serving == 2);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void services_alone_end_at_the_wait(void)
{
    atomic_int serving = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go_with(&g, serve, &serving, &service), 0);
    CHECK_INT(knit_errgroup_wait_until(&g, KNIT_FOREVER), 0);
    CHECK_INT(counts_of(&g).echoes + counts_of(&g).skipped, 3);
}

static void a_service_that_fails_is_a_failure(void)
{
    int code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(&g, sleep_for_ever, NULL, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(&g, fail_with, &code, &service), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
}

/* ---- clean-up -------------------------------------------------------------------------------- */

static const knit_task_options anyway = {.flags = KNIT_TASK_RUN_ANYWAY};

static int clean_up(void *arg)
{
    int r = knit_sleep(KNIT_MILLISECOND); /* it may wait */
    atomic_fetch_add((atomic_int *)arg, 1);
    return r;
}

static void what_cleans_up_runs_although_the_group_was_cancelled(void)
{
    atomic_int ran = 0, cleaned = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1}), 0);
    knit_errgroup_cancel(&g, -EPIPE);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go_with(&g, clean_up, &cleaned, &anyway), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EPIPE);
    CHECK_INT(ran, 0);
    CHECK_INT(cleaned, 5);
    CHECK_INT(counts_of(&g).done, 5);
}

static void what_cleans_up_is_not_told_of_the_cancel(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(
                  &g, wait_at_gate, &gate,
                  &(knit_task_options){.flags = KNIT_TASK_RUN_ANYWAY, .timeout = KNIT_FOREVER}),
              0);
    knit_errgroup_cancel(&g, -EPIPE);
    yield_some(100);
    CHECK_INT(counts_of(&g).pending, 1);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EPIPE);
    CHECK_INT(counts_of(&g).done, 1);
    kt_gate_free(gate);
}

static void what_cleans_up_has_a_budget(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(&g, sleep_for_ever, NULL,
                                    &(knit_task_options){.flags = KNIT_TASK_RUN_ANYWAY,
                                                         .timeout = 5 * KNIT_MILLISECOND}),
              0);
    CHECK_INT(knit_errgroup_wait(&g), -ETIMEDOUT);
}

typedef struct cleaner {
    knit_errgroup *g;
    atomic_int *cleaned;
} cleaner;

static int start_clean_up(void *arg)
{
    cleaner *c = arg;
    (void)knit_sleep(KNIT_FOREVER); /* until the close */
    return knit_errgroup_go_with(c->g, clean_up, c->cleaned, &anyway);
}

static void a_member_starts_clean_up_in_a_closed_group(void)
{
    atomic_int cleaned = 0, began = 0;
    knit_errgroup g;
    cleaner c = {&g, &cleaned};
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, start_clean_up, &c), 0);
    CHECK_INT(knit_errgroup_go(&g, serve, &began), 0);
    kt_until(began == 1);
    int r = knit_errgroup_close(&g);
    CHECK_INT(r, 0);
    CHECK_INT(cleaned, counts_of(&g).skipped == 0);
    CHECK_INT(knit_errgroup_go_with(&g, clean_up, &cleaned, &anyway), -ECANCELED);
}

/* ---- together -------------------------------------------------------------------------------- */

static void a_handle_is_had_with_options(void)
{
    const knit_retry_policy retry = {.base = KNIT_MICROSECOND};
    flaky f = {.good = 3};
    knit_task *task = NULL, *sleeper = NULL;
    int result = 1;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 3}), 0);
    CHECK_INT(knit_errgroup_go_with(
                  &g, fail_some_times, &f,
                  &(knit_task_options){.retry = &retry, .weight = 2, .ret_task = &task}),
              0);
    CHECK_INT(knit_task_wait(task, &result), 0);
    CHECK_INT(result, 0);
    CHECK_INT(f.calls, 3);
    CHECK_INT(knit_errgroup_go_with(
                  &g, sleep_for_ever, NULL,
                  &(knit_task_options){.delay = 3600 * KNIT_SECOND, .ret_task = &sleeper}),
              0);
    knit_task_cancel(sleeper, 0);
    CHECK_INT(knit_task_wait(sleeper, &result), 0);
    CHECK_INT(result, -ECANCELED);
    knit_task_unref(task);
    knit_task_unref(sleeper);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int leave_early(void *arg)
{
    return knit_task_exit(*(int *)arg);
}

static void an_exit_gives_back_everything(void)
{
    const knit_retry_policy retry = {.base = KNIT_MICROSECOND};
    int code = 0;
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 3}), 0);
    for (int i = 0; i < 30; i++)
        CHECK_INT(
            knit_errgroup_go_with(
                &g, leave_early, &code,
                &(knit_task_options){.weight = 3, .retry = &retry, .timeout = 3600 * KNIT_SECOND}),
            0);
    CHECK_INT(knit_errgroup_go_with(&g, leave_early, &code, &service), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_try_go(&g, wait_at_gate, &gate), -EAGAIN);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gate);
}

static void options_that_make_no_sense_are_refused(void)
{
    const knit_retry_policy bad_retry = {.attempts = -1};
    const knit_task_options bad[] = {{.flags = 4},         {.priority = 3}, {.priority = -3},
                                     {.delay = -1},        {.timeout = -1}, {.weight = UINT32_MAX},
                                     {.retry = &bad_retry}};
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(knit_errgroup_go_with(&g, count_up, &ran, &bad[i]), -EINVAL);
    CHECK_INT(knit_errgroup_go_with(&g, NULL, &ran, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_go_with(NULL, count_up, &ran, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 0);
}

static void a_late_task_heavier_than_the_limiter_is_refused(void)
{
    knit_semaphore limiter;
    CHECK_INT(knit_semaphore_init(&limiter, 2), 0);
    const knit_policy policy = {.limiter = &limiter};
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.policy = &policy}), 0);
    CHECK_INT(
        knit_errgroup_go_with(&g, count_up, &ran, &(knit_task_options){.delay = 1, .weight = 3}),
        -E2BIG);
    CHECK_INT(
        knit_errgroup_go_with(&g, count_up, &ran, &(knit_task_options){.delay = 1, .weight = 2}),
        0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
}

static const knittest tests[] = {
    BOTH(options_null_is_a_plain_go),
    BOTH(a_task_is_called_what_it_is_told),
    BOTH(a_timeout_is_the_failure_of_its_task_alone),
    BOTH(a_delay_is_at_least_as_long_as_asked),
    BOTH(a_delayed_task_holds_no_place),
    BOTH(after_its_delay_a_task_asks_for_a_place),
    BOTH(a_task_is_tried_again),
    BOTH(a_task_that_runs_inline_asks_for_no_place_between_attempts),
    BOTH(a_test_decides_which_errors_are_tried_again),
    BOTH(the_pause_between_two_attempts_holds_no_place),
    BOTH(retries_respect_the_limit),
    BOTH(a_timeout_covers_all_attempts),
    BOTH(services_end_with_the_last_task_that_is_none),
    BOTH(what_follows_the_end_of_services_has_a_context),
    BOTH(services_do_not_end_before_somebody_waits),
    BOTH(services_alone_end_at_the_wait),
    BOTH(a_service_that_fails_is_a_failure),
    BOTH(what_cleans_up_runs_although_the_group_was_cancelled),
    BOTH(what_cleans_up_is_not_told_of_the_cancel),
    BOTH(what_cleans_up_has_a_budget),
    BOTH(a_member_starts_clean_up_in_a_closed_group),
    BOTH(a_handle_is_had_with_options),
    BOTH(an_exit_gives_back_everything),
    BOTH(a_late_task_heavier_than_the_limiter_is_refused),
    BOTH(options_that_make_no_sense_are_refused),
};

KNITTEST_MAIN(tests)
