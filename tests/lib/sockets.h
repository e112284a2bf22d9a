/* Sockets for tests: on loopback only, at ports and names that are free. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "knittest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static inline bool has_ipv6(void)
{
    int fd = knit_listen("tcp6", "[::1]:0");

    if (fd >= 0)
        CHECK_INT(knit_close(fd), 0);
    return fd >= 0;
}

/* Where a socket is, as text. */
static inline void where(int fd, char ret_text[KNIT_ADDRESS_TEXT])
{
    knit_address a;

    CHECK_INT(knit_local_address(fd, &a), 0);
    CHECK_INT(knit_address_text(&a, ret_text), 0);
}

/* An abstract name that nobody has. */
static inline void free_name(char ret_text[KNIT_ADDRESS_TEXT])
{
    static atomic_uint names;

    snprintf(ret_text, KNIT_ADDRESS_TEXT, "@knit-test-%ld-%u", (long)getpid(),
             atomic_fetch_add(&names, 1));
}

/* A listener, or a socket for datagrams, of this network; ret_text is what to dial. */
static inline int listen_here(const char *network, char ret_text[KNIT_ADDRESS_TEXT])
{
    char at[KNIT_ADDRESS_TEXT];
    int fd;

    if (strcmp(network, "unix") == 0)
        free_name(at);
    else
        snprintf(at, sizeof at, "%s", strchr(network, '6') ? "[::1]:0" : "127.0.0.1:0");
    fd = knit_listen(network, at);
    CHECK(fd >= 0);
    where(fd, ret_text);
    return fd;
}

/* Both ends of a connection. */
static inline void connect_pair(const char *network, int ret_fds[2])
{
    char text[KNIT_ADDRESS_TEXT];
    int listener = listen_here(network, text);

    ret_fds[0] = knit_dial(network, text);
    CHECK(ret_fds[0] >= 0);
    ret_fds[1] = knit_accept(listener, NULL);
    CHECK(ret_fds[1] >= 0);
    CHECK_INT(knit_close(listener), 0);
}

static inline void close_pair(const int fds[2])
{
    CHECK_INT(knit_close(fds[0]), 0);
    CHECK_INT(knit_close(fds[1]), 0);
}

/* One is in the listener's queue: who calls may know of the connection before. Not by Knit, which
 * learns nothing of it. */
static inline void wait_for_a_caller(int listener)
{
    CHECK_INT(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1), 1);
}

/* A listener of this kind that answers nobody: its queue is full. */
typedef struct deaf {
    int listener;
    int callers[3]; /* in the queue, and before it */
    knit_address at;
} deaf;

static inline deaf deaf_new(const char *network)
{
    char text[KNIT_ADDRESS_TEXT];
    deaf d = {.listener = listen_here(network, text)};

    CHECK_INT(listen(d.listener, 0), 0);
    CHECK_INT(knit_local_address(d.listener, &d.at), 0);
    for (int i = 0; i < 3; i++) {
        d.callers[i] = socket(d.at.data.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(d.callers[i] >= 0);
        (void)connect(d.callers[i], (struct sockaddr *)&d.at.data, d.at.size);
    }
    wait_for_a_caller(d.listener); /* that is all it takes */
    return d;
}

static inline void deaf_free(deaf *d)
{
    for (int i = 0; i < 3; i++)
        close(d->callers[i]);
    CHECK_INT(knit_close(d->listener), 0);
}

/* A port that nobody listens at; it is bound until the socket is closed, so it stays that way. */
static inline int closed_port(knit_address *ret_at)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_INT(knit_local_address(fd, ret_at), 0);
    return fd;
}

#endif
