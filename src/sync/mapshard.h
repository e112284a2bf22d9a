/* One shard of the concurrent map (syncmap.c): a hash table with a lock, and a list of its entries in
 * the order in which they came.
 *
 * The lock is held for some tens of instructions: no memory is allocated or freed under it and no
 * function of the caller is called but ref. The exceptions grow with the shard: rehashing it when it
 * doubles, and clearing it.
 *
 * Ranging needs no snapshot. Entries are numbered as they come; a range sees those that were there
 * when it came to the shard, in list order. Between two calls of its function it holds a pin on one
 * entry: an entry that is removed while pinned leaves its bucket but stays in the list, dead, until
 * the last pin is gone, so that the range finds its way on. A key that is removed and stored again
 * gets a new number, above the range's limit: it is not seen twice. */
#ifndef KNIT_SYNC_MAPSHARD_H
#define KNIT_SYNC_MAPSHARD_H

#include "../core/lock.h"

#include <string.h>

/* What a lookup reads lies together, at the end. */
struct knit__entry {
    /* shard's lock */
    uint64_t number;                    /* when it came into the shard */
    struct knit__entry *after, *before; /* in the shard's list */
    uint32_t pins;
    bool dead;
    struct knit__entry *chain; /* in its bucket; or in a list of those to be freed */
    void *value;
    /* set at birth, then constant */
    uint64_t hash;
    size_t size;
    _Alignas(max_align_t) unsigned char key[];
};

struct knit__shard {
    KNIT__ALIGN_LINE struct knit__lock lock;
    /* lock */
    uint32_t mask; /* buckets - 1 */
    struct knit__entry **buckets;
    struct knit__entry *only; /* the bucket, as long as there is one */
    struct knit__entry *first, *last;
    uint64_t numbers;     /* given out */
    _Atomic size_t count; /* read without the lock by len */
};

typedef void knit__value_fn(void *value);

/* In zeroed memory; and all that is left when it is empty. */
void knit__shard_init(struct knit__shard *s);
void knit__shard_fini(struct knit__shard *s);

/* An entry in no shard, to be freed with free. NULL: no memory. */
struct knit__entry *knit__entry_new(uint64_t hash, const void *key, size_t size);

/* Lock held: put an entry in, whose key is not there; take the one at *at out (result of find).
 * take_out returns what is to be freed after unlocking, or NULL. */
void knit__shard_insert(struct knit__shard *s, struct knit__entry *e, void *value);
struct knit__entry *knit__shard_take_out(struct knit__shard *s, struct knit__entry **at);

/* No lock held: the shard was seen crowded, with this mask. Without memory its chains grow longer,
 * that is all. */
void knit__shard_grow(struct knit__shard *s, uint32_t mask);
/* No lock held: take everything out; unref (or NULL) is called with the values. */
void knit__shard_clear(struct knit__shard *s, knit__value_fn *unref);

/* A range: where it ends; then from one entry (NULL: before the first) to the next below limit,
 * which is pinned, its value in *ret_value after ref (or NULL) was called with it. The pin of `from`
 * goes. NULL: there is none. No lock held. */
uint64_t knit__shard_limit(struct knit__shard *s);
struct knit__entry *knit__shard_step(struct knit__shard *s, struct knit__entry *from,
                                     uint64_t limit, knit__value_fn *ref, void **ret_value);
/* The range ends early. */
void knit__shard_unpin(struct knit__shard *s, struct knit__entry *e);

static inline size_t knit__shard_count(const struct knit__shard *s)
{
    return atomic_load_explicit(&s->count, memory_order_relaxed);
}

static inline bool knit__shard_is_crowded(const struct knit__shard *s)
{
    return knit__shard_count(s) > s->mask && s->mask < UINT32_MAX / 2;
}

static inline bool knit__key_same(const void *a, const void *b, size_t size)
{
    uint64_t x, y;

    if (size != sizeof x) /* numbers and pointers: without a call */
        return size == 0 || memcmp(a, b, size) == 0;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y;
}

/* Where the pointer to the entry is; to NULL: it is not there. Lock held. */
static inline struct knit__entry **knit__shard_find(struct knit__shard *s, uint64_t hash,
                                                    const void *key, size_t size)
{
    struct knit__entry **at = &s->buckets[hash & s->mask];

    for (; *at; at = &(*at)->chain) {
        const struct knit__entry *e = *at;

        if (e->hash == hash && e->size == size && knit__key_same(e->key, key, size))
            break;
    }
    return at;
}

#endif
