/* A lock that costs its owner two plain stores and a load; everybody else pays a heavy barrier.
 *
 * The owner announces itself (busy), then looks whether it was shut out (revoked); others shut it
 * out, run the heavy barrier, then wait until it is not busy. Store-load on both sides, so at least
 * one sees the other (Dekker); where there is no membarrier the owner's store is a seq_cst
 * exchange. An owner that finds itself shut out does not wait: its calls fail, and it does without
 * the protected thing for a moment. (Biased locking as in Dice, Moir, Scherer: "Quickly
 * reacquirable locks", 2003; here the bias is never given up.) */
#ifndef KNIT_CORE_BIAS_H
#define KNIT_CORE_BIAS_H

#include "lock.h"

struct knit__bias {
    _Atomic uint32_t busy;    /* owner writes */
    _Atomic uint32_t revoked; /* the holder of `others` writes */
    struct knit__lock others;
};

static inline bool knit__bias_enter(struct knit__bias *b)
{
    if (KNIT__LIKELY(knit__asymmetric)) {
        atomic_store_explicit(&b->busy, 1, memory_order_relaxed);
        knit__compiler_barrier();
        KNIT__POINT();
    } else {
        (void)atomic_exchange_explicit(&b->busy, 1, memory_order_seq_cst);
    }
    /* acquire pairs with the release in knit__bias_give_back: what others did is visible */
    if (KNIT__LIKELY(atomic_load_explicit(&b->revoked, memory_order_seq_cst) == 0))
        return true;
    atomic_store_explicit(&b->busy, 0, memory_order_release);
    return false;
}

static inline void knit__bias_leave(struct knit__bias *b)
{
    /* pairs with the acquire in knit__bias_take: what the owner did is visible */
    atomic_store_explicit(&b->busy, 0, memory_order_release);
}

/* Not the owner. False: somebody else is at it, or the owner does not get on; try again later. */
bool knit__bias_take(struct knit__bias *b);
void knit__bias_give_back(struct knit__bias *b);

#endif
