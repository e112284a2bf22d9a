/* Every call of net.h that waits: what ends the wait, and what it returns then. None of the calls
 * here can succeed: nobody calls, answers, sends or reads. */
#include "sockets.h"

#include <errno.h>
#include <sys/uio.h>

typedef struct spot {
    int fd;        /* what the call waits for; -1: nothing that could be closed */
    int others[2]; /* to be closed in the end; -1: none */
    deaf deaf;
    char text[KNIT_ADDRESS_TEXT];
    knit_address at;
} spot;

typedef struct kind {
    const char *name;
    void (*make)(spot *s);
    ssize_t (*call)(spot *s, knit_time deadline);
    bool is_deaf; /* there is one to free */
    bool is_ours; /* fd was made by Knit */
} kind;

/* ---- the calls ---- */

static void make_listener(spot *s)
{
    s->fd = listen_here("tcp", s->text);
}

static ssize_t call_accept(spot *s, knit_time deadline)
{
    knit_address peer;
    return knit_accept_until(s->fd, deadline, &peer);
}

static void make_blocking_listener(spot *s)
{
    make_listener(s);
    CHECK_INT(fcntl(s->fd, F_SETFL, 0), 0);
}

static void make_deaf(spot *s, const char *network)
{
    s->deaf = deaf_new(network);
    CHECK_INT(knit_address_text(&s->deaf.at, s->text), 0);
}

static void make_tcp_caller(spot *s)
{
    make_deaf(s, "tcp");
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
}

static void make_unix_caller(spot *s)
{
    make_deaf(s, "unix");
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void make_blocking_unix_caller(spot *s)
{
    make_deaf(s, "unix");
    s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
}

static ssize_t call_connect(spot *s, knit_time deadline)
{
    return knit_connect_until(s->fd, &s->deaf.at, deadline);
}

static void make_tcp_deaf(spot *s)
{
    make_deaf(s, "tcp");
}

static void make_unix_deaf(spot *s)
{
    make_deaf(s, "unix");
}

static ssize_t call_dial(spot *s, knit_time deadline)
{
    return knit_dial_until(s->deaf.at.data.ss_family == AF_UNIX ? "unix" : "tcp", s->text,
                           deadline);
}

static void make_udp(spot *s)
{
    s->fd = listen_here("udp", s->text);
}

static ssize_t call_recv_from(spot *s, knit_time deadline)
{
    char byte;
    return knit_recv_from_until(s->fd, &byte, 1, deadline, NULL);
}

static void make_stream(spot *s)
{
    int fds[2];
    connect_pair("unix", fds);
    s->fd = fds[0];
    s->others[0] = fds[1];
}

static ssize_t call_recvmsg(spot *s, knit_time deadline)
{
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return knit_recvmsg_until(s->fd, &m, 0, deadline);
}

static void fill(int fd, const knit_address *to)
{
    static const char bytes[1000];
    while (sendto(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
                  to ? (const struct sockaddr *)&to->data : NULL, to ? to->size : 0) > 0) {
    }
    CHECK_INT(errno, EAGAIN);
}

static void make_full_stream(spot *s)
{
    make_stream(s);
    fill(s->fd, NULL);
}

static ssize_t call_sendmsg(spot *s, knit_time deadline)
{
    char byte = 0;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return knit_sendmsg_until(s->fd, &m, 0, deadline);
}

static void make_full_datagrams(spot *s)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
    s->fd = fds[0];
    s->others[0] = fds[1];
    fill(s->fd, NULL);
}

static ssize_t call_send(spot *s, knit_time deadline)
{
    return knit_send_to_until(s->fd, "x", 1, NULL, deadline);
}

/* Two that are not connected; one is called by its name. */
static void make_named_datagrams(spot *s)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    free_name(s->text);
    s->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    s->others[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
    s->at.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(s->text));
    memcpy(un.sun_path + 1, s->text + 1, strlen(s->text) - 1);
    memcpy(&s->at.data, &un, s->at.size);
    CHECK_INT(bind(s->others[0], (struct sockaddr *)&s->at.data, s->at.size), 0);
    fill(s->fd, &s->at);
}

static ssize_t call_send_to(spot *s, knit_time deadline)
{
    return knit_send_to_until(s->fd, "x", 1, &s->at, deadline);
}

static const kind kinds[] = {
    {"accept", make_listener, call_accept, false, true},
    {"accept, blocking mode", make_blocking_listener, call_accept, false, true},
    {"connect, tcp, blocking mode", make_tcp_caller, call_connect, true, false},
    {"connect, unix", make_unix_caller, call_connect, true, false},
    {"connect, unix, blocking mode", make_blocking_unix_caller, call_connect, true, false},
    {"dial, tcp", make_tcp_deaf, call_dial, true, false},
    {"dial, unix", make_unix_deaf, call_dial, true, false},
    {"recv_from", make_udp, call_recv_from, false, true},
    {"recvmsg", make_stream, call_recvmsg, false, true},
    {"sendmsg", make_full_stream, call_sendmsg, false, true},
    {"send_to, connected", make_full_datagrams, call_send, false, false},
    {"send_to, by name", make_named_datagrams, call_send_to, false, false},
};

