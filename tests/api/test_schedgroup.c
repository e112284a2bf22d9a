/* Groups of tasks that begin later. The IDs (SCH) are the cases of mdlayher/schedgroup's own tests;
 * what differs from them is in docs/conformance.md. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

#define HOUR (3600 * KNIT_SECOND)

/* What tasks leave behind: who ran, when, in which order. */
enum { NOTES = 16 };

static struct note {
    int order; /* from 1; 0: did not run */
    knit_time when;
} notes[NOTES];
static _Atomic int ran;

static int note(void *arg)
{
    int order = atomic_fetch_add(&ran, 1) + 1;
    const int *i = arg;

    if (i && *i < NOTES)
        notes[*i] = (struct note){order, knit_now()};
    return 0;
}

static void forget(void)
{
    memset(notes, 0, sizeof notes);
    atomic_store(&ran, 0);
}

static knit_errgroup_counts counts_of(knit_schedgroup *s)
{
    knit_errgroup_counts counts = {0};

    CHECK_INT(knit_errgroup_stats(knit_schedgroup_errgroup(s), &counts), 0);
    return counts;
}

/* ---- times ---- */

static bool begin_in_order(knit_duration gap)
{
    const int order[5] = {3, 1, 5, 2, 4};
    bool in_order = true;
    knit_schedgroup s;
    knit_time begin = knit_now();

    forget();
    CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_schedgroup_schedule_copy(&s, begin + order[i] * gap, note, &i, sizeof i), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    for (int i = 0; i < 5; i++) {
        CHECK(notes[i].when - begin >= order[i] * gap);
        in_order = in_order && notes[i].order == order[i];
    }
    CHECK_INT(counts_of(&s).submitted, 5);
    CHECK_INT(counts_of(&s).pending, 0);
    return in_order;
}

/* SCH-1. Who stands still before it takes its note is overtaken by the next, with one worker, too: a
 * spare one takes over. Then the gap grows. By chance the order comes out once in 120 rounds. */
static void tasks_begin_at_their_time_and_in_its_order(void)
{
    knit_duration gap = 10 * KNIT_MILLISECOND;

    for (int round = 0; !begin_in_order(gap); round++) {
        CHECK(round < 7);
        gap *= 2;
    }
}

/* SCH-3 */
static void what_is_past_begins_at_once(void)
{
    knit_schedgroup s = {0};

    forget();
    CHECK_INT(knit_schedgroup_delay(&s, -KNIT_SECOND, note, NULL), 0);
    CHECK_INT(knit_schedgroup_schedule(&s, knit_now() - KNIT_SECOND, note, NULL), 0);
    CHECK_INT(knit_schedgroup_schedule(&s, INT64_MIN, note, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, INT64_MIN, note, NULL), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(ran, 4);
}

static bool begin_in_the_order_of_schedule(void)
{
    knit_schedgroup s = {0};
    knit_time at = knit_now() + 2 * KNIT_MILLISECOND;

    forget();
    for (int i = 0; i < 1000; i++)
        CHECK_INT(knit_schedgroup_schedule(&s, at, note, NULL), 0);
    for (int i = 0; i < NOTES; i++)
        CHECK_INT(knit_schedgroup_schedule_copy(&s, at, note, &i, sizeof i), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    for (int i = 0; i < NOTES; i++) {
        if (notes[i].order != 1001 + i)
            return false;
    }
    return true;
}

/* With one worker what begins first is seen first, unless that one stands still in between and a
 * spare one takes over: seldom, and chance does not bring 16 into their order. */
static void tasks_of_one_time_begin_in_the_order_they_were_scheduled(void)
{
    if (knit_workers() > 1)
        kt_skip("tasks that begin one after the other run at the same time");
    for (int round = 0; !begin_in_the_order_of_schedule(); round++)
        CHECK(round < 100);
}

static void what_begins_never_waits_for_the_end_of_the_group(void)
{
    knit_schedgroup s;

    forget();
    CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
    CHECK_INT(knit_schedgroup_schedule(&s, KNIT_FOREVER, note, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, KNIT_FOREVER, note, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, INT64_MAX - 1, note, NULL), 0);
    CHECK_INT(knit_schedgroup_wait_until(&s, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_schedgroup_close(&s), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&s).skipped, 3);
}

static void a_day_of_schedule_passes_at_once_in_the_simulation(void)
{
    knit_schedgroup s = {0};
    knit_time begin = knit_now();

    if (!knit_simulated(NULL))
        kt_skip("a day: in the simulated world");
    forget();
    for (int i = 1; i <= 24; i++)
        CHECK_INT(knit_schedgroup_delay(&s, i * HOUR, note, NULL), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(ran, 24);
    CHECK(knit_now() - begin >= 24 * HOUR);
    CHECK(knit_now() - begin < 25 * HOUR);
}

/* ---- more, while it runs ---- */

struct again {
    knit_schedgroup *s;
    int left;
};

static int schedule_itself(void *arg)
{
    struct again *again = arg;

    atomic_fetch_add(&ran, 1);
    if (--again->left == 0)
        return 0;
    return knit_schedgroup_delay(again->s, again->left % 3 * KNIT_MICROSECOND, schedule_itself,
                                 again);
}

/* There (SCH-7) this panics as soon as somebody waits. */
static void a_task_schedules_itself_while_others_wait(void)
{
    knit_schedgroup s;
    struct again again = {&s, kt_count(300)};
    int rounds = again.left;

    forget();
    CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, 0, schedule_itself, &again), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(ran, rounds);
}

/* SCH-7, SCH-8 */
static void a_group_is_used_again_after_a_wait(void)
{
    knit_schedgroup s = {0};

    forget();
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(knit_schedgroup_delay(&s, 0, note, NULL), 0);
        CHECK_INT(knit_schedgroup_wait(&s), 0);
        CHECK_INT(knit_schedgroup_wait(&s), 0);
        CHECK_INT(ran, i);
    }
}

static void an_earlier_task_comes_before_one_that_waits_already(void)
{
    knit_schedgroup s;

    forget();
    CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, HOUR, note, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, KNIT_MILLISECOND, note, NULL), 0);
    kt_until(atomic_load(&ran) == 1);
    CHECK_INT(knit_schedgroup_close(&s), 0);
    CHECK_INT(ran, 1);
}

