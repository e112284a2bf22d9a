/* How tasks end, and with them a group.
 *
 * First error: stored by one CAS, recorded, then the group's context is cancelled with it. What ends
 * with the context's own error after that is an echo. In a group with a join the order is the same,
 * but what a failure means is the join's to say (policy.c). */
#include "handle.h"
#include "limit.h"
#include "policy.h"
#include "record.h"
#include "results.h"

#include <errno.h>
#include <stdlib.h>

/* An own context was made by prepare and is released under the lock only when no task is left: hold
 * it while cancelling. */
static void cancel_own_ctx(struct knit__group *g, int cause)
{
    knit_ctx *ctx = NULL;

    if (!(knit__group_flags(g) & GROUP_INITED))
        return;
    knit__lock(&g->scope.lock);
    if (knit__group_ctx(g))
        ctx = knit_ctx_ref(knit__ctx_public(knit__group_ctx(g)));
    knit__unlock(&g->scope.lock);
    knit_ctx_cancel(ctx, cause);
    knit_ctx_unref(ctx);
}

void knit__group_end(struct knit__group *g, int cause, bool record)
{
    if (cause == 0)
        cause = -ECANCELED;
    if (record)
        knit__group_set_error(g, cause);
    knit__group_set(g, GROUP_CANCELED | KNIT__SCOPE_SLOW_GO | KNIT__SCOPE_SKIP);
    cancel_own_ctx(g, cause);
    knit__group_purge(g);
}

void knit__group_stop(struct knit__group *g)
{
    knit__group_set(g, GROUP_CANCELED | KNIT__SCOPE_SLOW_GO | KNIT__SCOPE_SKIP);
    knit__group_purge(g);
}

/* A {0} group has no context to cancel. */
static bool ends_on_error(const struct knit__group *g)
{
    return (knit__group_flags(g) & (GROUP_INITED | GROUP_KEEP_GOING)) == GROUP_INITED;
}

void knit__group_first_failed(struct knit__group *g, int r)
{
    uint32_t flags = knit__group_flags(g);

    if (!ends_on_error(g))
        return;
    if (flags & GROUP_STOP)
        knit__group_stop(g);
    else
        knit__group_end(g, r, false);
}

/* Whether r says no more than that the group was cancelled. */
static bool is_echo(const struct knit__group *g, const struct knit__run *run, int r)
{
    const struct knit__scope *s = run->rec.group;
    int err = knit__ctx_ended(s->cancel);

    if ((run->rec.flags & KNIT__REC_HANDLE) && knit__handle_echo(run, r))
        return true;
    if ((run->rec.flags & KNIT__REC_JOB) && knit__job_echo(knit__job_of(&run->rec), r))
        return true;
    if (err != 0 && (r == err || r == -ECANCELED))
        return true;
    return r == -ECANCELED && (knit__group_flags(g) & GROUP_CANCELED) != 0;
}

/* A join decides whether the failure of a task is the group's. */
static bool has_join(const struct knit__group *g)
{
    const knit_policy *p = knit__group_policy(g);

    return p && p->join;
}

/* Returns the outcome. */
static int task_failed(struct knit__group *g, struct knit__run *run, int r)
{
    bool first;

    if (is_echo(g, run, r)) {
        knit__extra_count(g, KNIT__COUNT_ECHO);
        return KNIT_OUTCOME_ECHO;
    }
    first = !has_join(g) && knit__group_set_error(g, r); /* before it can be seen in the counts */
    /* by each of them: the first may lose its processor here, and their places are handed on */
    if (!has_join(g) && ends_on_error(g))
        knit__group_set(g, GROUP_CANCELED | KNIT__SCOPE_SLOW_GO | KNIT__SCOPE_SKIP);
    knit__extra_count(g, KNIT__COUNT_FAILED);
    if (first)
        run->rec.flags |= KNIT__REC_FIRST;
    knit__record_failure(g, run, r);
    if (first)
        knit__group_first_failed(g, r);
    return KNIT_OUTCOME_FAILURE;
}

void knit__rec_release(const struct knit__rec *rec, int r, bool skipped)
{
    if (rec->flags & KNIT__REC_JOB)
        knit__job_ended(knit__job_of(rec));
    if (rec->flags & KNIT__REC_COPY)
        free(rec->arg);
    else if (rec->flags & KNIT__REC_HANDLE)
        knit__handle_ended(rec, r, skipped);
    else if (rec->flags & KNIT__REC_RESULT)
        knit__result_ended(rec, r, skipped);
}

void knit__group_task_ended(struct knit__run *run, int r, bool skipped)
{
    struct knit__group *g = run->rec.group;
    int outcome = KNIT_OUTCOME_SUCCESS;

    if (skipped || (run->rec.flags & KNIT__REC_SKIPPED) != 0) {
        knit__extra_count(g, KNIT__COUNT_SKIPPED);
        outcome = KNIT_OUTCOME_SKIPPED;
    } else if (r != 0) {
        outcome = task_failed(g, run, r);
    }
    if (knit__run_touched(run))
        knit__record_drop(run);
    if (outcome != KNIT_OUTCOME_SUCCESS && (knit__group_flags(g) & GROUP_GATHER))
        knit__gather_ended(g, run->rec.index, r, outcome == KNIT_OUTCOME_SKIPPED);
    if (run->rec.flags & KNIT__REC_TOLD)
        knit__policy_ended(g, run, r, outcome);
    if (run->rec.flags & KNIT__REC_PLACELESS)
        knit__placeless_end(g);
    if (run->rec.flags & KNIT__REC_PERMIT)
        knit__permit_end(g);
    knit__rec_release(&run->rec, r, outcome == KNIT_OUTCOME_SKIPPED);
}

void knit__group_settle(struct knit__group *g, const struct knit__rec *rec, int r)
{
    struct knit__run run = {.rec = *rec};

    knit__group_task_ended(&run, r, r == 0);
    knit__scope_subtract(&g->scope, 1);
}
