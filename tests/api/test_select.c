/* Select: which case happens, what is left alone, close, contexts, times, misuse. Programs made of
 * selects and the stress are in test_select_programs.c.
 *
 * CH-n are the tests of Go's runtime/chan_test.go, select* those of its test/chan. Not made anew:
 * CH-11..CH-13 (stacks that move), select4, select5, select8 (syntax), select2 (garbage: a select
 * allocates nothing, see tests/fault). */
#include "knittest.h"

#include <stdatomic.h>
#include <stdlib.h>

static knit_chan *chan_of(size_t item_size, size_t capacity)
{
    knit_chan *ch = NULL;
    CHECK_INT(knit_chan_new(item_size, capacity, &ch), 0);
    CHECK(ch);
    return ch;
}

static void put(knit_chan *ch, int item)
{
    CHECK_INT(knit_chan_send(ch, &item), 0);
}

/* ---- one case that is ready ------------------------------------------------------------------ */

static void select_takes_the_one_case_that_is_ready(void)
{
    enum { N = 5 };
    knit_chan *ch[N];
    knit_case cases[N];
    int items[N];
    for (int i = 0; i < N; i++) {
        ch[i] = chan_of(sizeof(int), 1);
        items[i] = -1;
        cases[i] = knit_case_recv(ch[i], &items[i]);
    }
    for (int i = 0; i < N; i++) {
        cases[i].result = 77;
        put(ch[i], i + 10);
        CHECK_INT(i % 2 ? knit_try_select(cases, N) : knit_select(cases, N), i);
        CHECK_INT(cases[i].result, 0);
        CHECK_INT(items[i], i + 10);
        for (int k = i + 1; k < N; k++)
            CHECK_INT(items[k], -1);
        CHECK_INT(knit_chan_len(ch[i]), 0);
    }
    CHECK_INT(knit_try_select(cases, N), -EAGAIN);
    for (int i = 0; i < N; i++)
        knit_chan_unref(ch[i]);
}

static void select_sends_where_there_is_room(void)
{
    knit_chan *full = chan_of(sizeof(int), 1), *free_one = chan_of(sizeof(int), 1);
    int one = 1, two = 2, item = 0;
    put(full, 0);
    knit_case cases[] = {knit_case_send(full, &one), knit_case_send(free_one, &two)};
    CHECK_INT(knit_select(cases, 2), 1);
    CHECK_INT(cases[1].result, 0);
    CHECK_INT(knit_try_select(cases, 2), -EAGAIN);
    CHECK_INT(knit_chan_recv(free_one, &item), 0);
    CHECK_INT(item, 2);
    CHECK_INT(knit_chan_len(full), 1);
    knit_chan_unref(full);
    knit_chan_unref(free_one);
}

/* ---- select3: the matrix ---------------------------------------------------------------------- */

