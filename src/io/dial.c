/* Calling one of several addresses: RFC 8305, section 5 (Happy Eyeballs).
 *
 * The attempts are non-blocking sockets of which the kernel knows that they connect; all of them are
 * in one private epoll set, and the caller waits for that, at most until the next attempt is due. So
 * a race needs neither tasks nor threads, and there is one who opens and closes its sockets. */
#define _GNU_SOURCE
#include "net.h"
#include "resolve.h"

#include <errno.h>
#include <knit/ctx.h>
#include <knit/io.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* "Connection Attempt Delay" */
#define STAGGER (250 * KNIT_MILLISECOND)

enum { AT_ONCE = 16 };

struct race {
    const knit_address *list;
    int n, type;
    int *fds; /* of the attempts, -1: over */
    int set;
    int next, running;
    knit_time next_at; /* when the next one is due, at the latest */
    int error, index;  /* the first failure, whose */
};

static void note_failure(struct race *c, int i, int error)
{
    if (c->error == 0) {
        c->error = error;
        c->index = i;
    }
    c->next_at = 0; /* the next one at once */
}

/* An attempt is over, or has not begun: false, or it is connected. */
static bool settle(struct race *c, int i, int r)
{
    if (r == 0 || r == -EISCONN)
        return true;
    note_failure(c, i, r);
    if (c->fds[i] >= 0)
        close(c->fds[i]);
    c->fds[i] = -1;
    return false;
}

static int watch(const struct race *c, int i)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)i};

    return epoll_ctl(c->set, EPOLL_CTL_ADD, c->fds[i], &event) < 0 ? -errno : -EAGAIN;
}

/* Begin the next attempt: true, it is connected already. */
static bool begin_next(struct race *c, knit_duration stagger)
{
    int i = c->next++, r;

    c->next_at = knit_now() + stagger;
    r = c->fds[i] = knit__socket(c->list[i].data.ss_family, c->type);
    if (r >= 0)
        r = knit__connect_once(c->fds[i], &c->list[i]);
    if (r == -EAGAIN)
        r = watch(c, i);
    if (r != -EAGAIN)
        return settle(c, i, r);
    c->running++;
    return false;
}

/* Look at those that may be over: the connected one, or -1. */
static int collect(struct race *c)
{
    struct epoll_event events[AT_ONCE];
    int n = epoll_wait(c->set, events, AT_ONCE, 0);

    for (int k = 0; k < n; k++) {
        int i = (int)events[k].data.u32;
        int r = knit__connect_once(c->fds[i], &c->list[i]);

        if (r == -EAGAIN)
            continue;
        c->running--;
        if (settle(c, i, r))
            return i;
    }
    return -1;
}

/* Wait for the attempts, or until the next one is due: 0, or the end of it all. */
static int wait_for_news(const struct race *c, knit_time deadline)
{
    knit_time due = c->next < c->n ? c->next_at : KNIT_FOREVER;
    int r = knit_wait_fd(c->set, KNIT_READABLE, due < deadline ? due : deadline);

    if (r == -ETIMEDOUT && due < deadline && knit_ctx_err(knit_ctx_current()) == 0)
        return 0;
    return r < 0 ? r : 0;
}

/* The index of the winner, or an error. */
static int run(struct race *c, knit_duration stagger, knit_time deadline)
{
    int r, winner;

    for (;;) {
        while (c->next < c->n && (c->running == 0 || knit_now() >= c->next_at)) {
            if (begin_next(c, stagger))
                return c->next - 1;
        }
        if (c->running == 0)
            return c->error;
        r = wait_for_news(c, deadline);
        if (r < 0) {
            c->index = -1;
            return r;
        }
        winner = collect(c);
        if (winner >= 0)
            return winner;
    }
}

/* One address alone: no set is needed. */
static int connect_to(const knit_address *to, int type, knit_time deadline)
{
    int fd = knit__socket(to->data.ss_family, type), r;

    if (fd >= 0)
        fd = knit__socket_adopt(fd, knit__is_tcp(to->data.ss_family, type));
    if (fd < 0)
        return fd;
    r = knit_connect_until(fd, to, deadline);
    if (r == 0)
        return fd;
    knit_close(fd);
    return r;
}

int knit__race(const knit_address *list, int n, int type, knit_duration stagger, knit_time deadline,
               int *ret_index)
{
    struct race c = {.list = list, .n = n, .type = type, .index = -1};
    int r;

    *ret_index = 0;
    if (n == 1)
        return connect_to(list, type, deadline);
    c.fds = malloc((size_t)n * sizeof *c.fds);
    if (!c.fds)
        return -ENOMEM;
    r = c.set = epoll_create1(EPOLL_CLOEXEC);
    if (r < 0) {
        r = -errno;
        goto free_fds;
    }
    r = run(&c, stagger, deadline);
    for (int i = 0; i < c.next; i++) {
        if (i != r && c.fds[i] >= 0)
            close(c.fds[i]);
    }
    if (r >= 0)
        r = knit__socket_adopt(c.fds[r], knit__is_tcp(list[r].data.ss_family, type));
    *ret_index = c.index;
    knit_close(c.set);

free_fds:
    free(c.fds);
    return r;
}

/* Stable, in place: whenever the next one should be of the other family, the nearest such is fetched
 * from behind. */
void knit__interleave(knit_address *list, int n)
{
    for (int i = 1; i < n; i++) {
        int k = i;

        while (k < n && list[k].data.ss_family == list[i - 1].data.ss_family)
            k++;
        if (k == n)
            return;
        for (knit_address moved = list[k]; k >= i; k--)
            list[k] = k > i ? list[k - 1] : moved;
    }
}

/* The words that go with an error; its own are added where it is shown. */
static int report(int code, const char *network, const char *address, const knit_address *whom)
{
    char text[KNIT_ADDRESS_TEXT];

    if (!whom || knit_address_text(whom, text) < 0)
        return knit_error(code, "dial %s %s", network, address);
    return knit_error(code, "dial %s %s: %s", network, address, text);
}

int knit_dial_until(const char *network, const char *address, knit_time deadline)
{
    struct knit__network net;
    knit_address *list;
    int r = knit__network_parse(network, &net), n, index;

    if (r < 0)
        return r;
    n = knit__resolve(&net, address, false, deadline, &list);
    if (n < 0)
        return n;
    knit__interleave(list, n);
    r = knit__race(list, n, net.type, STAGGER, deadline, &index);
    if (r < 0)
        r = report(r, network, address, index < 0 ? NULL : &list[index]);
    knit_addresses_free(list);
    return r;
}

int knit_dial(const char *network, const char *address)
{
    return knit_dial_until(network, address, KNIT_FOREVER);
}
