/* Conditions: a queue of waiters under a lock of its own.
 *
 * A waiter joins the queue before it unlocks the mutex, so a signal that is sent after the mutex
 * was unlocked finds it; no signal is lost between the two, and no ticket is needed to know who
 * came first. Signals choose a waiter by claiming it, so a signal is never spent on one that was
 * cancelled.
 *
 * Lock rank: channel; the mutex is not touched under it. */
#include "mutex.h"

#include <errno.h>

enum { WOKE_SIGNAL = KNIT__WOKE_SOURCE };

struct cond {
    struct knit__lock lock; /* the rest */
    uint32_t unused;
    struct knit__waitq queue;
    const struct cond *self; /* set by the first wait: a copy is found out */
};

_Static_assert(sizeof(struct cond) <= sizeof(knit_cond), "the public struct is its storage");

static int wait_for_signal(knit_cond *public, knit_mutex *m, int64_t deadline, bool cancelable)
{
    struct cond *c = (struct cond *)(void *)public;
    struct knit__waiter w = {0};
    struct knit__task *t;
    uint32_t word;
    int r = 0;

    if (!c || !m)
        return -EINVAL;
    if (!knit__mutex_is_locked(m))
        return -EPERM;
    t = knit__task_self();
    if (!t)
        return -ENOMEM;
    if (cancelable)
        r = knit__wait_begin(t);
    if (r < 0)
        return r;
    knit__lock(&c->lock);
    if (!c->self)
        c->self = c;
    if (c->self != c) {
        knit__unlock(&c->lock);
        return -EINVAL;
    }
    knit__waitq_add(&c->queue, &w, t, cancelable);
    knit__unlock(&c->lock);

    knit_mutex_unlock(m); /* the wait is armed: this does not park */
    word = knit__waitq_sleep(&w, deadline, cancelable);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&c->lock);
        knit__waitq_remove(&c->queue, &w);
        knit__unlock(&c->lock);
    }
    if (knit__wait_reason(word) != WOKE_SIGNAL)
        r = knit__wait_result(t, word);
    knit_mutex_lock(m);
    return r;
}

int knit_cond_wait(knit_cond *c, knit_mutex *m)
{
    return wait_for_signal(c, m, KNIT__NEVER, true);
}

int knit_cond_wait_until(knit_cond *c, knit_mutex *m, knit_time deadline)
{
    return wait_for_signal(c, m, deadline, true);
}

int knit_cond_wait_nocancel(knit_cond *c, knit_mutex *m)
{
    return wait_for_signal(c, m, KNIT__NEVER, false);
}

static int wake(knit_cond *public, bool all)
{
    struct cond *c = (struct cond *)(void *)public;
    struct knit__batch batch = {0};
    bool copied;

    if (!c)
        return -EINVAL;
    knit__lock(&c->lock);
    copied = c->self && c->self != c;
    if (!copied && all)
        knit__waitq_wake_all(&c->queue, WOKE_SIGNAL, &batch);
    else if (!copied)
        knit__waitq_wake_one(&c->queue, WOKE_SIGNAL, &batch);
    knit__unlock(&c->lock);
    knit__waitq_ready(&batch);
    return copied ? -EINVAL : 0;
}

int knit_cond_signal(knit_cond *c)
{
    return wake(c, false);
}

int knit_cond_broadcast(knit_cond *c)
{
    return wake(c, true);
}
