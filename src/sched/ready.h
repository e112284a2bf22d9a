/* The owner's side of a ready queue. Thieves: steal.c. */
#ifndef KNIT_SCHED_READY_H
#define KNIT_SCHED_READY_H

#include "park.h"
#include "worker.h"

/* Into w's inbox, from any thread. The caller wakes w if it must. */
void knit__inbox_push(struct knit__worker *w, struct knit__batch *b);
/* All of an inbox to the ready queue of the calling worker w; true: there was something. */
bool knit__inbox_take(struct knit__worker *w, struct knit__worker *from);

static inline uint32_t knit__ready_count(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->ready.count, memory_order_relaxed);
}

/* Owner. Append; to the inbox in the rare case that a thief is at the queue. */
static inline void knit__ready_push_batch(struct knit__worker *w, struct knit__batch *b)
{
    struct knit__ready *q = &w->ready;

    if (KNIT__UNLIKELY(!knit__bias_enter(&q->bias))) {
        knit__inbox_push(w, b);
        return;
    }
    if (q->first)
        q->last->next = b->first;
    else
        q->first = b->first;
    q->last = b->last;
    atomic_store_explicit(&q->count, knit__ready_count(w) + b->count, memory_order_relaxed);
    knit__bias_leave(&q->bias);
}

KNIT__COLD void knit__ready_push_shut_out(struct knit__worker *w, struct knit__task *t);

static inline void knit__ready_push(struct knit__worker *w, struct knit__task *t)
{
    struct knit__ready *q = &w->ready;

    t->next = NULL;
    if (KNIT__UNLIKELY(!knit__bias_enter(&q->bias))) {
        knit__ready_push_shut_out(w, t);
        return;
    }
    if (q->first)
        q->last->next = t;
    else
        q->first = t;
    q->last = t;
    atomic_store_explicit(&q->count, knit__ready_count(w) + 1, memory_order_relaxed);
    knit__bias_leave(&q->bias);
}

/* A queue longer than this has likely left the first-level cache. */
enum { KNIT__READY_LONG = 16, KNIT__READY_LINES = 12 };

/* The task after the one that runs next: fetch what it left on its stack, and the head of the one
 * behind it. A task that slept long costs a dozen misses when it resumes; this overlaps them with
 * the task before it (10,000 cancelled sleepers, and a request of one of 5,000 connections: 1.4 times
 * faster). */
static inline void knit__ready_prefetch(const struct knit__task *t)
{
    const char *sp = t->fiber.context.sp;

    /* gcc takes a function that only prefetches for one without effect, and drops the call */
    __asm__ volatile("");
    for (int i = 0; i < KNIT__READY_LINES; i++)
        __builtin_prefetch(sp + i * KNIT__CACHE_LINE, 1);
    if (t->next) {
        __builtin_prefetch(t->next, 1);
        __builtin_prefetch(&t->next->wait, 1);
    }
}

/* Owner. The oldest, or NULL (also while a thief is at the queue). */
static inline struct knit__task *knit__ready_pop(struct knit__worker *w)
{
    struct knit__ready *q = &w->ready;
    struct knit__task *t;

    if (knit__ready_count(w) == 0 || KNIT__UNLIKELY(!knit__bias_enter(&q->bias)))
        return NULL;
    t = q->first;
    if (t) {
        q->first = t->next;
        atomic_store_explicit(&q->count, knit__ready_count(w) - 1, memory_order_relaxed);
        if (KNIT__UNLIKELY(knit__ready_count(w) > KNIT__READY_LONG))
            knit__ready_prefetch(q->first);
    }
    knit__bias_leave(&q->bias);
    return t;
}

/* ---- pin.c ---- */

/* A claimed, parked, pinned task is ready: to its own worker. */
KNIT__COLD void knit__pinned_push(struct knit__task *t);
/* Owner: the oldest, or NULL. */
KNIT__COLD struct knit__task *knit__pinned_pop(struct knit__worker *w);

static inline bool knit__pinned_any(const struct knit__worker *w, memory_order order)
{
    return atomic_load_explicit(&w->pinned_count, order) != 0;
}

/* The stack of t, which runs, stays on its worker; may leave it again. */
void knit__pin(struct knit__task *t);
void knit__unpin(struct knit__task *t);

/* Right after a switch, on the new stack: what the old one asked for. */
void knit__after_switch(struct knit__worker *w);

#endif
