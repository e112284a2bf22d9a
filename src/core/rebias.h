/* A lock that leans towards its habitual user: for objects that many share in principle and one
 * worker uses in fact, like a channel between two tasks of one worker.
 *
 * It begins as an ordinary lock. A user that took it many times in a row, with nobody in between,
 * gets it biased to itself: from then on it enters with two plain stores and a load. The first other
 * user takes the bias back (one heavy barrier, 10 us), and the next one must be earned with four
 * times as many entries; so taking back costs little for ever, whatever the pattern is.
 *
 * Why it excludes. While there is an owner, the ordinary lock gives no right to enter by itself: its
 * holder first takes the bias back. The owner announces itself (busy), then looks whether it still
 * is the owner; who takes back clears the owner, runs the heavy barrier, then waits until it is not
 * busy. Store-load on both sides: one of them sees the other (Dekker). A bias is granted by the
 * owner-to-be, inside the ordinary lock, so there is no owner to take it from. Where there is no
 * membarrier none is granted.
 *
 * One announcement serves all owners, so a former one must not write it while another owns the lock:
 * it may have been stopped after it read that it is the owner, long ago, and would clear what the new
 * owner announced. So nobody else gets the bias before the former owner has come by the ordinary
 * lock: from there on it reads that it is not the owner any more.
 *
 * (Dice, Moir, Scherer: "Quickly reacquirable locks", 2003; with rebiasing and back-off as in
 * Russell and Detlefs, "Eliminating synchronization-related atomic operations with biased locking
 * and bulk rebiasing", 2006.)
 *
 * Either way, unlocking stores 0 to one word: the last touch. */
#ifndef KNIT_CORE_REBIAS_H
#define KNIT_CORE_REBIAS_H

#include "lock.h"

struct knit__rebias {
    struct knit__lock lock;
    _Atomic uint32_t busy;       /* the owner is inside, or about to look */
    _Atomic(const void *) owner; /* NULL: nobody. Set by the owner, cleared by others; under lock */
    /* whoever is inside */
    const void *former; /* who had the bias last, and may still believe so; NULL: nobody */
    const void *last;
    uint32_t streak, wanted; /* entries of `last` in a row; how many earn the bias. 0: not set */
    bool by_bias;
};

KNIT__COLD void knit__rebias_grant(struct knit__rebias *l, const void *self);
KNIT__COLD void knit__rebias_take_back(struct knit__rebias *l);

/* self: the user, a thread at a time; NULL: one that shall never own it. */
static inline void knit__rebias_lock(struct knit__rebias *l, const void *self)
{
    if (KNIT__LIKELY(atomic_load_explicit(&l->owner, memory_order_relaxed) == self) && self) {
        KNIT__POINT(); /* it may have been taken back since: see `former` */
        atomic_store_explicit(&l->busy, 1, memory_order_relaxed);
        knit__compiler_barrier(); /* the heavy barrier of the one that takes back does the rest */
        KNIT__POINT();
        if (KNIT__LIKELY(atomic_load_explicit(&l->owner, memory_order_seq_cst) == self)) {
            l->by_bias = true;
            return;
        }
        atomic_store_explicit(&l->busy, 0, memory_order_release);
    }
    knit__lock(&l->lock);
    if (KNIT__UNLIKELY(atomic_load_explicit(&l->owner, memory_order_relaxed) != NULL))
        knit__rebias_take_back(l);
    l->by_bias = false;
    if (l->former == self)
        l->former = NULL;
    if (l->last != self) {
        l->last = self;
        l->streak = 0;
    } else if (KNIT__UNLIKELY(++l->streak >= l->wanted)) {
        knit__rebias_grant(l, self);
    }
}

/* The word that a store of 0 (release) unlocks. By whoever is inside. */
static inline _Atomic uint32_t *knit__rebias_word(struct knit__rebias *l)
{
    return l->by_bias ? &l->busy : &l->lock.word;
}

static inline void knit__rebias_unlock(struct knit__rebias *l)
{
    /* release pairs with the acquire of the next user, or of the one that takes back */
    atomic_store_explicit(knit__rebias_word(l), 0, memory_order_release);
    KNIT__POINT();
}

#endif
