/* Waiting for descriptors.
 *
 * ESSAY: latches
 *
 * One epoll set for the process, polled by one at a time (sched/poller.h). Of each descriptor that
 * was ever waited for there is a *slot*, by number, in memory that is never given back: an event may
 * come late, for a number that is closed and open again. It then carries a sequence number that is
 * no longer the slot's, and is ignored.
 *
 * A descriptor of Knit's own is watched once, by edges, in both directions. An edge that nobody
 * waits for must not be lost, so it is counted:
 *
 *     edges[d]   events so far in direction d; +1 by the poller, under the slot's lock
 *     dry[d]     = edges[d] when a call last came to the end: then the next call need not try
 *
 *     read:  e = edges[IN]; dry[IN] == e? wait
 *            n = recv(...); EAGAIN? wait    (a short count of a stream: dry[IN] = e)
 *     wait:  lock; edges[IN] != e? unlock, try again; link; park under the lock
 *     event: lock; edges[IN]++; claim who waits; unlock; make them ready
 *
 * An event between the call and the lock changes edges[], so it is not slept through; an event after
 * is one that finds the waiter. A short count means that the kernel's buffer was empty, and whatever
 * comes later is an edge; but for an end that was reported *with* the bytes before, and an urgent byte,
 * at which a call stops: after such an event (UNSURE) only EAGAIN counts. And but for TCP no stream is
 * one: a Unix socket stops where descriptors were sent along, SCTP at its messages.
 *
 * A foreign descriptor may be closed by anybody, at any time, and its number used again, without a
 * word to us. So nothing is remembered of it but hints: it is asked for anew at each wait (one
 * system call), until the first event. That also makes the wait one for a level, which is what
 * libraries with calls of their own need (knit_wait_fd). A level may hold although the call finds
 * nothing (a socket's queue of errors is not empty): a call that was woken in vain some times waits
 * for edges, too, and an edge that finds nobody waiting ends that.
 *
 * All who wait in a direction are woken, and try again: the one that comes first gets it.
 *
 * Order of locks: a slot's is a channel's. Below it only timers' (a deadline). epoll_ctl is called
 * under it; the poller takes it outside of epoll_wait. */
#ifndef KNIT_IO_NETPOLL_H
#define KNIT_IO_NETPOLL_H

#include "../sched/poller.h"
#include "../sync/waitq.h"

#include <sys/types.h>

enum { KNIT__IN, KNIT__OUT };

struct knit__slot {
    struct knit__lock lock; /* what is not atomic; edges and flags are written under it */
    uint32_t sequence;
    _Atomic uint32_t edges[2];
    _Atomic uint32_t dry[2]; /* any caller */
    _Atomic uint32_t flags;
    struct knit__waitq waiters; /* amount: what for */
    uint64_t unused[2];
};
_Static_assert(sizeof(struct knit__slot) == 64, "one line each");

enum {
    KNIT__SLOT_OURS = 1,    /* closed by knit_close only */
    KNIT__SLOT_STREAM = 2,  /* a short count means that there is no more */
    KNIT__SLOT_WATCHED = 4, /* in the epoll set, if foreign: it was */
    KNIT__SLOT_UNSURE = 8,  /* it did once, perhaps not any more: an end, an urgent byte */
    /* hints of what the number was last */
    KNIT__SLOT_SOCKET = 16,
    KNIT__SLOT_VECTOR = 32, /* preadv2 with RWF_NOWAIT works */
    KNIT__SLOT_PLAIN = 64,  /* it does not */
    /* foreign, and watched by edges for now */
    KNIT__SLOT_EDGES = 128,
    KNIT__SLOT_KINDS = KNIT__SLOT_SOCKET | KNIT__SLOT_VECTOR | KNIT__SLOT_PLAIN,
};

static inline uint32_t knit__slot_flags(const struct knit__slot *s)
{
    return atomic_load_explicit(&s->flags, memory_order_relaxed);
}

