/* Sockets that listen, accept and connect.
 *
 * accept(2) and connect(2) have no flag for "do not block", as recv and send have, and the mode of a
 * socket belongs to all who share it. So with one in blocking mode they are made when the socket is
 * ready, and in a way that may block (fd.c). A connect that is interrupted goes on by itself: then it
 * is waited for like any other. */
#define _GNU_SOURCE
#include "net.h"

#include "fd.h"
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <knit/task.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 }; /* the kernel cuts it (net.core.somaxconn) */
#define LONGEST_PAUSE (50 * KNIT_MILLISECOND)

/* ---- making ---- */

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

int knit__socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (knit__is_tcp(family, type))
        (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* a matter of speed only */
    return fd;
}

int knit__socket_adopt(int fd, bool tcp)
{
    int r = knit__slot_adopt(fd, KNIT__SLOT_SOCKET | (tcp ? KNIT__SLOT_STREAM : 0));

    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}

/* ---- calling ---- */

/* Sleep before the next attempt. */
static int sleep_at_most(knit_duration pause, knit_time deadline)
{
    knit_time now = knit_now();

    if (deadline <= now)
        return -ETIMEDOUT;
    return knit_sleep_until(deadline - now < pause ? deadline : now + pause);
}

/* Make the call again until it returns something but -EBUSY. Between two attempts nobody waits at the
 * slot, so its sequence number tells whether the socket was closed; the attempt is made under the
 * lock that knit_close takes before it closes. */
static ssize_t repeat(int fd, struct knit__fd_call *call, knit_time deadline)
{
    knit_duration pause = KNIT_MILLISECOND;
    struct knit__slot *s;
    uint32_t sequence;
    ssize_t r = knit__slot_of(fd, &s);

    if (r < 0)
        return r;
    knit__lock(&s->lock);
    sequence = s->sequence;
    knit__unlock(&s->lock);
    do {
        r = sleep_at_most(pause, deadline);
        if (r < 0)
            return r;
        knit__lock(&s->lock);
        r = s->sequence == sequence ? call->once(call, s, fd) : -EBADF;
        knit__unlock(&s->lock);
        pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE;
    } while (r == -EBUSY || r == -EINTR);
    return r;
}

ssize_t knit__socket_call(int fd, int direction, struct knit__fd_call *call, knit_time deadline)
{
    ssize_t r;

    do {
        r = knit__fd_call(fd, direction, call, deadline);
        if (r == -EBUSY)
            r = repeat(fd, call, deadline);
    } while (r == -EAGAIN);
    return r;
}

/* 0, or -EAGAIN: fd is in blocking mode, so the call is made where it may block. */
static int may_not_block(struct knit__fd_call *call, int fd)
{
    int mode = fcntl(fd, F_GETFL);

    if (mode < 0)
        return -errno;
    call->blocking = !(mode & O_NONBLOCK);
    return call->blocking ? -EAGAIN : 0;
}

/* ---- listening ---- */

/* The file at this address is the socket of a server that is gone. */
static bool is_stale(const knit_address *at)
{
    struct sockaddr_un un;
    struct stat st;
    int fd, r;

    memcpy(&un, &at->data, sizeof un);
    if (un.sun_path[0] == 0 || lstat(un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = knit__socket(AF_UNIX, SOCK_STREAM);
    if (fd < 0)
        return false;
    r = knit__connect_once(fd, at);
    close(fd);
    return r == -ECONNREFUSED;
}

static int bind_to(int fd, const knit_address *at)
{
    struct sockaddr_un un;
    int r = bind(fd, knit__sockaddr_const(at), at->size) < 0 ? -errno : 0;

    if (r != -EADDRINUSE || at->data.ss_family != AF_UNIX || !is_stale(at))
        return r;
    memcpy(&un, &at->data, sizeof un);
    if (unlink(un.sun_path) < 0 && errno != ENOENT)
        return -errno;
    return bind(fd, knit__sockaddr_const(at), at->size) < 0 ? -errno : 0;
}

/* All of IPv6 is IPv4 too, unless the network says otherwise. */
static int set_up(int fd, const struct knit__network *network, const knit_address *at)
{
    int family = at->data.ss_family, r = 0;

    if (knit__is_tcp(family, network->type))
        r = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (r == 0 && family == AF_INET6)
        r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, network->family == AF_INET6);
    if (r == 0)
        r = bind_to(fd, at);
    if (r == 0 && network->type == SOCK_STREAM)
        r = listen(fd, BACKLOG) < 0 ? -errno : 0;
    return r;
}

static int listen_at(const struct knit__network *network, const knit_address *at)
{
    int fd = knit__socket(at->data.ss_family, network->type), r;

    if (fd < 0)
        return fd;
    r = set_up(fd, network, at);
    if (r < 0) {
        close(fd);
        return r;
    }
    return knit__socket_adopt(fd, knit__is_tcp(at->data.ss_family, network->type));
}

/* At the first address that this machine has; those of family `first` come first. */
static int listen_at_one(const struct knit__network *network, const knit_address *list, int n,
                         int first)
{
    int r = -EADDRNOTAVAIL;

    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < n; i++) {
            if ((list[i].data.ss_family == first) != (turn == 0))
                continue;
            r = listen_at(network, &list[i]);
            if (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)
                return r;
        }
    }
    return r;
}

