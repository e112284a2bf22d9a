/* The slow half of the lock: the holder is at work, or lost its processor. */
#include "lock.h"

#include "../plat/relax.h"

enum { SPINS = 100, YIELDS = 20, NAP_NS = 50 * 1000 };

void knit__lock_slow(struct knit__lock *l)
{
    for (int i = 0; i < SPINS; i++) {
        if (knit__trylock(l))
            return;
        knit__cpu_relax();
    }
    for (int i = 0; i < YIELDS; i++) {
        if (knit__trylock(l))
            return;
        knit__os_yield();
    }
    while (!knit__trylock(l))
        knit__futex_wait(&l->word, 1, knit__clock_now() + NAP_NS);
}
