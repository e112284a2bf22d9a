/* Chunks: records handed over in bulk, and the global first-in first-out queue of them.
 *
 * A chunk belongs to whoever holds it. The queue has one lock; its length can be read without. */
#ifndef KNIT_CORE_INJECT_H
#define KNIT_CORE_INJECT_H

#include "ring.h"

#if defined(KNIT_SIM_POINTS)
enum { KNIT__CHUNK_CAPACITY = 5 };
#else
enum { KNIT__CHUNK_CAPACITY = 126 };
#endif

struct knit__chunk {
    struct knit__chunk *next;
    uint32_t begin; /* records begin .. end - 1 are there */
    uint32_t end;
    struct knit__rec recs[KNIT__CHUNK_CAPACITY];
};

/* NULL: no memory. */
struct knit__chunk *knit__chunk_get(void);
void knit__chunk_put(struct knit__chunk *c);

/* Give a chunk to the queue. */
void knit__inject_chunk(struct knit__chunk *c);
/* Append one record: -ENOMEM. */
int knit__inject_rec(const struct knit__rec *rec);
/* Take the oldest chunk; NULL: none. */
struct knit__chunk *knit__inject_take(void);
/* Whether the queue looks non-empty. seq_cst: pairs with going to sleep (sched/idle.c). */
bool knit__inject_pending(void);
/* Drop everything (exit, child of a fork: without_locks). */
void knit__inject_reset(bool child_of_fork);

#endif