int knit_listen(const char *network, const char *address)
{
    struct knit__network net;
    knit_address *list;
    int r = knit__network_parse(network, &net), n;

    if (r < 0 || !address)
        return -EINVAL;
    n = knit__resolve(&net, address, true, KNIT_FOREVER, &list);
    if (n < 0)
        return n;
    r = listen_at_one(&net, list, n, address[0] == ':' ? AF_INET6 : AF_INET);
    knit_addresses_free(list);
    return r < 0 ? knit_error(r, "listen %s %s", network, address) : r;
}

/* ---- accepting ---- */

struct accept_call {
    struct knit__fd_call call;
    knit_address peer;
    bool tcp; /* for certain: the listener is known */
};

/* What accept(2) says about a connection that is no more, and not about the listener. */
static bool is_passing(int code)
{
    switch (code) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT: return true;
    default: return false;
    }
}

/* -EINTR too: whoever blocks wants to know. */
static ssize_t accept_now(struct knit__fd_call *call, int fd)
{
    struct accept_call *a = KNIT__CONTAINER(call, struct accept_call, call);
    int r;

    do {
        a->peer.size = sizeof a->peer.data;
        r = accept4(fd, knit__sockaddr(&a->peer), &a->peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (r < 0)
            r = -errno;
    } while (r < 0 && is_passing(-r));
    return r;
}

static ssize_t accept_once(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    struct accept_call *a = KNIT__CONTAINER(call, struct accept_call, call);
    uint32_t flags = knit__slot_flags(slot);
    socklen_t size = sizeof(int);
    int r = may_not_block(call, fd), listens = 1;

    a->tcp = (flags & KNIT__SLOT_OURS) && (flags & KNIT__SLOT_STREAM);
    if (call->blocking && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
        return -errno;
    if (!listens)
        r = 0; /* it fails at once, and would never be ready */
    return r < 0 ? r : accept_now(call, fd);
}

int knit_accept_until(int fd, knit_time deadline, knit_address *ret_peer)
{
    struct accept_call a = {.call = {.once = accept_once, .block = accept_now}};
    int r = (int)knit__fd_call(fd, KNIT__IN, &a.call, deadline);

    if (r >= 0)
        r = knit__socket_adopt(r, a.tcp);
    if (r >= 0 && ret_peer)
        *ret_peer = a.peer;
    return r;
}

int knit_accept(int fd, knit_address *ret_peer)
{
    return knit_accept_until(fd, KNIT_FOREVER, ret_peer);
}

/* ---- connecting ---- */

int knit__connect_once(int fd, const knit_address *to)
{
    int r = connect(fd, knit__sockaddr_const(to), to->size) < 0 ? -errno : 0;

    switch (r) {
    case -EINPROGRESS:
    case -EALREADY:
    case -EINTR: return -EAGAIN;
    case -EAGAIN: return to->data.ss_family == AF_UNIX ? -EBUSY : -EADDRNOTAVAIL;
    default: return r;
    }
}

struct connect_call {
    struct knit__fd_call call;
    const knit_address *to;
    bool began; /* that it is connected is then our doing */
    bool rest;  /* it has blocked for a turn, and nothing would tell when it may go on */
};

/* r is what an attempt said: the call's result. */
static ssize_t connect_result(struct connect_call *c, int r)
{
    if (r == -EISCONN && c->began)
        return 0;
    c->began |= r == -EAGAIN;
    return r;
}

static ssize_t connect_once(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    struct connect_call *c = KNIT__CONTAINER(call, struct connect_call, call);
    int r = may_not_block(call, fd);

    (void)slot;
    call->at_once = !c->began; /* to what is refused it would not get ready */
    if (c->rest && r == -EAGAIN)
        r = -EBUSY;
    c->rest = false;
    return r < 0 ? r : connect_result(c, knit__connect_once(fd, c->to));
}

/* Interrupted it goes on, to TCP; a second call says how it ended. */
static ssize_t connect_blocking(struct knit__fd_call *call, int fd)
{
    struct connect_call *c = KNIT__CONTAINER(call, struct connect_call, call);
    ssize_t r = connect_result(c, knit__connect_once(fd, c->to));

    c->rest = r == -EAGAIN && c->to->data.ss_family == AF_UNIX;
    return r == -EAGAIN ? -EINTR : r;
}

int knit_connect_until(int fd, const knit_address *to, knit_time deadline)
{
    struct connect_call c = {.call = {.once = connect_once, .block = connect_blocking}, .to = to};

    if (!to || to->size < sizeof to->data.ss_family || to->size > sizeof to->data)
        return -EINVAL;
    return (int)knit__socket_call(fd, KNIT__OUT, &c.call, deadline);
}

int knit_connect(int fd, const knit_address *to)
{
    return knit_connect_until(fd, to, KNIT_FOREVER);
}

/* ---- ends ---- */

static int address_of(int fd, bool peer, knit_address *ret_address)
{
    knit_address a = {.size = sizeof a.data};
    int r;

    if (!ret_address)
        return -EINVAL;
    r = peer ? getpeername(fd, knit__sockaddr(&a), &a.size)
             : getsockname(fd, knit__sockaddr(&a), &a.size);
    if (r < 0)
        return -errno;
    *ret_address = a;
    return 0;
}

int knit_local_address(int fd, knit_address *ret_address)
{
    return address_of(fd, false, ret_address);
}

int knit_peer_address(int fd, knit_address *ret_address)
{
    return address_of(fd, true, ret_address);
}
