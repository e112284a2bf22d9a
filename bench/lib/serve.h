/* What the servers in C share: a socket that listens, and the port told to who started them
 * (load.c), as a line on stdout. They serve until they are killed. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
    SERVE_BACKLOG = 4096,
    SERVE_BUFFER = 1024, /* what a connection reads at most at a time */
};

/* A listening socket on a free port of 127.0.0.1, not blocking. */
static inline int serve_listen(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bench_check(fd < 0, "socket");
    bench_check(bind(fd, any, length), "bind");
    bench_check(listen(fd, SERVE_BACKLOG), "listen");
    bench_check(getsockname(fd, any, &length), "getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

#endif
