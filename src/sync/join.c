/* Joining a scope: help, then wait. The counting is explained in sched/scope.h.
 *
 * Helping cannot deadlock: the waiter needs every child of the scope to end, whichever stack it
 * runs on; a child that parks takes the waiter's stack with it, and the waiter would only have
 * waited. It is done only while half of the stack is left: that much a task may count on; and not at
 * all where the children are to have larger stacks. */
#include "join.h"

#include "wait.h"

#include <errno.h>

/* A child may be in the lock, or may yet come there. */
static inline bool lock_is_used(const struct knit__scope *s)
{
    return (atomic_load_explicit(&s->flags, memory_order_relaxed) &
            (KNIT__SCOPE_SHARED | KNIT__SCOPE_ROOM)) != 0;
}

static inline bool is_shared(const struct knit__scope *s)
{
    return (atomic_load_explicit(&s->flags, memory_order_relaxed) & KNIT__SCOPE_SHARED) != 0;
}

/* A child that ran inline has ended. */
static inline void count_inline_end(struct knit__scope *s, bool ours)
{
    if (ours && !is_shared(s)) {
        uint64_t plain = atomic_load_explicit(&s->plain, memory_order_relaxed);

        if (KNIT__UNLIKELY((uint32_t)plain == UINT32_MAX))
            plain -= (uint64_t)1 << 32; /* where the carry goes */
        plain++;
        if (KNIT__LIKELY(knit__scope_store_plain(s, plain)))
            return;
    }
    knit__scope_subtract(s, 1);
}

bool knit__scope_help(struct knit__task *t, struct knit__scope *s)
{
    struct knit__worker *w = knit__worker_self();
    bool ours;
    uint64_t plain;
    int64_t left;

    if (!w)
        return false;
    ours = knit__scope_is_ours(t, s);
    for (bool may = knit__may_run_on_top(t, s); may;) {
        const struct knit__rec *newest = knit__ring_newest(&w->ring), *rec;

        if (!newest || newest->group != s)
            break;
        rec = knit__ring_pop(&w->ring);
        if (!rec)
            break;
        knit__run_inline(t, rec);
        count_inline_end(s, ours);
        w = knit__worker_self();
    }
    if (!ours)
        return false;
    if (w->ended_scope == s)
        knit__flush_ended(w);
    plain = atomic_load_explicit(&s->plain, memory_order_relaxed);
    /* acquire pairs with the release in knit__scope_subtract; before the flags: if nobody has waited
     * until now, no child is on the way to the lock */
    left = atomic_load_explicit(&s->left, memory_order_acquire);
    return knit__open(left, plain) == 0 && !lock_is_used(s);
}

static void unlink_locked(struct knit__scope *s, struct knit__join *join)
{
    struct knit__join **at = &s->waiters;

    while (*at && *at != join)
        at = &(*at)->next;
    if (*at)
        *at = join->next;
}

/* With the lock: true when there is no child and no last child on its way here. Otherwise WAITED is
 * set, and the last child will come. */
static bool drained_locked(struct knit__scope *s)
{
    int64_t left = atomic_load_explicit(&s->left, memory_order_acquire);

    if (left & KNIT__LEFT_WAITED)
        return false; /* somebody waits already; at no children the last one is on its way */
    left = atomic_fetch_add_explicit(&s->left, KNIT__LEFT_WAITED, memory_order_acq_rel);
    if (knit__left_open(left) != 0)
        return false;
    atomic_fetch_sub_explicit(&s->left, KNIT__LEFT_WAITED, memory_order_relaxed);
    return true;
}

int knit__scope_join(struct knit__task *t, struct knit__scope *s, int64_t deadline,
                     struct knit__cancel *cancel)
{
    struct knit__join join = {.task = t};
    struct knit__cancel *ambient = t->run->ctx;
    uint32_t word;
    int r = 0;

    t->run->ctx = cancel; /* this wait, and only it, is under this context */
    if (cancel)
        r = knit__wait_begin(t);
    if (r < 0)
        goto restore;
    knit__lock(&s->lock);
    knit__scope_share_locked(s, knit__scope_is_ours(t, s) || !knit__stacks_cover(s));
    if (drained_locked(s)) {
        knit__unlock(&s->lock);
        goto restore;
    }
    join.next = s->waiters;
    s->waiters = &join;
    word = knit__wait_locked(t, knit__lock_word(&s->lock), deadline);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&s->lock);
        unlink_locked(s, &join);
        knit__unlock(&s->lock);
    }
    if (knit__wait_reason(word) != KNIT__WOKE_SOURCE)
        r = knit__wait_result(t, word);
restore:
    if (t->watcher && t->watcher != ambient)
        knit__ctx_unwatch(t);
    t->run->ctx = ambient;
    return r;
}
