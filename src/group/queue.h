/* Tasks that wait in their group: records by priority, first in first out within one. The group's
 * lock guards them; 40 bytes each. */
#ifndef KNIT_GROUP_QUEUE_H
#define KNIT_GROUP_QUEUE_H

#include "../core/inject.h"

enum { KNIT__LEVELS = 5, KNIT__LEVEL_NORMAL = 2 }; /* level 0 is the most urgent */

struct knit__queue {
    struct knit__chunk *first, *last;
};

struct knit__queues {
    _Atomic uint32_t count; /* written under the lock, read by anybody */
    uint32_t levels;        /* bit l: something is in level[l] */
    struct knit__queue level[KNIT__LEVELS];
};

static inline uint32_t knit__queue_count(const struct knit__queues *q)
{
    return atomic_load_explicit(&q->count, memory_order_relaxed);
}

/* Append a copy of rec: where it lies, until it is taken; NULL: no memory. */
struct knit__rec *knit__queue_put(struct knit__queues *q, const struct knit__rec *rec,
                                  uint32_t level);
/* Take back what was put last into this level. */
void knit__queue_unput(struct knit__queues *q, uint32_t level);
/* The record that comes next; NULL: none. */
const struct knit__rec *knit__queue_head(const struct knit__queues *q);
/* Take it; there is one. */
struct knit__rec knit__queue_get(struct knit__queues *q);
/* Take all, as a list of chunks. */
struct knit__chunk *knit__queue_take_all(struct knit__queues *q);

#endif
