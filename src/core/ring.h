/* The spawn ring: a bounded deque of records by value; one owner, many thieves.
 *
 * The owner pushes and pops at the tail (last in, first out) with plain loads and stores; thieves
 * take the oldest half at the head, one thief at a time, and pay for the ordering. This is the THE
 * protocol of Cilk-5 (Frigo, Leiserson, Randall 1998) with an asymmetric barrier (membarrier) in
 * place of the owner's fence:
 *
 *   owner pop:  tail = t - 1;   [light barrier]   read head;  head <= t - 1: slot t - 1 is mine
 *   thief:      head = h + n;   [heavy barrier]   read tail;  h + n <= tail: slots h..h+n-1 are mine
 *
 * Why no record is taken twice: suppose the owner takes slot s = t - 1 and a thief takes it too.
 * The thief wrote head > s before its barrier, the owner wrote tail = s before its own. The heavy
 * barrier makes every other thread run a full barrier between the thief's store and its load: if
 * the owner's pass over it lies after its store of tail, the thief reads tail <= s and gives back;
 * if before, the owner's later load of head sees head > s and it backs off. Where membarrier is
 * missing both sides use seq_cst operations and the same argument holds by their total order.
 *
 * Why no slot is written while a thief copies it: the owner may fill slot i again only when
 * i + CAPACITY < safe + CAPACITY, and `safe` follows `head` only after the copy (release/acquire).
 *
 * Conflicts are settled under the thieves' lock, which the owner only tries: a thief that lost its
 * processor makes the ring look empty, never stuck.
 *
 * Indices are free-running 32-bit counters. */
#ifndef KNIT_CORE_RING_H
#define KNIT_CORE_RING_H

#include "lock.h"

#include <knit/base.h>

/* A task that has not begun: all there is of it. */
struct knit__rec {
    knit_fn *fn;
    void *arg;
    void *group; /* struct knit__scope, unknown on this floor */
    const knit_site *site;
    uint32_t index; /* number of its submission */
    uint32_t flags; /* KNIT__REC_... of the group floor */
};

enum {
#if defined(KNIT_SIM_POINTS)
    KNIT__RING_CAPACITY = 16, /* what is rare happens all the time */
    KNIT__RING_BATCH = 4,
#else
    KNIT__RING_CAPACITY = 512, /* 20 KiB: stays in the first-level cache */
    KNIT__RING_BATCH = 128,    /* the most one theft takes */
#endif
};

struct knit__ring {
    /* owner only */
    KNIT__ALIGN_LINE uint32_t safe_seen; /* a value `safe` had */
    /* owner writes, thieves read */
    _Atomic uint32_t tail;
    /* thieves write (owner: under the lock), owner reads */
    KNIT__ALIGN_LINE _Atomic uint32_t head; /* slots below are taken */
    _Atomic uint32_t safe;                  /* slots below are copied out, too */
    struct knit__lock lock;                 /* one thief at a time */
    /* slot i: owner, while head <= i < tail; then the thief that moved head past it */
    KNIT__ALIGN_LINE struct knit__rec slots[KNIT__RING_CAPACITY];
};

static inline uint32_t knit__ring_len(const struct knit__ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    int32_t n = (int32_t)(atomic_load_explicit(&r->tail, memory_order_relaxed) - head);

    return n > 0 ? (uint32_t)n : 0;
}

/* Owner. Nothing is in the ring, and no thief is about to give anything back. */
static inline bool knit__ring_drained(const struct knit__ring *r)
{
    return atomic_load_explicit(&r->tail, memory_order_relaxed) ==
           atomic_load_explicit(&r->safe, memory_order_acquire);
}

/* Owner. How many records can be pushed for sure: what a thief still copies is not free. */
static inline uint32_t knit__ring_room(const struct knit__ring *r)
{
    return KNIT__RING_CAPACITY - (atomic_load_explicit(&r->tail, memory_order_relaxed) -
                                  atomic_load_explicit(&r->safe, memory_order_relaxed));
}

/* Owner. Where the next record goes; NULL when the ring is full. Publish it with ring_push. */
static inline struct knit__rec *knit__ring_slot(struct knit__ring *r)
{
    uint32_t t = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if (KNIT__UNLIKELY(t - r->safe_seen >= KNIT__RING_CAPACITY)) {
        /* pairs with the release in knit__ring_steal */
        r->safe_seen = atomic_load_explicit(&r->safe, memory_order_acquire);
        if (t - r->safe_seen >= KNIT__RING_CAPACITY)
            return NULL;
    }
    return &r->slots[t % KNIT__RING_CAPACITY];
}

static inline void knit__ring_push(struct knit__ring *r)
{
    uint32_t t = atomic_load_explicit(&r->tail, memory_order_relaxed);

    /* pairs with the acquire of tail in knit__ring_steal */
    atomic_store_explicit(&r->tail, t + 1, memory_order_release);
}

/* Owner. The newest record, still in the ring; NULL when it looks empty. */
static inline const struct knit__rec *knit__ring_newest(const struct knit__ring *r)
{
    uint32_t t = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if ((int32_t)(t - atomic_load_explicit(&r->head, memory_order_relaxed)) <= 0)
        return NULL;
    return &r->slots[(t - 1) % KNIT__RING_CAPACITY];
}

KNIT__COLD bool knit__ring_pop_conflict(struct knit__ring *r, uint32_t t);

/* Owner. Take the newest record: NULL when there is none (or a thief is at it). The result is good
 * until the next push. */
static inline struct knit__rec *knit__ring_pop(struct knit__ring *r)
{
    uint32_t t = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if ((int32_t)(t - atomic_load_explicit(&r->head, memory_order_relaxed)) <= 0)
        return NULL;
    t--;
    if (KNIT__LIKELY(knit__asymmetric)) {
        atomic_store_explicit(&r->tail, t, memory_order_relaxed);
        knit__compiler_barrier(); /* the thief's heavy barrier does the rest */
        KNIT__POINT();
    } else {
        /* seq_cst: store-load order against the thief's seq_cst store of head */
        (void)atomic_exchange_explicit(&r->tail, t, memory_order_seq_cst);
    }
    if (KNIT__UNLIKELY((int32_t)(t - atomic_load_explicit(&r->head, memory_order_seq_cst)) < 0) &&
        !knit__ring_pop_conflict(r, t))
        return NULL;
    return &r->slots[t % KNIT__RING_CAPACITY];
}

/* Owner. Take the oldest of two or more records. No barrier: no thief is at it (the lock), and the
 * owner is here. */
bool knit__ring_pop_oldest(struct knit__ring *r, struct knit__rec *ret_rec);

/* Thief. Copy up to max (<= KNIT__RING_BATCH) of the older half to out; returns how many. */
uint32_t knit__ring_steal(struct knit__ring *r, struct knit__rec *out, uint32_t max);

#endif
