/* Programs made of selects (from Go's runtime/chan_test.go and test/chan), and the rule that exactly
 * one case happens, under random cancels, deadlines and times. */
#include "knittest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static knit_chan *chan_of(size_t item_size, size_t capacity)
{
    knit_chan *ch = NULL;
    CHECK_INT(knit_chan_new(item_size, capacity, &ch), 0);
    return ch;
}

/* ---- CH-3, CH-4: one of two is always ready --------------------------------------------------- */

static int try_must_find_one(void *arg)
{
    knit_chan **ch = arg;
    knit_case cases[] = {knit_case_recv(ch[0], NULL), knit_case_recv(ch[1], NULL)};
    int i = knit_try_select(cases, 2);
    return i < 0 ? i : 0;
}

static void one_is_always_ready(bool by_close)
{
    for (int i = 0; i < kt_count(10000); i++) {
        knit_chan *ch[2] = {chan_of(0, 1), chan_of(0, 1)};
        knit_errgroup g = {0};
        CHECK_INT(knit_chan_send(ch[0], NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, try_must_find_one, ch), 0);
        CHECK_INT(by_close ? knit_chan_close(ch[1]) : knit_chan_send(ch[1], NULL), 0);
        (void)knit_chan_try_recv(ch[0], NULL);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_chan_unref(ch[0]);
        knit_chan_unref(ch[1]);
    }
}

static void ch_3_try_select_never_says_none_when_one_of_two_is_ready(void)
{
    one_is_always_ready(false);
}

static void ch_4_the_same_when_the_other_is_closed(void)
{
    one_is_always_ready(true);
}

/* A token moves to and fro between two channels, and is in the second before it leaves the first:
 * whoever looks at both at once finds it. */
typedef struct moving {
    knit_chan *ch[2];
    atomic_bool stop;
} moving;

static void move_to_and_fro(void *arg)
{
    moving *m = arg;
    for (int i = 0; !atomic_load(&m->stop); i++) {
        CHECK_INT(knit_chan_send(m->ch[1 - i % 2], NULL), 0);
        CHECK_INT(knit_chan_recv(m->ch[i % 2], NULL), 0);
    }
}

static void ch_3_try_select_looks_at_all_channels_at_one_moment(void)
{
    moving m = {{chan_of(0, 3), chan_of(0, 3)}, false};
    knit_case cases[] = {knit_case_recv(m.ch[0], NULL), knit_case_recv(m.ch[1], NULL)};
    CHECK_INT(knit_chan_send(m.ch[0], NULL), 0);
    kt_thread *mover = kt_thread_start(move_to_and_fro, &m);
    for (int i = 0; i < kt_count(100000); i++) {
        int r = knit_try_select(cases, 2);
        CHECK(r >= 0);
        CHECK_INT(knit_chan_send(m.ch[r], NULL), 0); /* put it back */
    }
    m.stop = true;
    kt_thread_join(mover);
    knit_chan_unref(m.ch[0]);
    knit_chan_unref(m.ch[1]);
}

/* ---- CH-5 ------------------------------------------------------------------------------------- */

typedef struct player {
    knit_chan *ch;
    int number, rounds;
    bool unbuffered;
} player;

static int play(void *arg)
{
    player *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        int got = -1, sends = i % 2 == 0 || p->number == 0 ? 0 : 1;
        knit_case cases[2];
        cases[sends] = knit_case_send(p->ch, &p->number);
        cases[!sends] = knit_case_recv(p->ch, &got);
        int r = knit_select(cases, 2);
        if (r < 0)
            return r;
        if (cases[r].result != 0 || (p->unbuffered && got == p->number))
            return -EPROTO;
    }
    return 0;
}

static void ch_5_two_selects_on_one_channel_never_meet_themselves(void)
{
    for (size_t capacity = 0; capacity <= 10; capacity += 10) {
        knit_chan *ch = chan_of(sizeof(int), capacity);
        player players[2];
        knit_errgroup g = {0};
        for (int i = 0; i < 2; i++) {
            players[i] = (player){ch, i, kt_count(1000), capacity == 0};
            CHECK_INT(knit_errgroup_go(&g, play, &players[i]), 0);
        }
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_chan_unref(ch);
    }
}

/* ---- CH-6 ------------------------------------------------------------------------------------- */

enum { LANES = 4 };

typedef struct lanes {
    knit_chan *ch[LANES];
    int n;
} lanes;

typedef struct lane {
    knit_chan *ch;
    int n;
} lane;

