/* The rare half of the leaning lock: granting, and taking back. */
#include "rebias.h"

#if defined(KNIT_SIM_POINTS)
enum { FIRST_STREAK = 4 };
#else
enum { FIRST_STREAK = 512 };
#endif

enum {
    TIMES = 4, /* as many for the next bias */
    LONGEST_STREAK = 1u << 30,
};

void knit__rebias_grant(struct knit__rebias *l, const void *self)
{
    if (l->wanted == 0)
        l->wanted = FIRST_STREAK;
    if (l->streak < l->wanted)
        return;
    l->streak = 0;
    if (!self || !knit__asymmetric || l->former)
        return;
    l->former = self;
    atomic_store_explicit(&l->owner, self, memory_order_relaxed); /* others read it locked */
}

/* The owner's sections are tens of instructions: it is at work, or lost its processor. */
void knit__rebias_take_back(struct knit__rebias *l)
{
    (void)atomic_exchange_explicit(&l->owner, NULL, memory_order_seq_cst);
    knit__heavy_barrier();
    KNIT__POINT();
    for (int turn = 0; atomic_load_explicit(&l->busy, memory_order_acquire) != 0; turn++)
        knit__lock_pause(&l->busy, turn);
    l->streak = 0;
    if (l->wanted <= LONGEST_STREAK / TIMES)
        l->wanted *= TIMES;
}