static void select3_null_channels_never_happen(void)
{
    int item = 4;
    knit_case cases[] = {knit_case_send(NULL, &item),
                         knit_case_recv(NULL, &item),
                         knit_case_done(NULL),
                         knit_case_done(knit_ctx_background()),
                         {0},
                         knit_case_send(NULL, NULL)};
    CHECK_INT(knit_try_select(cases, 6), -EAGAIN);
    CHECK_INT(knit_select_until(cases, 6, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_try_select(NULL, 0), -EAGAIN);
    CHECK_INT(knit_select_until(NULL, 0, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(item, 4);
}

static void select3_closed_channels_always_happen(void)
{
    int item = 4;
    for (size_t capacity = 0; capacity < 2; capacity++) {
        knit_chan *ch = chan_of(sizeof item, capacity);
        CHECK_INT(knit_chan_close(ch), 0);
        knit_case recv = knit_case_recv(ch, &item), send = knit_case_send(ch, &item);
        CHECK_INT(knit_select(&recv, 1), 0);
        CHECK_INT(recv.result, -EPIPE);
        CHECK_INT(knit_try_select(&send, 1), 0);
        CHECK_INT(send.result, -EPIPE);
        CHECK_INT(item, 4);
        knit_chan_unref(ch);
    }
}

static void select3_a_closed_channel_is_drained_first(void)
{
    knit_chan *ch = chan_of(sizeof(int), 3);
    int item = -1;
    knit_case c = knit_case_recv(ch, &item);
    put(ch, 7);
    put(ch, 8);
    CHECK_INT(knit_chan_close(ch), 0);
    CHECK_INT(knit_select(&c, 1), 0);
    CHECK_INT(c.result, 0);
    CHECK_INT(item, 7);
    CHECK_INT(knit_try_select(&c, 1), 0);
    CHECK_INT(c.result, 0);
    CHECK_INT(item, 8);
    CHECK_INT(knit_select(&c, 1), 0);
    CHECK_INT(c.result, -EPIPE);
    CHECK_INT(item, 8);
    knit_chan_unref(ch);
}

static void select3_empty_and_full_channels_block(void)
{
    int item = 4;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        knit_chan *empty = chan_of(sizeof item, capacity), *full = chan_of(sizeof item, capacity);
        for (size_t i = 0; i < capacity; i++)
            put(full, 1);
        knit_case cases[] = {knit_case_recv(empty, &item), knit_case_send(full, &item)};
        CHECK_INT(knit_try_select(cases, 2), -EAGAIN);
        CHECK_INT(knit_select_until(cases, 2, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
        CHECK_INT(knit_chan_len(full), capacity);
        CHECK_INT(knit_chan_try_send(empty, &item), capacity == 0 ? -EAGAIN : 0);
        knit_chan_unref(empty);
        knit_chan_unref(full);
    }
}

static void select3_a_select_never_meets_itself(void)
{
    knit_chan *ch = chan_of(sizeof(int), 0);
    int out = 1, in = 2;
    knit_case cases[] = {knit_case_send(ch, &out), knit_case_recv(ch, &in)};
    CHECK_INT(knit_try_select(cases, 2), -EAGAIN);
    CHECK_INT(knit_select_until(cases, 2, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(in, 2);
    knit_chan_unref(ch);
}

/* select, the test of Go: what is set to nil does not happen any more. */
static void select_a_case_is_disabled_by_null(void)
{
    knit_chan *ch[2] = {chan_of(sizeof(int), 10), chan_of(sizeof(int), 10)};
    int item, counts[2] = {0};
    for (int i = 0; i < 10; i++) {
        put(ch[0], i);
        put(ch[1], i);
    }
    CHECK_INT(knit_chan_close(ch[0]), 0);
    CHECK_INT(knit_chan_close(ch[1]), 0);
    knit_case cases[] = {knit_case_recv(ch[0], &item), knit_case_recv(ch[1], &item)};
    while (cases[0].ch || cases[1].ch) {
        int i = knit_select(cases, 2);
        CHECK(i == 0 || i == 1);
        CHECK(cases[i].ch);
        if (cases[i].result == -EPIPE)
            cases[i].ch = NULL;
        else
            counts[i]++;
    }
    CHECK_INT(counts[0], 10);
    CHECK_INT(counts[1], 10);
    CHECK_INT(knit_try_select(cases, 2), -EAGAIN);
    knit_chan_unref(ch[0]);
    knit_chan_unref(ch[1]);
}

/* ---- waiting --------------------------------------------------------------------------------- */

typedef struct waiting {
    knit_case cases[20];
    int n, index, item;
} waiting;

static int select_once(void *arg)
{
    waiting *w = arg;
    w->index = knit_select(w->cases, (size_t)w->n);
    return 0;
}

/* The select is parked, or about to be, when the other side comes: after 0, 1, 2, ... yields. */
static void a_waiting_select_is_woken_by_each_of_its_cases(void)
{
    enum { N = 4 };
    for (int round = 0; round < kt_count(200); round++) {
        knit_chan *ch[N];
        waiting w = {.n = N, .item = -1};
        int out = 50 + round, in = 0, which = round % N, yields = round / N % 6;
        knit_errgroup g = {0};
        for (int i = 0; i < N; i++) {
            ch[i] = chan_of(sizeof(int), 0);
            w.cases[i] = i < 2 ? knit_case_recv(ch[i], &w.item) : knit_case_send(ch[i], &out);
        }
        CHECK_INT(knit_errgroup_go(&g, select_once, &w), 0);
        for (int i = 0; i < yields; i++)
            (void)knit_yield();
        CHECK_INT(which < 2 ? knit_chan_send(ch[which], &round) : knit_chan_recv(ch[which], &in),
                  0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(w.index, which);
        CHECK_INT(w.cases[which].result, 0);
        CHECK_INT(w.item, which < 2 ? round : -1);
        CHECK_INT(in, which < 2 ? 0 : out);
        for (int i = 0; i < N; i++) { /* it waits nowhere any more */
            CHECK_INT(knit_chan_try_send(ch[i], &in), -EAGAIN);
            CHECK_INT(knit_chan_try_recv(ch[i], &in), -EAGAIN);
            knit_chan_unref(ch[i]);
        }
    }
}

static void close_wakes_a_waiting_select(void)
{
    for (int round = 0; round < kt_count(100); round++) {
        knit_chan *ch[2] = {chan_of(sizeof(int), 0), chan_of(sizeof(int), 0)};
        int out = 1;
        waiting w = {.n = 2, .item = -1};
        knit_errgroup g = {0};
        w.cases[0] = knit_case_recv(ch[0], &w.item);
        w.cases[1] = knit_case_send(ch[1], &out);
        CHECK_INT(knit_errgroup_go(&g, select_once, &w), 0);
        for (int i = 0; i < round % 5; i++)
            (void)knit_yield();
        CHECK_INT(knit_chan_close(ch[round % 2]), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(w.index, round % 2);
        CHECK_INT(w.cases[round % 2].result, -EPIPE);
        CHECK_INT(w.item, -1);
        knit_chan_unref(ch[0]);
        knit_chan_unref(ch[1]);
    }
}

/* ---- CH-14, select6 --------------------------------------------------------------------------- */

static int recv_into(void *arg)
{
    waiting *w = arg;
    return knit_chan_recv(w->cases[0].ch, &w->item);
}

/* A select that waits twice on a channel leaves both places when it is woken elsewhere; who stands
 * between them is served. */
static void ch_14_a_channel_in_two_cases_is_left_cleanly(void)
{
    for (int round = 0; round < kt_count(100); round++) {
        knit_chan *c = chan_of(sizeof(int), 0), *d = chan_of(sizeof(int), 0), *e = chan_of(0, 0);
        waiting twice = {.n = 3}, plain = {.n = 1};
        int item = 7;
        knit_errgroup g = {0};
        twice.cases[0] = knit_case_recv(c, NULL);
        twice.cases[1] = knit_case_recv(c, NULL);
        twice.cases[2] = knit_case_recv(d, NULL);
        plain.cases[0] = knit_case_recv(c, &plain.item);
        CHECK_INT(knit_errgroup_go(&g, select_once, &twice), 0);
        for (int i = 0; i < round % 4; i++)
            (void)knit_yield();
        CHECK_INT(knit_errgroup_go(&g, recv_into, &plain), 0);
        for (int i = 0; i < round % 3; i++)
            (void)knit_yield();
        put(d, 1);
        CHECK_INT(knit_chan_send(c, &item), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(twice.index, 2);
        CHECK_INT(plain.item, 7);
        CHECK_INT(knit_chan_try_send(c, &item), -EAGAIN);
        knit_chan_unref(c);
        knit_chan_unref(d);
        knit_chan_unref(e);
    }
}

static void select6_a_select_leaves_the_middle_of_a_queue(void)
{
    enum { N = 5 };
    knit_chan *c = chan_of(sizeof(int), 0), *ends[N];
    waiting w[N];
    int next = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < N; i++) {
        ends[i] = chan_of(0, 0);
        w[i] = (waiting){.n = 2, .item = -1};
        w[i].cases[0] = knit_case_recv(c, &w[i].item);
        w[i].cases[1] = knit_case_recv(ends[i], NULL);
        CHECK_INT(knit_errgroup_go(&g, select_once, &w[i]), 0);
    }
    CHECK_INT(knit_chan_send(ends[2], NULL), 0);
    CHECK_INT(knit_chan_send(ends[4], NULL), 0);
    CHECK_INT(knit_chan_send(ends[0], NULL), 0);
    for (int i = 0; i < 2; i++)
        put(c, ++next);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < N; i++) {
        CHECK_INT(w[i].index, i % 2 == 0);
        CHECK(i % 2 ? w[i].item > 0 : w[i].item == -1);
        knit_chan_unref(ends[i]);
    }
    CHECK_INT(w[1].item + w[3].item, 3);
    CHECK_INT(knit_chan_try_send(c, &next), -EAGAIN);
    knit_chan_unref(c);
}

/* ---- contexts -------------------------------------------------------------------------------- */

static void the_end_of_a_context_is_a_case(void)
{
    for (int round = 0; round < kt_count(100); round++) {
        knit_chan *ch = chan_of(sizeof(int), 0);
        knit_ctx *ctx[2];
        waiting w = {.n = 3};
        knit_errgroup g = {0};
        int which = round % 2;
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx[0]), 0);
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx[1]), 0);
        w.cases[0] = knit_case_done(ctx[0]);
        w.cases[1] = knit_case_done(ctx[1]);
        w.cases[2] = knit_case_recv(ch, &w.item);
        CHECK_INT(knit_try_select(w.cases, 3), -EAGAIN);
        CHECK_INT(knit_errgroup_go(&g, select_once, &w), 0);
        for (int i = 0; i < round / 2 % 5; i++)
            (void)knit_yield();
        knit_ctx_cancel(ctx[which], -EIO);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(w.index, which);
        CHECK_INT(w.cases[which].result, -ECANCELED);
        CHECK_INT(knit_ctx_cause(ctx[which]), -EIO);
        CHECK_INT(knit_select(w.cases, 3), which); /* a level */
        CHECK_INT(knit_try_select(w.cases, 3), which);
        knit_ctx_unref(ctx[0]);
        knit_ctx_unref(ctx[1]);
        knit_chan_unref(ch);
    }
}

static void a_contexts_deadline_is_a_case(void)
{
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), KNIT_MILLISECOND, &ctx), 0);
    knit_case c = knit_case_done(ctx);
    CHECK_INT(knit_select(&c, 1), 0);
    CHECK_INT(c.result, -ETIMEDOUT);
    knit_ctx_unref(ctx);
}