static int send_n(void *arg)
{
    lane *l = arg;
    int r = 0;
    for (int i = 0; i < l->n && r == 0; i++)
        r = knit_chan_send(l->ch, &i);
    return r;
}

static int recv_n(void *arg)
{
    lane *l = arg;
    int r = 0;
    for (int i = 0; i < l->n && r == 0; i++)
        r = knit_chan_recv(l->ch, NULL);
    return r;
}

/* n operations on every lane, by select; a lane that is done is set to NULL. */
static int select_n(lanes *l, bool send)
{
    int left[LANES], item = 0;
    knit_case cases[LANES];
    for (int i = 0; i < LANES; i++) {
        left[i] = l->n;
        cases[i] = send ? knit_case_send(l->ch[i], &item) : knit_case_recv(l->ch[i], &item);
    }
    for (int i = 0; i < LANES * l->n; i++) {
        int which = knit_select(cases, LANES);
        if (which < 0)
            return which;
        if (cases[which].result != 0 || left[which] <= 0)
            return -EPROTO;
        if (--left[which] == 0)
            cases[which].ch = NULL;
    }
    return 0;
}

static int send_by_select(void *arg)
{
    return select_n(arg, true);
}

static int recv_by_select(void *arg)
{
    return select_n(arg, false);
}

static void ch_6_selects_and_plain_operations_on_four_channels_end(void)
{
    static const size_t capacities[LANES] = {0, 0, 2, 3};
    lanes all = {.n = kt_count(10000)};
    lane each[LANES];
    knit_errgroup g = {0};
    for (int i = 0; i < LANES; i++) {
        all.ch[i] = chan_of(sizeof(int), capacities[i]);
        each[i] = (lane){all.ch[i], all.n};
        CHECK_INT(knit_errgroup_go(&g, send_n, &each[i]), 0);
        CHECK_INT(knit_errgroup_go(&g, recv_n, &each[i]), 0);
    }
    CHECK_INT(knit_errgroup_go(&g, send_by_select, &all), 0);
    CHECK_INT(knit_errgroup_go(&g, recv_by_select, &all), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < LANES; i++) {
        CHECK_INT(knit_chan_len(all.ch[i]), 0);
        knit_chan_unref(all.ch[i]);
    }
}

/* ---- doubleselect ----------------------------------------------------------------------------- */

typedef struct mux {
    knit_chan *in, *out;
} mux;

static int pass_on(void *arg)
{
    mux *m = arg;
    int item, r;
    while ((r = knit_chan_recv(m->in, &item)) == 0) {
        if ((r = knit_chan_send(m->out, &item)) < 0)
            return r;
    }
    return r == -EPIPE ? 0 : r;
}

/* The same item is offered to four channels: one takes it. */
static int offer_to_all(void *arg)
{
    lanes *l = arg;
    int item;
    knit_case cases[LANES];
    for (int i = 0; i < LANES; i++)
        cases[i] = knit_case_send(l->ch[i], &item);
    for (item = 0; item < l->n; item++) {
        int r = knit_select(cases, LANES);
        if (r < 0)
            return r;
    }
    for (int i = 0; i < LANES; i++)
        CHECK_INT(knit_chan_close(l->ch[i]), 0);
    return 0;
}

typedef struct closing {
    knit_errgroup *muxes;
    knit_chan *out;
} closing;

static int close_after(void *arg)
{
    closing *c = arg;
    int r = knit_errgroup_wait(c->muxes);
    return r < 0 ? r : knit_chan_close(c->out);
}

static void doubleselect_an_item_offered_four_times_is_taken_once(void)
{
    lanes all = {.n = kt_count(30000)};
    mux muxes[LANES];
    knit_errgroup passing = {0}, rest = {0};
    closing end = {&passing, chan_of(sizeof(int), 0)};
    unsigned char *seen = calloc((size_t)all.n, 1);
    int item, count = 0;
    CHECK(seen);
    for (int i = 0; i < LANES; i++) {
        all.ch[i] = chan_of(sizeof(int), 0);
        muxes[i] = (mux){all.ch[i], end.out};
        CHECK_INT(knit_errgroup_go(&passing, pass_on, &muxes[i]), 0);
    }
    CHECK_INT(knit_errgroup_go(&rest, offer_to_all, &all), 0);
    CHECK_INT(knit_errgroup_go(&rest, close_after, &end), 0);
    while (knit_chan_recv(end.out, &item) == 0) {
        CHECK(item >= 0 && item < all.n);
        CHECK_INT(seen[item]++, 0);
        count++;
    }
    CHECK_INT(count, all.n);
    CHECK_INT(knit_errgroup_wait(&rest), 0);
    for (int i = 0; i < LANES; i++)
        knit_chan_unref(all.ch[i]);
    knit_chan_unref(end.out);
    free(seen);
}

