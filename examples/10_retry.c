/* Try again: a client, and a server on the loopback interface that hangs up on its first callers.
 *
 * knit_retry calls `ask` until it succeeds, with growing pauses drawn at random, but gives up at once
 * on an error that no second try can mend. The sockets block their thread, as any C library's calls
 * may; the runtime lets the other tasks go on meanwhile. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <knit.h>
#include <knit/errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAILURES = 3 };

struct server {
    int listener;
    struct sockaddr_in address;
    int callers;
};

static int accept_one(void *arg)
{
    const struct server *server = arg;
    int fd = accept(server->listener, NULL, NULL);
    return fd < 0 ? -errno : fd;
}

static int serve(void *arg)
{
    struct server *server = arg;
    int r = 0;
    do {
        /* it may take for ever: let a cancel interrupt it */
        int fd = knit_blocking_interruptible(accept_one, server);
        if (fd < 0)
            return knit_error(fd, "accept");
        if (++server->callers > FAILURES && write(fd, "well done", 9) != 9)
            r = knit_error(-errno, "write");
        close(fd); /* the first callers get no answer */
    } while (r == 0 && server->callers <= FAILURES);
    return r;
}

struct question {
    const struct server *server;
    char answer[32];
    int tries;
};

static int ask(void *arg)
{
    struct question *q = arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0), r = 0;
    if (fd < 0)
        return knit_error(-errno, "socket");
    q->tries++;
    if (connect(fd, (const struct sockaddr *)&q->server->address, sizeof q->server->address) < 0)
        r = knit_error(-errno, "connect");
    ssize_t n = r == 0 ? read(fd, q->answer, sizeof q->answer - 1) : 0;
    if (n < 0)
        r = knit_error(-errno, "read");
    else if (r == 0 && n == 0)
        r = knit_error(-ECONNRESET, "no answer at try %d", q->tries);
    close(fd);
    return r;
}

static int worth_a_try(int code, void *arg)
{
    (void)arg;
    return code == -ECONNRESET || code == -ECONNREFUSED || code == -EPIPE;
}

static int ask_patiently(void *arg)
{
    return knit_retry(ask, arg,
                      &(knit_retry_policy){.attempts = 10,
                                           .base = 2 * KNIT_MILLISECOND,
                                           .max = 100 * KNIT_MILLISECOND,
                                           .retry_if = worth_a_try});
}

static int listen_somewhere(struct server *server)
{
    socklen_t length = sizeof server->address;
    server->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&server->address, length) < 0 ||
        listen(server->listener, 16) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&server->address, &length) < 0)
        return -errno;
    return 0;
}

int main(void)
{
    struct server server = {0};
    if (listen_somewhere(&server) < 0) {
        perror("listen");
        return 1;
    }
    struct question question = {.server = &server};
    knit_errgroup group;
    knit_errgroup_init(&group, NULL);
    knit_errgroup_go(&group, serve, &server);
    knit_errgroup_go(&group, ask_patiently, &question);
    int r = knit_errgroup_wait(&group);
    char report[512] = "";
    knit_errgroup_format(&group, report, sizeof report);
    printf("%safter %d tries: %s\n", report, question.tries, question.answer);
    close(server.listener);
    return r != 0;
}
