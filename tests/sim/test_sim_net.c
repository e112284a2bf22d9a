/* Conversations that are cancelled at any point: at a step drawn from the seed the group's context
 * ends. Each call returns what its header says, no byte and no connection is lost on the way, and
 * nothing is left open. */
#include "sockets.h"

#include <errno.h>

enum { ROUNDS = 60, STEPS = 40, BYTES = 5000, CALLS = 15 };

static bool is_end(ssize_t r)
{
    return r == -ECANCELED;
}

/* A task that has made its calls is there until the end. */
static int be_there(void)
{
    int r = knit_sleep_until(KNIT_FOREVER);
    CHECK(is_end(r));
    return r;
}

/* Cancel the group after so many steps of whoever runs meanwhile. */
static void cancel_after(knit_errgroup *g, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++)
        (void)knit_yield();
    knit_errgroup_cancel(g, 0);
    CHECK_INT(knit_errgroup_close(g), -ECANCELED);
}

static void each_round(void (*round)(kt_rng *rng))
{
    kt_rng rng = {kt_seed()};
    for (int i = kt_count(ROUNDS); i > 0; i--)
        round(&rng);
}

/* ---- bytes ---- */

/* One direction of a connection. What a call says it moved was moved, and no more. */
typedef struct flow {
    int in, out;
    size_t sent, received;  /* bytes, as the calls say */
    kt_rng in_rng, out_rng; /* of the receiver, of the sender */
} flow;

static char nth_byte(size_t n)
{
    return (char)(n * 13 + n / 256);
}

static void check_bytes(flow *f, const char *got, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        CHECK_INT(got[i], nth_byte(f->received + (size_t)i));
    f->received += (size_t)n;
}

/* A count or an error as the two that the full calls give. */
static int split(ssize_t moved, size_t *ret_done)
{
    *ret_done = moved > 0 ? (size_t)moved : 0;
    return moved < 0 ? (int)moved : 0;
}

static int send_bytes(void *arg)
{
    flow *f = arg;
    char bytes[BYTES];
    for (int i = 0; i < CALLS; i++) {
        size_t n = 1 + kt_below(&f->out_rng, BYTES), done = 0;
        int r;
        for (size_t k = 0; k < n; k++)
            bytes[k] = nth_byte(f->sent + k);
        if (kt_below(&f->out_rng, 2)) {
            r = knit_write_full(f->out, bytes, n, &done);
        } else {
            r = split(knit_write(f->out, bytes, n), &done);
        }
        f->sent += done;
        CHECK(r == 0 || is_end(r));
        if (r != 0)
            return r;
    }
    return be_there();
}

static int receive_bytes(void *arg)
{
    flow *f = arg;
    char bytes[BYTES];
    for (int i = 0; i < CALLS; i++) {
        size_t n = 1 + kt_below(&f->in_rng, BYTES), done = 0;
        int r;
        if (kt_below(&f->in_rng, 2)) {
            r = knit_read_full(f->in, bytes, n, &done);
        } else {
            r = split(knit_read(f->in, bytes, n), &done);
        }
        check_bytes(f, bytes, (ssize_t)done);
        CHECK(r == 0 || is_end(r));
        if (r != 0)
            return r;
    }
    return be_there();
}

/* What is still on the way. */
static void drain(flow *f)
{
    char bytes[BYTES];
    while (f->received < f->sent) {
        ssize_t n = knit_read(f->in, bytes, sizeof bytes);
        CHECK(n > 0);
        check_bytes(f, bytes, n);
    }
    CHECK_INT(knit_read_until(f->in, bytes, 1, 0), -ETIMEDOUT);
}

static void flow_round(flow *f, kt_rng *rng)
{
    knit_errgroup g;
    f->in_rng.state = kt_next(rng);
    f->out_rng.state = kt_next(rng);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, receive_bytes, f), 0);
    CHECK_INT(knit_errgroup_go(&g, send_bytes, f), 0);
    cancel_after(&g, kt_below(rng, STEPS));
    drain(f);
    CHECK_INT(knit_close(f->in) | knit_close(f->out), 0);
}

static void round_of_tcp(kt_rng *rng)
{
    int fds[2];
    connect_pair("tcp", fds);
    flow_round(&(flow){.in = fds[0], .out = fds[1]}, rng);
}

static void round_of_unix(kt_rng *rng)
{
    int fds[2];
    connect_pair("unix", fds);
    flow_round(&(flow){.in = fds[0], .out = fds[1]}, rng);
}

static void round_of_pipes(kt_rng *rng)
{
    int fds[2];
    CHECK_INT(knit_pipe(fds), 0);
    flow_round(&(flow){.in = fds[0], .out = fds[1]}, rng);
}

/* In blocking mode, and not made by the library. */
static void round_of_foreign_sockets(kt_rng *rng)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    flow_round(&(flow){.in = fds[0], .out = fds[1]}, rng);
}

static void a_canceled_stream_lost_no_byte(void)
{
    each_round(round_of_tcp);
    each_round(round_of_unix);
    each_round(round_of_pipes);
    each_round(round_of_foreign_sockets);
}

/* ---- connections ---- */

typedef struct server {
    int listener;
    char text[KNIT_ADDRESS_TEXT];
    const char *network;
    atomic_int dialled, accepted;
} server;