/* ---- CH-15 ------------------------------------------------------------------------------------ */

static int answer(void *arg)
{
    knit_chan **request = arg;
    knit_case cases[] = {knit_case_send(*request, NULL), knit_case_recv(NULL, NULL)};
    int r = knit_select(cases, 2);
    return r < 0 ? r : cases[r].result;
}

static int ask_n_times(void *arg)
{
    const int *n = arg;
    for (int i = 0; i < *n; i++) {
        knit_chan *reply = chan_of(0, 0);
        knit_case c = knit_case_recv(reply, NULL);
        knit_errgroup g = {0};
        int r = knit_errgroup_go(&g, answer, &reply);
        if (r == 0)
            r = knit_select(&c, 1);
        int w = knit_errgroup_wait(&g);
        knit_chan_unref(reply);
        if (r < 0 || w < 0)
            return r < 0 ? r : w;
    }
    return 0;
}

static void ch_15_request_and_response_by_select(void)
{
    int n = kt_count(KT_TSAN ? 200 : 1000);
    knit_errgroup g = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, ask_n_times, &n), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- exactly one case, whatever comes between -------------------------------------------------- */

enum { CHANS = 4, PEERS = 10, CASES = 20 };

/* It sends and receives by select, under contexts that others cancel at any moment. */
typedef struct peer {
    struct market *m;
    uint64_t seed;
    int number;
    uint64_t sent, received; /* how many */
    pthread_mutex_t lock;    /* ctx; never held across a park */
    knit_ctx *ctx;
} peer;

typedef struct market {
    knit_chan *ch[CHANS];
    int rounds;
    atomic_uchar *taken, *sold; /* by item */
    atomic_bool stop;
    peer peers[PEERS];
} market;

static void set_ctx(peer *p, knit_ctx *ctx)
{
    pthread_mutex_lock(&p->lock);
    p->ctx = ctx;
    pthread_mutex_unlock(&p->lock);
}

/* Cases at random; every send offers the same new item. */
static size_t draw_cases(peer *p, kt_rng *rng, knit_case *cases, uint64_t *item, uint64_t *got)
{
    size_t n = 1 + kt_below(rng, kt_below(rng, 8) ? 5 : CASES - 1);
    for (size_t i = 0; i < n; i++) {
        knit_chan *ch = p->m->ch[kt_below(rng, CHANS)];
        switch (kt_below(rng, 12)) {
        case 0: cases[i] = knit_case_after((knit_duration)kt_below(rng, 100000)); break;
        case 1: cases[i] = knit_case_done(p->ctx); break;
        case 2: cases[i] = (knit_case){0}; break;
        case 3:
        case 4:
        case 5:
        case 6: cases[i] = knit_case_recv(ch, &got[i]); break;
        default: cases[i] = knit_case_send(ch, item); break;
        }
        got[i] = UINT64_MAX;
    }
    return n;
}

static int select_somehow(kt_rng *rng, knit_case *cases, size_t n)
{
    if (kt_below(rng, 8) == 0)
        return knit_try_select(cases, n);
    return knit_select_until(cases, n, knit_now() + kt_below(rng, 100000));
}

/* Exactly what r says has happened. */
static void account(peer *p, int r, const knit_case *cases, size_t n, uint64_t item,
                    const uint64_t *got)
{
    for (size_t i = 0; i < n; i++)
        CHECK((got[i] != UINT64_MAX) == ((int)i == r && cases[i].kind == KNIT_CASE_RECV));
    if (r < 0) {
        CHECK(r == -EAGAIN || r == -ETIMEDOUT || r == -ECANCELED);
    } else if (cases[r].kind == KNIT_CASE_SEND) {
        CHECK_INT(cases[r].result, 0);
        CHECK_INT(atomic_fetch_add(&p->m->sold[item], 1), 0);
        p->sent++;
    } else if (cases[r].kind == KNIT_CASE_RECV) {
        CHECK_INT(cases[r].result, 0);
        CHECK_INT(atomic_fetch_add(&p->m->taken[got[r]], 1), 0);
        p->received++;
    } else {
        CHECK_INT(cases[r].result, cases[r].kind == KNIT_CASE_DONE ? -ECANCELED : 0);
    }
}

