/* Tasks with options of their own. See job.h.
 *
 * A task without handle that ends by an exit or a panic never comes back into the trampoline: what
 * must be undone at every end is undone by knit__job_ended, which the group calls. */
#include "job.h"

#include "handle.h"
#include "limit.h"
#include "policy.h"
#include "record.h"
#include "retry.h"

#include <errno.h>
#include <knit/task.h>
#include <stdlib.h>

struct knit__job *knit__job_there(const struct knit__rec *rec)
{
    return rec->flags & KNIT__REC_HANDLE ? knit__handle_arg(rec->arg) : rec->arg;
}

/* ---- its context ---- */

static void end_service(void *ctx)
{
    knit_ctx_cancel(ctx, 0);
}

static bool has(const struct knit__job *job, unsigned flag)
{
    return (job->options.flags & flag) != 0;
}

static int make_ctx(struct knit__job *job)
{
    knit_duration timeout = job->options.timeout;
    knit_ctx *up = knit_ctx_current();

    if (has(job, KNIT_TASK_RUN_ANYWAY))
        return knit_ctx_shield(up, timeout > 0 ? timeout : KNIT_DEFER_BUDGET, &job->ctx);
    if (timeout > 0)
        return knit_ctx_with_timeout(up, timeout, &job->ctx);
    return has(job, KNIT_TASK_SERVICE) ? knit_ctx_with_cancel(up, &job->ctx) : 0;
}

/* The state lives as long as the group has children. */
static void follow_services(struct knit__job *job)
{
    if (has(job, KNIT_TASK_SERVICE))
        (void)knit_ctx_after(knit__state_of(job->group)->service_ctx, end_service, job->ctx,
                             &job->ending);
}

bool knit__job_echo(const struct knit__job *job, int r)
{
    return has(job, KNIT_TASK_SERVICE) && job->ctx && r == -ECANCELED &&
           knit_ctx_err(job->ctx) == -ECANCELED;
}

/* ---- running ---- */

static bool needs_places(const struct knit__job *job)
{
    return !job->bare && !has(job, KNIT_TASK_SERVICE | KNIT_TASK_RUN_ANYWAY);
}

static int pause_for(knit_duration pause)
{
    return pause > 0 ? knit_sleep(pause) : knit_yield();
}

/* Between two attempts: 0, or why there will be no other. code: of the one that failed. */
static int recover(struct knit__job *job, struct knit__task *t, knit_duration pause, int code)
{
    int r;

    if (knit__run_touched(t->run))
        knit__record_drop(t->run); /* what it said of its failure */
    knit__places_give(job->group, job);
    r = pause_for(pause);
    if (r == 0 && needs_places(job))
        r = knit__places_take(job->group, t);
    if (r != 0)
        (void)knit_error(r, "between two attempts, the last one: %s", knit_strerror(code));
    return r;
}

static int attempts(struct knit__job *job, struct knit__task *t)
{
    struct knit__retry retry = {.policy = job->options.retry};
    knit_duration pause;
    int r, err;

    for (;;) {
        r = job->fn(job->arg);
        if (r == 0 || !retry.policy || !knit__retry_again(&retry, t, r, &pause))
            return r;
        err = recover(job, t, pause, r);
        if (err != 0)
            return err;
    }
}

static int begin_late(struct knit__job *job, struct knit__task *t)
{
    int r = knit_sleep(job->options.delay);

    return r == 0 && needs_places(job) ? knit__places_take(job->group, t) : r;
}

static int run_job(void *arg)
{
    struct knit__job *job = arg;
    struct knit__task *t = knit__task_self();
    knit_ctx_scope scope;
    int r = 0;

    if (job->options.name)
        (void)knit_task_set_name(job->options.name);
    if (job->options.delay > 0)
        r = begin_late(job, t);
    if (r == 0)
        r = make_ctx(job);
    if (r < 0)
        return r;
    if (!job->ctx)
        return attempts(job, t);
    follow_services(job);
    (void)knit_ctx_enter(job->ctx, &scope); /* cannot fail in a task */
    r = attempts(job, t);
    (void)knit_ctx_leave(&scope);
    return r;
}

void knit__job_ended(struct knit__job *job)
{
    if (job->ctx && has(job, KNIT_TASK_SERVICE))
        (void)knit_ctx_after_stop(&job->ending);
    knit_ctx_unref(job->ctx);
    knit__places_end(job->group, job);
    free(job);
}

/* ---- starting ---- */

static bool valid(const knit_task_options *o)
{
    return (o->flags & ~(unsigned)(KNIT_TASK_SERVICE | KNIT_TASK_RUN_ANYWAY)) == 0 &&
           o->priority >= KNIT_PRIORITY_LEAST && o->priority <= KNIT_PRIORITY_MOST &&
           o->delay >= 0 && o->timeout >= 0 && o->weight <= INT32_MAX / 2 &&
           (!o->retry || knit__retry_valid(o->retry));
}

static struct knit__job *job_new(struct knit__group *g, knit_fn *fn, void *arg,
                                 const knit_task_options *options)
{
    struct knit__job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->fn = fn;
    job->arg = arg;
    job->group = g;
    job->options = *options;
    if (job->options.weight == 0)
        job->options.weight = 1;
    return job;
}

int knit_errgroup_go_with_at(knit_errgroup *group, knit_fn *fn, void *arg,
                             const knit_task_options *options, const knit_site *site)
{
    static const knit_task_options defaults;
    struct knit__group *g = knit__group_of(group);
    const knit_task_options *o = options ? options : &defaults;
    uint32_t flags = KNIT__REC_JOB | KNIT__RUN_PROMPT;
    knit_task *task = NULL;
    struct knit__job *job;

    if (!knit__group_usable(g) || !fn || !valid(o))
        return -EINVAL;
    if (o->flags & KNIT_TASK_RUN_ANYWAY)
        flags |= KNIT__RUN_ANYWAY;
    job = job_new(g, fn, arg, o);
    if (job && o->ret_task)
        task = knit__handle_new(run_job, job);
    if (!job || (o->ret_task && !task)) {
        free(job);
        return knit__group_fail(g, -ENOMEM);
    }
    return task ? knit__handle_start(g, task, o->ret_task, site, flags)
                : knit__group_go(g, run_job, job, site, flags);
}