static inline uint32_t knit__slot_edges(const struct knit__slot *s, int direction)
{
    /* acquire: before the call that then finds nothing */
    return atomic_load_explicit(&s->edges[direction], memory_order_acquire);
}

/* 2^20 descriptors, the kernel's own bound (fs.nr_open) unless it was raised, in pages that are made
 * when a slot of theirs is first asked for. */
enum { KNIT__SLOT_PAGE = 1024, KNIT__SLOT_PAGES = 1024 };
extern struct knit__slot *_Atomic knit__slot_pages[KNIT__SLOT_PAGES];

/* NULL: there is none yet, or cannot be one. */
static inline struct knit__slot *knit__slot_at(int fd)
{
    struct knit__slot *page;

    if ((unsigned)fd >= (unsigned)KNIT__SLOT_PAGE * KNIT__SLOT_PAGES)
        return NULL;
    /* acquire: it is complete */
    page = atomic_load_explicit(&knit__slot_pages[(unsigned)fd / KNIT__SLOT_PAGE],
                                memory_order_acquire);
    return page ? &page[(unsigned)fd % KNIT__SLOT_PAGE] : NULL;
}

/* The slot of a number: 0, -EBADF, -ENOMEM, and what starting the runtime returns. */
int knit__slot_of(int fd, struct knit__slot **ret_slot);

/* A call would find nothing: one has taken all there was, when edges were `seen`. */
static inline bool knit__slot_is_dry(const struct knit__slot *s, int direction, uint32_t seen)
{
    return atomic_load_explicit(&s->dry[direction], memory_order_relaxed) == seen;
}
static inline void knit__slot_mark_dry(struct knit__slot *s, int direction, uint32_t seen)
{
    atomic_store_explicit(&s->dry[direction], seen, memory_order_relaxed);
}

/* A TCP socket of Knit's own, as far as is known. */
static inline bool knit__slot_is_stream(const struct knit__slot *s)
{
    const uint32_t kind = KNIT__SLOT_OURS | KNIT__SLOT_STREAM;

    return (knit__slot_flags(s) & kind) == kind;
}
/* A call has moved r of n bytes, when edges were `seen`. */
static inline void knit__slot_moved(struct knit__slot *s, int direction, uint32_t seen, ssize_t r,
                                    size_t n)
{
    const uint32_t sure = KNIT__SLOT_OURS | KNIT__SLOT_STREAM;

    if (r > 0 && (size_t)r < n && (knit__slot_flags(s) & (sure | KNIT__SLOT_UNSURE)) == sure)
        knit__slot_mark_dry(s, direction, seen);
}

/* Remember what kind of descriptor it seems to be. */
void knit__slot_hint(struct knit__slot *s, uint32_t kind);

/* fd was just made, or is declared, to be closed by knit_close only; flags: what is known of it
 * (STREAM: it is TCP's). */
int knit__slot_adopt(int fd, uint32_t flags);

/* Park until fd may be ready in this direction, after a call found that it was not since edges were
 * `seen`; vain: so often it was woken and found nothing. 0 (try again), -EPERM (a file: always
 * ready), -EBADF, -ECANCELED, -ETIMEDOUT, -ENOMEM, -ENOSPC, and what starting a thread returns. */
int knit__slot_wait(struct knit__slot *s, int fd, int direction, uint32_t seen, uint32_t vain,
                    int64_t deadline);

/* The same for any of KNIT__POLL_..., as a level. */
int knit__slot_wait_level(struct knit__slot *s, int fd, uint32_t what, int64_t deadline);

/* Those who wait fail with -EBADF; the number is forgotten. Before close(2). */
void knit__slot_retire(int fd);
/* After it: who began to wait in between tries again, and finds that it is closed. So does who waits
 * for the next descriptor of that number, which does no harm. */
void knit__slot_closed(int fd);

/* The runtime starts, stops; the child of a fork. */
void knit__netpoll_stop(void);
void knit__netpoll_abandon(void);
void knit__netpoll_poll(int64_t deadline, struct knit__batch *ready);
void knit__netpoll_ring(void);

#endif
