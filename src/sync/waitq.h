/* The one queue of waiters behind mutex, rwlock, cond, once, wait group, semaphore, singleflight.
 *
 * ESSAY: waiting in a queue
 *
 * A waitq is two pointers, {0} is empty, and it belongs to a lock of its owner (usually a struct
 * knit__lock beside it; the mutex has a bit of its word). Everything here is called with that lock
 * held, knit__waitq_sleep aside. A waiter is a node on the waiting task's stack.
 *
 *     lock
 *     nothing to wait for? take it, unlock, return        (the state is the owner's)
 *     knit__waitq_add(q, &w, t, cancelable)                links the node and arms the wait
 *     unlock
 *     word = knit__waitq_sleep(&w, deadline, cancelable)
 *     if (!knit__wait_unlinked(word)) { lock; knit__waitq_remove(q, &w); mend; unlock }
 *
 *     the waker: lock; change the state; while (knit__waitq_claim(q, ...)) the state goes to that
 *     waiter; unlock; make the batch ready
 *
 * Why nothing is lost. A grant is a *hand-over*: the waker changes the state for the waiter and
 * claims it in one critical section, and the claim is one CAS against cancel and deadline (essay in
 * sched/park.h). So a waiter has either what it asked for or an error, never both and never
 * neither; nobody has to give back what came too late. A waiter that another reason claimed stays
 * linked until it passes the lock in its finish: wakers that meet it lose the claim, drop the node
 * and take the next. Such a waiter may have been what others queued behind, so its finish mends:
 * it lets the owner's rule look at the queue once more (a cancelled head of a semaphore's queue).
 *
 * Why the memory may go. The last touch of the object by a waker is its unlock, a store; it readies
 * a *task* afterwards. A waiter claimed while PARKED runs only after that; one claimed while ARMING
 * passes through the lock. So when a wait has returned, its waker is no longer in the object, and a
 * waiter that was the last user may free it. */
#ifndef KNIT_SYNC_WAITQ_H
#define KNIT_SYNC_WAITQ_H

#include "../sched/worker.h"

#include "wait.h"

struct knit__waiter {
    struct knit__waiter *next, *prev;
    struct knit__task *task;
    int64_t amount; /* the owner's: a weight, a kind, a time */
    bool queued;
    bool flag; /* the owner's */
};

struct knit__waitq {
    struct knit__waiter *first, *last;
};

static inline bool knit__waitq_empty(const struct knit__waitq *q)
{
    return q->first == NULL;
}

static inline void knit__waitq_append(struct knit__waitq *q, struct knit__waiter *w)
{
    w->next = NULL;
    w->prev = q->last;
    if (q->last)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
    w->queued = true;
}

static inline void knit__waitq_prepend(struct knit__waitq *q, struct knit__waiter *w)
{
    w->prev = NULL;
    w->next = q->first;
    if (q->first)
        q->first->prev = w;
    else
        q->last = w;
    q->first = w;
    w->queued = true;
}

/* Idempotent: a waker may have dropped it already. */
static inline void knit__waitq_remove(struct knit__waitq *q, struct knit__waiter *w)
{
    if (!w->queued)
        return;
    if (w->prev)
        w->prev->next = w->next;
    else
        q->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
    w->queued = false;
}

/* Join the end of the queue, armed. */
static inline void knit__waitq_add(struct knit__waitq *q, struct knit__waiter *w,
                                   struct knit__task *t, bool cancelable)
{
    w->task = t;
    knit__wait_arm(t, cancelable && t->run->ctx != NULL);
    knit__waitq_append(q, w);
}

/* Drop this waiter from the queue and decide why it wakes. False: something else had decided. True:
 * it is in the batch if it must be readied after unlocking. */
static inline bool knit__waitq_claim(struct knit__waitq *q, struct knit__waiter *w, uint32_t reason,
                                     struct knit__batch *batch)
{
    struct knit__task *t = w->task; /* w may die with the claim of a wait that is still arming... */
    enum knit__claim claim;

    knit__waitq_remove(q, w); /* ...but not before it has had the lock */
    claim = knit__wait_claim(t, reason);
    if (claim == KNIT__CLAIM_PARKED)
        knit__batch_add(batch, t);
    return claim != KNIT__CLAIM_LOST;
}

/* Wake the first waiter that can be had, or all. Returns how many. */
static inline uint32_t knit__waitq_wake_one(struct knit__waitq *q, uint32_t reason,
                                            struct knit__batch *batch)
{
    while (q->first) {
        if (knit__waitq_claim(q, q->first, reason, batch))
            return 1;
    }
    return 0;
}

static inline uint32_t knit__waitq_wake_all(struct knit__waitq *q, uint32_t reason,
                                            struct knit__batch *batch)
{
    uint32_t n = 0;

    while (q->first)
        n += knit__waitq_claim(q, q->first, reason, batch) ? 1 : 0;
    return n;
}

/* Without the lock: sleep until claimed. Returns the state word of the wait. */
static inline uint32_t knit__waitq_sleep(struct knit__waiter *w, int64_t deadline, bool cancelable)
{
    return knit__wait_for(w->task, deadline, cancelable);
}

/* Whether a deadline leaves no time to wait: a call that would have to wait then returns
 * -ETIMEDOUT without queueing. */
static inline bool knit__waitq_too_late(int64_t deadline)
{
    return deadline != KNIT__NEVER && deadline <= knit__clock_now();
}

/* After unlocking. */
static inline void knit__waitq_ready(struct knit__batch *batch)
{
    if (batch->count == 1 && !batch->apart)
        knit__ready(batch->first);
    else if (batch->first || batch->apart)
        knit__ready_batch(batch);
}

#endif