static void the_ambient_context_ends_a_select(void)
{
    for (int round = 0; round < kt_count(100); round++) {
        knit_chan *ch = chan_of(sizeof(int), 0);
        int out = 3;
        waiting w = {.n = 2, .item = -1};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        w.cases[0] = knit_case_recv(ch, &w.item);
        w.cases[1] = knit_case_send(ch, &out);
        w.index = -ECANCELED; /* it need not have begun */
        CHECK_INT(knit_errgroup_go(&g, select_once, &w), 0);
        for (int i = 0; i < round % 5; i++)
            (void)knit_yield();
        knit_errgroup_cancel(&g, -EIO);
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
        CHECK_INT(w.index, -ECANCELED);
        CHECK_INT(knit_chan_try_recv(ch, &w.item), -EAGAIN);
        CHECK_INT(w.item, -1);
        knit_chan_unref(ch);
    }
}

static void an_ended_ambient_context_is_seen_first(void)
{
    knit_chan *ch = chan_of(sizeof(int), 1);
    knit_ctx *ctx;
    knit_ctx_scope scope;
    int item = -1;
    put(ch, 5);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    knit_ctx_cancel(ctx, 0);
    knit_case cases[] = {knit_case_recv(ch, &item), knit_case_done(ctx)};
    CHECK_INT(knit_select(cases, 2), -ECANCELED);
    CHECK_INT(knit_select_until(cases, 1, 0), -ECANCELED);
    CHECK_INT(item, -1);
    CHECK_INT(knit_try_select(cases, 1), 0); /* the try form does not look */
    CHECK_INT(item, 5);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    knit_chan_unref(ch);
}