static int accept_calls(void *arg)
{
    server *s = arg;
    for (int i = 0; i < 2 * CALLS; i++) {
        int c = knit_accept(s->listener, NULL);
        CHECK(c >= 0 || is_end(c));
        if (c < 0)
            return c;
        atomic_fetch_add(&s->accepted, 1);
        CHECK_INT(knit_close(c), 0);
    }
    return be_there();
}

static int make_calls(void *arg)
{
    server *s = arg;
    for (int i = 0; i < CALLS; i++) {
        int c = knit_dial(s->network, s->text);
        CHECK(c >= 0 || is_end(c));
        if (c < 0)
            return c;
        atomic_fetch_add(&s->dialled, 1);
        CHECK_INT(knit_close(c), 0);
    }
    return be_there();
}

/* Who dialled was or will be accepted; a call that was given up may still be in the queue. */
static void connect_round(server *s, kt_rng *rng)
{
    knit_errgroup g;
    int c;
    s->listener = listen_here(s->network, s->text);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(knit_errgroup_go(&g, accept_calls, s), 0);
        CHECK_INT(knit_errgroup_go(&g, make_calls, s), 0);
    }
    cancel_after(&g, kt_below(rng, STEPS));
    /* those that know of their connection may not be in the queue yet */
    while ((c = knit_accept_until(s->listener, s->accepted < s->dialled ? KNIT_FOREVER : 0,
                                  NULL)) >= 0) {
        s->accepted++;
        CHECK_INT(knit_close(c), 0);
    }
    CHECK_INT(c, -ETIMEDOUT);
    CHECK(s->accepted >= s->dialled);
    CHECK(s->accepted <= s->dialled + 2);
    CHECK_INT(knit_close(s->listener), 0);
}

static void round_of_tcp_calls(kt_rng *rng)
{
    connect_round(&(server){.network = "tcp"}, rng);
}

static void round_of_unix_calls(kt_rng *rng)
{
    connect_round(&(server){.network = "unix"}, rng);
}

static void a_canceled_accept_took_no_connection(void)
{
    each_round(round_of_tcp_calls);
    each_round(round_of_unix_calls);
}

/* ---- datagrams ---- */

static int send_datagrams(void *arg)
{
    flow *f = arg;
    for (int i = 0; i < CALLS; i++) {
        char byte = nth_byte(f->sent);
        ssize_t r = knit_send_to(f->out, &byte, 1, NULL);
        CHECK(r == 1 || is_end(r));
        if (r < 0)
            return (int)r;
        f->sent++;
    }
    return be_there();
}

static int receive_datagrams(void *arg)
{
    flow *f = arg;
    for (int i = 0; i < CALLS; i++) {
        char bytes[2];
        ssize_t n = knit_recv_from(f->in, bytes, sizeof bytes, NULL);
        CHECK(n == 1 || is_end(n));
        if (n < 0)
            return (int)n;
        check_bytes(f, bytes, n);
    }
    return be_there();
}

/* Unix datagrams are not lost when nobody is quick enough to receive them. */
static void round_of_datagrams(kt_rng *rng)
{
    int fds[2];
    flow f = {.sent = 0};
    knit_errgroup g;
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    f.in = fds[0];
    f.out = fds[1];
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, receive_datagrams, &f), 0);
    CHECK_INT(knit_errgroup_go(&g, send_datagrams, &f), 0);
    cancel_after(&g, kt_below(rng, STEPS));
    drain(&f);
    close_pair(fds);
}

static void a_canceled_datagram_was_not_sent(void)
{
    each_round(round_of_datagrams);
}

/* ---- copies ---- */

typedef struct copy {
    flow there, back;
    uint64_t copied;
} copy;

static int copy_bytes(void *arg)
{
    copy *c = arg;
    int r = knit_copy(c->there.in, c->back.out, UINT64_MAX, &c->copied);
    CHECK(is_end(r));
    return r;
}

/* What was copied arrives; what was read besides is lost, at most 64 KiB. */
static void round_of_copies(kt_rng *rng)
{
    int there[2], back[2];
    copy c = {.copied = 0};
    knit_errgroup g;
    CHECK_INT(knit_pipe(there), 0);
    connect_pair(kt_below(rng, 2) ? "tcp" : "unix", back);
    c.there = (flow){.in = there[0], .out = there[1], .out_rng = {kt_next(rng)}};
    c.back = (flow){.in = back[0], .out = back[1], .in_rng = {kt_next(rng)}};
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, receive_bytes, &c.back), 0);
    CHECK_INT(knit_errgroup_go(&g, copy_bytes, &c), 0);
    CHECK_INT(knit_errgroup_go(&g, send_bytes, &c.there), 0);
    cancel_after(&g, kt_below(rng, STEPS));
    c.back.sent = (size_t)c.copied;
    drain(&c.back);
    CHECK(c.copied <= c.there.sent);
    close_pair(there);
    close_pair(back);
}

static void a_canceled_copy_says_how_far_it_came(void)
{
    each_round(round_of_copies);
}

static const knittest tests[] = {
    BOTH(a_canceled_stream_lost_no_byte),
    BOTH(a_canceled_accept_took_no_connection),
    BOTH(a_canceled_datagram_was_not_sent),
    BOTH(a_canceled_copy_says_how_far_it_came),
};

KNITTEST_MAIN(tests)
