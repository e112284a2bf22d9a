/* How long things run on a worker, and whether its queues are worth a wake-up.
 *
 * Runs of records and slices of tasks (from a resume to the next park) are counted apart: a parent
 * that runs its children on top of itself has long slices and short records. One in 32 is timed,
 * every one once they are long. */
#ifndef KNIT_SCHED_PACE_H
#define KNIT_SCHED_PACE_H

#include "../plat/relax.h"
#include "worker.h"

void knit__pace_start(struct knit__worker *w);

/* What was being timed has ended: fold it into its average. */
KNIT__COLD void knit__pace_end(struct knit__worker *w);
/* The same for a child that ran on top of its parent and did not park: it took so many ticks. */
KNIT__COLD void knit__pace_inline(struct knit__worker *w, uint64_t took);
/* Another kind of work may come now: look at its first run. */
static inline void knit__pace_renew(struct knit__worker *w)
{
    w->inline_in = 1;
}

/* Estimated work, in ticks, of so many records and ready tasks of w. Any thread. */
static inline uint64_t knit__pace_work(const struct knit__worker *w, uint32_t records,
                                       uint32_t ready)
{
    return (records * atomic_load_explicit(&w->runs.average, memory_order_relaxed) +
            ready * atomic_load_explicit(&w->slices.average, memory_order_relaxed)) /
           16;
}

/* Something begins to run. */
static inline void knit__pace_begin(struct knit__worker *w, struct knit__pace *pace)
{
    atomic_store_explicit(&w->tick_seen, ++w->tick, memory_order_relaxed);
    if (KNIT__UNLIKELY(--w->sample_in == 0)) {
        w->sample_in = KNIT__SAMPLE_EVERY;
        w->sampled = pace;
        w->sample_began = knit__ticks();
    }
}

/* Owner. Within a marked call everything queued is reported to knit__notify_backlog. */
void knit__pace_enter_call(struct knit__worker *w);
void knit__pace_leave_call(struct knit__worker *w);

/* A queue has reached its wake_at, or it is time to look: wake another worker if it is worth it. */
KNIT__COLD void knit__notify_backlog(struct knit__worker *w);

#endif
