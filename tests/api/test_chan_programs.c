/* Programs made of channels (from Go's runtime/chan_test.go and test/chan), and the rule that an
 * item is never both delivered and reported cancelled, under random cancels and deadlines. */
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

/* ---- fifo: a chain of tasks, each waits for the one before ----------------------------------- */

typedef struct link {
    knit_chan *in, *out;
    int number;
    atomic_int *turn;
} link;

static int take_turn(void *arg)
{
    link *l = arg;
    int r = knit_chan_recv(l->in, NULL);
    if (r < 0)
        return r;
    if (atomic_fetch_add(l->turn, 1) != l->number)
        return -EPROTO;
    return l->out ? knit_chan_send(l->out, NULL) : 0;
}

static void fifo_a_chain_of_tasks_runs_in_order(void)
{
    enum { N = 10 };
    knit_chan *ch[N];
    link links[N];
    atomic_int turn = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < N; i++)
        ch[i] = chan_of(0, 0);
    for (int i = 0; i < N; i++) {
        links[i] = (link){ch[i], i + 1 < N ? ch[i + 1] : NULL, i, &turn};
        CHECK_INT(knit_errgroup_go(&g, take_turn, &links[i]), 0);
    }
    CHECK_INT(knit_chan_send(ch[0], NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(turn, N);
    for (int i = 0; i < N; i++)
        knit_chan_unref(ch[i]);
}

/* ---- goroutines: the daisy chain ------------------------------------------------------------- */

typedef struct pair {
    knit_chan *left, *right;
} pair;

static int pass_on(void *arg)
{
    pair *p = arg;
    int item, r = knit_chan_recv(p->right, &item);
    if (r < 0)
        return r;
    item++;
    return knit_chan_send(p->left, &item);
}

static void goroutines_a_daisy_chain_of_10000_tasks(void)
{
    int n = kt_live(10000), item = 0;
    pair *pairs = calloc((size_t)n, sizeof *pairs);
    CHECK(pairs);
    knit_chan *leftmost = chan_of(sizeof(int), 0), *left = leftmost;
    knit_errgroup g = {0};
    for (int i = 0; i < n; i++) {
        pairs[i] = (pair){left, chan_of(sizeof(int), 0)};
        CHECK_INT(knit_errgroup_go(&g, pass_on, &pairs[i]), 0);
        left = pairs[i].right;
    }
    CHECK_INT(knit_chan_send(left, &item), 0);
    CHECK_INT(knit_chan_recv(leftmost, &item), 0);
    CHECK_INT(item, n);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(leftmost);
    for (int i = 0; i < n; i++)
        knit_chan_unref(pairs[i].right);
    free(pairs);
}

/* ---- sieve: primes by a growing chain of filters --------------------------------------------- */

typedef struct filter {
    knit_chan *in, *out;
    int prime;
} filter;

static int count_from_2(void *arg)
{
    for (int i = 2;; i++) {
        int r = knit_chan_send(arg, &i);
        if (r < 0)
            return r;
    }
}

static int drop_multiples(void *arg)
{
    filter *f = arg;
    for (;;) {
        int i, r = knit_chan_recv(f->in, &i);
        if (r == 0 && i % f->prime)
            r = knit_chan_send(f->out, &i);
        if (r < 0)
            return r;
    }
}

static void find_primes(size_t capacity)
{
    static const int primes[] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
                                 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97};
    enum { N = sizeof primes / sizeof primes[0] };
    knit_chan *ch[N + 1];
    filter filters[N];
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    ch[0] = chan_of(sizeof(int), capacity);
    CHECK_INT(knit_errgroup_go(&g, count_from_2, ch[0]), 0);
    for (int i = 0; i < N; i++) {
        int prime;
        CHECK_INT(knit_chan_recv(ch[i], &prime), 0);
        CHECK_INT(prime, primes[i]);
        ch[i + 1] = chan_of(sizeof(int), capacity);
        filters[i] = (filter){ch[i], ch[i + 1], prime};
        CHECK_INT(knit_errgroup_go(&g, drop_multiples, &filters[i]), 0);
    }
    CHECK_INT(knit_errgroup_close(&g), 0); /* what Go's program cannot do: end the filters */
    for (int i = 0; i <= N; i++)
        knit_chan_unref(ch[i]);
}

static void sieve_1_finds_the_primes_over_rendezvous(void)
{
    find_primes(0);
}

static void sieve_2_finds_the_primes_over_buffers(void)
{
    find_primes(10);
}

/* ---- CH-10 ----------------------------------------------------------------------------------- */

typedef struct consumer {
    knit_chan *queue, *results;
} consumer;

static int consume_and_pass_on(void *arg)
{
    consumer *c = arg;
    int item, r;
    while ((r = knit_chan_recv(c->queue, &item)) == 0) {
        if (item % 5 == 0 && (r = knit_yield()) < 0)
            return r;
        if ((r = knit_chan_send(c->results, &item)) < 0)
            return r;
    }
    return r == -EPIPE ? 0 : r;
}

