/* Listening, accepting, dialling: what succeeds, and how the sockets are. */
#include "sockets.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

static const char *const streams[] = {"tcp", "tcp4", "tcp6", "unix"};
enum { STREAMS = sizeof streams / sizeof streams[0] };

static bool usable(const char *network)
{
    return !strchr(network, '6') || has_ipv6();
}

static void a_connection_carries_bytes_both_ways(void)
{
    for (int i = 0; i < STREAMS; i++) {
        char got[6] = "";
        int fds[2];
        if (!usable(streams[i]))
            continue;
        connect_pair(streams[i], fds);
        CHECK_INT(knit_write_full(fds[0], "hello", 6, NULL), 0);
        CHECK_INT(knit_read_full(fds[1], got, 6, NULL), 0);
        CHECK_HAS(got, "hello");
        CHECK_INT(knit_write_full(fds[1], "olleh", 6, NULL), 0);
        CHECK_INT(knit_read_full(fds[0], got, 6, NULL), 0);
        CHECK_HAS(got, "olleh");
        close_pair(fds);
    }
}

static int echo_once(void *arg)
{
    int c = knit_accept(*(int *)arg, NULL);
    char byte;
    if (c < 0)
        return c;
    CHECK_INT(knit_read(c, &byte, 1), 1);
    CHECK_INT(knit_write(c, &byte, 1), 1);
    return knit_close(c);
}

static int call_once(void *arg)
{
    int c = knit_dial("tcp", arg);
    char byte = 'x';
    if (c < 0)
        return c;
    CHECK_INT(knit_write(c, &byte, 1), 1);
    CHECK_INT(knit_read(c, &byte, 1), 1);
    CHECK_INT(byte, 'x');
    return knit_close(c);
}

static void several_acceptors_share_one_listener(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), n = kt_count(100);
    knit_errgroup g = {0};
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, echo_once, &listener), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, call_once, text), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_close(listener), 0);
}

static void accept_tells_who_called(void)
{
    char text[KNIT_ADDRESS_TEXT], near[KNIT_ADDRESS_TEXT], far[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), c = knit_dial("tcp", text);
    knit_address caller, own;
    int s = knit_accept(listener, &caller);
    CHECK(c >= 0 && s >= 0);
    where(c, near);
    CHECK_INT(knit_address_text(&caller, far), 0);
    CHECK(strcmp(near, far) == 0);
    CHECK_INT(knit_peer_address(s, &own), 0);
    CHECK_INT(knit_address_port(&own), knit_address_port(&caller));
    CHECK_INT(knit_close(c) | knit_close(s) | knit_close(listener), 0);
}

static bool has_flags(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static bool has_nodelay(int fd)
{
    int on = 0;
    socklen_t size = sizeof on;
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    return on != 0;
}

static void sockets_are_closed_on_exec_and_do_not_block_or_delay(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), c = knit_dial("tcp", text);
    int s = knit_accept(listener, NULL), u = knit_listen("udp", "127.0.0.1:0");
    CHECK(has_flags(listener) && has_flags(c) && has_flags(s) && has_flags(u));
    CHECK(has_nodelay(c) && has_nodelay(s));
    CHECK_INT(knit_close(c) | knit_close(s) | knit_close(listener) | knit_close(u), 0);
}

/* host and the port of fd */
static int dial_port(const char *network, const char *host, int fd)
{
    char text[KNIT_ADDRESS_TEXT];
    knit_address a;
    CHECK_INT(knit_local_address(fd, &a), 0);
    snprintf(text, sizeof text, "%s:%d", host, knit_address_port(&a));
    return knit_dial(network, text);
}

static void a_listener_without_a_host_takes_both_families(void)
{
    int listener = knit_listen("tcp", ":0"), four, six = -1, any;
    CHECK(listener >= 0);
    four = dial_port("tcp", "127.0.0.1", listener);
    any = dial_port("tcp", "", listener);
    CHECK(four >= 0 && any >= 0);
    if (has_ipv6()) {
        six = dial_port("tcp6", "[::1]", listener);
        CHECK(six >= 0);
        CHECK_INT(knit_close(six), 0);
    }
    CHECK_INT(knit_close(four) | knit_close(any) | knit_close(listener), 0);
}

static void tcp6_takes_ipv6_alone(void)
{
    int listener;
    if (!has_ipv6())
        kt_skip("no IPv6");
    listener = knit_listen("tcp6", ":0");
    CHECK(listener >= 0);
    CHECK_INT(dial_port("tcp", "127.0.0.1", listener), -ECONNREFUSED);
    CHECK_INT(knit_close(listener), 0);
}

