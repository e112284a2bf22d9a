/* Timers: a heap on every worker; fired by its worker, or by any other that finds them due. */
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

static inline int64_t knit__timer_next(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->timer_next, memory_order_seq_cst);
}

#endif