static void trade_once(peer *p, kt_rng *rng, uint64_t item)
{
    knit_case cases[CASES];
    uint64_t got[CASES];
    knit_ctx_scope scope;
    knit_ctx *ctx;
    bool ambient = kt_below(rng, 2);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    if (ambient)
        CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    set_ctx(p, ctx);
    size_t n = draw_cases(p, rng, cases, &item, got);
    int r = select_somehow(rng, cases, n);
    set_ctx(p, NULL);
    if (ambient)
        CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    account(p, r, cases, n, item, got);
}

static void trade(void *arg)
{
    peer *p = arg;
    kt_rng rng = {p->seed};
    for (int i = 0; i < p->m->rounds; i++)
        trade_once(p, &rng, (uint64_t)p->number * (uint64_t)p->m->rounds + (uint64_t)i);
}

static int trade_in_task(void *arg)
{
    trade(arg);
    return 0;
}

static void cancel_at_random(void *arg)
{
    market *m = arg;
    kt_rng rng = {m->peers[0].seed + 99};
    while (!m->stop) {
        peer *p = &m->peers[kt_below(&rng, PEERS)];
        pthread_mutex_lock(&p->lock);
        knit_ctx *ctx = p->ctx ? knit_ctx_ref(p->ctx) : NULL;
        pthread_mutex_unlock(&p->lock);
        knit_ctx_cancel(ctx, 0);
        knit_ctx_unref(ctx);
        for (unsigned i = kt_below(&rng, 20); i > 0; i--)
            (void)knit_yield();
    }
}

static void close_market(market *m)
{
    uint64_t sent = 0, received = 0, item;
    for (int i = 0; i < CHANS; i++) { /* what is left in the buffers */
        while (knit_chan_try_recv(m->ch[i], &item) == 0) {
            CHECK_INT(atomic_fetch_add(&m->taken[item], 1), 0);
            received++;
        }
        knit_chan_unref(m->ch[i]);
    }
    for (int i = 0; i < PEERS; i++) {
        sent += m->peers[i].sent;
        received += m->peers[i].received;
        CHECK(m->peers[i].ctx == NULL);
        pthread_mutex_destroy(&m->peers[i].lock);
    }
    CHECK_INT(sent, received);
    CHECK(sent > 0);
    for (int i = 0; i < PEERS * m->rounds; i++)
        CHECK_INT(m->taken[i], m->sold[i]); /* exactly those that were sold */
}

static void every_item_goes_through_exactly_one_case(void)
{
    static const size_t capacities[CHANS] = {0, 0, 1, 3};
    market m = {.rounds = kt_count(KT_TSAN ? 500 : 2000)};
    uint64_t seed = kt_seed();
    kt_thread *threads[PEERS] = {NULL}, *canceller;
    knit_errgroup g = {0};
    m.taken = calloc((size_t)(PEERS * m.rounds), 1);
    m.sold = calloc((size_t)(PEERS * m.rounds), 1);
    CHECK(m.taken && m.sold);
    for (int i = 0; i < CHANS; i++)
        m.ch[i] = chan_of(sizeof(uint64_t), capacities[i]);
    for (int i = 0; i < PEERS; i++) {
        m.peers[i] = (peer){.m = &m, .seed = seed + (uint64_t)i * 1000003, .number = i};
        CHECK_INT(pthread_mutex_init(&m.peers[i].lock, NULL), 0);
    }
    canceller = kt_thread_start(cancel_at_random, &m);
    for (int i = 0; i < PEERS; i++) {
        if (i % 3 == 0)
            threads[i] = kt_thread_start(trade, &m.peers[i]);
        else
            CHECK_INT(knit_errgroup_go(&g, trade_in_task, &m.peers[i]), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < PEERS; i += 3)
        kt_thread_join(threads[i]);
    m.stop = true;
    kt_thread_join(canceller);
    close_market(&m);
    free(m.taken);
    free(m.sold);
}

static const knittest tests[] = {
    BOTH(ch_3_try_select_never_says_none_when_one_of_two_is_ready),
    BOTH(ch_3_try_select_looks_at_all_channels_at_one_moment),
    BOTH(ch_4_the_same_when_the_other_is_closed),
    BOTH(ch_5_two_selects_on_one_channel_never_meet_themselves),
    BOTH(ch_6_selects_and_plain_operations_on_four_channels_end),
    BOTH(doubleselect_an_item_offered_four_times_is_taken_once),
    TASK(ch_15_request_and_response_by_select),
    BOTH(every_item_goes_through_exactly_one_case),
};
KNITTEST_MAIN(tests)
