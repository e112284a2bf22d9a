/* The frame of the servers without a library: one thread and one edge-triggered epoll set, in which
 * a descriptor is registered once. After a read that did not fill its buffer there is nothing left
 * to read (but the end, of which the event tells), so a request costs a read, a write, and its part
 * of an epoll_wait. */
#ifndef BENCH_SERVE_EPOLL_H
#define BENCH_SERVE_EPOLL_H

#include "serve.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>

enum { SERVE_EVENTS = 512 };

struct serve_kind {
    void *(*opened)(int fd);               /* what `ready` gets: anything but NULL */
    void (*ready)(void *conn, bool ended); /* answer what is there; ended: the end is there, too */
};

/* Write all of it. The load never leaves an answer unread for long, so there is room. */
static inline bool serve_write(int fd, const char *data, size_t n)
{
    while (n > 0) {
        const ssize_t wrote = write(fd, data, n);
        if (wrote < 0) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            if (errno != EAGAIN || poll(&room, 1, -1) < 0)
                return false;
            continue;
        }
        data += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

static inline void serve_add(int set, int fd, void *conn)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = conn};
    bench_check(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static inline void serve_accept(int set, int listening, const struct serve_kind *kind)
{
    for (;;) {
        const int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN)
                bench_die("accept", errno);
            return;
        }
        serve_add(set, fd, kind->opened(fd));
    }
}

/* All of main. */
static inline void serve_main(int argc, char **argv, const struct serve_kind *kind)
{
    bench_parse(argc, argv);
    const int listening = serve_listen();
    const int set = epoll_create1(EPOLL_CLOEXEC);
    bench_check(set < 0, "epoll_create1");
    serve_add(set, listening, NULL);
    for (;;) {
        struct epoll_event events[SERVE_EVENTS];
        const int n = epoll_wait(set, events, SERVE_EVENTS, -1);
        bench_check(n < 0, "epoll_wait");
        for (int i = 0; i < n; i++) {
            void *conn = events[i].data.ptr;
            if (conn == NULL)
                serve_accept(set, listening, kind);
            else
                kind->ready(conn, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
    }
}

#endif
