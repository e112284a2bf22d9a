/* The concurrent map: SHARDS small hash tables with a lock each (mapshard.h). The upper bits of a
 * key's hash choose the shard, the lower ones the bucket. Why not a lock-free table: docs/adr/0007.
 *
 * Whatever a function has to allocate it allocates without the lock, and looks again. What it drops
 * it drops after unlocking.
 *
 * Lock rank: syncmap, taken while no other is held; nothing is locked under it. */
#include "mapshard.h"

#include <knit/syncmap.h>
#include <stdlib.h>

enum { SHARDS = 64, SHARD_BITS = 6 };

struct table {
    struct knit__shard shards[SHARDS];
    uint64_t seed;
};

/* What a knit_syncmap holds. */
struct map {
    _Atomic(struct table *) table; /* NULL: nothing was ever stored */
    knit_syncmap_options options;  /* set at birth, then constant */
};

_Static_assert(sizeof(struct map) <= sizeof(knit_syncmap), "the map is its storage");

static inline struct map *inside(knit_syncmap *m)
{
    return (void *)m;
}

static inline struct table *table_of(const struct map *m)
{
    /* acquire pairs with the release in table_make */
    return atomic_load_explicit(&m->table, memory_order_acquire);
}

/* ---- hashing --------------------------------------------------------------------------------- */

/* Multiply and fold, the finalizer of MurmurHash3 (Appleby) with Stafford's constants ("Better bit
 * mixing", 2011): every bit of x reaches every bit of the result. */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Eight bytes at a time, each mixed into what came before; the size keeps "a" and "a\0" apart. */
static uint64_t hash_bytes(const unsigned char *key, size_t size, uint64_t seed)
{
    uint64_t h = seed + size * UINT64_C(0x9e3779b97f4a7c15), word;

    for (; size >= sizeof word; key += sizeof word, size -= sizeof word) {
        memcpy(&word, key, sizeof word);
        h = mix(h ^ word);
    }
    if (size == 0)
        return h;
    word = 0;
    memcpy(&word, key, size);
    return mix(h ^ word);
}

static inline uint64_t hash_of(const struct map *m, const struct table *table, const void *key,
                               size_t size)
{
    return m->options.hash ? m->options.hash(key, size) : hash_bytes(key, size, table->seed);
}

static inline struct knit__shard *shard_of(struct table *table, uint64_t hash)
{
    return &table->shards[hash >> (64 - SHARD_BITS)];
}

/* ---- making ---------------------------------------------------------------------------------- */

static uint64_t new_seed(void)
{
    static _Atomic uint64_t seeds;

    return mix(atomic_fetch_add_explicit(&seeds, 1, memory_order_relaxed) +
               (uint64_t)knit__clock_now());
}

/* The table, made if there is none; NULL: no memory. */
static struct table *table_make(struct map *m)
{
    struct table *table = table_of(m), *other = NULL;

    if (KNIT__LIKELY(table != NULL))
        return table;
    table = aligned_alloc(KNIT__CACHE_LINE, sizeof *table);
    if (!table)
        return NULL;
    memset(table, 0, sizeof *table);
    for (int i = 0; i < SHARDS; i++)
        knit__shard_init(&table->shards[i]);
    table->seed = new_seed();
    /* release: whoever sees the table sees it whole */
    if (atomic_compare_exchange_strong_explicit(&m->table, &other, table, memory_order_acq_rel,
                                                memory_order_acquire))
        return table;
    free(table);
    return other;
}

/* ---- one key --------------------------------------------------------------------------------- */

static inline bool is_wrong(const knit_syncmap *m, const void *key, size_t size)
{
    return !m || (!key && size != 0) || size > (size_t)PTRDIFF_MAX - sizeof(struct knit__entry);
}

static inline void ref(const struct map *m, void *value)
{
    if (m->options.ref)
        m->options.ref(value);
}

static inline void unref(const struct map *m, void *value)
{
    if (m->options.unref)
        m->options.unref(value);
}

