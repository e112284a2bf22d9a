/* Who searches, who sleeps, whom to wake.
 *
 * ESSAY: sleeping and waking
 *
 * Waking a thread costs both sides as much as thousands of small tasks, so it is throttled. A
 * worker that runs dry becomes the *searcher* if there is none, and looks through the other
 * workers' queues for some tens of microseconds; otherwise it goes to sleep on its token.
 *
 * Work that comes from outside the workers (chunks of plain threads, tasks readied by them) must
 * never be missed: the submitter publishes it, then looks for sleepers; the worker counts itself as
 * a sleeper, then looks for such work once more. Both with seq_cst operations, so one of them sees
 * the other (Dekker).
 *
 * Work that a worker queues for itself needs no such care, since that worker runs it in any case.
 * It wakes another one only when the queue is long enough in time (length x average run) to be
 * worth it. What this misjudges (a first long task, a task that blocks) the monitor (sysmon.c)
 * finds within a millisecond or two: it runs while any worker does.
 *
 * A worker not started yet counts as asleep; waking it starts its thread. */
#ifndef KNIT_SCHED_IDLE_H
#define KNIT_SCHED_IDLE_H

#include "worker.h"

void knit__idle_start(void);

/* Work was published from outside: wake a worker unless one is searching. */
void knit__idle_notify(void);
/* Wake this worker if it sleeps; false: it did not. */
bool knit__idle_wake_worker(struct knit__worker *w);
/* Make sure this worker has a thread (debug migration): 0, or why it cannot be started. */
int knit__idle_start_worker(struct knit__worker *w);
/* At least one worker thread exists: 0, or why none can be started. */
int knit__idle_ensure_started(void);

/* The calling worker found nothing: search; true: something may be there, look again. False: no
 * other searcher is wanted, sleep. */
bool knit__idle_begin_search(void);
void knit__idle_end_search(void);
/* Sleep until woken, or until a timer of w is due. Returns true if it is now the searcher. */
bool knit__idle_sleep(struct knit__worker *w);

uint32_t knit__idle_sleepers(void);
/* After knit__sched.stop was set: no thread is started from here on. */
void knit__idle_no_more_starts(void);
uint64_t knit__idle_wakes(void);

extern _Atomic uint32_t knit__sleepers, knit__searchers;

/* Somebody sleeps and nobody searches: a wake-up would do something. */
static inline bool knit__idle_can_wake(void)
{
    return atomic_load_explicit(&knit__sleepers, memory_order_seq_cst) != 0 &&
           atomic_load_explicit(&knit__searchers, memory_order_seq_cst) == 0;
}

/* sysmon.c */
int knit__sysmon_start(void);
void knit__sysmon_stop(void);
void knit__sysmon_abandon(void);
void knit__sysmon_wake(void); /* a worker left its sleep */

#endif
