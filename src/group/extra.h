/* What most groups never need, in a block of its own: counts of what did not succeed, the report on
 * failures, and who waits for room.
 *
 * A group holds no block until something of that happens. Then it has one for sure as long as it
 * has children (GROUP_EXTRA: pinned). When none is left and somebody has waited, the block becomes
 * idle: it can still be read, and is taken up again when the group goes on. Groups need not be
 * closed, so idle blocks must not pile up: the last 1024 are kept, then the oldest is used anew.
 * Blocks are type-stable and know their owner; a group whose block went to another one sees that,
 * since no two groups share an address at a time. */
#ifndef KNIT_GROUP_EXTRA_H
#define KNIT_GROUP_EXTRA_H

#include "group.h"

struct knit__report;
struct knit__room;

enum knit__count {
    KNIT__COUNT_FAILED,
    KNIT__COUNT_ECHO,
    KNIT__COUNT_SKIPPED, /* children that did not run */
    KNIT__COUNT_REFUSED, /* never were children */
    KNIT__COUNTS
};

struct knit__extra {
    /* the table's lock */
    struct knit__list link; /* idle or free */
    struct knit__group *owner;
    bool pinned;
    struct knit__report *report;
    struct knit__extra *older; /* in the list of those on the heap */
    /* atomic */
    _Atomic uint32_t counts[KNIT__COUNTS];
    /* the group's lock */
    uint32_t queued; /* children in the queue */
    struct knit__room *room_first, *room_last;
    struct knit__chunk *queue_first, *queue_last;
};

/* The pinned block, or NULL. By a child, or with the group's lock. */
static inline struct knit__extra *knit__extra_of(const struct knit__group *g)
{
    return (knit__group_flags(g) & GROUP_EXTRA)
               ? atomic_load_explicit(&g->extra, memory_order_acquire)
               : NULL;
}

/* The same, made and pinned if need be; NULL: no memory. */
struct knit__extra *knit__extra_get(struct knit__group *g);
/* Count what happened to a child, or (outside) to what is none. Lost if there is no memory. */
void knit__extra_count(struct knit__group *g, enum knit__count what);
void knit__extra_count_outside(struct knit__group *g, enum knit__count what);
void knit__extra_counts(const struct knit__group *g, uint32_t *ret_counts);
/* No child is left; the group's lock is held. */
void knit__extra_release(struct knit__group *g);

/* The table's lock (after the group's): it guards owners and reports. Also taken around a fork. */
void knit__extras_lock(void);
void knit__extras_unlock(void);
/* With it: the block of g, pinned or idle; NULL: none (any more). */
struct knit__extra *knit__extra_find_locked(const struct knit__group *g);
/* Exit: free all reports. */
void knit__extras_stop(void);

#endif