/* The place of a key in its shard, which is then locked; NULL: there is no table, and no lock. */
static struct knit__entry **lock_place(struct map *m, const void *key, size_t size,
                                       struct knit__shard **ret_shard)
{
    struct table *table = table_of(m);
    uint64_t hash;

    if (!table)
        return NULL;
    hash = hash_of(m, table, key, size);
    *ret_shard = shard_of(table, hash);
    knit__lock(&(*ret_shard)->lock);
    return knit__shard_find(*ret_shard, hash, key, size);
}

int knit_syncmap_load(knit_syncmap *map, const void *key, size_t size, void **ret_value)
{
    struct map *m = inside(map);
    struct knit__shard *s;
    struct knit__entry **at, *e;

    if (is_wrong(map, key, size))
        return -EINVAL;
    at = lock_place(m, key, size, &s);
    if (!at)
        return 0;
    e = *at;
    if (e && ret_value) {
        ref(m, e->value);
        *ret_value = e->value;
    }
    knit__unlock(&s->lock);
    return e != NULL;
}

/* What a store does with a key that is there. */
enum present { REPLACE, KEEP };

/* With the key there: do as told; *ret_value is what was there (KEEP: with a reference of its own).
 * Lock held. */
static void meet(const struct map *m, struct knit__entry *e, enum present what, void *value,
                 void **ret_value)
{
    *ret_value = e->value;
    if (what == REPLACE)
        e->value = value;
    else
        ref(m, e->value);
}

/* 1: the key was there, *ret_value was its value. 0: value was stored (KEEP: with a reference for
 * the caller). -ENOMEM. */
static int put(struct map *m, const void *key, size_t size, enum present what, void *value,
               void **ret_value)
{
    struct table *table = table_make(m);
    struct knit__entry *e, *made;
    struct knit__shard *s;
    uint64_t hash;
    uint32_t mask;
    bool crowded;

    if (!table)
        return -ENOMEM;
    hash = hash_of(m, table, key, size);
    s = shard_of(table, hash);
    knit__lock(&s->lock);
    e = *knit__shard_find(s, hash, key, size);
    if (e)
        meet(m, e, what, value, ret_value);
    knit__unlock(&s->lock);
    if (e)
        return 1;

    made = knit__entry_new(hash, key, size);
    if (!made)
        return -ENOMEM;
    knit__lock(&s->lock);
    e = *knit__shard_find(s, hash, key, size); /* somebody may have been faster */
    if (e) {
        meet(m, e, what, value, ret_value);
    } else {
        if (what == KEEP)
            ref(m, value);
        knit__shard_insert(s, made, value);
    }
    crowded = knit__shard_is_crowded(s);
    mask = s->mask;
    knit__unlock(&s->lock);
    if (e)
        free(made);
    if (crowded)
        knit__shard_grow(s, mask);
    return e != NULL;
}

int knit_syncmap_store(knit_syncmap *map, const void *key, size_t size, void *value)
{
    int r = knit_syncmap_swap(map, key, size, value, NULL);

    return r < 0 ? r : 0;
}

int knit_syncmap_swap(knit_syncmap *map, const void *key, size_t size, void *value,
                      void **ret_value)
{
    void *former;
    int r;

    if (is_wrong(map, key, size))
        return -EINVAL;
    r = put(inside(map), key, size, REPLACE, value, &former);
    if (r == 1 && ret_value)
        *ret_value = former;
    else if (r == 1)
        unref(inside(map), former);
    return r;
}

int knit_syncmap_load_or_store(knit_syncmap *map, const void *key, size_t size, void *value,
                               void **ret_value)
{
    void *there = value;
    int r;

    if (is_wrong(map, key, size))
        return -EINVAL;
    r = put(inside(map), key, size, KEEP, value, &there);
    if (r >= 0 && ret_value)
        *ret_value = there;
    else if (r >= 0)
        unref(inside(map), there);
    return r;
}

