/* A spin lock in one bit of a word, the rest of which says more (mutex, rwlock). So one store can
 * both unlock and change the rest, and be the last touch of the object. */
#ifndef KNIT_SYNC_WORDLOCK_H
#define KNIT_SYNC_WORDLOCK_H

#include "../base/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Take the bit; returns the word with it. Acquire: pairs with the release that clears it. */
KNIT__COLD uint32_t knit__wordlock_take(_Atomic uint32_t *word, uint32_t bit);

/* How long those look on who find the rest of the word taken, before they wait in a queue: at
 * doubling distances (Anderson 1990), since most sections are shorter than a park. Between two looks
 * one keeps off the cache line, so whoever has the lock may give it back and take it many times at
 * the price of an idle one; the first look comes no sooner for the same reason. How often looking
 * helped decides how many looks the next one takes (`doubt`, 0 at first). A holder gets on meanwhile
 * only if it runs elsewhere: with one worker nobody looks. */
struct knit__look {
    uint32_t next, end;
};

struct knit__look knit__look_begin(_Atomic uint16_t *doubt);
/* Pause, 1/4, 1/2, 1, 2 us. False: enough, wait. */
bool knit__look_again(struct knit__look *look);
/* What came of it. */
void knit__look_end(_Atomic uint16_t *doubt, bool helped);

#endif
