/* See queue.h. */
#include "queue.h"

static void count_change(struct knit__queues *q, uint32_t change)
{
    atomic_store_explicit(&q->count, knit__queue_count(q) + change, memory_order_relaxed);
}

struct knit__rec *knit__queue_put(struct knit__queues *q, const struct knit__rec *rec,
                                  uint32_t level)
{
    struct knit__queue *at = &q->level[level];
    struct knit__chunk *c = at->last;

    if (!c || c->end == KNIT__CHUNK_CAPACITY) {
        c = knit__chunk_get();
        if (!c)
            return NULL;
        c->next = NULL;
        if (at->last)
            at->last->next = c;
        else
            at->first = c;
        at->last = c;
    }
    c->recs[c->end] = *rec;
    q->levels |= 1u << level;
    count_change(q, 1);
    return &c->recs[c->end++];
}

/* The first chunk of a level is empty: give it away. An empty chunk is never kept, so that a level
 * has something in it if and only if it has a chunk. */
static void drop_first(struct knit__queues *q, uint32_t level)
{
    struct knit__queue *at = &q->level[level];
    struct knit__chunk *c = at->first;

    at->first = c->next;
    if (!at->first) {
        at->last = NULL;
        q->levels &= ~(1u << level);
    }
    knit__chunk_put(c);
}

static void drop_last(struct knit__queues *q, uint32_t level)
{
    struct knit__queue *at = &q->level[level];
    struct knit__chunk *before = at->first, *c = at->last;

    if (before == c) {
        drop_first(q, level);
        return;
    }
    while (before->next != c)
        before = before->next;
    before->next = NULL;
    at->last = before;
    knit__chunk_put(c);
}

void knit__queue_unput(struct knit__queues *q, uint32_t level)
{
    struct knit__chunk *c = q->level[level].last;

    count_change(q, (uint32_t)-1);
    if (--c->end == c->begin)
        drop_last(q, level);
}

static uint32_t first_level(const struct knit__queues *q)
{
    return (uint32_t)__builtin_ctz(q->levels);
}

const struct knit__rec *knit__queue_head(const struct knit__queues *q)
{
    const struct knit__chunk *c;

    if (q->levels == 0)
        return NULL;
    c = q->level[first_level(q)].first;
    return &c->recs[c->begin];
}

struct knit__rec knit__queue_get(struct knit__queues *q)
{
    uint32_t level = first_level(q);
    struct knit__chunk *c = q->level[level].first;
    struct knit__rec rec = c->recs[c->begin++];

    count_change(q, (uint32_t)-1);
    if (c->begin == c->end)
        drop_first(q, level);
    return rec;
}

struct knit__chunk *knit__queue_take_all(struct knit__queues *q)
{
    struct knit__chunk *all = NULL;

    for (int level = KNIT__LEVELS - 1; level >= 0; level--) {
        struct knit__queue *at = &q->level[level];

        if (at->last) {
            at->last->next = all;
            all = at->first;
        }
        at->first = at->last = NULL;
    }
    q->levels = 0;
    count_change(q, (uint32_t)0 - knit__queue_count(q));
    return all;
}
