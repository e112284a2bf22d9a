/* Leaving a stack, and becoming ready again. The essay is in park.h. */
#include "park.h"

#include "guest.h"
#include "handoff.h"
#include "overflow.h"
#include "pace.h"
#include "ready.h"

enum { LOOP_EVERY = 16 }; /* every so many switches go through the loop, which looks everywhere */

/* Save the stack of t and run something else on this worker; `after` happens on the other stack.
 * Returns when t is resumed, perhaps on another worker. The only switch that comes back. */
static KNIT__NOINLINE void leave_stack(struct knit__worker *w, struct knit__task *t,
                                       enum knit__after after)
{
    struct knit__task *next;

    if (after != KNIT__AFTER_UNLOCK) /* the flush may take locks that come before that one */
        knit__flush_ended(w);
    knit__overflow_check(t);
    if (KNIT__UNLIKELY(w->sample_began != 0))
        knit__pace_end(w);
    t->saved_errno = *w->errno_at;
    t->last_worker = w->index;
    /* In a marked call: what runs here next is in none, and the monitor must look at it. */
    if (KNIT__UNLIKELY(atomic_load_explicit(&w->away, memory_order_relaxed) == KNIT__AWAY_MARKED))
        knit__away_leave(w);
    w->after = after;
    w->after_task = t;
    next = ++w->tick % LOOP_EVERY != 0 ? knit__ready_pop(w) : NULL;
    if (!next) { /* a fresh loop; there always is a spare stack while a task runs (worker.c) */
        next = (struct knit__task *)knit__stack_take(&w->stacks);
        next->run = NULL;
        knit__fiber_prepare(&next->fiber);
    }
    w->task = next;
    knit__fiber_switch(&t->fiber, &next->fiber, false);

    w = knit__worker_self(); /* not the one above, perhaps */
    knit__fiber_after(&t->fiber);
    *w->errno_at = t->saved_errno;
    knit__after_switch(w);
}

/* Commit: true when it is parked; false: it was claimed before. */
static inline bool commit(struct knit__task *t)
{
    uint32_t s = atomic_load_explicit(&t->wait, memory_order_relaxed);

    /* release: its registers are saved before anybody can resume it */
    return (s & KNIT__WAIT_STATE) == KNIT__WAIT_ARMING &&
           atomic_compare_exchange_strong_explicit(
               &t->wait, &s, (s & ~(uint32_t)KNIT__WAIT_STATE) | KNIT__WAIT_PARKED,
               memory_order_acq_rel, memory_order_acquire);
}

/* Park under the lock and release it. False: its context has ended. Once the lock is free t may be
 * running elsewhere; before, who was cancelled waits for it in its finish. */
static inline bool park_and_unlock(struct knit__worker *w, struct knit__task *t)
{
    const struct knit__cancel *cancel = w->after_cancel;
    bool parked = true;

    if (KNIT__LIKELY(!cancel)) {
        /* relaxed: only read under the lock, by who means to claim */
        atomic_store_explicit(&t->wait, KNIT__WAIT_PARKED | KNIT__WAIT_SOLE, memory_order_relaxed);
    } else {
        /* seq_cst: against the canceller, which stores the end and then reads this word */
        (void)atomic_exchange_explicit(&t->wait, KNIT__WAIT_PARKED | KNIT__WAIT_CANCELABLE,
                                       memory_order_seq_cst);
        if (atomic_load_explicit(&cancel->err, memory_order_seq_cst) != 0)
            parked = knit__wait_claim(t, KNIT__WOKE_CTX) == KNIT__CLAIM_LOST;
    }
    atomic_store_explicit(w->after_held, 0, memory_order_release); /* as knit__unlock */
    KNIT__POINT();
    knit__flush_ended(w);
    return parked;
}

void knit__after_switch(struct knit__worker *w)
{
    struct knit__task *t = w->after_task;
    enum knit__after after = w->after;

    w->after = KNIT__AFTER_NOTHING;
    if (after == KNIT__AFTER_NOTHING)
        return;
    KNIT__POINT(); /* parked, or not yet */
    if (after == KNIT__AFTER_UNLOCK ? park_and_unlock(w, t)
                                    : after == KNIT__AFTER_COMMIT && commit(t))
        return; /* it may be running elsewhere already */
    if (KNIT__UNLIKELY(after == KNIT__AFTER_GIVE)) {
        knit__stack_give(&t->stack);
        return;
    }
    if (KNIT__UNLIKELY(knit__sched.migrate || t->apart))
        knit__ready(t);
    else
        knit__ready_push(w, t);
}

static void park_thread(struct knit__task *t, int64_t deadline)
{
    uint32_t s = atomic_load_explicit(&t->wait, memory_order_acquire);
    uint32_t parked = (s & ~(uint32_t)KNIT__WAIT_STATE) | KNIT__WAIT_PARKED;

    atomic_store_explicit(&t->token, 0, memory_order_relaxed);
    if ((s & KNIT__WAIT_STATE) != KNIT__WAIT_ARMING ||
        !atomic_compare_exchange_strong_explicit(&t->wait, &s, parked, memory_order_acq_rel,
                                                 memory_order_acquire))
        return; /* fired already */
    /* acquire pairs with the token's release in wake_thread */
    while (atomic_load_explicit(&t->token, memory_order_acquire) == 0) {
        if (deadline != KNIT__NEVER && knit__clock_now() >= deadline) {
            if (knit__wait_claim(t, KNIT__WOKE_TIMER) == KNIT__CLAIM_PARKED)
                return;
            deadline = KNIT__NEVER; /* somebody else has won and will give the token */
        }
        knit__futex_wait(&t->token, 0, deadline);
    }
}

