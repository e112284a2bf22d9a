/* The one thing about chance that is not inline: its beginning. */
#include "random.h"

void knit__random_seed(struct knit__task *t)
{
    static _Atomic uint64_t seeds;
    uint64_t x = atomic_fetch_add_explicit(&seeds, 1, memory_order_relaxed);

    x = (x + (uint64_t)knit__clock_now()) * UINT64_C(0x9e3779b97f4a7c15);
    t->random = (uint32_t)(x >> 32) | 1; /* xorshift never leaves 0 */
}
