/* gather, all, race, take, last. GB-1 to GB-4 and HU-1 to HU-9, HU-11 of the literature are here:
 * where a call there takes 100 ms more, one here waits for the one before, and where the very order
 * of the ends is looked at, a limit of 1 makes it certain. What differs is in
 * docs/conformance.md. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

enum { MOST = 8 };

/* A call that waits for its turn, then ends with a result. */
typedef struct step {
    struct play *play;
    int turn;   /* so many must be about to end before; -1: it sleeps until it is cancelled */
    int result; /* of the call */
    int value;  /* what it makes */
    atomic_int made;
} step;

typedef struct play {
    kt_gate gates[MOST + 1]; /* gates[i] opens when i calls are about to end */
    step steps[MOST];
    knit_call calls[MOST];
    size_t n;
    atomic_int running;
} play;

static int act(void *arg)
{
    step *s = arg;
    int r;
    atomic_fetch_add(&s->play->running, 1);
    r = s->turn < 0 ? knit_sleep(KNIT_FOREVER) : kt_gate_wait(s->play->gates[s->turn]);
    if (r == 0) {
        atomic_store(&s->made, s->value);
        r = s->result;
        kt_gate_open(s->play->gates[s->turn + 1]);
    }
    atomic_fetch_sub(&s->play->running, 1);
    return r;
}

static play *play_new(void)
{
    static play p;
    memset(&p, 0, sizeof p);
    for (int i = 0; i <= MOST; i++)
        p.gates[i] = kt_gate_new();
    kt_gate_open(p.gates[0]);
    return &p;
}

static void play_add(play *p, int turn, int value, int result)
{
    step *s = &p->steps[p->n];
    *s = (step){.play = p, .turn = turn, .value = value, .result = result};
    p->calls[p->n++] = (knit_call){act, s};
}

static void play_end(play *p)
{
    CHECK_INT(p->running, 0); /* nothing is left behind */
    for (int i = 0; i <= MOST; i++)
        kt_gate_free(p->gates[i]);
}

static int value_of(const play *p, size_t i)
{
    return p->steps[i].made;
}

/* ---- gather ---------------------------------------------------------------------------------- */

static void gb_4_gather_has_results_and_errors_by_index(void)
{
    play *p = play_new();
    int results[3] = {9, 9, 9};
    play_add(p, 2, 1, 0);
    play_add(p, 0, 0, -EIO);
    play_add(p, 1, 3, 0);
    CHECK_INT(knit_gather(p->calls, 3, NULL, results), 1);
    CHECK_INT(results[0], 0);
    CHECK_INT(results[1], -EIO);
    CHECK_INT(results[2], 0);
    CHECK_INT(value_of(p, 0), 1);
    CHECK_INT(value_of(p, 2), 3);
    play_end(p);
}

static void gather_of_nothing_is_nothing(void)
{
    CHECK_INT(knit_gather(NULL, 0, NULL, NULL), 0);
}

/* gollback.All runs everything under a context that has ended; here all is skipped. */
static void gather_under_an_ended_context_skips_all(void)
{
    play *p = play_new();
    int results[2] = {9, 9};
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    play_add(p, 0, 1, 0);
    play_add(p, 1, 1, 0);
    CHECK_INT(knit_gather(p->calls, 2, &(knit_errgroup_options){.ctx = ctx}, results), 2);
    CHECK_INT(results[0], -ECANCELED);
    CHECK_INT(results[1], -ECANCELED);
    knit_ctx_unref(ctx);
    play_end(p);
}

static void gather_ends_with_its_context(void)
{
    play *p = play_new();
    int results[3] = {9, 9, 9};
    play_add(p, 0, 1, 0);
    play_add(p, -1, 0, 0);
    play_add(p, -1, 0, 0);
    CHECK_INT(knit_gather(p->calls, 3, &(knit_errgroup_options){.timeout = 50 * KNIT_MILLISECOND},
                          results),
              results[0] == 0 ? 2 : 3);
    CHECK(results[0] == 0 || results[0] == -ETIMEDOUT); /* this machine may be slow */
    CHECK_INT(results[1], -ETIMEDOUT);
    CHECK_INT(results[2], -ETIMEDOUT);
    play_end(p);
}