/* ---- ends ---- */

/* SCH-2 */
static void nothing_begins_under_an_ended_context(void)
{
    knit_schedgroup s;
    knit_ctx *ctx;

    forget();
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_schedgroup_init(&s, &(knit_schedgroup_options){.ctx = ctx}), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_schedgroup_delay(&s, i * 2 * KNIT_MILLISECOND, note, NULL), -ECANCELED);
    CHECK_INT(knit_schedgroup_wait(&s), -ECANCELED);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&s).skipped, 5);
    knit_ctx_unref(ctx);
}

struct rounds {
    knit_schedgroup *s;
    knit_ctx *ctx;
};

static int one_round(void *arg)
{
    struct rounds *rounds = arg;

    if (atomic_fetch_add(&ran, 1) + 1 == 6)
        knit_ctx_cancel(rounds->ctx, 0);
    return 0;
}

/* SCH-4: ten rounds, in the sixth the context is cancelled. */
static void a_cancel_from_above_drops_what_is_to_come(void)
{
    knit_schedgroup s;
    struct rounds rounds = {.s = &s};
    knit_time begin;

    forget();
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &rounds.ctx), 0);
    CHECK_INT(knit_schedgroup_init(&s, &(knit_schedgroup_options){.ctx = rounds.ctx}), 0);
    begin = knit_now();
    for (int i = 0; i < 6; i++)
        CHECK_INT(knit_schedgroup_schedule(&s, begin, one_round, &rounds), 0);
    for (int i = 0; i < 4; i++)
        (void)knit_schedgroup_schedule(&s, begin + HOUR, one_round, &rounds);
    CHECK_INT(knit_schedgroup_wait(&s), -ECANCELED);
    CHECK_INT(ran, 6);
    CHECK_INT(counts_of(&s).skipped, 4);
    knit_ctx_unref(rounds.ctx);
}

/* SCH-5. The deadline comes later and later, until a task ran before it. */
static void a_deadline_drops_what_is_to_come(void)
{
    forget();
    for (knit_duration timeout = 50 * KNIT_MILLISECOND; atomic_load(&ran) == 0; timeout *= 2) {
        knit_schedgroup s;

        CHECK_INT(knit_schedgroup_init(&s, &(knit_schedgroup_options){.timeout = timeout}), 0);
        (void)knit_schedgroup_delay(&s, 0, note, NULL);
        (void)knit_schedgroup_delay(&s, HOUR, note, NULL);
        CHECK_INT(knit_schedgroup_wait(&s), -ETIMEDOUT);
        CHECK_INT(counts_of(&s).submitted, 2);
        CHECK_INT((size_t)ran + counts_of(&s).skipped, 2);
    }
    CHECK_INT(ran, 1);
}

static int fail(void *arg)
{
    (void)arg;
    return knit_error(-EIO, "as told");
}

