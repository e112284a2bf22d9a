/* The global queue of chunks, and the free chunks. */
#include "inject.h"

#include <errno.h>
#include <stdlib.h>

enum { FREE_MAX = 64 };

static struct {
    _Atomic uint32_t count; /* chunks queued; written under the lock */
    struct knit__lock lock; /* the rest */
    struct knit__chunk *first, *last;
    struct knit__chunk *free;
    uint32_t free_count;
} inject;

static struct knit__chunk *chunk_get_locked(void)
{
    struct knit__chunk *c = inject.free;

    if (c) {
        inject.free = c->next;
        inject.free_count--;
    } else {
        c = malloc(sizeof *c);
        if (!c)
            return NULL;
    }
    c->begin = c->end = 0;
    return c;
}

struct knit__chunk *knit__chunk_get(void)
{
    struct knit__chunk *c;

    knit__lock(&inject.lock);
    c = chunk_get_locked();
    knit__unlock(&inject.lock);
    return c;
}

void knit__chunk_put(struct knit__chunk *c)
{
    knit__lock(&inject.lock);
    if (inject.free_count < FREE_MAX) {
        c->next = inject.free;
        inject.free = c;
        inject.free_count++;
        c = NULL;
    }
    knit__unlock(&inject.lock);
    free(c);
}

static void append_locked(struct knit__chunk *c)
{
    c->next = NULL;
    if (inject.last)
        inject.last->next = c;
    else
        inject.first = c;
    inject.last = c;
    /* seq_cst: store-load order against the notify that follows */
    atomic_fetch_add_explicit(&inject.count, 1, memory_order_seq_cst);
}

void knit__inject_chunk(struct knit__chunk *c)
{
    knit__lock(&inject.lock);
    append_locked(c);
    knit__unlock(&inject.lock);
}

int knit__inject_rec(const struct knit__rec *rec)
{
    struct knit__chunk *c;
    int r = 0;

    knit__lock(&inject.lock);
    c = inject.last;
    if (!c || c->end == KNIT__CHUNK_CAPACITY) {
        c = chunk_get_locked();
        if (!c) {
            r = -ENOMEM;
            goto unlock;
        }
        append_locked(c);
    }
    c->recs[c->end++] = *rec;
unlock:
    knit__unlock(&inject.lock);
    return r;
}

struct knit__chunk *knit__inject_take(void)
{
    struct knit__chunk *c;

    if (atomic_load_explicit(&inject.count, memory_order_relaxed) == 0)
        return NULL;
    knit__lock(&inject.lock);
    c = inject.first;
    if (c) {
        inject.first = c->next;
        if (!inject.first)
            inject.last = NULL;
        atomic_fetch_sub_explicit(&inject.count, 1, memory_order_relaxed);
    }
    knit__unlock(&inject.lock);
    return c;
}

bool knit__inject_pending(void)
{
    return atomic_load_explicit(&inject.count, memory_order_seq_cst) != 0;
}

static void free_list(struct knit__chunk *c)
{
    while (c) {
        struct knit__chunk *next = c->next;

        free(c);
        c = next;
    }
}

void knit__inject_reset(bool child_of_fork)
{
    if (child_of_fork)
        atomic_store_explicit(&inject.lock.word, 0, memory_order_relaxed);
    free_list(inject.first);
    free_list(inject.free);
    inject.first = inject.last = inject.free = NULL;
    inject.free_count = 0;
    atomic_store_explicit(&inject.count, 0, memory_order_relaxed);
}