static inline void count_park(struct knit__worker *w)
{
    atomic_store_explicit(&w->parks, atomic_load_explicit(&w->parks, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void knit__park(struct knit__task *t, int64_t deadline)
{
    struct knit__worker *w;

    if (t->is_thread) {
        park_thread(t, deadline);
        return;
    }
    if ((atomic_load_explicit(&t->wait, memory_order_acquire) & KNIT__WAIT_STATE) ==
        KNIT__WAIT_FIRED)
        return;
    w = knit__worker_self();
    count_park(w);
    leave_stack(w, t, KNIT__AFTER_COMMIT);
}

void knit__park_locked(struct knit__task *t, _Atomic uint32_t *held, struct knit__cancel *cancel)
{
    struct knit__worker *w = knit__worker_self();

    count_park(w);
    w->after_held = held;
    w->after_cancel = cancel;
    leave_stack(w, t, KNIT__AFTER_UNLOCK);
}

void knit__yield_now(struct knit__worker *w)
{
    leave_stack(w, w->task, KNIT__AFTER_READY);
}

static void wake_thread(struct knit__task *t)
{
    /* the store is the last touch of t: it may return and end */
    const _Atomic uint32_t *token = &t->token;

    atomic_store_explicit(&t->token, 1, memory_order_release);
    knit__futex_wake(token, 1);
}

void knit__inbox_push(struct knit__worker *w, struct knit__batch *b)
{
    knit__lock(&w->inbox_lock);
    if (w->inbox_first)
        w->inbox_last->next = b->first;
    else
        w->inbox_first = b->first;
    w->inbox_last = b->last;
    /* seq_cst: published before the pusher looks whether w sleeps */
    atomic_fetch_add_explicit(&w->inbox_count, b->count, memory_order_seq_cst);
    knit__unlock(&w->inbox_lock);
}

bool knit__inbox_take(struct knit__worker *w, struct knit__worker *from)
{
    struct knit__batch b;

    if (atomic_load_explicit(&from->inbox_count, memory_order_relaxed) == 0)
        return false;
    knit__lock(&from->inbox_lock);
    b = (struct knit__batch){
        .first = from->inbox_first,
        .last = from->inbox_last,
        .count = atomic_load_explicit(&from->inbox_count, memory_order_relaxed),
    };
    from->inbox_first = from->inbox_last = NULL;
    atomic_store_explicit(&from->inbox_count, 0, memory_order_relaxed);
    knit__unlock(&from->inbox_lock);
    if (b.count == 0)
        return false;
    knit__ready_push_batch(w, &b);
    return true;
}

void knit__ready_push_shut_out(struct knit__worker *w, struct knit__task *t)
{
    struct knit__batch one = knit__batch_of(t);

    knit__inbox_push(w, &one);
}

/* Without a worker, or to make it run elsewhere: give it to the inbox of `w`. */
static KNIT__COLD void ready_elsewhere(struct knit__worker *w, struct knit__batch *b)
{
    knit__inbox_push(w, b);
    if (!knit__idle_wake_worker(w) && (!knit__sched.migrate || knit__away(w) != KNIT__AWAY_NO))
        knit__idle_notify(); /* w is busy; somebody else may take them */
}

/* A started worker for tasks readied by a plain thread: the one the task knows. */
static struct knit__worker *home_of(const struct knit__task *t)
{
    return knit__sched.workers[t->last_worker < knit__sched.count ? t->last_worker : 0];
}

/* Debug: any other worker than the one it parked on. */
static struct knit__worker *other_than(const struct knit__task *t)
{
    struct knit__worker *w = knit__sched.workers[(t->last_worker + 1) % knit__sched.count];

    return knit__idle_start_worker(w) == 0 ? w : home_of(t);
}

/* One by one: each has its own place to go. */
static KNIT__COLD void ready_each_elsewhere(struct knit__task *t)
{
    struct knit__task *next;

    for (; t; t = next) {
        struct knit__batch one;

        next = t->next;
        one = knit__batch_of(t);
        ready_elsewhere(knit__sched.migrate ? other_than(t) : home_of(t), &one);
    }
}

static void ready_apart(struct knit__task *t)
{
    struct knit__task *next;

    for (; t; t = next) {
        next = t->next;
        if (t->is_thread)
            wake_thread(t);
        else
            knit__pinned_push(t);
    }
}

void knit__ready_batch_elsewhere(struct knit__batch *b)
{
    ready_apart(b->apart);
    ready_each_elsewhere(b->first);
}

void knit__ready_batch(struct knit__batch *b)
{
    struct knit__worker *w = knit__worker_self();

    ready_apart(b->apart);
    if (!b->first)
        return;
    if (KNIT__UNLIKELY(!w || knit__sched.migrate)) {
        ready_each_elsewhere(b->first);
        return;
    }
    knit__ready_push_batch(w, b);
    if (KNIT__UNLIKELY(knit__ready_count(w) >= w->slices.wake_at))
        knit__notify_backlog(w);
}

void knit__ready(struct knit__task *t)
{
    struct knit__worker *w = knit__worker_self();

    if (KNIT__UNLIKELY(!w || t->apart || knit__sched.migrate)) {
        struct knit__batch one = {0};

        knit__batch_add(&one, t);
        knit__ready_batch(&one);
        return;
    }
    knit__ready_push(w, t);
    if (KNIT__UNLIKELY(knit__ready_count(w) >= w->slices.wake_at))
        knit__notify_backlog(w);
}
