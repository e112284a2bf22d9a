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
#include "queue.h"

struct knit__report;
struct knit__room;
struct knit__state;

/* Tasks that wait in limit.c, the first first. */
struct knit__line {
    struct knit__room *first, *last;
};

enum knit__count {
    KNIT__COUNT_FAILED,
    KNIT__COUNT_ECHO,
    KNIT__COUNT_SKIPPED, /* children that did not run */
    KNIT__COUNT_REFUSED, /* never were children */
    KNIT__COUNT_DROPPED, /* likewise, by an overflow policy */
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
    struct knit__queues queue; /* children that wait for a place */
    uint32_t placeless;        /* children that hold no place, the queued ones included */
    uint32_t heavy;            /* places held beyond one a child */
    bool turn;                 /* who comes back is before the queue next time */
    struct knit__line callers; /* of go, no children yet */
    struct knit__line back;    /* children that want their places again */
    struct knit__state *state; /* NULL: none needed so far; see policy.h */
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
/* What knit_errgroup_stats says. x: the pinned block, or NULL. */
void knit__group_count(const struct knit__group *g, const struct knit__extra *x,
                       knit_errgroup_counts *ret_counts);
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
