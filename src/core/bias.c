/* The expensive half of the biased lock. */
#include "bias.h"

#include "../plat/relax.h"

enum { SPINS = 2000 }; /* the owner's sections are tens of instructions: longer means preempted */

bool knit__bias_take(struct knit__bias *b)
{
    if (!knit__trylock(&b->others))
        return false;
    (void)atomic_exchange_explicit(&b->revoked, 1, memory_order_seq_cst);
    knit__heavy_barrier();
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&b->busy, memory_order_seq_cst) == 0)
            return true;
        knit__cpu_relax();
    }
    knit__bias_give_back(b);
    return false;
}

void knit__bias_give_back(struct knit__bias *b)
{
    atomic_store_explicit(&b->revoked, 0, memory_order_release);
    knit__unlock(&b->others);
}