static int sleep_long(void *arg)
{
    (void)arg;
    return knit_sleep(HOUR);
}

static void the_first_failure_cancels_the_rest(void)
{
    knit_schedgroup s;
    knit_error_record rec;
    int value = 1;

    forget();
    CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, 0, sleep_long, NULL), 0);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_schedgroup_delay_copy(&s, HOUR + i, note, &value, sizeof value), 0);
    CHECK_INT(knit_schedgroup_delay(&s, KNIT_MILLISECOND, fail, NULL), 0);
    CHECK_INT(knit_schedgroup_wait(&s), -EIO);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&s).failed, 1);
    CHECK_INT(counts_of(&s).skipped + counts_of(&s).echoes, 101);
    CHECK_INT(knit_errgroup_error(knit_schedgroup_errgroup(&s), 0, &rec), 0);
    CHECK_INT(rec.index, 101);
    CHECK_INT(strcmp(rec.task, "fail"), 0);
    CHECK_HAS(rec.text, "as told");
    CHECK_INT(knit_schedgroup_close(&s), -EIO);
}

static void a_zero_group_runs_all_the_same(void)
{
    knit_schedgroup s = {0};

    forget();
    CHECK_INT(knit_schedgroup_delay(&s, 0, fail, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, KNIT_MILLISECOND, note, NULL), 0);
    CHECK_INT(knit_schedgroup_wait(&s), -EIO);
    CHECK_INT(ran, 1);
    CHECK_INT(counts_of(&s).skipped, 0);
}

static void cancel_drops_what_is_to_come_and_tells_what_runs(void)
{
    knit_schedgroup s = {0};
    int value = 1;

    forget();
    CHECK_INT(knit_schedgroup_delay(&s, 0, sleep_long, NULL), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(knit_schedgroup_delay_copy(&s, HOUR, note, &value, sizeof value), 0);
    knit_schedgroup_cancel(&s, -EBADMSG);
    CHECK_INT(knit_schedgroup_delay(&s, 0, note, NULL), -ECANCELED);
    CHECK_INT(knit_schedgroup_wait(&s), -EBADMSG);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&s).submitted, 1002);
    CHECK_INT(counts_of(&s).skipped + counts_of(&s).echoes, 1002);
    knit_schedgroup_cancel(NULL, 0);
}

static void close_ends_the_group_for_good(void)
{
    knit_schedgroup s;

    forget();
    CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, HOUR, note, NULL), 0);
    CHECK_INT(knit_schedgroup_close(&s), 0);
    CHECK_INT(knit_schedgroup_delay(&s, 0, note, NULL), -ECANCELED);
    CHECK_INT(knit_schedgroup_close(&s), 0);
    CHECK_INT(ran, 0);
}

static int exits(void *arg)
{
    (void)arg;
    return knit_task_exit(0);
}

static int panics(void *arg)
{
    knit_panic("value %d", *(int *)arg);
}

