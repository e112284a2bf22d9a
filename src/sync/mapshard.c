/* One shard of the concurrent map. See mapshard.h. */
#include "mapshard.h"

#include <stdlib.h>

void knit__shard_init(struct knit__shard *s)
{
    s->buckets = &s->only;
}

void knit__shard_fini(struct knit__shard *s)
{
    if (s->buckets != &s->only)
        free(s->buckets);
}

struct knit__entry *knit__entry_new(uint64_t hash, const void *key, size_t size)
{
    struct knit__entry *e = malloc(sizeof *e + size);

    if (!e)
        return NULL;
    *e = (struct knit__entry){.hash = hash, .size = size};
    if (size != 0)
        memcpy(e->key, key, size);
    return e;
}

/* ---- lock held ---- */

static inline struct knit__entry **bucket_of(struct knit__shard *s, uint64_t hash)
{
    return &s->buckets[hash & s->mask];
}

static inline void set_count(struct knit__shard *s, size_t count)
{
    atomic_store_explicit(&s->count, count, memory_order_relaxed);
}

void knit__shard_insert(struct knit__shard *s, struct knit__entry *e, void *value)
{
    struct knit__entry **bucket = bucket_of(s, e->hash);

    e->value = value;
    e->number = s->numbers++;
    e->chain = *bucket;
    *bucket = e;
    e->before = s->last;
    if (s->last)
        s->last->after = e;
    else
        s->first = e;
    s->last = e;
    set_count(s, knit__shard_count(s) + 1);
}

static void leave_list(struct knit__shard *s, struct knit__entry *e)
{
    if (e->after)
        e->after->before = e->before;
    else
        s->last = e->before;
    if (e->before)
        e->before->after = e->after;
    else
        s->first = e->after;
}

/* Take the entry at *at out. Returns it, to be freed after unlocking; NULL: a range will. */
struct knit__entry *knit__shard_take_out(struct knit__shard *s, struct knit__entry **at)
{
    struct knit__entry *e = *at;

    *at = e->chain;
    set_count(s, knit__shard_count(s) - 1);
    if (e->pins != 0) {
        e->dead = true;
        return NULL;
    }
    leave_list(s, e);
    return e;
}

/* ---- growing ---- */

/* Move all entries to new buckets, twice as many; lock held. Returns the old ones. */
static struct knit__entry **rehash(struct knit__shard *s, struct knit__entry **buckets,
                                   uint32_t mask)
{
    struct knit__entry **old = s->buckets == &s->only ? NULL : s->buckets;

    s->buckets = buckets;
    s->mask = mask;
    for (struct knit__entry *e = s->first; e; e = e->after) {
        struct knit__entry **bucket = bucket_of(s, e->hash);

        if (e->dead)
            continue;
        e->chain = *bucket;
        *bucket = e;
    }
    return old;
}

void knit__shard_grow(struct knit__shard *s, uint32_t old_mask)
{
    uint32_t mask = old_mask == 0 ? 7 : old_mask * 2 + 1;
    struct knit__entry **buckets = calloc((size_t)mask + 1, sizeof(struct knit__entry *)),
                       **old = buckets;

    if (!buckets)
        return;
    knit__lock(&s->lock);
    if (s->mask == old_mask)
        old = rehash(s, buckets, mask);
    knit__unlock(&s->lock);
    free(old);
}

/* ---- all entries ---- */

uint64_t knit__shard_limit(struct knit__shard *s)
{
    uint64_t limit;

    knit__lock(&s->lock);
    limit = s->numbers;
    knit__unlock(&s->lock);
    return limit;
}

struct knit__entry *knit__shard_step(struct knit__shard *s, struct knit__entry *from,
                                     uint64_t limit, knit__value_fn *ref, void **ret_value)
{
    struct knit__entry *next, *gone = NULL;

    knit__lock(&s->lock);
    next = from ? from->after : s->first;
    while (next && next->dead)
        next = next->after;
    if (next && next->number >= limit)
        next = NULL;
    if (next) {
        next->pins++;
        if (ref)
            ref(next->value);
        *ret_value = next->value;
    }
    if (from && --from->pins == 0 && from->dead) {
        leave_list(s, from);
        gone = from;
    }
    knit__unlock(&s->lock);
    free(gone);
    return next;
}

/* The range ends at an entry it has a pin on. */
void knit__shard_unpin(struct knit__shard *s, struct knit__entry *e)
{
    struct knit__entry *gone = NULL;

    knit__lock(&s->lock);
    if (--e->pins == 0 && e->dead) {
        leave_list(s, e);
        gone = e;
    }
    knit__unlock(&s->lock);
    free(gone);
}

/* Entries that are pinned stay in the list, dead, with one more pin until their value is dropped:
 * a range must not free them before. */
void knit__shard_clear(struct knit__shard *s, knit__value_fn *unref)
{
    struct knit__entry *gone = NULL, *next;

    knit__lock(&s->lock);
    for (struct knit__entry *e = s->first; e; e = next) {
        next = e->after;
        if (e->dead)
            continue;
        if (e->pins != 0) {
            e->pins++; /* ours, until its value is dropped below */
            e->dead = true;
        } else {
            leave_list(s, e);
        }
        e->chain = gone;
        gone = e;
    }
    memset(s->buckets, 0, ((size_t)s->mask + 1) * sizeof(struct knit__entry *));
    set_count(s, 0);
    knit__unlock(&s->lock);
    for (; gone; gone = next) {
        next = gone->chain;
        if (unref)
            unref(gone->value);
        if (gone->dead)
            knit__shard_unpin(s, gone);
        else
            free(gone);
    }
}