static void a_name_can_be_listened_at_and_dialled(void)
{
    int listener = knit_listen("tcp", "localhost:0"), c;
    if (listener == -ENOENT || listener == -EAGAIN)
        kt_skip("localhost has no address here");
    CHECK(listener >= 0);
    c = dial_port("tcp", "localhost", listener);
    CHECK(c >= 0);
    CHECK_INT(knit_close(c) | knit_close(listener), 0);
}

static void a_server_can_be_started_again_at_once(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), c = knit_dial("tcp", text);
    int s = knit_accept(listener, NULL);
    CHECK(c >= 0 && s >= 0);
    CHECK_INT(knit_close(listener), 0);
    CHECK_INT(knit_close(s), 0); /* it closes first, so its end is the one that lingers */
    CHECK_INT(knit_close(c), 0);
    listener = knit_listen("tcp", text);
    CHECK(listener >= 0);
    CHECK_INT(knit_close(listener), 0);
}

/* ---- Unix ---- */

typedef struct place {
    char folder[40], path[KNIT_ADDRESS_TEXT];
} place;

static place place_new(void)
{
    place p = {.folder = "/tmp/knit-test-XXXXXX"};
    CHECK(mkdtemp(p.folder));
    snprintf(p.path, sizeof p.path, "%s/socket", p.folder);
    return p;
}

static void place_free(const place *p)
{
    unlink(p->path);
    CHECK_INT(rmdir(p->folder), 0);
}

static void a_unix_socket_has_a_path(void)
{
    place p = place_new();
    char text[KNIT_ADDRESS_TEXT];
    int listener = knit_listen("unix", p.path), c = knit_dial("unix", p.path);
    CHECK(listener >= 0 && c >= 0);
    where(listener, text);
    CHECK(strcmp(text, p.path) == 0);
    where(c, text);
    CHECK(strcmp(text, "") == 0);
    CHECK_INT(knit_close(c) | knit_close(listener), 0);
    place_free(&p);
}

static void the_file_of_a_server_that_is_gone_is_replaced(void)
{
    place p = place_new();
    int listener = knit_listen("unix", p.path), c;
    CHECK(listener >= 0);
    CHECK_INT(knit_listen("unix", p.path), -EADDRINUSE); /* it lives */
    CHECK_INT(knit_close(listener), 0);
    CHECK_INT(knit_dial("unix", p.path), -ECONNREFUSED);
    listener = knit_listen("unix", p.path);
    c = knit_dial("unix", p.path);
    CHECK(listener >= 0 && c >= 0);
    CHECK_INT(knit_close(c) | knit_close(listener), 0);
    place_free(&p);
}

static void a_file_that_is_no_socket_is_left_alone(void)
{
    place p = place_new();
    struct stat st;
    int file = open(p.path, O_CREAT | O_WRONLY, 0600);
    CHECK(file >= 0);
    CHECK_INT(write(file, "x", 1), 1);
    close(file);
    CHECK_INT(knit_listen("unix", p.path), -EADDRINUSE);
    CHECK_INT(stat(p.path, &st), 0);
    CHECK_INT(st.st_size, 1);
    place_free(&p);
}

/* ---- sockets of others ---- */

static void a_socket_in_blocking_mode_connects_and_stays_so(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), fd = socket(AF_INET, SOCK_STREAM, 0);
    knit_address at;
    CHECK_INT(knit_local_address(listener, &at), 0);
    CHECK_INT(knit_connect(fd, &at), 0);
    CHECK_INT(knit_connect(fd, &at), -EISCONN);
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK_INT(knit_close(fd) | knit_close(listener), 0);
}

static int accept_one(void *arg)
{
    int c = knit_accept(*(int *)arg, NULL);
    return c < 0 ? c : knit_close(c);
}

static void a_listener_in_blocking_mode_stays_so(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), flags = fcntl(listener, F_GETFL), c[3];
    knit_errgroup g = {0};
    CHECK_INT(fcntl(listener, F_SETFL, flags & ~O_NONBLOCK), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, accept_one, &listener), 0);
    for (int i = 0; i < 3; i++)
        CHECK((c[i] = knit_dial("tcp", text)) >= 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(fcntl(listener, F_GETFL), flags & ~O_NONBLOCK);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_close(c[i]), 0);
    CHECK_INT(knit_close(listener), 0);
}

typedef struct watched {
    int fds[2];
    atomic_bool stop, changed;
} watched;

static void watch_modes(void *arg)
{
    watched *w = arg;
    while (!atomic_load(&w->stop)) {
        for (int i = 0; i < 2; i++) {
            if (fcntl(w->fds[i], F_GETFL) & O_NONBLOCK)
                atomic_store(&w->changed, true);
        }
    }
}

