/* A small lock: 4 bytes, {0} is unlocked. For the short critical sections of the runtime; a task
 * never parks holding one.
 *
 * Sections are tens of instructions, so a waiter spins, then gives up the processor, then naps: it
 * never asks to be woken. That makes unlocking a plain store, half the price of a lock round trip,
 * and leaves the unlocker's store as its last touch: whoever locks next may free the memory.
 *
 * Order (a lock may be taken while holding those left of it; the same kind twice never, but for
 * channels: a select holds those of several, taken in the order of their addresses):
 *   scope < ctx < channel < timer heap < ready queue < guests < guest < inject < idle < depot
 *   and scope < a group's state (group/policy.h) < the table of extra blocks (group/extra.h), with
 *   nothing taken under that,
 * and syncmap by itself: taken with no other, nothing taken under it. */
#ifndef KNIT_CORE_LOCK_H
#define KNIT_CORE_LOCK_H

#include "../base/attr.h"
#include "../plat/plat.h"
#include "../plat/simulated.h"

struct knit__lock {
    _Atomic uint32_t word;
};

KNIT__COLD void knit__lock_slow(struct knit__lock *l);
/* Between two looks at a word that is 1 while somebody is in a short section: spin, then give up the
 * processor, then nap. turn: looks so far. */
KNIT__COLD void knit__lock_pause(_Atomic uint32_t *word, int turn);

static inline bool knit__trylock(struct knit__lock *l)
{
    uint32_t free = 0;

    KNIT__POINT();
    return atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong_explicit(&l->word, &free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void knit__lock(struct knit__lock *l)
{
    uint32_t free = 0;

    KNIT__POINT();
    if (KNIT__UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &l->word, &free, 1, memory_order_acquire, memory_order_relaxed)))
        knit__lock_slow(l);
}

static inline void knit__unlock(struct knit__lock *l)
{
    /* pairs with the acquire of the next owner */
    atomic_store_explicit(&l->word, 0, memory_order_release);
    KNIT__POINT();
}

/* The word that a store of 0 (release) unlocks. */
static inline _Atomic uint32_t *knit__lock_word(struct knit__lock *l)
{
    return &l->word;
}

#endif