static void exit_and_panic_end_a_task_that_was_scheduled(void)
{
    knit_schedgroup s;
    int value = 7;

    CHECK_INT(
        knit_schedgroup_init(&s, &(knit_schedgroup_options){.flags = KNIT_ERRGROUP_PANIC_ERROR}),
        0);
    CHECK_INT(knit_schedgroup_delay_copy(&s, 0, exits, &value, sizeof value), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(knit_schedgroup_delay_copy(&s, 0, panics, &value, sizeof value), 0);
    CHECK_INT(knit_schedgroup_wait(&s), KNIT_PANICKED);
}

/* ---- waiting ---- */

/* SCH-6, SCH-10 */
static void wait_after_the_last_end_returns_at_once(void)
{
    knit_schedgroup s = {0};

    forget();
    CHECK_INT(knit_schedgroup_delay(&s, 0, note, NULL), 0);
    CHECK_INT(knit_schedgroup_delay(&s, KNIT_MILLISECOND, note, NULL), 0);
    kt_until(counts_of(&s).pending == 0);
    CHECK_INT(knit_schedgroup_wait_until(&s, 0), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(ran, 2);
}

struct gates {
    kt_gate begun, go_on;
    knit_schedgroup *s;
};

static int run_between(void *arg)
{
    struct gates *gates = arg;
    int r;

    kt_gate_open(gates->begun);
    r = kt_gate_wait(gates->go_on);
    if (r == 0)
        r = knit_schedgroup_delay(gates->s, KNIT_MILLISECOND, note, NULL);
    return r;
}

static int open_later(void *arg)
{
    struct gates *gates = arg;

    for (int i = 0; i < 20; i++)
        (void)knit_yield();
    kt_gate_open(gates->go_on);
    return 0;
}

/* There: 8c368ec, wait on an empty heap must wait for what runs; cfc92d0, and lock nobody out. */
static void wait_waits_for_what_runs_and_for_what_that_schedules(void)
{
    knit_schedgroup s = {0};
    knit_errgroup g = {0};
    struct gates gates = {kt_gate_new(), kt_gate_new(), &s};

    forget();
    CHECK_INT(knit_schedgroup_delay(&s, 0, run_between, &gates), 0);
    CHECK_INT(kt_gate_wait(gates.begun), 0);
    CHECK_INT(knit_errgroup_go(&g, open_later, &gates), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(ran, 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(gates.begun);
    kt_gate_free(gates.go_on);
}

static int wait_for_own_group(void *arg)
{
    CHECK_INT(knit_schedgroup_wait(arg), -EDEADLK);
    CHECK_INT(knit_schedgroup_close(arg), -EDEADLK);
    return knit_schedgroup_delay(arg, 0, note, NULL); /* nothing was cancelled */
}

static void a_task_of_the_group_cannot_wait_for_it(void)
{
    knit_schedgroup s = {0};

    forget();
    CHECK_INT(knit_schedgroup_delay(&s, 0, wait_for_own_group, &s), 0);
    CHECK_INT(knit_schedgroup_wait(&s), 0);
    CHECK_INT(ran, 1);
}

static int wait_for_nothing(void *arg)
{
    (void)arg;
    for (int i = 0; i < kt_count(1024); i++) {
        knit_schedgroup s;

        CHECK_INT(knit_schedgroup_init(&s, NULL), 0);
        CHECK_INT(knit_schedgroup_wait(&s), 0);
    }
    return 0;
}

/* SCH-9 */
static void an_empty_group_is_done(void)
{
    knit_errgroup g = {0};

    for (int i = 0; i < 8; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_for_nothing, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void what_makes_no_sense_is_refused(void)
{
    knit_schedgroup s = {0};
    int value = 0;

    CHECK_INT(knit_schedgroup_init(NULL, NULL), -EINVAL);
    CHECK_INT(knit_schedgroup_init(&s, &(knit_schedgroup_options){.flags = 1u << 30}), -EINVAL);
    CHECK_INT(knit_schedgroup_init(&s, &(knit_schedgroup_options){.timeout = -1}), -EINVAL);
    CHECK_INT(knit_schedgroup_delay(NULL, 0, note, NULL), -EINVAL);
    CHECK_INT(knit_schedgroup_delay(&s, 0, NULL, NULL), -EINVAL);
    CHECK_INT(knit_schedgroup_delay_copy(&s, 0, note, NULL, 1), -EINVAL);
    CHECK_INT(knit_schedgroup_delay_copy(&s, 0, NULL, &value, 1), -EINVAL);
    CHECK_INT(knit_schedgroup_wait(NULL), -EINVAL);
    CHECK_INT(knit_schedgroup_close(NULL), -EINVAL);
    CHECK(!knit_schedgroup_errgroup(NULL));
    CHECK_INT(knit_schedgroup_wait(&s), 0);
}

static const knittest tests[] = {
    BOTH(tasks_begin_at_their_time_and_in_its_order),
    BOTH(what_is_past_begins_at_once),
    ALONE(tasks_of_one_time_begin_in_the_order_they_were_scheduled), /* it may skip */
    BOTH(what_begins_never_waits_for_the_end_of_the_group),
    BOTH(a_day_of_schedule_passes_at_once_in_the_simulation),
    BOTH(a_task_schedules_itself_while_others_wait),
    BOTH(a_group_is_used_again_after_a_wait),
    BOTH(an_earlier_task_comes_before_one_that_waits_already),
    BOTH(nothing_begins_under_an_ended_context),
    BOTH(a_cancel_from_above_drops_what_is_to_come),
    BOTH(a_deadline_drops_what_is_to_come),
    BOTH(the_first_failure_cancels_the_rest),
    BOTH(a_zero_group_runs_all_the_same),
    BOTH(cancel_drops_what_is_to_come_and_tells_what_runs),
    BOTH(close_ends_the_group_for_good),
    BOTH(exit_and_panic_end_a_task_that_was_scheduled),
    BOTH(wait_after_the_last_end_returns_at_once),
    BOTH(wait_waits_for_what_runs_and_for_what_that_schedules),
    BOTH(a_task_of_the_group_cannot_wait_for_it),
    BOTH(an_empty_group_is_done),
    BOTH(what_makes_no_sense_is_refused),
};
KNITTEST_MAIN(tests)
