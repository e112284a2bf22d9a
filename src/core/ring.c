/* The thieves' half of the spawn ring. The argument is in ring.h. */
#include "ring.h"

#include <string.h>

/* Owner: a thief moved head past our slot t (tail is t now). True: we have it after all. */
bool knit__ring_pop_conflict(struct knit__ring *r, uint32_t t)
{
    bool mine;

    (void)atomic_exchange_explicit(&r->tail, t + 1, memory_order_seq_cst);
    if (!knit__trylock(&r->lock))
        return false; /* looks empty while the thief is at it */
    mine = (int32_t)(t - atomic_load_explicit(&r->head, memory_order_relaxed)) >= 0;
    if (mine)
        atomic_store_explicit(&r->tail, t, memory_order_relaxed); /* no thief: we hold the lock */
    knit__unlock(&r->lock);
    return mine;
}

uint32_t knit__ring_steal(struct knit__ring *r, struct knit__rec *out, uint32_t max)
{
    uint32_t h, t, n;

    if (knit__ring_len(r) == 0 || !knit__trylock(&r->lock))
        return 0;
    h = atomic_load_explicit(&r->head, memory_order_relaxed);
    t = atomic_load_explicit(&r->tail, memory_order_acquire);
    n = (int32_t)(t - h) > 0 ? (t - h + 1) / 2 : 0;
    if (n > max)
        n = max;
    if (n == 0)
        goto unlock;

    /* seq_cst: store-load order against the owner's pop where there is no membarrier. An exchange,
     * here and in every other Dekker store: QEMU lets a store-release pass a later load-acquire. */
    (void)atomic_exchange_explicit(&r->head, h + n, memory_order_seq_cst);
    knit__heavy_barrier();
    KNIT__POINT();
    t = atomic_load_explicit(&r->tail, memory_order_seq_cst);
    if ((int32_t)(t - (h + n)) < 0) { /* the owner came close: give all back */
        atomic_store_explicit(&r->head, h, memory_order_seq_cst);
        n = 0;
        goto unlock;
    }
    for (uint32_t i = 0; i < n; i++)
        out[i] = r->slots[(h + i) % KNIT__RING_CAPACITY];
    /* pairs with the acquire in knit__ring_slot: only now may the owner fill these again */
    atomic_store_explicit(&r->safe, h + n, memory_order_release);
unlock:
    knit__unlock(&r->lock);
    return n;
}

bool knit__ring_pop_oldest(struct knit__ring *r, struct knit__rec *ret_rec)
{
    uint32_t h;
    bool found;

    if (knit__ring_len(r) < 2 || !knit__trylock(&r->lock))
        return false;
    h = atomic_load_explicit(&r->head, memory_order_relaxed);
    found = (int32_t)(atomic_load_explicit(&r->tail, memory_order_relaxed) - h) > 0;
    if (found) {
        *ret_rec = r->slots[h % KNIT__RING_CAPACITY];
        atomic_store_explicit(&r->head, h + 1, memory_order_relaxed);
        atomic_store_explicit(&r->safe, h + 1, memory_order_release);
    }
    knit__unlock(&r->lock);
    return found;
}