typedef struct crowd {
    atomic_int now, most;
} crowd;

static int be_crowded(void *arg)
{
    crowd *c = arg;
    int now = atomic_fetch_add(&c->now, 1) + 1, most = atomic_load(&c->most);
    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        continue;
    (void)knit_yield();
    atomic_fetch_sub(&c->now, 1);
    return 0;
}

static void gather_takes_a_limit(void)
{
    enum { N = 200 };
    knit_call calls[N];
    int results[N];
    crowd c = {0};
    for (int i = 0; i < N; i++)
        calls[i] = (knit_call){be_crowded, &c};
    memset(results, 1, sizeof results);
    CHECK_INT(knit_gather(calls, N, &(knit_errgroup_options){.limit = 3}, results), 0);
    CHECK(c.most <= 3);
    for (int i = 0; i < N; i++)
        CHECK_INT(results[i], 0);
}

static int leave_early(void *arg)
{
    return knit_task_exit(*(int *)arg);
}

/* An exit is a result like any other; in gollback it leaves a hole. */
static void gather_sees_how_a_call_exits(void)
{
    int codes[2] = {0, -EIO}, results[2] = {9, 9};
    const knit_call calls[2] = {{leave_early, &codes[0]}, {leave_early, &codes[1]}};
    CHECK_INT(knit_gather(calls, 2, NULL, results), 1);
    CHECK_INT(results[0], 0);
    CHECK_INT(results[1], -EIO);
}

