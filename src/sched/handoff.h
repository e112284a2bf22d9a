/* Handing a worker's tasks over while the worker cannot run them.
 *
 * ESSAY: blocking calls and long computations
 *
 * There is no processor apart from its thread here: all a worker queues (ring, ready tasks, inbox,
 * timers) can be taken by others. So handing over means no more than that one more worker may run.
 * The books are one number:
 *
 *     knit__vacant = configured workers - running ones
 *
 * A worker that sleeps does not run. One that is *away*, in a call that blocks or in a computation
 * that does not end, does not count as running either: then another may be woken, or a *spare* one
 * started (workers with an index from `count` on: bounded, their threads recycled, ended after a
 * while of idleness). Nothing else changes hands. With vacant > 0 whoever publishes work wakes
 * somebody, exactly as for a sleeping worker (idle.h).
 *
 * Who goes away. By knit_blocking the task itself says so (MARKED): before the call it flushes its
 * batch of ended children (a waiter may need it; a running task's own scope cannot end without it,
 * which is why the monitor need not care), counts, and wakes somebody if anything is queued. Else
 * the monitor notices (sysmon.c): no progress since its last look, and the thread's processor clock
 * stands still and the kernel has it asleep: BLOCKED, at once; or the clock moves: COMPUTING, after
 * 3 ms, if anything waits behind it; for each `count` of such workers the next must have computed
 * twice as long. So 1,000 tasks of 20 ms each do not get 1,000 threads, and one of an hour stops
 * nobody.
 *
 * Within a marked call Knit may be called as anywhere. Nobody looks for what that queues, so each push
 * wakes somebody (wake_at is 0 then, see pace.h: other pushes ask nothing more), and a first timer
 * tells the monitor. When the task parks the mark is gone: what runs there next has said nothing.
 *
 * Who comes back. away is set from 0 by a CAS and cleared by an exchange of its owner, so each
 * absence is counted once in each direction. The monitor sets it under the sleepers' lock, and not of
 * one who sleeps: nobody is vacant twice. MARKED ends with the call. A worker that was noticed
 * learns of it at its next look around; until then there is one too many, which is harmless.
 *
 * Too many (vacant < 0): the one who returned goes on, a spare worker steps aside at its next look:
 * its ring goes to the inject queue, its tasks to the inbox of a configured worker, then it sleeps.
 * Its timers stay in its heap: it still sleeps until the first of them.
 *
 * Nothing is forgotten. Queues of one who is away, or has no thread, are *stranded*: nobody is
 * bound to run them. (1) A worker that goes to sleep counts itself as vacant, then looks for
 * stranded work; one that goes away sets `away`, then looks at its queues and wakes somebody. Both
 * with seq_cst, so one sees the other. The same for the pushers to an inbox: they publish, then
 * wake. (2) Running workers that never run dry look every OLDEST_EVERY turns, at their timers too.
 * (3) Timers: when nobody runs the monitor sleeps until the first timer of those who are away
 * (knit__sysmon_cover). One that is late, and for which nobody can be found, waits for the next who
 * comes back. (4) A task that was noticed as blocked, returns, starts tasks and blocks again without
 * passing the loop: the monitor goes on looking, ever more rarely, down to once in 64 ms, while anybody
 * is away who has not said so. For marked calls it does not wake at all; who comes back from one wakes
 * it. (5) Who finds a searcher wakes nobody; so a searcher that found something else looks for
 * stranded work once more when it has ended its search. (6) A thread that could not be started: nobody
 * need come by again, so the monitor is woken, and waits before its long sleep until it may be tried
 * once more. */
#ifndef KNIT_SCHED_HANDOFF_H
#define KNIT_SCHED_HANDOFF_H

#include "idle.h"

#include <knit/base.h>

enum knit__away {
    KNIT__AWAY_NO,
    KNIT__AWAY_MARKED,
    KNIT__AWAY_BLOCKED,
    KNIT__AWAY_COMPUTING,
};

static inline uint32_t knit__away(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->away, memory_order_seq_cst);
}

/* Owner: a call that may block begins, at this place of the program. */
void knit__away_enter(struct knit__worker *w, const knit_site *site);
/* Owner: back, however it went away; nothing if it did not. */
void knit__away_leave(struct knit__worker *w);
/* Owner, within a marked call: something was queued. */
KNIT__COLD void knit__away_queued(void);
/* Monitor: w does not get on. True: it was counted now, and was not before. */
bool knit__away_notice(struct knit__worker *w, enum knit__away why);

/* Something of w's waits for being run. */
bool knit__has_queued(struct knit__worker *w);
/* Somebody's queues are stranded. seq_cst: pairs with going away. */
bool knit__stranded(void);
/* Work that nobody is bound to run: from outside, or stranded. seq_cst. */
bool knit__work_for_anybody(void);

/* Owner, now and then: there is something to settle. */
static inline bool knit__handoff_surplus(const struct knit__worker *w)
{
    return w->index >= knit__sched.count &&
           atomic_load_explicit(&knit__vacant, memory_order_relaxed) < 0;
}
static inline bool knit__handoff_due(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->away, memory_order_relaxed) != KNIT__AWAY_NO ||
           knit__handoff_surplus(w);
}
/* Owner, in its loop: give all queued away. False: no memory, it must go on. */
bool knit__give_all_away(struct knit__worker *w);

/* ---- sites.c: a bounded table of the places where it happened ---- */

enum knit__site_event {
    KNIT__SITE_CALL,
    KNIT__SITE_HANDOFF,
    KNIT__SITE_BLOCKED,
    KNIT__SITE_COMPUTED,
    KNIT__SITE_EVENTS,
};
/* Its place in a table of n sites; 0, which is no site's: it has none, or there is no room. */
uint32_t knit__site_find(_Atomic(const knit_site *) *sites, uint32_t n, const knit_site *site);
void knit__site_count(const knit_site *site, enum knit__site_event event);
/* The spawn site of what a worker runs that does not get on; NULL: it cannot be told. */
const knit_site *knit__site_of_stuck(const struct knit__worker *w);
uint32_t knit__site_entries(void);
/* The counts of entry i; returns its site (NULL: the one for all that found no room). */
const knit_site *knit__site_get(uint32_t i, uint64_t counts[KNIT__SITE_EVENTS]);

#endif
