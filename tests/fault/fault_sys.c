/* Each call of input and output goes wrong once, in each way that the system knows (sysfault.h).
 *
 * A test is a conversation, repeated for each kind of fault with the 1st, 2nd ... call going wrong,
 * until none is left. A harmless fault (EINTR, EAGAIN, a single byte) must not be seen at all: the
 * conversation succeeds, all bytes are there. Of another kind the first thing that anybody sees must
 * be that very error; the rest of the conversation then ends in whatever way the end of one side
 * ends the other. After each round no descriptor is open that was not. A hang is ended by the time
 * limit, with the kind and the number of the call. */
#define _GNU_SOURCE
#include "io/net.h"

#include "sockets.h"
#include "sysfault.h"

#include <errno.h>

enum { BULK = 100 * 1000, FDS = 256 };

static const struct sysfault faults[] = {
    {"EINTR", EINTR,
     SYS_RECV | SYS_SEND | SYS_COPY | SYS_ACCEPT | SYS_CONNECT | SYS_CLOSE | SYS_POLL | SYS_WAIT,
     true, false},
    {"EAGAIN", EAGAIN, SYS_RECV | SYS_SEND | SYS_COPY, true, true},
    {"one byte", 0, SYS_RECV | SYS_SEND | SYS_COPY, true, true},
    {"ECONNABORTED", ECONNABORTED, SYS_ACCEPT, true, false},
    {"EPROTO", EPROTO, SYS_ACCEPT, true, false},
    {"ECONNRESET", ECONNRESET, SYS_RECV | SYS_SEND | SYS_COPY, false, false},
    {"EMFILE", EMFILE, SYS_ACCEPT | SYS_SOCKET | SYS_EPOLL | SYS_MAKE, false, false},
    {"ENFILE", ENFILE, SYS_ACCEPT | SYS_SOCKET | SYS_EPOLL | SYS_MAKE, false, false},
    {"ENOBUFS", ENOBUFS, SYS_RECV | SYS_SEND | SYS_ACCEPT | SYS_SOCKET | SYS_CONNECT, false, false},
    {"ENOMEM", ENOMEM,
     SYS_RECV | SYS_SEND | SYS_COPY | SYS_ACCEPT | SYS_SOCKET | SYS_WATCH | SYS_EPOLL | SYS_POLL |
         SYS_MAKE,
     false, false},
    {"ENOSPC", ENOSPC, SYS_WATCH, false, false},
};

/* ---- what is seen ---- */

static const struct sysfault *fault; /* of this round */
static atomic_int seen;              /* the first error */

static bool is_consequence(ssize_t r)
{
    return r >= 0 || r == -ECANCELED || r == -ECONNRESET || r == -EPIPE || r == -ENODATA ||
           r == -ECONNREFUSED || r == -ENOTCONN;
}

/* 0, or that the conversation is over for this side. */
static int bear(ssize_t r, ssize_t good)
{
    int none = 0;
    if (r == good)
        return 0;
    CHECK(fault);
    if (fault->harmless)
        CHECK_INT(r, good);
    if (atomic_compare_exchange_strong(&seen, &none, (int)r))
        CHECK_INT(r, -fault->code);
    else
        CHECK(r == -fault->code || is_consequence(r));
    return r < 0 ? (int)r : -EPIPE;
}

static int bear_fd(ssize_t fd)
{
    return fd >= 0 ? 0 : bear(fd, 0);
}

static void close_it(int fd)
{
    if (fd >= 0)
        CHECK_INT(knit_close(fd), 0);
}

/* A task may be skipped when another one failed. */
static void start(knit_errgroup *g, knit_fn *fn, void *arg)
{
    int r = knit_errgroup_go(g, fn, arg);
    CHECK(r == 0 || (r == -ECANCELED && atomic_load(&seen) != 0));
}

static void end(knit_errgroup *g)
{
    int r = knit_errgroup_wait(g);
    CHECK(r == 0 || (fault && !fault->harmless));
    CHECK_INT(knit_errgroup_close(g), r);
}

