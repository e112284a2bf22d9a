/* Chance for tasks: Marsaglia's xorshift32 (Journal of Statistical Software 8, 2003). Each task has a
 * state of its own, so drawing touches nothing shared. Under KNIT_SIM it follows from the seed. */
#ifndef KNIT_SYNC_RANDOM_H
#define KNIT_SYNC_RANDOM_H

#include "../sched/task.h"

KNIT__COLD void knit__random_seed(struct knit__task *t);

/* Before the first draw. */
static inline void knit__random_begin(struct knit__task *t)
{
    if (KNIT__UNLIKELY(t->random == 0))
        knit__random_seed(t);
}

/* A number below n. The state is the task's (the thread's): nobody else writes it. */
static inline uint32_t knit__random_below(struct knit__task *t, uint32_t n)
{
    uint32_t x = t->random;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    t->random = x;
    return (uint32_t)((uint64_t)x * n >> 32);
}

#endif