static const int ch_10_primes[] = {2, 3, 7, 11, 13, 17, 19, 23, 27, 31};

typedef struct feeder {
    knit_errgroup *workers;
    consumer *c;
    int n;
    long sent;
} feeder;

static int feed_then_close(void *arg)
{
    feeder *f = arg;
    for (int i = 0; i < f->n; i++) {
        int item = ch_10_primes[i % 10];
        f->sent += item;
        int r = knit_chan_send(f->c->queue, &item);
        if (r < 0)
            return r;
    }
    int r = knit_chan_close(f->c->queue);
    if (r == 0)
        r = knit_errgroup_wait(f->workers);
    return r < 0 ? r : knit_chan_close(f->c->results);
}

static void ch_10_23_consumers_lose_nothing(void)
{
    consumer c = {chan_of(sizeof(int), 23), chan_of(sizeof(int), 23)};
    knit_errgroup workers = {0}, feeding = {0};
    feeder f = {&workers, &c, kt_count(271828), 0};
    for (int i = 0; i < 23; i++)
        CHECK_INT(knit_errgroup_go(&workers, consume_and_pass_on, &c), 0);
    CHECK_INT(knit_errgroup_go(&feeding, feed_then_close, &f), 0);
    int item, count = 0;
    long sum = 0;
    while (knit_chan_recv(c.results, &item) == 0) {
        count++;
        sum += item;
    }
    CHECK_INT(knit_errgroup_wait(&feeding), 0);
    CHECK_INT(count, f.n);
    CHECK_INT(sum, f.sent);
    knit_chan_unref(c.queue);
    knit_chan_unref(c.results);
}

/* ---- CH-15 ----------------------------------------------------------------------------------- */

static int answer(void *arg)
{
    knit_chan **request = arg;
    return knit_chan_send(*request, NULL);
}

typedef struct asker {
    int n;
} asker;

static int ask_n_times(void *arg)
{
    asker *a = arg;
    for (int i = 0; i < a->n; i++) {
        knit_chan *reply = chan_of(0, 0);
        knit_errgroup g = {0};
        int r = knit_errgroup_go(&g, answer, &reply);
        if (r == 0)
            r = knit_chan_recv(reply, NULL);
        int w = knit_errgroup_wait(&g);
        knit_chan_unref(reply);
        if (r < 0 || w < 0)
            return r < 0 ? r : w;
    }
    return 0;
}

static void ch_15_request_and_response_a_million_times(void)
{
    asker a = {kt_count(KT_TSAN ? 1000 : 10000)};
    knit_errgroup g = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, ask_n_times, &a), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- nothing lost, nothing doubled, under cancels and deadlines ------------------------------ */

enum { WORDS = 8, PEERS = 6 };

typedef struct item {
    uint64_t words[WORDS]; /* all the same: a torn copy shows */
} item;

/* One sender or receiver. Its operations run under a context that others cancel at any moment. */
typedef struct peer {
    struct exchange *x;
    uint64_t seed;
    int number;
    bool is_sender;
    pthread_mutex_t lock; /* ctx; never held across a park */
    knit_ctx *ctx;
} peer;

typedef struct exchange {
    knit_chan *ch;
    int per_sender;
    atomic_uchar *seen; /* by item number */
    _Atomic uint64_t sent, received, sent_sum, received_sum, canceled, late;
    atomic_bool stop;
    peer peers[2 * PEERS];
} exchange;

static void set_ctx(peer *p, knit_ctx *ctx)
{
    pthread_mutex_lock(&p->lock);
    p->ctx = ctx;
    pthread_mutex_unlock(&p->lock);
}

static int do_operation(peer *p, kt_rng *rng, item *it)
{
    knit_chan *ch = p->x->ch;
    switch (kt_below(rng, 4)) {
    case 0: return p->is_sender ? knit_chan_try_send(ch, it) : knit_chan_try_recv(ch, it);
    case 1: {
        knit_time deadline = knit_now() + kt_below(rng, 50000);
        return p->is_sender ? knit_chan_send_until(ch, it, deadline)
                            : knit_chan_recv_until(ch, it, deadline);
    }
    default: return p->is_sender ? knit_chan_send(ch, it) : knit_chan_recv(ch, it);
    }
}

/* One try, under a fresh context that has a deadline now and then. */
static int try_operation(peer *p, kt_rng *rng, item *it)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_duration timeout = kt_below(rng, 4) ? KNIT_FOREVER : (knit_duration)kt_below(rng, 50000);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_background(), timeout, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    set_ctx(p, ctx);
    int r = do_operation(p, rng, it);
    set_ctx(p, NULL);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    if (r == -ECANCELED)
        atomic_fetch_add(&p->x->canceled, 1);
    else if (r == -ETIMEDOUT)
        atomic_fetch_add(&p->x->late, 1);
    else
        CHECK(r == 0 || r == -EAGAIN || (r == -EPIPE && !p->is_sender));
    return r;
}