/* ---- rounds ---- */

static void list_fds(bool open[FDS])
{
    for (int fd = 0; fd < FDS; fd++)
        open[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* The first descriptor that is open now and was not; -1: none. */
static int new_fd(const bool before[FDS])
{
    bool now[FDS];
    list_fds(now);
    for (int fd = 0; fd < FDS; fd++) {
        if (now[fd] && !before[fd])
            return fd;
    }
    return -1;
}

/* The library's monitor opens a file for a moment now and then. */
static void check_fds(const bool before[FDS])
{
    int left = new_fd(before);
    for (int i = 0; i < 10000 && left >= 0; i++) {
        (void)knit_sleep(KNIT_MILLISECOND);
        left = new_fd(before);
    }
    CHECK_INT(left, -1);
}

static bool one_round(void (*conversation)(void), const struct sysfault *f, int n)
{
    char words[64];
    bool before[FDS], happened;
    snprintf(words, sizeof words, "%s, call %d", f->name, n);
    kt_note(words);
    list_fds(before);
    atomic_store(&seen, 0);
    fault = f;
    sysfault_start(f, n);
    conversation();
    happened = sysfault_stop();
    fault = NULL;
    check_fds(before);
    kt_note(NULL);
    return happened;
}

static knit_address refusing; /* nobody listens there */

/* The library opens its epoll set when somebody waits for the first time. */
static void warm_up(void)
{
    int fds[2];
    char byte;
    CHECK_INT(knit_pipe(fds), 0);
    CHECK_INT(knit_read_until(fds[0], &byte, 1, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    close_pair(fds);
}

static void explore(void (*conversation)(void))
{
    int rounds = 0, port = closed_port(&refusing);
    warm_up();
    conversation(); /* without a fault */
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        for (int n = 1; one_round(conversation, &faults[i], n); n++)
            rounds++;
    }
    CHECK(rounds > 0);
    fprintf(stderr, "# %d faults\n", rounds);
    close_it(port);
}

/* ---- two sides that talk ---- */

typedef struct side {
    int in, out; /* -1: closed */
} side;

static void side_close(side *s)
{
    if (s->out != s->in)
        close_it(s->out);
    close_it(s->in);
    s->in = s->out = -1;
}

static char pattern(int i)
{
    return (char)(i * 7 + i / 251);
}

static int ask(void *arg)
{
    side *s = arg;
    char *bulk = malloc(BULK), answer[4];
    int r = 0;
    CHECK(bulk);
    for (int i = 0; i < BULK; i++)
        bulk[i] = pattern(i);
    for (int i = 0; i < 3 && r == 0; i++) {
        r = bear(knit_write_full(s->out, bulk + 4 * i, 4, NULL), 0);
        if (r == 0)
            r = bear(knit_read_full(s->in, answer, 4, NULL), 0);
        if (r == 0)
            CHECK(memcmp(answer, bulk + 4 * i, 4) == 0);
    }
    if (r == 0)
        r = bear(knit_write_full(s->out, bulk, BULK, NULL), 0);
    free(bulk);
    side_close(s);
    return r;
}

static int check_bulk(side *s)
{
    char *bulk = malloc(BULK), byte;
    int r;
    CHECK(bulk);
    r = bear(knit_read_full(s->in, bulk, BULK, NULL), 0);
    for (int i = 0; i < BULK && r == 0; i++)
        CHECK_INT(bulk[i], pattern(i));
    if (r == 0)
        r = bear(knit_read(s->in, &byte, 1), 0);
    free(bulk);
    return r;
}

static int answer(void *arg)
{
    side *s = arg;
    char said[4];
    int r = 0;
    for (int i = 0; i < 3 && r == 0; i++) {
        r = bear(knit_read_full(s->in, said, 4, NULL), 0);
        if (r == 0)
            r = bear(knit_write_full(s->out, said, 4, NULL), 0);
    }
    if (r == 0)
        r = check_bulk(s);
    side_close(s);
    return r;
}

static void converse(side a, side b)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, answer, &b);
    start(&g, ask, &a);
    end(&g);
    side_close(&a);
    side_close(&b);
}

static void over_tcp(void)
{
    int listener = knit_listen("tcp", "127.0.0.1:0"), c = -1, s = -1;
    char text[KNIT_ADDRESS_TEXT];
    if (bear_fd(listener) != 0)
        return;
    where(listener, text);
    c = knit_dial("tcp", text);
    if (bear_fd(c) == 0) {
        s = knit_accept(listener, NULL);
        (void)bear_fd(s);
    }
    close_it(listener);
    if (s < 0) {
        close_it(c);
        return;
    }
    converse((side){c, c}, (side){s, s});
}

static void over_foreign_sockets(void)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    sysfault_foreign(fds[0]);
    sysfault_foreign(fds[1]);
    converse((side){fds[0], fds[0]}, (side){fds[1], fds[1]});
}

