/* Try, wait, retry. */
#define _GNU_SOURCE
#include "fd.h"

#include <errno.h>
#include <knit/blocking.h>
#include <knit/ctx.h>
#include <knit/io.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define TURN (50 * KNIT_MILLISECOND) /* a call may block, and not see what happens to the slot */
#define LOOK (20 * KNIT_MILLISECOND) /* the same, when there is no time left: it should not block */

/* ---- calls that block ---- */

struct blocked {
    struct knit__fd_call *call;
    int fd;
    ssize_t result;
};

static int block(void *arg)
{
    struct blocked *b = arg;

    b->result = b->call->block(b->call, b->fd);
    return b->result == -EINTR ? -EINTR : 0;
}

static int block_in_region(struct blocked *b, bool interruptible)
{
    int r;

    do {
        r = interruptible ? knit_blocking_interruptible(block, b) : knit_blocking(block, b);
    } while (r == -EINTR);
    return r;
}

ssize_t knit__fd_block(int fd, struct knit__fd_call *call, bool interruptible)
{
    struct blocked b = {call, fd, 0};
    int r = block_in_region(&b, interruptible);

    return r < 0 ? r : b.result;
}

/* The end of a turn that begins now. With a deadline that has passed it gets a moment: it should not
 * have to wait. */
static int64_t end_of_turn(int64_t deadline)
{
    int64_t now = knit__clock_now(), end = now + TURN;

    if (deadline < end)
        end = deadline > now + LOOK ? deadline : now + LOOK;
    return end;
}

/* The descriptor was ready, but another may have been faster: so the call may block, and does for a
 * turn, which a context of its own ends. -EAGAIN: nothing came; whoever waits at the slot sees it
 * closed, which a call that blocks does not. */
static ssize_t block_for_a_turn(int fd, struct knit__fd_call *call, int64_t deadline)
{
    struct blocked b = {call, fd, 0};
    knit_ctx_scope scope;
    knit_ctx *ctx;
    int r = knit_ctx_with_deadline(knit_ctx_current(), end_of_turn(deadline), &ctx);

    if (r < 0)
        return r;
    r = knit_ctx_enter(ctx, &scope);
    if (r == 0) {
        r = block_in_region(&b, true);
        knit_ctx_leave(&scope);
    }
    knit_ctx_unref(ctx);
    if (r != -ETIMEDOUT)
        return r < 0 ? r : b.result;
    r = knit__fd_context();
    if (r == 0)
        r = knit__waitq_too_late(deadline) ? -ETIMEDOUT : -EAGAIN;
    return r;
}

/* ---- calls that wait ---- */

/* Which of the events hold now. Apart, as is all that reads errno: the caller goes on on another
 * thread, whose errno is elsewhere. */
static KNIT__NOINLINE int poll_now(int fd, unsigned events)
{
    static const short bits[] = {POLLIN, POLLOUT, POLLPRI};
    struct pollfd p = {.fd = fd};
    unsigned now = 0;

    for (int i = 0; i < 3; i++)
        p.events = (short)(p.events | (events & 1u << i ? bits[i] : 0));
    while (poll(&p, 1, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    if (p.revents & POLLNVAL)
        return -EBADF;
    if (p.revents & (POLLERR | POLLHUP))
        return (int)events;
    for (int i = 0; i < 3; i++)
        now |= p.revents & bits[i] ? 1u << i : 0;
    return (int)now;
}

/* Nothing can be had without blocking: wait until something may, or block. -EAGAIN: try again. */
static ssize_t wait_or_block(struct knit__slot *s, int fd, int direction,
                             struct knit__fd_call *call, uint32_t seen, uint32_t vain,
                             int64_t deadline)
{
    uint32_t what = direction == KNIT__IN ? KNIT__POLL_IN : KNIT__POLL_OUT;
    ssize_t r;

    if (call->blocking) {
        r = call->at_once ? (int)what : poll_now(fd, what);
        if (r > 0)
            return block_for_a_turn(fd, call, deadline);
        if (r == 0)
            r = knit__slot_wait_level(s, fd, what, deadline);
    } else {
        r = knit__slot_wait(s, fd, direction, seen, vain, deadline);
    }
    if (r == -EPERM && call->block)
        return knit__fd_block(fd, call, false);
    return r == 0 ? -EAGAIN : r;
}

ssize_t knit__fd_call(int fd, int direction, struct knit__fd_call *call, int64_t deadline)
{
    struct knit__slot *s;
    uint32_t seen, vain = 0;
    ssize_t r = knit__fd_context();

    if (r == 0)
        r = knit__slot_of(fd, &s);
    if (r < 0)
        return r;
    do {
        seen = knit__slot_edges(s, direction);
        call->blocking = call->at_once = false;
        r = -EAGAIN;
        if (!knit__slot_is_dry(s, direction, seen) || knit__waitq_too_late(deadline)) {
            do
                r = call->once(call, s, fd);
            while (r == -EINTR);
        }
        knit__slot_moved(s, direction, seen, r, call->most);
        if (r == -EAGAIN)
            r = wait_or_block(s, fd, direction, call, seen, vain++, deadline);
    } while (r == -EAGAIN);
    return r;
}

int knit_wait_fd(int fd, unsigned events, knit_time deadline)
{
    struct knit__slot *s;
    int r = knit__fd_context();

    _Static_assert(KNIT_READABLE == (int)KNIT__POLL_IN && KNIT_WRITABLE == (int)KNIT__POLL_OUT &&
                       KNIT_PRIORITY == (int)KNIT__POLL_PRI,
                   "the same bits");
    if (events == 0 || (events & ~7u) != 0)
        return -EINVAL;
    if (r == 0)
        r = knit__slot_of(fd, &s);
    while (r == 0) {
        r = poll_now(fd, events);
        if (r == 0)
            r = knit__slot_wait_level(s, fd, events, deadline);
        else if (r > 0)
            return r;
    }
    return r == -EPERM ? (int)events : r;
}

/* ---- SIGPIPE ---- */

void knit__sigpipe_off(struct knit__no_sigpipe *guard)
{
    sigset_t set, pending, old;

    guard->guards = knit__worker_self() == NULL;
    if (!guard->guards)
        return;
    _Static_assert(sizeof old <= sizeof guard->old, "room for the mask");
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    guard->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &set, &old);
    memcpy(guard->old, &old, sizeof old);
}

void knit__sigpipe_on(const struct knit__no_sigpipe *guard, bool raised)
{
    static const struct timespec at_once;
    sigset_t set, old;

    if (!guard->guards)
        return;
    memcpy(&old, guard->old, sizeof old);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    if (raised && !guard->was_pending)
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
        }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
