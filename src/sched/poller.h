/* Looking after descriptors: who polls, and when.
 *
 * ESSAY: one poller at a time
 *
 * What tasks wait for at descriptors is found by whoever holds the *poller*, a try-lock: others do
 * not queue for it, they have better things to do (golang/go#65064: many in epoll_wait contend in the
 * kernel). No thread is set aside for it:
 *
 *   - the worker that goes to sleep first sleeps in the poll, until its first timer, instead of on
 *     its token; who wakes it rings the poll's bell;
 *   - a worker that runs dry looks once before it sleeps, a busy one every 100 us;
 *   - the monitor looks when nobody did for some ms: all compute.
 *
 * The rule: while descriptors are watched (`on`), either somebody sleeps in the poll, or a worker
 * runs that will look, or all configured workers are away and no spare one may be started. It is
 * kept where a worker stops running without sleeping (it is counted as away: handoff.c asks for
 * another one), where a spare worker that sleeps in the poll ends its thread (idle.c), and where a
 * plain thread waits, which has no worker that would look (knit__poller_needed).
 *
 * Who goes to sleep and finds the poller held sleeps on its token: the holder runs, and will look once
 * more. The monitor does not: it looks after it has polled whether anybody is left. seq_cst: the
 * sleeper counts itself as asleep, then looks whether the poller is held; the holder lets go of it,
 * then looks who is asleep.
 *
 * The poll hands back tasks that are claimed and parked; they are made ready outside of it. */
#ifndef KNIT_SCHED_POLLER_H
#define KNIT_SCHED_POLLER_H

#include "worker.h"

#include "park.h"

/* The call upward: io/netpoll.c. */
struct knit__driver {
    /* Claim what has happened into *ready; wait for that until deadline (0: do not). Only by who
     * holds the poller. */
    void (*poll)(int64_t deadline, struct knit__batch *ready);
    void (*ring)(void); /* the poll that is going on, or the next one, returns */
};
extern const struct knit__driver knit__driver; /* the roof */

extern struct knit__poller {
    _Atomic bool on;       /* something was ever watched */
    _Atomic uint32_t held; /* 1: somebody polls */
    _Atomic uint64_t last; /* ticks, when a poll returned */
} knit__poller;

/* acquire: the set is open */
static inline bool knit__poller_on(void)
{
    return KNIT__UNLIKELY(atomic_load_explicit(&knit__poller.on, memory_order_acquire));
}

bool knit__poller_try(void);
void knit__poller_release(void);

/* Something will be watched, and the caller is no task, whose worker would poll: see that somebody
 * does. May start a thread. */
void knit__poller_needed(void);

/* Look, without waiting, if the last look is so many ticks ago and nobody else does. True: tasks were
 * made ready, on the caller's worker if it has one. */
KNIT__COLD bool knit__poller_look(uint64_t ticks);
static inline bool knit__poll(uint64_t ticks)
{
    return knit__poller_on() && knit__poller_look(ticks);
}

/* Nobody polls, and no worker runs that might. */
KNIT__COLD bool knit__poller_forsaken(void);
static inline bool knit__poller_unattended(void)
{
    return knit__poller_on() && knit__poller_forsaken();
}

void knit__poller_start(void);

#endif