static spot spot_new(const kind *k)
{
    spot s = {.fd = -1, .others = {-1, -1}};
    kt_note(k->name);
    k->make(&s);
    return s;
}

static void spot_free(const kind *k, spot *s)
{
    if (s->fd >= 0)
        CHECK_INT(knit_close(s->fd), 0);
    for (int i = 0; i < 2; i++) {
        if (s->others[i] >= 0)
            CHECK_INT(knit_close(s->others[i]), 0);
    }
    if (k->is_deaf)
        deaf_free(&s->deaf);
}

static void each_kind(void (*test)(const kind *k, spot *s))
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        spot s = spot_new(&kinds[i]);
        test(&kinds[i], &s);
        spot_free(&kinds[i], &s);
    }
    kt_note(NULL);
}

/* ---- the ends ---- */

static void pass_a_deadline(const kind *k, spot *s)
{
    CHECK_INT(k->call(s, 0), -ETIMEDOUT);
    CHECK_INT(k->call(s, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(k->call(s, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT); /* and it may be made again */
}

static void a_deadline_ends_the_wait(void)
{
    each_kind(pass_a_deadline);
}

static void call_in(knit_ctx *ctx, const kind *k, spot *s, int want)
{
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(k->call(s, KNIT_FOREVER), want);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

static void pass_a_context(const kind *k, spot *s)
{
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    call_in(ctx, k, s, -ETIMEDOUT);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    call_in(ctx, k, s, -ECANCELED);
}

static void an_ended_context_ends_the_wait(void)
{
    each_kind(pass_a_context);
}

typedef struct caller {
    const kind *k;
    spot *s;
    int want;
    atomic_bool began;
} caller;

static int call_for_ever(void *arg)
{
    caller *c = arg;
    atomic_store(&c->began, true);
    CHECK_INT(c->k->call(c->s, KNIT_FOREVER), c->want);
    return 0;
}

static void call_in_thread(void *arg)
{
    call_for_ever(arg);
}

/* Some way into the call: further in each round. */
static void let_it_begin(caller *c, int round)
{
    kt_until(atomic_load(&c->began));
    for (int i = 0; i < 3 * round; i++)
        (void)knit_yield();
}

static void be_canceled(const kind *k, spot *s)
{
    for (int round = 0; round < 4; round++) {
        caller c = {.k = k, .s = s, .want = -ECANCELED};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, call_for_ever, &c), 0);
        let_it_begin(&c, round);
        knit_errgroup_cancel(&g, 0);
        CHECK_INT(knit_errgroup_close(&g), -ECANCELED);
    }
}

static void a_cancel_ends_the_wait(void)
{
    each_kind(be_canceled);
}

/* A close while the call does not wait yet is the caller's mistake. */
static void close_under_a_task(spot *s, caller *c)
{
    knit_errgroup g = {0};
    uint64_t before = kt_parks();
    CHECK_INT(knit_errgroup_go(&g, call_for_ever, c), 0);
    kt_until(kt_parks() > before);
    CHECK_INT(knit_close(s->fd), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* When a thread waits cannot be seen; too early is not wrong here, as the number is not used again. */
static void close_under_a_thread(spot *s, caller *c, int round)
{
    kt_thread *thread = kt_thread_start(call_in_thread, c);
    let_it_begin(c, round);
    CHECK_INT(knit_close(s->fd), 0);
    kt_thread_join(thread);
}

/* One that nobody's next descriptor gets when it is closed. */
static void take_a_high_number(const kind *k, spot *s)
{
    int high = fcntl(s->fd, F_DUPFD, 900);
    CHECK(high >= 0);
    CHECK_INT(knit_close(s->fd), 0);
    if (k->is_ours)
        CHECK_INT(knit_adopt(high), 0);
    s->fd = high;
}

static void be_closed(const kind *k, spot *s)
{
    if (s->fd < 0)
        return;
    for (int round = 0; round < 4; round++) {
        caller c = {.k = k, .s = s, .want = -EBADF};
        take_a_high_number(k, s);
        if (round % 2 && !KT_TSAN)
            close_under_a_thread(s, &c, round);
        else
            close_under_a_task(s, &c);
        s->fd = -1;
        spot_free(k, s);
        *s = spot_new(k);
    }
}

static void a_close_ends_the_wait(void)
{
    each_kind(be_closed);
}

static const knittest tests[] = {
    BOTH(a_deadline_ends_the_wait),
    BOTH(an_ended_context_ends_the_wait),
    BOTH(a_cancel_ends_the_wait),
    BOTH(a_close_ends_the_wait),
};

KNITTEST_MAIN(tests)