/* select {} */
static void a_select_of_nothing_waits_for_its_context(void)
{
    waiting w = {.n = 0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    w.index = -ECANCELED;
    CHECK_INT(knit_errgroup_go(&g, select_once, &w), 0);
    for (int i = 0; i < 10; i++)
        (void)knit_yield();
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(w.index, -ECANCELED);
}

/* ---- times ----------------------------------------------------------------------------------- */

static void the_earliest_time_is_the_case_that_happens(void)
{
    knit_chan *ch = chan_of(sizeof(int), 0);
    knit_time when = knit_now() + 2 * KNIT_MILLISECOND;
    knit_case cases[] = {knit_case_after(KNIT_FOREVER), knit_case_at(when + KNIT_SECOND * 1000),
                         knit_case_recv(ch, NULL), knit_case_at(when),
                         knit_case_after(1000 * KNIT_SECOND)};
    cases[3].when = when + KNIT_SECOND * 100;
    CHECK_INT(knit_try_select(cases, 5), -EAGAIN);
    cases[3].when = when;
    CHECK_INT(knit_select(cases, 5), 3);
    CHECK_INT(cases[3].result, 0);
    CHECK(knit_now() >= when);
    CHECK_INT(knit_try_select(cases, 5), 3);
    CHECK_INT(knit_select_until(cases, 5, 0), 3);
    knit_chan_unref(ch);
}

static void a_time_that_has_passed_happens_at_once(void)
{
    knit_case cases[] = {knit_case_after(0), knit_case_after(-KNIT_SECOND), knit_case_at(0)};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(knit_select(&cases[i], 1), 0);
        CHECK_INT(knit_try_select(&cases[i], 1), 0);
    }
}