static void send_items(peer *p, kt_rng *rng)
{
    for (int i = 0; i < p->x->per_sender; i++) {
        item it;
        uint64_t number = (uint64_t)p->number * (uint64_t)p->x->per_sender + (uint64_t)i;
        for (int k = 0; k < WORDS; k++)
            it.words[k] = number;
        while (try_operation(p, rng, &it) != 0)
            (void)knit_yield();
        atomic_fetch_add(&p->x->sent, 1);
        atomic_fetch_add(&p->x->sent_sum, number);
    }
}

static void receive_items(peer *p, kt_rng *rng)
{
    for (;;) {
        item it;
        memset(&it, 0xEE, sizeof it);
        int r = try_operation(p, rng, &it);
        if (r == -EPIPE)
            return;
        for (int k = 1; k < WORDS; k++)
            CHECK(it.words[k] == it.words[0]);
        if (r == 0) {
            CHECK_INT(atomic_fetch_add(&p->x->seen[it.words[0]], 1), 0); /* never twice */
            atomic_fetch_add(&p->x->received, 1);
            atomic_fetch_add(&p->x->received_sum, it.words[0]);
        } else {
            CHECK(it.words[0] == UINT64_C(0xEEEEEEEEEEEEEEEE)); /* untouched */
            (void)knit_yield();
        }
    }
}

static void run_peer(void *arg)
{
    peer *p = arg;
    kt_rng rng = {p->seed};
    if (p->is_sender)
        send_items(p, &rng);
    else
        receive_items(p, &rng);
}

static int run_peer_in_task(void *arg)
{
    run_peer(arg);
    return 0;
}

static void cancel_at_random(void *arg)
{
    exchange *x = arg;
    kt_rng rng = {x->peers[0].seed + 99};
    while (!x->stop) {
        peer *p = &x->peers[kt_below(&rng, 2 * PEERS)];
        pthread_mutex_lock(&p->lock);
        knit_ctx *ctx = p->ctx ? knit_ctx_ref(p->ctx) : NULL;
        pthread_mutex_unlock(&p->lock);
        knit_ctx_cancel(ctx, 0);
        knit_ctx_unref(ctx);
        (void)knit_yield();
    }
}

static void exchange_items(uint64_t seed, size_t capacity, int per_sender)
{
    exchange x = {.ch = chan_of(sizeof(item), capacity), .per_sender = per_sender};
    kt_thread *threads[2 * PEERS] = {NULL};
    knit_errgroup sending = {0}, receiving = {0};
    int n = PEERS * per_sender;
    x.seen = calloc((size_t)n, 1);
    CHECK(x.seen);
    for (int i = 0; i < 2 * PEERS; i++) {
        peer *p = &x.peers[i];
        *p = (peer){.x = &x, .seed = seed + (uint64_t)i, .number = i / 2, .is_sender = i % 2};
        pthread_mutex_init(&p->lock, NULL);
    }
    for (int i = 0; i < 2 * PEERS; i++) { /* two thirds of the peers are tasks */
        peer *p = &x.peers[i];
        if (i / 2 % 3 == 0)
            threads[i] = kt_thread_start(run_peer, p);
        else
            CHECK_INT(knit_errgroup_go(p->is_sender ? &sending : &receiving, run_peer_in_task, p),
                      0);
    }
    kt_thread *canceler = kt_thread_start(cancel_at_random, &x);
    for (int i = 1; i < 2 * PEERS; i += 2) {
        if (threads[i])
            kt_thread_join(threads[i]);
    }
    CHECK_INT(knit_errgroup_wait(&sending), 0);
    CHECK_INT(knit_chan_close(x.ch), 0);
    for (int i = 0; i < 2 * PEERS; i += 2) {
        if (threads[i])
            kt_thread_join(threads[i]);
    }
    CHECK_INT(knit_errgroup_wait(&receiving), 0);
    x.stop = true;
    kt_thread_join(canceler);
    CHECK_INT(x.sent, n);
    CHECK_INT(x.received, n);
    CHECK_INT(x.received_sum, x.sent_sum);
    for (int i = 0; i < 2 * PEERS; i++)
        pthread_mutex_destroy(&x.peers[i].lock);
    free(x.seen);
    knit_chan_unref(x.ch);
}

static void an_item_is_never_both_delivered_and_reported_canceled(void)
{
    kt_rng rng = {kt_seed()};
    for (size_t capacity = 0; capacity <= 4; capacity++) {
        for (int round = 0; round < (knit_simulated(NULL) ? 1 : 3); round++)
            exchange_items(kt_next(&rng), capacity, kt_count(500));
    }
}

static const knittest tests[] = {
    BOTH(fifo_a_chain_of_tasks_runs_in_order),
    BOTH(goroutines_a_daisy_chain_of_10000_tasks),
    BOTH(sieve_1_finds_the_primes_over_rendezvous),
    BOTH(sieve_2_finds_the_primes_over_buffers),
    BOTH(ch_10_23_consumers_lose_nothing),
    BOTH(ch_15_request_and_response_a_million_times),
    BOTH(an_item_is_never_both_delivered_and_reported_canceled),
};
KNITTEST_MAIN(tests)
