/* Results in slots, and their iterator.
 *
 * A task with a slot is a wrapper that calls the user's function; its record carries a flag
 * (KNIT__REC_RESULT), by which its end is told to the slot, however it ends: by return, exit or
 * panic, or without having begun. Ended slots are linked in a list until next takes them, so there
 * is nothing to allocate, and nothing that could overflow.
 *
 * Under one lock: the list, how many tasks have not ended, and who waits. A waiter is woken to look
 * again, one a slot, all of them when no task is left. The last touch of the results by a task that
 * ends is its unlock, and next returns -ENOENT only after it has had the lock: so they may go away
 * then.
 *
 * Lock rank: channel. */
#include "results.h"

#include "../sync/waitq.h"

#include <errno.h>
#include <knit/results.h>

enum { WOKE_LOOK = KNIT__WOKE_SOURCE };

struct results {
    struct knit__lock lock; /* the rest */
    uint32_t unused;
    knit_errgroup *group; /* set by init */
    size_t submitted, pending;
    knit_result *first, *last; /* ended, not given out */
    struct knit__waitq waiters;
};

_Static_assert(sizeof(struct results) <= sizeof(knit_results), "the public type is storage");

static struct results *private_of(knit_results *rs)
{
    return (struct results *)(void *)rs;
}

/* ---- the task's side ---- */

static int run_slot(void *arg)
{
    knit_result *slot = arg;
    knit_fn *fn = slot->knit__fn;

    slot->knit__fn = NULL; /* it has begun */
    return fn(slot->arg);
}

void knit__result_ended(const struct knit__rec *rec, int r, bool skipped)
{
    knit_result *slot = rec->arg;
    struct results *rs = private_of(slot->knit__owner);
    struct knit__batch ready = {0};

    skipped |= slot->knit__fn != NULL; /* could not be started */
    slot->code = skipped && r == 0 ? -ECANCELED : r;
    slot->state = skipped ? KNIT_RESULT_SKIPPED : KNIT_RESULT_ENDED;
    slot->knit__next = NULL;
    knit__lock(&rs->lock);
    if (rs->last)
        rs->last->knit__next = slot;
    else
        rs->first = slot;
    rs->last = slot;
    if (--rs->pending == 0)
        knit__waitq_wake_all(&rs->waiters, WOKE_LOOK, &ready);
    else
        knit__waitq_wake_one(&rs->waiters, WOKE_LOOK, &ready);
    knit__unlock(&rs->lock);
    knit__waitq_ready(&ready);
}

/* ---- submitting ---- */

int knit_results_init(knit_results *rs, knit_errgroup *g)
{
    if (!rs || !g)
        return -EINVAL;
    *private_of(rs) = (struct results){.group = g};
    return 0;
}

int knit_results_go_at(knit_results *public, knit_result *slot, knit_fn *fn, void *arg,
                       const knit_site *site)
{
    struct results *rs = private_of(public);

    if (!rs || !fn || !knit__group_usable(knit__group_of(rs->group)))
        return -EINVAL;
    if (!slot)
        return knit_errgroup_go_at(rs->group, fn, arg, site);
    *slot = (knit_result){
        .state = KNIT_RESULT_PENDING, .arg = arg, .knit__fn = fn, .knit__owner = public};
    knit__lock(&rs->lock);
    slot->index = rs->submitted++;
    rs->pending++;
    knit__unlock(&rs->lock);
    /* whatever comes of it, the slot is told */
    return knit__group_go(knit__group_of(rs->group), run_slot, slot, site, KNIT__REC_RESULT);
}

/* ---- looking ---- */

/* 0, -ENOENT, or -EAGAIN: wait. */
static int take_locked(struct results *rs, knit_result **ret_slot)
{
    knit_result *slot = rs->first;

    if (!slot)
        return rs->pending == 0 ? -ENOENT : -EAGAIN;
    rs->first = slot->knit__next;
    if (!rs->first)
        rs->last = NULL;
    *ret_slot = slot;
    return 0;
}

int knit_results_try_next(knit_results *public, knit_result **ret_slot)
{
    struct results *rs = private_of(public);
    int r;

    if (!rs || !ret_slot)
        return -EINVAL;
    knit__lock(&rs->lock);
    r = take_locked(rs, ret_slot);
    knit__unlock(&rs->lock);
    return r;
}

/* Look, and if there is nothing yet, wait until it is worth looking again: 1. */
static int look_or_wait(struct results *rs, struct knit__task *t, knit_result **ret_slot,
                        int64_t deadline)
{
    struct knit__waiter w = {0};
    uint32_t word;
    int r;

    knit__lock(&rs->lock);
    r = take_locked(rs, ret_slot);
    if (r == -EAGAIN)
        knit__waitq_add(&rs->waiters, &w, t, true);
    knit__unlock(&rs->lock);
    if (r != -EAGAIN)
        return r;
    word = knit__waitq_sleep(&w, deadline, true);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&rs->lock);
        knit__waitq_remove(&rs->waiters, &w);
        knit__unlock(&rs->lock);
    }
    return knit__wait_reason(word) == WOKE_LOOK ? 1 : knit__wait_result(t, word);
}

int knit_results_next_until(knit_results *rs, knit_result **ret_slot, knit_time deadline)
{
    struct knit__task *t = knit__task_self();
    int r;

    do {
        r = knit_results_try_next(rs, ret_slot);
        if (r != -EAGAIN)
            return r;
        if (!t)
            return -ENOMEM;
        if (knit__waitq_too_late(deadline))
            return -ETIMEDOUT;
        r = knit__wait_begin(t);
        if (r == 0)
            r = look_or_wait(private_of(rs), t, ret_slot, deadline);
    } while (r == 1);
    return r;
}

int knit_results_next(knit_results *rs, knit_result **ret_slot)
{
    return knit_results_next_until(rs, ret_slot, KNIT__NEVER);
}