static void the_deadline_of_the_call_is_no_case(void)
{
    knit_time deadline = knit_now() + KNIT_MILLISECOND;
    knit_case c = knit_case_at(deadline + 1000 * KNIT_SECOND);
    CHECK_INT(knit_select_until(&c, 1, deadline), -ETIMEDOUT);
    CHECK(knit_now() >= deadline);
    CHECK_INT(knit_select_until(&c, 1, 0), -ETIMEDOUT);
    c = knit_case_at(deadline);
    CHECK_INT(knit_select_until(&c, 1, KNIT_FOREVER), 0);
}

/* ---- chance ---------------------------------------------------------------------------------- */

/* 10 standard deviations. */
static bool is_fair(int count, int n, int among)
{
    double p = 1.0 / among, off = count - n * p;
    return off * off <= 100.0 * n * p * (1 - p);
}

static void ch_7_cases_that_are_ready_have_the_same_chance(void)
{
    enum { N = 4 };
    int trials = kt_count(10000), counts[N] = {0}, item = 1;
    knit_chan *ch[N];
    knit_case cases[N + 2];
    for (int i = 0; i < N; i++) {
        ch[i] = chan_of(sizeof(int), (size_t)trials);
        cases[i] = i % 2 ? knit_case_recv(ch[i], NULL) : knit_case_send(ch[i], &item);
        for (int k = 0; i % 2 && k < trials; k++)
            put(ch[i], k);
    }
    cases[N] = (knit_case){0}; /* what is not ready does not push its neighbour */
    cases[N + 1] = knit_case_recv(NULL, NULL);
    for (int i = 0; i < trials; i++) {
        int which = knit_select(cases, N + 2);
        CHECK(which >= 0 && which < N);
        counts[which]++;
    }
    for (int i = 0; i < N; i++) {
        CHECK(is_fair(counts[i], trials, N));
        knit_chan_unref(ch[i]);
    }
}

typedef struct bits {
    knit_chan *ch;
    int n;
} bits;

static int send_random_bits(void *arg)
{
    bits *b = arg;
    int zero = 0, one = 1;
    knit_case cases[] = {knit_case_send(b->ch, &zero), knit_case_send(b->ch, &one)};
    for (int i = 0; i < b->n; i++) {
        int r = knit_select(cases, 2);
        if (r < 0)
            return r;
    }
    return 0;
}

static void ch_9_two_sends_on_one_channel_take_turns_at_random(void)
{
    for (size_t capacity = 0; capacity <= 100; capacity += 100) {
        bits b = {chan_of(sizeof(int), capacity), 100};
        int counts[2] = {0}, item;
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, send_random_bits, &b), 0);
        for (int i = 0; i < b.n; i++) {
            CHECK_INT(knit_chan_recv(b.ch, &item), 0);
            counts[item]++;
        }
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK(counts[0] > 10 && counts[1] > 10);
        knit_chan_unref(b.ch);
    }
}

/* ---- many cases ------------------------------------------------------------------------------ */

