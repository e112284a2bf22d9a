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
 * finds within some milliseconds: it runs while any worker does.
 *
 * A worker not started yet counts as asleep; waking it starts its thread.
 *
 * What is counted is not sleepers but vacancies: configured workers minus running ones. A worker in
 * a blocking call leaves one as well, which a spare worker may take (handoff.h). */
#ifndef KNIT_SCHED_IDLE_H
#define KNIT_SCHED_IDLE_H

#include "worker.h"

void knit__idle_start(void);

/* Work was published from outside: wake a worker unless one is searching. True: one was woken. */
bool knit__idle_notify(void);
/* Wake this worker if it sleeps; false: it did not, or is a spare one there is no vacancy for. */
bool knit__idle_wake_worker(struct knit__worker *w);
/* Make sure this worker has a thread (debug migration): 0, or why it cannot be started. */
int knit__idle_start_worker(struct knit__worker *w);
/* At least one worker thread exists: 0, or why none can be started. */
int knit__idle_ensure_started(void);

/* If any may run: wake one that sleeps, or start one; it looks around, then sleeps again. */
void knit__idle_rouse_one(void);

/* The calling worker found nothing: search; true: something may be there, look again. False: no
 * other searcher is wanted, sleep. */
bool knit__idle_begin_search(void);
void knit__idle_end_search(void);
/* Sleep until woken, or until a timer of w is due, or something happens at a descriptor. Returns true
 * if it is now the searcher. A spare
 * one that nobody wants for long is w->retiring after it, and must end. */
bool knit__idle_sleep(struct knit__worker *w);

/* Count w as away unless it sleeps, or is away already. False: it was not counted. */
bool knit__idle_mark_away(struct knit__worker *w, uint32_t why);
/* A thread could not be started: when that may be tried again; 0: there was no such thing. */
int64_t knit__idle_retry_at(void);
/* After knit__sched.stop was set: no thread is started from here on. */
void knit__idle_no_more_starts(void);
uint64_t knit__idle_wakes(void);
/* Threads of spare workers: now, and started so far. */
uint32_t knit__idle_spares(uint64_t *ret_started);

extern _Atomic int32_t knit__vacant; /* configured workers - running ones */
extern _Atomic uint32_t knit__searchers;

/* One more may run and nobody searches: a wake-up would do something. */
static inline bool knit__idle_can_wake(void)
{
    return atomic_load_explicit(&knit__vacant, memory_order_seq_cst) > 0 &&
           atomic_load_explicit(&knit__searchers, memory_order_seq_cst) == 0;
}

/* Every worker sleeps or is away. */
static inline bool knit__idle_nobody_runs(void)
{
    return atomic_load_explicit(&knit__vacant, memory_order_seq_cst) >= (int32_t)knit__sched.count;
}

/* sysmon.c */
/* Start the monitor unless it runs: 0, or why it cannot be started. */
int knit__sysmon_start(void);
void knit__sysmon_stop(void);
void knit__sysmon_abandon(void);
void knit__sysmon_wake(void);      /* a worker left its sleep, or came back */
void knit__sysmon_cover(void);     /* a worker went away, or one who is away got a timer */
void knit__sysmon_interrupt(void); /* look now */

#endif
