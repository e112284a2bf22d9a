/* Weighted semaphore: capacity, what is held, a FIFO of requests; under one lock.
 *
 * Invariants, under the lock: the first request that still waits does not fit; no request in the
 * queue is above the capacity (a cancelled one may be either until its finish). Whoever changes
 * held, capacity or the queue's head serves the queue: release, resize, and the finish of a request
 * that gave up (golang/go#37852: a cancelled head must let the next go).
 *
 * x/sync checks the context again after a grant and gives the grant back. Not here: the claim
 * decides between grant and cancel, once (waitq.h). Other differences: over-release is refused
 * instead of raising the capacity for ever; so are negative weights; a weight above the capacity is
 * an error at once instead of a wait that only a cancel can end (golang/sync#7).
 *
 * Lock rank: channel. */
#include "waitq.h"

#include <errno.h>
#include <knit/semaphore.h>

enum { WOKE_GRANTED = KNIT__WOKE_SOURCE, WOKE_TOO_BIG };

struct semaphore {
    struct knit__lock lock; /* the rest */
    uint32_t unused;
    int64_t capacity;
    int64_t held; /* above capacity only after a resize */
    struct knit__waitq queue;
};

_Static_assert(sizeof(struct semaphore) <= sizeof(knit_semaphore), "it is the storage");

static inline struct semaphore *private_of(const knit_semaphore *s)
{
    return (struct semaphore *)(uintptr_t)s;
}

int knit_semaphore_init(knit_semaphore *s, int64_t capacity)
{
    if (!s || capacity < 0)
        return -EINVAL;
    *private_of(s) = (struct semaphore){.capacity = capacity};
    return 0;
}

/* 0, -E2BIG, or -EAGAIN. lock held. No overflow: held and capacity are >= 0. */
static inline int take_locked(struct semaphore *s, int64_t n)
{
    if (KNIT__UNLIKELY(n > s->capacity))
        return -E2BIG;
    if (s->capacity - s->held < n || !knit__waitq_empty(&s->queue))
        return -EAGAIN;
    s->held += n;
    return 0;
}

static void serve_locked(struct semaphore *s, struct knit__batch *batch)
{
    while (s->queue.first && s->capacity - s->held >= s->queue.first->amount) {
        int64_t n = s->queue.first->amount;

        if (knit__waitq_claim(&s->queue, s->queue.first, WOKE_GRANTED, batch))
            s->held += n;
    }
}

/* The lock is held and released. */
static int wait_in(struct semaphore *s, struct knit__task *t, int64_t n, int64_t deadline,
                   bool cancelable)
{
    struct knit__waiter w = {.amount = n};
    struct knit__batch batch = {0};
    uint32_t word;

    knit__waitq_add(&s->queue, &w, t, cancelable);
    knit__unlock(&s->lock);
    word = knit__waitq_sleep(&w, deadline, cancelable);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&s->lock);
        knit__waitq_remove(&s->queue, &w);
        serve_locked(s, &batch);
        knit__unlock(&s->lock);
        knit__waitq_ready(&batch);
    }
    switch (knit__wait_reason(word)) {
    case WOKE_GRANTED: return 0;
    case WOKE_TOO_BIG: return -E2BIG;
    default: return knit__wait_result(t, word);
    }
}

static int acquire(knit_semaphore *public, int64_t n, int64_t deadline, bool cancelable)
{
    struct semaphore *s = private_of(public);
    struct knit__task *t;
    int r = 0;

    if (KNIT__UNLIKELY(!s || n < 0))
        return -EINVAL;
    t = knit__task_self();
    if (KNIT__UNLIKELY(!t))
        return -ENOMEM;
    if (cancelable)
        r = knit__wait_begin(t);
    if (r < 0)
        return r;
    knit__lock(&s->lock);
    r = take_locked(s, n);
    if (r == -EAGAIN) {
        if (!knit__waitq_too_late(deadline))
            return wait_in(s, t, n, deadline, cancelable);
        r = -ETIMEDOUT;
    }
    knit__unlock(&s->lock);
    return r;
}

int knit_semaphore_acquire(knit_semaphore *s, int64_t n)
{
    return acquire(s, n, KNIT__NEVER, true);
}

int knit_semaphore_acquire_until(knit_semaphore *s, int64_t n, knit_time deadline)
{
    return acquire(s, n, deadline, true);
}

int knit_semaphore_acquire_nocancel(knit_semaphore *s, int64_t n)
{
    return acquire(s, n, KNIT__NEVER, false);
}

int knit_semaphore_try_acquire(knit_semaphore *public, int64_t n)
{
    struct semaphore *s = private_of(public);
    int r;

    if (!s || n < 0)
        return -EINVAL;
    knit__lock(&s->lock);
    r = take_locked(s, n);
    knit__unlock(&s->lock);
    return r;
}

int knit_semaphore_release(knit_semaphore *public, int64_t n)
{
    struct semaphore *s = private_of(public);
    struct knit__batch batch = {0};

    if (KNIT__UNLIKELY(!s || n < 0))
        return -EINVAL;
    knit__lock(&s->lock);
    if (KNIT__UNLIKELY(n > s->held)) {
        knit__unlock(&s->lock);
        return -ERANGE;
    }
    s->held -= n;
    serve_locked(s, &batch);
    knit__unlock(&s->lock);
    knit__waitq_ready(&batch);
    return 0;
}

int knit_semaphore_resize(knit_semaphore *public, int64_t capacity)
{
    struct semaphore *s = private_of(public);
    struct knit__waiter *w, *next;
    struct knit__batch batch = {0};

    if (!s || capacity < 0)
        return -EINVAL;
    knit__lock(&s->lock);
    s->capacity = capacity;
    for (w = s->queue.first; w; w = next) {
        next = w->next;
        if (w->amount > capacity)
            knit__waitq_claim(&s->queue, w, WOKE_TOO_BIG, &batch);
    }
    serve_locked(s, &batch);
    knit__unlock(&s->lock);
    knit__waitq_ready(&batch);
    return 0;
}

static int64_t read_one(const knit_semaphore *public, bool held)
{
    struct semaphore *s = private_of(public);
    int64_t n;

    if (!s)
        return 0;
    knit__lock(&s->lock);
    n = held ? s->held : s->capacity;
    knit__unlock(&s->lock);
    return n;
}

int64_t knit_semaphore_held(const knit_semaphore *s)
{
    return read_one(s, true);
}

int64_t knit_semaphore_capacity(const knit_semaphore *s)
{
    return read_one(s, false);
}
