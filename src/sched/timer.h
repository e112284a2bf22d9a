/* Timers: a heap on every worker; fired by its worker, or by any other that finds them due.
 *
 * ESSAY: when a sleeping worker wakes for timers
 *
 * A wake-up costs as much as firing tens of timers. So those that come in numbers are fired
 * together: if three or more of a heap are due within TOGETHER, the first waits for them. And by
 * one worker: whoever goes to sleep plans for the heaps of all that sleep already, and who then
 * sees another one plan to wake no later than itself leaves numbers to that one. The other may have
 * been woken for something else by then; so it does not sleep without a bound, but RELIEF longer. A
 * timer in no such company is never late for any of this.
 *
 * Plans are read without locks. One that is out of date costs lateness of at most TOGETHER +
 * RELIEF, or a wake-up in vain. */
#ifndef KNIT_SCHED_TIMER_H
#define KNIT_SCHED_TIMER_H

#include "park.h"
#include "worker.h"

struct knit__timer {
    struct knit__timer_entry entry; /* first */
    struct knit__worker *home;      /* whose heap */
    struct knit__task *task;        /* to be woken; NULL: pin is called with the heap's lock, and
                                       if it returns true, fire without */
    bool (*pin)(struct knit__timer *timer);
    void (*fire)(struct knit__timer *timer);
    struct knit__timer *next;
};

/* Arm in the heap of the caller's worker (plain thread: of worker 0). 0, -ENOMEM, -EAGAIN. */
int knit__timer_arm(struct knit__timer *timer, int64_t when);
/* True: it was removed before it fired. False: it has been claimed or pinned, or was not. */
bool knit__timer_disarm(struct knit__timer *timer);
/* Fire what is due in w's heap. Returns how many fired. */
uint32_t knit__timers_run(struct knit__worker *w, int64_t now);

/* w goes to sleep: when it must wake for timers (NEVER: not), which others may now rely on. */
int64_t knit__timers_plan(struct knit__worker *w);
static inline void knit__timers_unplan(struct knit__worker *w)
{
    atomic_store_explicit(&w->plan, KNIT__NEVER, memory_order_relaxed);
}

static inline int64_t knit__timer_next(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->timer_next, memory_order_seq_cst);
}

#endif
