/* What a group's policy remembers while there are tasks: events, services, the gate.
 *
 * The policy itself is the user's and constant. A group with one is shared from birth, so that its
 * scope needs no private count, and the pointer lies there (scope.rules). Its state is made with the
 * first task, as is that of a group without a policy at its first service; it goes with the extra
 * block, when a wait has found no task left.
 *
 * Events: a task's end is first recorded, then told to the join, under the state's own lock: one at
 * a time and in one order. What the join decides is carried out after that lock: the verdict is
 * stored, then the rest is cancelled. Lock order: scope < state. */
#ifndef KNIT_GROUP_POLICY_H
#define KNIT_GROUP_POLICY_H

#include "group.h"

#include <knit/policy.h>

struct knit__state {
    /* the group's lock */
    bool waited;        /* somebody has: nothing more is expected */
    _Atomic bool usher; /* there is one; read by anybody */
    knit_ctx *errand;   /* what the usher waits under; NULL: there is none */
    uint32_t services;
    knit_ctx *service_ctx; /* a reference; ended when only services are left */
    int64_t next_start;    /* of the rate; gate.c */
    int64_t spare;         /* permits that the usher has got for the first in turn */
    /* the rest */
    struct knit__lock lock;
    bool decided;
    int64_t progress_at; /* the last call */
    knit_join_event seen;
};

/* The policy makes sense. */
bool knit__policy_valid(const knit_policy *policy);

/* The group's state, or NULL. By a child, or with the group's lock. */
struct knit__state *knit__state_of(const struct knit__group *g);
/* The same, made if need be; NULL: no memory. lock held. */
struct knit__state *knit__state_get_locked(struct knit__group *g);
/* The same, with a context for services. */
struct knit__state *knit__services_get_locked(struct knit__group *g);
/* Somebody is about to submit a task. */
bool knit__state_in_use(struct knit__state *st);
void knit__state_free(struct knit__state *st);

/* A task is to be submitted: 0, or why not. After 0: it ends (_ended), or was refused after all. */
int knit__policy_add(struct knit__group *g);
void knit__policy_refused(struct knit__group *g);
/* The end of a run with TOLD; outcome: KNIT_OUTCOME_... */
void knit__policy_ended(struct knit__group *g, const struct knit__run *run, int r, int outcome);
/* Somebody waits for the group. */
void knit__policy_waited(struct knit__group *g);
/* No task is left and somebody has waited: decide what wait returns, where nothing was decided. True:
 * that is settled. lock held. */
bool knit__policy_settle_locked(struct knit__group *g);
/* The context of the services, with a reference, if nothing else is left; NULL: something is. lock
 * held. */
knit_ctx *knit__services_to_end_locked(const struct knit__group *g, const struct knit__state *st);

/* gate.c; the group's lock is held, but for the usher */
/* Let places through the gate. */
bool knit__gate_pass_locked(const knit_policy *p, struct knit__state *st, uint32_t places);
/* They were not taken after all: the next in turn will want some. */
void knit__gate_undo_locked(const knit_policy *p, struct knit__state *st, uint32_t places);
/* The record of an usher: a child to be counted and started. */
struct knit__rec knit__usher_rec(struct knit__group *g);
/* It is over, or could not be started: what it had got goes back. No lock. */
void knit__usher_ended(struct knit__group *g);

static inline bool knit__usher_there(const struct knit__state *st)
{
    return atomic_load_explicit(&st->usher, memory_order_relaxed);
}

static inline void knit__usher_set(struct knit__state *st, bool there)
{
    atomic_store_explicit(&st->usher, there, memory_order_relaxed);
}

static inline knit_semaphore *knit__limiter_of(const struct knit__group *g)
{
    const knit_policy *p = knit__group_policy(g);

    return p ? p->limiter : NULL;
}

static inline bool knit__policy_has_gate(const knit_policy *p)
{
    return p && (p->limiter || p->interval > 0);
}

#endif
