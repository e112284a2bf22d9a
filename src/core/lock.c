/* The slow half of the lock: the holder is at work, or lost its processor. */
#include "lock.h"

#include "../plat/relax.h"

enum { SPINS = 100, YIELDS = 20, NAP_NS = 50 * 1000 };

void knit__lock_pause(_Atomic uint32_t *word, int turn)
{
    if (turn < SPINS)
        knit__cpu_relax();
    else if (turn < SPINS + YIELDS)
        knit__os_yield();
    else
        knit__futex_wait(word, 1, knit__clock_now() + NAP_NS);
}

void knit__lock_slow(struct knit__lock *l)
{
    for (int turn = 0; !knit__trylock(l); turn += turn < SPINS + YIELDS)
        knit__lock_pause(&l->word, turn);
}
