/* Admission: who gets a place in a group, and who waits for one.
 *
 * ESSAY: places
 *
 * What holds places is what the scope counts (sched/scope.h), less the children that hold none
 * (extra->placeless: queued, pausing between two attempts, services, ...), and with those that weigh
 * more than one (extra->heavy). While nothing but plain children is there, starting a task is one
 * compare-and-swap on that count. Who finds no room takes the lock, sets ROOM, and looks once more:
 * from then on nobody starts a task without the lock, and no child ends without it, so what was
 * counted stays. Either that look sees the end of a child, or the child sees ROOM. ROOM stays as long
 * as anybody waits, or anything is counted that the scope's count does not tell.
 *
 * Three kinds wait: `callers` of go from outside, no children yet; the `queue`, children that have
 * not begun; `back`, children that had a place, gave it back and want it again. A free place goes to
 * the queue and to who wants back, in turn, then to the callers, who are first of all moved into the
 * queue if the policy gives it a length. The first of them keeps the others waiting even if they
 * would fit: so the heavy ones come to their turn. One heavier than the limit starts when nobody
 * holds a place.
 *
 * Every child that ends hands one place on, in the same change of the count (knit__group_leave); who
 * gives back more than that place hands it out itself, still counted. So each place that gets free
 * is looked at by whoever freed it.
 *
 * A policy may let tasks through a gate as well (gate.c): a rate, a limiter shared with others. When
 * the first in turn fits but the gate is shut, a child of the engine's own, the usher, waits at the
 * gate for all of them. Being a child, it keeps the group alive and is waited for; it holds no place.
 *
 * The owner of a private scope waits privately: parked, it leaves its count alone, and whoever
 * admits it counts for it, under the lock. All other callers share the scope first. */
#ifndef KNIT_GROUP_LIMIT_H
#define KNIT_GROUP_LIMIT_H

#include "extra.h"
#include "job.h"

enum knit__admission {
    KNIT__ADMITTED, /* counted, the caller starts it */
    KNIT__QUEUED,   /* counted; the caller is done */
    KNIT__INLINE,   /* counted, the caller runs it itself; it holds no place */
    KNIT__DROPPED,  /* by policy */
};

/* Count rec as a child when there is room for it. A knit__admission, or an error of go. */
int knit__group_admit(struct knit__group *g, struct knit__task *t, struct knit__rec *rec, bool try);
/* A child ends while somebody waits for room (upcall of the scheduler): its last touch. */
void knit__group_leave(struct knit__scope *s);
/* Turn away who waits for room and skip what is queued. */
void knit__group_purge(struct knit__group *g);
/* Give places to who waits, as far as there are any. The caller's own right keeps g alive. */
void knit__group_hand_out(struct knit__group *g);

/* The weight of the first in turn, if there is room for it; 0: none. lock held. */
uint32_t knit__first_weight_locked(const struct knit__group *g);

/* A job gives back its places; asks for them again: 0, or why it shall not go on. By its task. */
void knit__places_give(struct knit__group *g, struct knit__job *job);
int knit__places_take(struct knit__group *g, struct knit__task *t);
/* The end of a job, of a record with PLACELESS, of one with PERMIT, still counted as children. */
void knit__places_end(struct knit__group *g, struct knit__job *job);
void knit__permit_end(struct knit__group *g);
void knit__placeless_end(struct knit__group *g);

#endif