static void over_foreign_pipes(void)
{
    int there[2], back[2];
    CHECK_INT(pipe(there) | pipe(back), 0);
    for (int i = 0; i < 2; i++) {
        sysfault_foreign(there[i]);
        sysfault_foreign(back[i]);
    }
    converse((side){back[0], there[1]}, (side){there[0], back[1]});
}

static void over_pipes(void)
{
    int there[2] = {-1, -1}, back[2] = {-1, -1};
    if (bear(knit_pipe(there), 0) != 0)
        return;
    if (bear(knit_pipe(back), 0) == 0)
        converse((side){back[0], there[1]}, (side){there[0], back[1]});
    else
        close_pair(there);
}

/* ---- many that call ---- */

enum { CALLERS = 3 };

static int accept_all(void *arg)
{
    int r = 0;
    for (int i = 0; i < CALLERS && r == 0; i++) {
        int c = knit_accept(*(int *)arg, NULL);
        r = bear_fd(c);
        close_it(c);
    }
    return r;
}

static int call(void *arg)
{
    int c = knit_dial("tcp", arg), r = bear_fd(c);
    char byte;
    if (r == 0)
        r = bear(knit_read(c, &byte, 1), 0);
    close_it(c);
    return r;
}

static void an_accept_loop(void)
{
    int listener = knit_listen("tcp", "127.0.0.1:0");
    char text[KNIT_ADDRESS_TEXT];
    knit_errgroup g;
    if (bear_fd(listener) != 0)
        return;
    where(listener, text);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, accept_all, &listener);
    for (int i = 0; i < CALLERS; i++)
        start(&g, call, text);
    end(&g);
    close_it(listener);
}

/* One address refuses, the other does not: of the two errors the first is told, and either may be. */
static void a_race(void)
{
    knit_address list[2] = {refusing};
    int index, listener = knit_listen("tcp", "127.0.0.1:0"), r;
    if (bear_fd(listener) == 0) {
        CHECK_INT(knit_local_address(listener, &list[1]), 0);
        r = knit__race(list, 2, SOCK_STREAM, KNIT_SECOND, KNIT_FOREVER, &index);
        if (r != -ECONNREFUSED || fault->harmless)
            (void)bear_fd(r);
        close_it(r);
    }
    close_it(listener);
}

/* ---- the rest ---- */

static int copy_there(void *arg)
{
    side *s = arg;
    uint64_t copied = 0;
    int r = bear(knit_copy(s->in, s->out, UINT64_MAX, &copied), 0);
    if (r == 0 && atomic_load(&seen) == 0) /* else the writer may have given up */
        CHECK_INT(copied, BULK);
    side_close(s);
    return r;
}

static int write_bulk(void *arg)
{
    side *s = arg;
    char *bulk = malloc(BULK);
    int r;
    CHECK(bulk);
    for (int i = 0; i < BULK; i++)
        bulk[i] = pattern(i);
    r = bear(knit_write_full(s->out, bulk, BULK, NULL), 0);
    free(bulk);
    side_close(s);
    return r;
}