static void gb_2_no_options_and_no_context_mean_the_ambient_one(void)
{
    int codes[1] = {0}, results[1] = {9};
    size_t winner = 9;
    const knit_call calls[1] = {{leave_early, &codes[0]}};
    const knit_errgroup_options without = {.ctx = NULL};
    CHECK_INT(knit_gather(calls, 1, NULL, results), 0);
    CHECK_INT(knit_gather(calls, 1, &without, results), 0);
    CHECK_INT(knit_race(calls, 1, &without, &winner), 0);
    CHECK_INT(winner, 0);
    CHECK_INT(knit_gather(NULL, 1, NULL, results), -EINVAL);
    CHECK_INT(knit_race(NULL, 1, NULL, &winner), -EINVAL);
    CHECK_INT(knit_retry(NULL, NULL, NULL), -EINVAL);
    CHECK_INT(results[0], 0);
    CHECK_INT(winner, 0);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void check_all(const int turns[3])
{
    play *p = play_new();
    for (int i = 0; i < 3; i++)
        play_add(p, turns[i], i + 1, 0);
    CHECK_INT(knit_all(p->calls, 3, NULL), 0);
    for (size_t i = 0; i < 3; i++) /* in the order of the arguments, whoever ended first */
        CHECK_INT(value_of(p, i), (int)i + 1);
    play_end(p);
}

static void hu_6_all_has_every_value(void)
{
    check_all((int[]){1, 0, 2});
}

static void hu_7_all_has_them_in_order(void)
{
    check_all((int[]){1, 2, 0});
}

static void hu_8_all_ends_with_its_context(void)
{
    play *p = play_new();
    play_add(p, 0, 1, 0);
    play_add(p, 1, 2, 0);
    play_add(p, -1, 3, 0);
    CHECK_INT(knit_all(p->calls, 3, &(knit_errgroup_options){.timeout = 20 * KNIT_MILLISECOND}),
              -ETIMEDOUT);
    play_end(p);
}

static void hu_9_all_fails_with_the_first_failure(void)
{
    play *p = play_new();
    play_add(p, 0, 1, 0);
    play_add(p, 1, 2, 0);
    play_add(p, 2, 3, -EIO);
    play_add(p, -1, 3, 0); /* is told */
    CHECK_INT(knit_all(p->calls, 4, NULL), -EIO);
    play_end(p);
}

static void all_of_nothing_is_a_success(void)
{
    CHECK_INT(knit_all(NULL, 0, NULL), 0); /* Hunch waits for ever */
}

/* ---- race ------------------------------------------------------------------------------------ */

typedef struct row {
    int n;
    struct {
        int turn, value, result;
    } calls[3];
    int want, value;
} row;

static void gb_1_race_is_won_by_the_first_success(void)
{
    static const row rows[] = {
        {0, {{0, 0, 0}}, -ENODATA, 0},
        {3, {{1, 1, 0}, {2, 1, 0}, {0, 0, -EIO}}, 0, 1},
        {3, {{-1, 1, 0}, {0, 0, -EIO}, {1, 3, 0}}, 0, 3},
        {3, {{0, 1, 0}, {1, 0, -EIO}, {2, 0, -EIO}}, 0, 1},
        {3, {{1, 1, 0}, {0, 0, -EIO}, {2, 0, -EIO}}, 0, 1},
        {3, {{2, 1, 0}, {1, 0, -EIO}, {0, 0, -EIO}}, 0, 1},
        {3, {{2, 0, -EIO}, {1, 0, -EIO}, {0, 0, -EIO}}, -EIO, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        play *p = play_new();
        size_t winner = 99;
        for (int k = 0; k < rows[i].n; k++)
            play_add(p, rows[i].calls[k].turn, rows[i].calls[k].value, rows[i].calls[k].result);
        CHECK_INT(knit_race(p->calls, p->n, NULL, &winner), rows[i].want);
        if (rows[i].want == 0)
            CHECK_INT(value_of(p, winner), rows[i].value);
        else
            CHECK_INT(winner, 99);
        play_end(p);
    }
}

/* The last failure is the one that came last: one after the other, by a limit of 1. gollback
 * promises that and returns another in 13 of 3000 runs. */
static void a_race_that_is_lost_returns_the_last_failure(void)
{
    int codes[3] = {-EIO, -ENOENT, -EPERM};
    knit_call calls[3];
    for (int i = 0; i < 3; i++)
        calls[i] = (knit_call){leave_early, &codes[i]};
    for (int i = 0; i < kt_count(500); i++)
        CHECK_INT(knit_race(calls, 3, &(knit_errgroup_options){.limit = 1}, NULL), -EPERM);
}

static void gb_3_race_ends_with_its_context(void)
{
    play *p = play_new();
    size_t winner = 99;
    play_add(p, -1, 1, 0);
    CHECK_INT(
        knit_race(p->calls, 1, &(knit_errgroup_options){.timeout = 5 * KNIT_MILLISECOND}, &winner),
        -ETIMEDOUT);
    CHECK_INT(winner, 99);
    play_end(p);
}

static void a_race_under_an_ended_context_is_lost(void)
{
    play *p = play_new();
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    play_add(p, 0, 1, 0);
    CHECK_INT(knit_race(p->calls, 1, &(knit_errgroup_options){.ctx = ctx}, NULL), -ECANCELED);
    knit_ctx_unref(ctx);
    play_end(p);
}

static int succeed(void *arg)
{
    (void)arg;
    return 0;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static void a_race_of_many_has_one_winner(void)
{
    enum { N = 1000 };
    static knit_call calls[N];
    const size_t n = (size_t)kt_live(N);
    size_t winner = N;
    for (size_t i = 0; i < n; i++)
        calls[i] = (knit_call){i == n / 2 ? succeed : sleep_for_ever, NULL};
    CHECK_INT(knit_race(calls, n, NULL, &winner), 0);
    CHECK_INT(winner, n / 2);
}

/* ---- take and last --------------------------------------------------------------------------- */

/* The calls end in the order of their submission: one at a time. */
static void hu_1_take_has_the_order_of_the_ends(void)
{
    knit_call calls[3] = {{succeed, NULL}, {succeed, NULL}, {succeed, NULL}};
    size_t indexes[3] = {9, 9, 9};
    CHECK_INT(knit_take(calls, 3, &(knit_errgroup_options){.limit = 1}, 3, indexes), 3);
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(indexes[i], i);
}

/* HU-17: the smaller of the two numbers is what is taken. */
static void hu_2_take_takes_all_there_is(void)
{
    knit_call calls[3] = {{succeed, NULL}, {succeed, NULL}, {succeed, NULL}};
    size_t indexes[3] = {9, 9, 9};
    CHECK_INT(knit_take(calls, 3, NULL, 100, indexes), 3);
    CHECK_INT(indexes[0] + indexes[1] + indexes[2], 3);
}

static void hu_3_take_takes_no_more_than_asked(void)
{
    play *p = play_new();
    size_t indexes[2] = {99, 99};
    play_add(p, 1, 1, 0);
    play_add(p, 0, 2, 0);
    play_add(p, -1, 3, 0); /* would never end */
    CHECK_INT(knit_take(p->calls, 3, NULL, 2, indexes), 2);
    CHECK_INT(indexes[0] + indexes[1], 1);
    play_end(p);
}

static void hu_4_take_fails_when_too_few_can_succeed(void)
{
    play *p = play_new();
    play_add(p, 0, 1, 0);
    play_add(p, 1, 2, -EIO);
    play_add(p, -1, 3, 0);
    CHECK_INT(knit_take(p->calls, 3, NULL, 3, NULL), -EIO);
    play_end(p);
}

/* Hunch fails at the first failure. */
static void take_bears_failures_it_can_do_without(void)
{
    play *p = play_new();
    size_t index = 99;
    play_add(p, 0, 1, -EIO);
    play_add(p, 1, 2, -EIO);
    play_add(p, 2, 3, 0);
    CHECK_INT(knit_take(p->calls, 3, NULL, 1, &index), 1);
    CHECK_INT(index, 2);
    play_end(p);
}

static void hu_5_take_ends_with_its_context(void)
{
    play *p = play_new();
    play_add(p, 0, 1, 0);
    play_add(p, 1, 2, 0);
    play_add(p, -1, 3, 0);
    CHECK_INT(
        knit_take(p->calls, 3, &(knit_errgroup_options){.timeout = 20 * KNIT_MILLISECOND}, 3, NULL),
        -ETIMEDOUT);
    play_end(p);
}

static int give_up(void *ctx)
{
    knit_ctx_cancel(ctx, 0);
    return 0;
}

/* The second call waits for room, and never begins. */
static void fronts_end_with_their_context_before_all_were_started(void)
{
    for (int front = 0; front < 4; front++) {
        knit_ctx *ctx = NULL;
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
        const knit_call calls[] = {{give_up, ctx}, {succeed, NULL}, {succeed, NULL}};
        const knit_errgroup_options options = {.ctx = ctx, .limit = 1};
        int results[3] = {1, 1, 1};
        switch (front) {
        case 0: CHECK_INT(knit_take(calls, 3, &options, 3, NULL), -ECANCELED); break;
        case 1: CHECK_INT(knit_last(calls, 3, &options, 2, NULL), -ECANCELED); break;
        case 2: CHECK_INT(knit_all(calls, 3, &options), -ECANCELED); break;
        default:
            CHECK_INT(knit_gather(calls, 3, &options, results), 2);
            CHECK_INT(results[0], 0);
            CHECK_INT(results[1], -ECANCELED);
            CHECK_INT(results[2], -ECANCELED);
        }
        knit_ctx_unref(ctx);
    }
}

static int fail_without_data(void *arg)
{
    (void)arg;
    return -ENODATA;
}

static void last_tells_a_failure_that_stopped_it_early(void)
{
    const knit_call calls[] = {{fail_without_data, NULL}, {succeed, NULL}, {succeed, NULL}};
    const knit_errgroup_options options = {.limit = 1};
    CHECK_INT(knit_last(calls, 3, &options, 2, NULL), -ENODATA);
    CHECK_INT(knit_all(calls, 3, &options), -ENODATA);
}

/* All of these hang or crash in Hunch. */
static void take_of_nothing_and_nothing_of_some(void)
{
    play *p = play_new();
    play_add(p, -1, 1, 0);
    CHECK_INT(knit_take(NULL, 0, NULL, 0, NULL), 0);
    CHECK_INT(knit_take(NULL, 0, NULL, 3, NULL), 0);
    CHECK_INT(knit_take(p->calls, 1, NULL, 0, NULL), 0);
    CHECK_INT(knit_last(NULL, 0, NULL, 0, NULL), 0);
    CHECK_INT(knit_last(NULL, 0, NULL, 3, NULL), 0);
    play_end(p);
}

static void hu_11_last_has_the_last_to_end(void)
{
    enum { N = 7 };
    knit_call calls[N];
    for (int i = 0; i < N; i++)
        calls[i] = (knit_call){succeed, NULL};
    for (size_t k = 0; k <= N + 1; k++) {
        size_t indexes[N + 1] = {0}, got = k < N ? k : N;
        CHECK_INT(knit_last(calls, N, &(knit_errgroup_options){.limit = 1}, k, indexes), got);
        for (size_t i = 0; i < got; i++)
            CHECK_INT(indexes[i], N - got + i);
    }
}

static void last_fails_with_the_first_failure(void)
{
    play *p = play_new();
    play_add(p, 0, 1, -EIO);
    play_add(p, -1, 2, 0);
    CHECK_INT(knit_last(p->calls, 2, NULL, 1, NULL), -EIO);
    play_end(p);
}

static void last_waits_for_all_although_none_is_wanted(void)
{
    crowd c = {0};
    knit_call calls[5];
    for (int i = 0; i < 5; i++)
        calls[i] = (knit_call){be_crowded, &c};
    CHECK_INT(knit_last(calls, 5, NULL, 0, NULL), 0);
    CHECK(c.most > 0);
}

static void what_makes_no_sense_is_refused(void)
{
    const knit_call none = {NULL, NULL};
    const knit_join join = KNIT_JOIN_ANY;
    const knit_policy with_join = {.join = &join}, dropping = {.overflow = KNIT_OVERFLOW_DROP};
    const knit_call call = {succeed, NULL};
    int result = 9;
    CHECK_INT(knit_gather(&none, 1, NULL, &result), -EINVAL);
    CHECK_INT(knit_gather(NULL, 1, NULL, &result), -EINVAL);
    CHECK_INT(knit_gather(&call, 1, &(knit_errgroup_options){.timeout = -1}, &result), -EINVAL);
    CHECK_INT(result, 9);
    CHECK_INT(knit_all(&none, 1, NULL), -EINVAL);
    CHECK_INT(knit_race(&none, 1, NULL, NULL), -EINVAL);
    CHECK_INT(knit_take(&none, 1, NULL, 1, NULL), -EINVAL);
    CHECK_INT(knit_last(&none, 1, NULL, 1, NULL), -EINVAL);
    CHECK_INT(knit_all(&call, 1, &(knit_errgroup_options){.policy = &with_join}), -EINVAL);
    CHECK_INT(knit_all(&call, 1, &(knit_errgroup_options){.policy = &dropping}), -EINVAL);
}

static const knittest tests[] = {
    BOTH(gb_4_gather_has_results_and_errors_by_index),
    BOTH(gather_of_nothing_is_nothing),
    BOTH(gather_under_an_ended_context_skips_all),
    BOTH(gather_ends_with_its_context),
    BOTH(gather_takes_a_limit),
    BOTH(gather_sees_how_a_call_exits),
    BOTH(gb_2_no_options_and_no_context_mean_the_ambient_one),
    BOTH(hu_6_all_has_every_value),
    BOTH(hu_7_all_has_them_in_order),
    BOTH(hu_8_all_ends_with_its_context),
    BOTH(hu_9_all_fails_with_the_first_failure),
    BOTH(all_of_nothing_is_a_success),
    BOTH(gb_1_race_is_won_by_the_first_success),
    BOTH(a_race_that_is_lost_returns_the_last_failure),
    BOTH(gb_3_race_ends_with_its_context),
    BOTH(a_race_under_an_ended_context_is_lost),
    BOTH(a_race_of_many_has_one_winner),
    BOTH(hu_1_take_has_the_order_of_the_ends),
    BOTH(hu_2_take_takes_all_there_is),
    BOTH(hu_3_take_takes_no_more_than_asked),
    BOTH(hu_4_take_fails_when_too_few_can_succeed),
    BOTH(take_bears_failures_it_can_do_without),
    BOTH(hu_5_take_ends_with_its_context),
    BOTH(fronts_end_with_their_context_before_all_were_started),
    BOTH(last_tells_a_failure_that_stopped_it_early),
    BOTH(take_of_nothing_and_nothing_of_some),
    BOTH(hu_11_last_has_the_last_to_end),
    BOTH(last_fails_with_the_first_failure),
    BOTH(last_waits_for_all_although_none_is_wanted),
    THREAD(what_makes_no_sense_is_refused),
};

KNITTEST_MAIN(tests)
