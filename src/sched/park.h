/* Park and ready: the one door to sleep.
 *
 * ESSAY: the wait protocol
 *
 * A wait has one state word, in the task: ARMING while the task links itself into what it waits
 * for, PARKED once its registers are saved and its stack is left, FIRED when somebody decided why
 * it wakes. Three rules:
 *
 *   Claim (waker): one CAS ARMING|PARKED -> FIRED(reason), under the lock of the source it found
 *     the task in (channel, context, timer heap, scope). Whoever wins decides, and moves the data
 *     under the same lock. If the state was PARKED, the winner readies the task, after unlocking.
 *   Commit (the next code on this worker): after the registers are saved, CAS ARMING -> PARKED. If
 *     that fails the wait has fired already: the task is ready at once.
 *   Finish (the woken task): passes through the lock of every source it is still linked in, and
 *     only then lets its nodes die. The one source that need not be visited again is the winner
 *     that claimed a PARKED task (FIRED with WAS_PARKED): it unlinked the node before it readied
 *     the task, and ready happens after unlock. A winner that claimed an ARMING task may still be
 *     inside its lock.
 *
 * A context needs no node: it keeps a list of the tasks it watches (sync/ctx.c), and looks at their
 * state words. CANCELABLE is part of the word, so a claim cannot hit a later wait that must not be
 * cancelled.
 *
 * A task that waits for one source only, without a deadline, parks *under the source's lock*: it
 * goes from IDLE to PARKED on the other stack, and only then is the lock released. Nobody can claim
 * it early, so nothing is armed and committed, and where it cannot be cancelled either (SOLE) the
 * lock alone decides: the claim is a plain store. (The Linux kernel's finish_lock_switch and Go's
 * gopark with an unlock function hand a lock over a switch in the same way.)
 *
 * Plain threads wait in the same way; their commit is followed by a futex sleep on task->token. */
#ifndef KNIT_SCHED_PARK_H
#define KNIT_SCHED_PARK_H

#include "task.h"

enum {
    KNIT__WAIT_IDLE = 0,
    KNIT__WAIT_ARMING = 1,
    KNIT__WAIT_PARKED = 2,
    KNIT__WAIT_FIRED = 3,
    KNIT__WAIT_STATE = 3,
    KNIT__WAIT_CANCELABLE = 4,
    KNIT__WAIT_WAS_PARKED = 8,
    KNIT__WAIT_SOLE = 16, /* PARKED under a lock, and whoever holds it decides */
    KNIT__WAIT_REASON_SHIFT = 8,
};

/* Why a task woke. Sources use numbers from WOKE_SOURCE on. */
enum {
    KNIT__WOKE_CTX = 1,
    KNIT__WOKE_TIMER = 2,
    KNIT__WOKE_NOMEM = 3,
    KNIT__WOKE_SOURCE = 4,
};

enum knit__claim { KNIT__CLAIM_LOST, KNIT__CLAIM_EARLY, KNIT__CLAIM_PARKED };

/* Begin a wait. seq_cst in the cancelable case: pairs with the canceller, which stores the end of
 * the context and then reads this word; the task reads the end after this store. */
static inline void knit__wait_arm(struct knit__task *t, bool cancelable)
{
    if (cancelable)
        (void)atomic_exchange_explicit(&t->wait, KNIT__WAIT_ARMING | KNIT__WAIT_CANCELABLE,
                                       memory_order_seq_cst);
    else
        atomic_store_explicit(&t->wait, KNIT__WAIT_ARMING, memory_order_relaxed);
    KNIT__POINT();
}

/* One try to decide why t wakes, from the state *word that was read: see the essay. LOST: *word is
 * what it is now; somebody has decided already, or (the word is not FIRED) try again. */
static inline enum knit__claim knit__wait_claim_word(struct knit__task *t, uint32_t *word,
                                                     uint32_t reason)
{
    uint32_t state = *word & KNIT__WAIT_STATE;
    uint32_t fired = KNIT__WAIT_FIRED | reason << KNIT__WAIT_REASON_SHIFT;

    if (state != KNIT__WAIT_ARMING && state != KNIT__WAIT_PARKED)
        return KNIT__CLAIM_LOST;
    if (state == KNIT__WAIT_PARKED)
        fired |= KNIT__WAIT_WAS_PARKED;
    KNIT__POINT();
    if (!atomic_compare_exchange_strong_explicit(&t->wait, word, fired, memory_order_acq_rel,
                                                 memory_order_acquire))
        return KNIT__CLAIM_LOST;
    return state == KNIT__WAIT_PARKED ? KNIT__CLAIM_PARKED : KNIT__CLAIM_EARLY;
}

/* Decide why t wakes, if nobody has. The caller holds the source's lock. */
static inline enum knit__claim knit__wait_claim(struct knit__task *t, uint32_t reason)
{
    uint32_t word = atomic_load_explicit(&t->wait, memory_order_acquire);

    if (KNIT__LIKELY(word == (KNIT__WAIT_PARKED | KNIT__WAIT_SOLE))) {
        /* relaxed: t reads it after it was readied */
        atomic_store_explicit(
            &t->wait, KNIT__WAIT_FIRED | KNIT__WAIT_WAS_PARKED | reason << KNIT__WAIT_REASON_SHIFT,
            memory_order_relaxed);
        return KNIT__CLAIM_PARKED;
    }
    for (;;) {
        enum knit__claim claim = knit__wait_claim_word(t, &word, reason);
        uint32_t state = word & KNIT__WAIT_STATE;

        if (claim != KNIT__CLAIM_LOST || (state != KNIT__WAIT_ARMING && state != KNIT__WAIT_PARKED))
            return claim;
    }
}

/* Sleep until claimed; t is the caller, armed. Holds no lock. Threads honour the deadline by
 * claiming themselves; for tasks the caller armed a timer. */
void knit__park(struct knit__task *t, int64_t deadline);
/* The same for a task that waits for one source, whose lock is held and released; not armed. held:
 * the word that a store of 0 unlocks. cancel: the context that may end the wait, or NULL. */
void knit__park_locked(struct knit__task *t, _Atomic uint32_t *held, struct knit__cancel *cancel);

/* What was claimed under a lock, to make ready after unlocking: tasks in order; threads and pinned
 * tasks apart. */
struct knit__batch {
    struct knit__task *first, *last;
    struct knit__task *apart;
    uint32_t count; /* of the tasks */
};

/* A batch of one task (no thread). */
static inline struct knit__batch knit__batch_of(struct knit__task *t)
{
    t->next = NULL;
    return (struct knit__batch){.first = t, .last = t, .count = 1};
}

static inline void knit__batch_add(struct knit__batch *b, struct knit__task *t)
{
    if (KNIT__UNLIKELY(t->apart)) {
        t->next = b->apart;
        b->apart = t;
        return;
    }
    t->next = NULL;
    if (b->last)
        b->last->next = t;
    else
        b->first = t;
    b->last = t;
    b->count++;
}

/* Make a claimed, parked task runnable, on the caller's worker. No lock held. */
void knit__ready(struct knit__task *t);
void knit__ready_batch(struct knit__batch *b);
/* The same, on the workers they last ran on, as if the caller were none. */
KNIT__COLD void knit__ready_batch_elsewhere(struct knit__batch *b);

/* Let others run first. */
void knit__yield_now(struct knit__worker *w);

#endif
