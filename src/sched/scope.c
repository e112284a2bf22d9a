/* Counting the children of a scope. The essay is in scope.h. */
#include "scope.h"

#include "park.h"

/* Whether the sum of the two counters is odd. */
static bool is_odd(uint64_t plain)
{
    return ((plain >> 32 ^ plain) & 1) != 0;
}

void knit__scope_share_locked(struct knit__scope *s, bool owner)
{
    uint32_t folded = KNIT__SCOPE_FOLDED;
    uint64_t plain;
    int64_t open;

    if (atomic_load_explicit(&s->flags, memory_order_relaxed) & KNIT__SCOPE_SHARED)
        return;
    /* seq_cst: before the load of plain, against the owner's store of plain and load of flags */
    atomic_fetch_or_explicit(&s->flags, KNIT__SCOPE_SHARED, memory_order_seq_cst);
    if (!owner)
        knit__heavy_barrier();
    plain = atomic_load_explicit(&s->plain, memory_order_seq_cst);
    open = knit__plain_open(plain);
    atomic_fetch_add_explicit(&s->left,
                              (int64_t)(plain & ~(uint64_t)0xffffffffu) + open * KNIT__LEFT_CHILD,
                              memory_order_acq_rel);
    if (is_odd(plain))
        folded |= KNIT__SCOPE_ODD;
    /* release: who sees FOLDED sees the sum */
    atomic_fetch_or_explicit(&s->flags, folded, memory_order_release);
}

bool knit__scope_fold_missed(struct knit__scope *s, uint64_t plain)
{
    bool missed;

    knit__lock(&s->lock);
    missed = is_odd(plain) !=
             ((atomic_load_explicit(&s->flags, memory_order_relaxed) & KNIT__SCOPE_ODD) != 0);
    knit__unlock(&s->lock);
    return missed;
}

uint32_t knit__scope_enter_shared(struct knit__scope *s)
{
    /* seq_cst: counted before the caller looks at the flags again, against close */
    return knit__left_high(atomic_fetch_add_explicit(
        &s->left, KNIT__LEFT_SUBMITTED + KNIT__LEFT_CHILD, memory_order_seq_cst));
}

/* The last child clears WAITED and wakes who waits; lock held. */
static void wake_waiters_locked(struct knit__scope *s, struct knit__batch *ready)
{
    atomic_fetch_sub_explicit(&s->left, KNIT__LEFT_WAITED, memory_order_relaxed);
    while (s->waiters) {
        struct knit__join *j = s->waiters;

        s->waiters = j->next;
        if (knit__wait_claim(j->task, KNIT__WOKE_SOURCE) == KNIT__CLAIM_PARKED)
            knit__batch_add(ready, j->task);
    }
}

int64_t knit__scope_change_locked(struct knit__scope *s, int64_t change, struct knit__batch *ready)
{
    int64_t before = atomic_fetch_add_explicit(&s->left, change, memory_order_seq_cst);

    if ((before & KNIT__LEFT_WAITED) && knit__left_open(before + change) == 0)
        wake_waiters_locked(s, ready);
    return before;
}

/* The last children of a waited-for scope, still counted: leave under the lock, so that there is
 * one who finds nobody left. */
static KNIT__NOINLINE void leave_locked(struct knit__scope *s, uint32_t n)
{
    struct knit__batch ready = {0};

    knit__lock(&s->lock);
    knit__scope_change_locked(s, -(int64_t)n * KNIT__LEFT_CHILD, &ready);
    knit__unlock(&s->lock); /* the last touch */
    knit__ready_batch(&ready);
}

/* Somebody waits for room: one by one, each may make some. */
static KNIT__NOINLINE void leave_with_room(struct knit__scope *s, uint32_t n)
{
    while (n-- > 0)
        knit__upcalls.leave(s);
}

void knit__scope_subtract(struct knit__scope *s, uint32_t n)
{
    int64_t change = (int64_t)n * KNIT__LEFT_CHILD;
    int64_t left = atomic_load_explicit(&s->left, memory_order_relaxed);

    do {
        if (KNIT__UNLIKELY((left & KNIT__LEFT_ROOM) != 0)) {
            leave_with_room(s, n);
            return;
        }
        if (KNIT__UNLIKELY(knit__left_low(left - change) == KNIT__LEFT_WAITED)) {
            leave_locked(s, n);
            return;
        }
        /* release: what the children did is visible to who sees them gone */
    } while (!atomic_compare_exchange_weak_explicit(&s->left, &left, left - change,
                                                    memory_order_acq_rel, memory_order_relaxed));
}
