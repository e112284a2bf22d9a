/* What admit.c and limit.c share of counting places. The essay is in limit.h. Everything that ends in
 * _locked wants the group's lock. */
#ifndef KNIT_GROUP_PLACES_H
#define KNIT_GROUP_PLACES_H

#include "extra.h"
#include "job.h"
#include "policy.h"

#include "../sched/park.h"

/* What one step found; done after unlocking. */
struct knit__handed {
    struct knit__batch ready;
    uint32_t found;       /* KNIT__HANDED_... */
    struct knit__rec rec; /* valid with KNIT__HANDED_REC */
    knit_ctx *services;   /* valid with KNIT__HANDED_SERVICES: to be ended */
};

enum {
    KNIT__HANDED_ANY = 1,   /* somebody got places */
    KNIT__HANDED_SHUT = 2,  /* there was room, but the gate is shut: who waits needs an usher */
    KNIT__HANDED_REC = 4,   /* a child is to be started that is counted */
    KNIT__HANDED_USHER = 8, /* the same, an usher */
    KNIT__HANDED_SERVICES = 16,
};

static inline void knit__handed_init(struct knit__handed *h)
{
    h->ready.first = h->ready.last = h->ready.apart = NULL;
    h->ready.count = 0;
    h->found = 0;
}

static inline int64_t knit__limit_of(const struct knit__group *g)
{
    return (knit__group_flags(g) & GROUP_LIMITED)
               ? atomic_load_explicit(&g->limit, memory_order_relaxed)
               : INT32_MAX;
}

/* What a child holds from now on: it has passed the gate. */
static inline void knit__hold_locked(const struct knit__group *g, struct knit__extra *x,
                                     struct knit__rec *rec)
{
    struct knit__job *job = knit__job_of(rec);

    if (KNIT__UNLIKELY(job != NULL)) {
        job->holds = true;
        x->heavy += job->options.weight - 1;
    } else if (KNIT__UNLIKELY(x && x->state) && knit__limiter_of(g)) {
        rec->flags |= KNIT__REC_PERMIT;
    }
}

static inline bool knit__group_is_shared(const struct knit__group *g)
{
    return (knit__group_flags(g) & KNIT__SCOPE_SHARED) != 0;
}

/* Count a child: for the caller, or for the owner of a private scope, who waits. */
static inline uint32_t knit__count_child_locked(struct knit__group *g)
{
    uint64_t plain;

    if (knit__group_is_shared(g))
        return knit__scope_enter_shared(&g->scope);
    plain = atomic_load_explicit(&g->scope.plain, memory_order_relaxed);
    atomic_store_explicit(&g->scope.plain, plain + ((uint64_t)1 << 32), memory_order_relaxed);
    return (uint32_t)(plain >> 32);
}

/* From now on nobody starts or ends without the lock; back, if nothing needs that any more. */
void knit__room_set_locked(struct knit__group *g);
void knit__room_clear_locked(struct knit__group *g);
/* Say that somebody wants so many places. True: nobody waits, they are there, and the gate is
 * passed. */
bool knit__announce_locked(struct knit__group *g, struct knit__extra *x, uint32_t weight,
                           struct knit__handed *h);
/* Somebody waits; see that an usher does for him, if it is at the gate. */
void knit__usher_see_locked(struct knit__group *g, struct knit__extra *x, struct knit__handed *h);
/* Start the one that was found to be needed. The caller keeps g. */
void knit__usher_start(struct knit__group *g, const struct knit__handed *h);
/* Wait in a line: KNIT__ADMITTED: the places are there, and rec is counted; KNIT__QUEUED: it is in
 * the queue; or an error. The lock is held and released. */
int knit__line_wait(struct knit__group *g, struct knit__line *line, struct knit__task *t,
                    struct knit__rec *rec, struct knit__handed *h);

#endif