static int read_bulk(void *arg)
{
    side *s = arg;
    int r = check_bulk(s);
    side_close(s);
    return r;
}

/* From one foreign pair to another, through knit_copy. */
static void copy_between(int first[2], int second[2])
{
    side writer = {-1, first[1]}, copier = {first[0], second[1]}, reader = {second[0], -1};
    knit_errgroup g;
    for (int i = 0; i < 2; i++) {
        sysfault_foreign(first[i]);
        sysfault_foreign(second[i]);
    }
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, read_bulk, &reader);
    start(&g, copy_there, &copier);
    start(&g, write_bulk, &writer);
    end(&g);
    side_close(&writer);
    side_close(&copier);
    side_close(&reader);
}

static void a_copy_from_pipe_to_socket(void)
{
    int first[2], second[2];
    CHECK_INT(pipe(first), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second), 0);
    copy_between(first, second);
}

static void a_copy_from_socket_to_socket(void)
{
    int first[2], second[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second), 0);
    copy_between(first, second);
}

static int receive(void *arg)
{
    side *s = arg;
    char got[8];
    int r = bear(knit_wait_fd(s->in, KNIT_READABLE, KNIT_FOREVER), KNIT_READABLE);
    if (r == 0)
        r = bear(knit_recv_from(s->in, got, sizeof got, NULL), 4);
    return r;
}

static void datagrams(void)
{
    knit_errgroup g;
    char text[KNIT_ADDRESS_TEXT];
    side s = {knit_listen("udp", "127.0.0.1:0"), -1};
    if (bear_fd(s.in) == 0) {
        where(s.in, text);
        s.out = knit_dial("udp", text);
        if (bear_fd(s.out) == 0) {
            CHECK_INT(knit_errgroup_init(&g, NULL), 0);
            start(&g, receive, &s);
            if (bear(knit_send_to(s.out, "ping", 4, NULL), 4) != 0)
                knit_errgroup_cancel(&g, 0);
            end(&g);
        }
    }
    close_it(s.out);
    close_it(s.in);
}

static int set_event(void *arg)
{
    (void)knit_yield();
    return bear(knit_event_set(*(int *)arg), 0);
}

static void an_event(void)
{
    int event = knit_event_new();
    knit_errgroup g;
    if (bear_fd(event) != 0)
        return;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    start(&g, set_event, &event);
    (void)bear(knit_event_wait(event, KNIT_FOREVER), 1);
    end(&g);
    close_it(event);
}

/* ---- tests ---- */

#define EXPLORE(conversation)                                                                      \
    static void conversation##_bears_each_fault(void)                                              \
    {                                                                                              \
        explore(conversation);                                                                     \
    }

EXPLORE(over_tcp)
EXPLORE(over_foreign_sockets)
EXPLORE(over_foreign_pipes)
EXPLORE(over_pipes)
EXPLORE(an_accept_loop)
EXPLORE(a_race)
EXPLORE(a_copy_from_pipe_to_socket)
EXPLORE(a_copy_from_socket_to_socket)
EXPLORE(datagrams)
EXPLORE(an_event)

static const knittest tests[] = {
    BOTH(over_tcp_bears_each_fault),
    BOTH(over_foreign_sockets_bears_each_fault),
    BOTH(over_foreign_pipes_bears_each_fault),
    BOTH(over_pipes_bears_each_fault),
    BOTH(an_accept_loop_bears_each_fault),
    BOTH(a_race_bears_each_fault),
    BOTH(a_copy_from_pipe_to_socket_bears_each_fault),
    BOTH(a_copy_from_socket_to_socket_bears_each_fault),
    BOTH(datagrams_bears_each_fault),
    BOTH(an_event_bears_each_fault),
};

KNITTEST_MAIN(tests)