/* Not even for a moment: others may share the socket. */
static void the_mode_of_a_socket_is_never_changed(void)
{
    deaf d = deaf_new("unix");
    char text[KNIT_ADDRESS_TEXT];
    watched w = {{listen_here("tcp", text), socket(AF_UNIX, SOCK_STREAM, 0)}, false, false};
    kt_thread *watcher;
    CHECK_INT(fcntl(w.fds[0], F_SETFL, 0), 0);
    watcher = kt_thread_start(watch_modes, &w);
    for (int i = 0; i < (knit_simulated(NULL) ? 10 : 3000); i++)
        CHECK_INT(knit_accept_until(w.fds[0], 0, NULL), -ETIMEDOUT);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_connect_until(w.fds[1], &d.at, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    atomic_store(&w.stop, true);
    kt_thread_join(watcher);
    CHECK(!atomic_load(&w.changed));
    CHECK_INT(knit_close(w.fds[0]) | knit_close(w.fds[1]), 0);
    deaf_free(&d);
}

static void a_connection_that_is_there_is_accepted_however_late(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), c[2], s;
    for (int i = 0; i < 2; i++) {
        CHECK((c[i] = knit_dial("tcp", text)) >= 0);
        if (i == 1)
            CHECK_INT(fcntl(listener, F_SETFL, 0), 0);
        wait_for_a_caller(listener);
        CHECK((s = knit_accept_until(listener, 0, NULL)) >= 0);
        CHECK_INT(knit_close(s), 0);
        CHECK_INT(knit_accept_until(listener, 0, NULL), -ETIMEDOUT);
    }
    CHECK_INT(knit_close(c[0]) | knit_close(c[1]) | knit_close(listener), 0);
}

/* ---- ends of connections ---- */

static void a_connection_can_be_closed_by_halves(void)
{
    char byte;
    int fds[2];
    connect_pair("tcp", fds);
    CHECK_INT(shutdown(fds[0], SHUT_WR), 0);
    CHECK_INT(knit_read(fds[1], &byte, 1), 0);
    CHECK_INT(knit_write(fds[1], "x", 1), 1);
    CHECK_INT(knit_read(fds[0], &byte, 1), 1);
    close_pair(fds);
}

static void a_reset_is_told_as_one(void)
{
    struct linger now = {.l_onoff = 1};
    char byte;
    int fds[2];
    connect_pair("tcp", fds);
    CHECK_INT(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_INT(knit_close(fds[0]), 0);
    CHECK_INT(knit_read(fds[1], &byte, 1), -ECONNRESET);
    CHECK_INT(knit_write(fds[1], "x", 1), -EPIPE);
    CHECK_INT(knit_close(fds[1]), 0);
}

/* A full table of descriptors: the connection waits in the queue. */
static void accept_without_a_descriptor_loses_nothing(void)
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), c = knit_dial("tcp", text), s;
    struct rlimit limit, none = {.rlim_cur = 0};
    CHECK(c >= 0);
    CHECK_INT(knit_wait_fd(listener, KNIT_READABLE, KNIT_FOREVER), KNIT_READABLE);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_INT(knit_accept(listener, NULL), -EMFILE);
    CHECK_INT(knit_accept(listener, NULL), -EMFILE);
    CHECK_INT(knit_dial("tcp", text), -EMFILE);
    CHECK_INT(knit_listen("tcp", "127.0.0.1:0"), -EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    s = knit_accept(listener, NULL);
    CHECK(s >= 0);
    CHECK_INT(knit_close(c) | knit_close(s) | knit_close(listener), 0);
}

static const knittest tests[] = {
    BOTH(a_connection_carries_bytes_both_ways),
    BOTH(several_acceptors_share_one_listener),
    BOTH(accept_tells_who_called),
    BOTH(sockets_are_closed_on_exec_and_do_not_block_or_delay),
    BOTH(a_listener_without_a_host_takes_both_families),
    ALONE(tcp6_takes_ipv6_alone),
    ALONE(a_name_can_be_listened_at_and_dialled),
    BOTH(a_server_can_be_started_again_at_once),
    BOTH(a_unix_socket_has_a_path),
    BOTH(the_file_of_a_server_that_is_gone_is_replaced),
    BOTH(a_file_that_is_no_socket_is_left_alone),
    BOTH(a_socket_in_blocking_mode_connects_and_stays_so),
    BOTH(a_listener_in_blocking_mode_stays_so),
    BOTH(the_mode_of_a_socket_is_never_changed),
    BOTH(a_connection_that_is_there_is_accepted_however_late),
    BOTH(a_connection_can_be_closed_by_halves),
    BOTH(a_reset_is_told_as_one),
    ALONE(accept_without_a_descriptor_loses_nothing),
};

KNITTEST_MAIN(tests)
