/* The one way in which a call on a descriptor waits: try, wait, retry.
 *
 *     static ssize_t once(struct knit__fd_call *call, struct knit__slot *slot, int fd)
 *     {
 *         struct my_call *my = (struct my_call *)(void *)call;   its first member
 *         ssize_t n = recvfrom(fd, my->buf, my->n, MSG_DONTWAIT, ...);
 *
 *         return n < 0 ? -errno : n;
 *     }
 *     ...
 *     struct my_call my = {.call = {.once = once}, .buf = buf, ...};
 *     r = knit__fd_call(fd, KNIT__IN, &my.call, deadline);
 *
 * `once` makes the system call in a way that does not block; -EAGAIN is waited out, -EINTR repeated,
 * the rest returned. */
#ifndef KNIT_IO_FD_H
#define KNIT_IO_FD_H

#include "../sync/ctx.h"
#include "netpoll.h"

#include <errno.h>
#include <sys/types.h>

struct knit__fd_call {
    ssize_t (*once)(struct knit__fd_call *call, struct knit__slot *slot, int fd);
    /* The same, and it may block its thread: -EINTR when a signal comes. NULL: it never has to. */
    ssize_t (*block)(struct knit__fd_call *call, int fd);
    size_t most; /* bytes asked for: fewer from a stream mean that it is dry; 0: nothing follows */
    bool blocking; /* set by once with -EAGAIN: there is no way but to wait, and then to block */
    bool at_once;  /* with it: to block without a wait before */
};

ssize_t knit__fd_call(int fd, int direction, struct knit__fd_call *call, int64_t deadline);

/* Call block (which may take long) so that other tasks go on. interruptible: until the context ends;
 * then -ECANCELED or -ETIMEDOUT. Never -EINTR. */
ssize_t knit__fd_block(int fd, struct knit__fd_call *call, bool interruptible);

/* 0, or the error of the ambient context that has ended; -ENOMEM. */
static inline int knit__fd_context(void)
{
    struct knit__task *t = knit__task_self();

    return KNIT__LIKELY(t != NULL) ? knit__ctx_ended(t->run->ctx) : -ENOMEM;
}

/* Around a call that may raise SIGPIPE (a write that is no send): it never comes. Worker threads
 * block it for good. */
struct knit__no_sigpipe {
    unsigned long long old[16]; /* a sigset_t */
    bool guards, was_pending;
};
void knit__sigpipe_off(struct knit__no_sigpipe *guard);
void knit__sigpipe_on(const struct knit__no_sigpipe *guard, bool raised);

#endif
