/* Two connected descriptors of each kind that a call can meet. */
#ifndef FDS_H
#define FDS_H

#include "knittest.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FDS_PIPE,             /* Knit's own */
    FDS_SOCKET_ADOPTED,   /* unix, non-blocking */
    FDS_TCP_ADOPTED,      /* in blocking mode */
    FDS_PIPE_BLOCKING,    /* foreign */
    FDS_PIPE_NONBLOCKING, /* foreign */
    FDS_SOCKET_BLOCKING,  /* unix, foreign */
    FDS_TCP,              /* foreign, non-blocking */
    FDS_FIFO,             /* foreign, in blocking mode, and the kernel knows no way around that */
    FDS_KINDS
};

typedef struct fds {
    int in, out;
    bool ours;
} fds;

static inline bool fds_is_tcp(int kind)
{
    return kind == FDS_TCP || kind == FDS_TCP_ADOPTED;
}

static inline bool fds_is_socket(int kind)
{
    return fds_is_tcp(kind) || kind == FDS_SOCKET_ADOPTED || kind == FDS_SOCKET_BLOCKING;
}

static inline void fds_tcp(int pair[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(listen(listener, 1), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&a, &size), 0);
    pair[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(pair[1], (struct sockaddr *)&a, sizeof a), 0);
    pair[0] = accept(listener, NULL, NULL);
    CHECK(pair[0] >= 0);
    CHECK_INT(close(listener), 0);
}

static inline void fds_fifo(int pair[2])
{
    char dir[] = "/tmp/knit-io-XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fifo", dir);
    CHECK_INT(mkfifo(path, 0600), 0);
    pair[0] = open(path, O_RDONLY | O_NONBLOCK);
    pair[1] = open(path, O_WRONLY);
    CHECK(pair[0] >= 0 && pair[1] >= 0);
    CHECK_INT(fcntl(pair[0], F_SETFL, O_RDONLY), 0);
    CHECK_INT(unlink(path) + rmdir(dir), 0);
}

static inline fds fds_new(int kind)
{
    int p[2];
    fds f = {.ours = kind <= FDS_TCP_ADOPTED};
    if (knit_simulated(NULL) &&
        fds_is_tcp(kind)) /* TCP has timers of its own: it does not replay */
        kind = kind == FDS_TCP ? FDS_SOCKET_BLOCKING : FDS_SOCKET_ADOPTED;
    switch (kind) {
    case FDS_PIPE: CHECK_INT(knit_pipe(p), 0); break;
    case FDS_FIFO: fds_fifo(p); break;
    case FDS_PIPE_BLOCKING:
    case FDS_PIPE_NONBLOCKING: CHECK_INT(pipe(p), 0); break;
    case FDS_SOCKET_ADOPTED:
    case FDS_SOCKET_BLOCKING: CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0); break;
    default: fds_tcp(p); break;
    }
    for (int i = 0; i < 2; i++) {
        if (kind == FDS_PIPE_NONBLOCKING || kind == FDS_TCP || kind == FDS_SOCKET_ADOPTED)
            CHECK_INT(fcntl(p[i], F_SETFL, fcntl(p[i], F_GETFL) | O_NONBLOCK), 0);
        if (kind == FDS_SOCKET_ADOPTED || kind == FDS_TCP_ADOPTED)
            CHECK_INT(knit_adopt(p[i]), 0);
    }
    f.in = p[0];
    f.out = p[1];
    return f;
}

/* A number that is not open, nor will be soon: the runtime, too, opens a file now and then. */
static inline int fds_none(void)
{
    return 900;
}

/* The same with a number for `in` that nobody's next descriptor gets when it is closed. */
static inline fds fds_high(int kind)
{
    fds f = fds_new(kind);
    int high = fcntl(f.in, F_DUPFD, fds_none());
    CHECK(high >= 0);
    CHECK_INT(knit_close(f.in), 0);
    if (f.ours)
        CHECK_INT(knit_adopt(high), 0);
    f.in = high;
    return f;
}

static inline void fds_close(const fds *f)
{
    CHECK_INT(knit_close(f->in), 0);
    CHECK_INT(knit_close(f->out), 0);
}

#endif
