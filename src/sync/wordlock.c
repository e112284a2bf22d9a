/* Waiting for a word, by looking. */
#include "wordlock.h"

#include "../plat/plat.h"
#include "../plat/relax.h"
#include "../sched/worker.h"

enum { SPINS = 100, YIELDS = 20, NAP_NS = 50 * 1000, LOOKS = 4 };

/* The holder is at work, or lost its processor: the same steps as in core/lock.c, and as there nobody
 * asks to be woken. */
uint32_t knit__wordlock_take(_Atomic uint32_t *word, uint32_t bit)
{
    uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);

    KNIT__POINT();
    for (int i = 0;; i++) {
        if ((seen & bit) == 0) {
            if (atomic_compare_exchange_weak_explicit(word, &seen, seen | bit, memory_order_acquire,
                                                      memory_order_relaxed))
                return seen | bit;
            continue;
        }
        if (i < SPINS)
            knit__cpu_relax();
        else if (i < SPINS + YIELDS)
            knit__os_yield();
        else
            knit__futex_wait(word, seen, knit__clock_now() + NAP_NS);
        seen = atomic_load_explicit(word, memory_order_relaxed);
    }
}

struct knit__look knit__look_begin(_Atomic uint16_t *doubt)
{
    uint32_t out = atomic_load_explicit(doubt, memory_order_relaxed);

    return (struct knit__look){.end = knit__workers_live() > 1 && out < LOOKS ? LOOKS - out : 0};
}

bool knit__look_again(struct knit__look *look)
{
    uint64_t until;

    if (look->next >= look->end)
        return false;
    until = knit__ticks() + (knit__sched.ticks_per_us << look->next++) / 4;
    while (knit__ticks() < until)
        knit__cpu_relax();
    return true;
}

/* A hint: two that write it at once may count as one. One look is always left, to learn better. */
void knit__look_end(_Atomic uint16_t *doubt, bool helped)
{
    uint16_t out = atomic_load_explicit(doubt, memory_order_relaxed);

    if (helped && out > 0)
        atomic_store_explicit(doubt, (uint16_t)(out - 1), memory_order_relaxed);
    else if (!helped && out < LOOKS - 1)
        atomic_store_explicit(doubt, (uint16_t)(out + 1), memory_order_relaxed);
}