/* Remove a key, if `any` or its value is old. 1: done, *ret_value was its value. */
static int take(struct map *m, const void *key, size_t size, bool any, const void *old,
                void **ret_value)
{
    struct knit__shard *s;
    struct knit__entry **at = lock_place(m, key, size, &s), *gone = NULL;
    bool taken;

    if (!at)
        return 0;
    taken = *at && (any || (*at)->value == old);
    if (taken) {
        *ret_value = (*at)->value;
        gone = knit__shard_take_out(s, at);
    }
    knit__unlock(&s->lock);
    free(gone);
    return taken;
}

int knit_syncmap_load_and_delete(knit_syncmap *map, const void *key, size_t size, void **ret_value)
{
    void *value;

    if (is_wrong(map, key, size))
        return -EINVAL;
    if (take(inside(map), key, size, true, NULL, &value) == 0)
        return 0;
    if (ret_value)
        *ret_value = value;
    else
        unref(inside(map), value);
    return 1;
}

int knit_syncmap_delete(knit_syncmap *map, const void *key, size_t size)
{
    return knit_syncmap_load_and_delete(map, key, size, NULL);
}

int knit_syncmap_compare_and_delete(knit_syncmap *map, const void *key, size_t size, void *old)
{
    void *value;

    if (is_wrong(map, key, size))
        return -EINVAL;
    if (take(inside(map), key, size, false, old, &value) == 0)
        return 0;
    unref(inside(map), value);
    return 1;
}

int knit_syncmap_compare_and_swap(knit_syncmap *map, const void *key, size_t size, void *old,
                                  void *value)
{
    struct map *m = inside(map);
    struct knit__shard *s;
    struct knit__entry **at, *e;
    bool same;

    if (is_wrong(map, key, size))
        return -EINVAL;
    at = lock_place(m, key, size, &s);
    if (!at)
        return 0;
    e = *at;
    same = e && e->value == old;
    if (same)
        e->value = value;
    knit__unlock(&s->lock);
    if (same)
        unref(m, old);
    return same;
}

/* ---- all keys -------------------------------------------------------------------------------- */

static int range_shard(const struct map *m, struct knit__shard *s, knit_syncmap_fn *fn, void *arg)
{
    struct knit__entry *e = NULL;
    uint64_t limit = knit__shard_limit(s);
    void *value;

    while ((e = knit__shard_step(s, e, limit, m->options.ref, &value)) != NULL) {
        int r = fn(e->key, e->size, value, arg);

        unref(m, value);
        if (r != 0) {
            knit__shard_unpin(s, e);
            return r;
        }
    }
    return 0;
}

int knit_syncmap_range(knit_syncmap *map, knit_syncmap_fn *fn, void *arg)
{
    struct table *table;

    if (!map || !fn)
        return -EINVAL;
    table = table_of(inside(map));
    for (int i = 0; table && i < SHARDS; i++) {
        int r = range_shard(inside(map), &table->shards[i], fn, arg);

        if (r != 0)
            return r;
    }
    return 0;
}

void knit_syncmap_clear(knit_syncmap *map)
{
    struct table *table = map ? table_of(inside(map)) : NULL;

    for (int i = 0; table && i < SHARDS; i++)
        knit__shard_clear(&table->shards[i], inside(map)->options.unref);
}

size_t knit_syncmap_len(const knit_syncmap *map)
{
    const struct table *table = map ? table_of((const void *)map) : NULL;
    size_t count = 0;

    for (int i = 0; table && i < SHARDS; i++)
        count += knit__shard_count(&table->shards[i]);
    return count;
}

/* ---- birth and end --------------------------------------------------------------------------- */

int knit_syncmap_init(knit_syncmap *map, const knit_syncmap_options *options)
{
    struct map *m = inside(map);

    if (!map)
        return -EINVAL;
    *m = (struct map){.table = NULL};
    if (options)
        m->options = *options;
    return 0;
}

void knit_syncmap_fini(knit_syncmap *map)
{
    struct table *table = map ? table_of(inside(map)) : NULL;

    if (!table)
        return;
    knit_syncmap_clear(map);
    for (int i = 0; i < SHARDS; i++) {
        knit__shard_fini(&table->shards[i]);
    }
    free(table);
    atomic_store_explicit(&inside(map)->table, NULL, memory_order_relaxed);
}