static void a_thousand_cases_work_like_two(void)
{
    enum { N = 1000, DISTINCT = 300 };
    knit_chan *ch[DISTINCT];
    knit_case *cases = calloc(N, sizeof *cases);
    int item = -1;
    CHECK(cases);
    for (int i = 0; i < DISTINCT; i++)
        ch[i] = chan_of(sizeof(int), 1);
    for (int i = 0; i < N; i++)
        cases[i] = knit_case_recv(ch[i * 7 % DISTINCT], &item);
    CHECK_INT(knit_try_select(cases, N), -EAGAIN);
    CHECK_INT(knit_select_until(cases, N, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    for (int i = 0; i < DISTINCT; i += 17) {
        put(ch[i], i);
        int which = knit_select(cases, N);
        CHECK(which >= 0 && cases[which].ch == ch[i]);
        CHECK_INT(item, i);
    }
    for (int i = 0; i < DISTINCT; i++)
        knit_chan_unref(ch[i]);
    free(cases);
}

static void a_waiting_select_of_20_is_woken_by_the_last(void)
{
    knit_chan *ch[20];
    waiting w = {.n = 20};
    knit_errgroup g = {0};
    for (int i = 0; i < 20; i++) {
        ch[i] = chan_of(sizeof(int), 0);
        w.cases[i] = knit_case_recv(ch[i], &w.item);
    }
    CHECK_INT(knit_errgroup_go(&g, select_once, &w), 0);
    (void)knit_yield();
    put(ch[19], 44);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(w.index, 19);
    CHECK_INT(w.item, 44);
    for (int i = 0; i < 20; i++)
        knit_chan_unref(ch[i]);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void misuse_is_refused_and_nothing_happens(void)
{
    knit_chan *ch = chan_of(sizeof(int), 1), *signal = chan_of(0, 1);
    int item = 0;
    put(ch, 9);
    knit_case cases[] = {knit_case_recv(ch, &item), {0}};
    cases[1].kind = 5;
    CHECK_INT(knit_select(cases, 2), -EINVAL);
    cases[1].kind = -1;
    CHECK_INT(knit_try_select(cases, 2), -EINVAL);
    cases[1] = knit_case_send(ch, NULL);
    CHECK_INT(knit_select_until(cases, 2, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_select(NULL, 1), -EINVAL);
    CHECK_INT(knit_select(cases, KNIT_SELECT_MAX + 1), -EINVAL);
    CHECK_INT(knit_chan_len(ch), 1);
    CHECK_INT(item, 0);
    cases[1] = knit_case_send(signal, NULL);
    CHECK_INT(knit_select(&cases[1], 1), 0);
    CHECK_INT(cases[1].result, 0);
    knit_chan_unref(ch);
    knit_chan_unref(signal);
}

static const knittest tests[] = {
    BOTH(select_takes_the_one_case_that_is_ready),
    BOTH(select_sends_where_there_is_room),
    BOTH(select3_null_channels_never_happen),
    BOTH(select3_closed_channels_always_happen),
    BOTH(select3_a_closed_channel_is_drained_first),
    BOTH(select3_empty_and_full_channels_block),
    BOTH(select3_a_select_never_meets_itself),
    BOTH(select_a_case_is_disabled_by_null),
    BOTH(a_waiting_select_is_woken_by_each_of_its_cases),
    BOTH(close_wakes_a_waiting_select),
    BOTH(ch_14_a_channel_in_two_cases_is_left_cleanly),
    BOTH(select6_a_select_leaves_the_middle_of_a_queue),
    BOTH(the_end_of_a_context_is_a_case),
    BOTH(a_contexts_deadline_is_a_case),
    BOTH(the_ambient_context_ends_a_select),
    BOTH(an_ended_ambient_context_is_seen_first),
    BOTH(a_select_of_nothing_waits_for_its_context),
    BOTH(the_earliest_time_is_the_case_that_happens),
    BOTH(a_time_that_has_passed_happens_at_once),
    BOTH(the_deadline_of_the_call_is_no_case),
    BOTH(ch_7_cases_that_are_ready_have_the_same_chance),
    BOTH(ch_9_two_sends_on_one_channel_take_turns_at_random),
    BOTH(a_thousand_cases_work_like_two),
    BOTH(a_waiting_select_of_20_is_woken_by_the_last),
    BOTH(misuse_is_refused_and_nothing_happens),
};
KNITTEST_MAIN(tests)
