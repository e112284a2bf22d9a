/* Jobs: tasks with options of their own. The record's function is a trampoline, its argument the
 * job, a block on the heap; the engine knows of it no more than its weight, its priority and whether
 * it holds its places. */
#ifndef KNIT_GROUP_JOB_H
#define KNIT_GROUP_JOB_H

#include "group.h"
#include "queue.h"

#include <knit/policy.h>

struct knit__job {
    /* set at birth, then constant */
    knit_fn *fn;
    void *arg;
    struct knit__group *group;
    knit_task_options options; /* weight and times in order */
    /* the group's lock */
    bool holds;     /* its places are counted: it has begun, or is about to */
    bool placeless; /* counted as a child that holds none */
    bool service;   /* counted as one */
    bool bare;      /* it asks for no places either: it runs on the stack of who may hold them */
    /* the task itself */
    knit_ctx *ctx;                /* a reference; NULL: it runs under its group's */
    knit_ctx_after_handle ending; /* of a service: the end of all of them ends its context */
};

/* The job of a record that has one. */
struct knit__job *knit__job_there(const struct knit__rec *rec);

/* The job of a record; NULL: it has none. */
static inline struct knit__job *knit__job_of(const struct knit__rec *rec)
{
    return KNIT__UNLIKELY(rec->flags & KNIT__REC_JOB) ? knit__job_there(rec) : NULL;
}

/* The result says no more than that the services of the group were to end. */
bool knit__job_echo(const struct knit__job *job, int r);
/* The record has ended, or never was: frees the job. */
void knit__job_ended(struct knit__job *job);

static inline uint32_t knit__rec_weight(const struct knit__rec *rec)
{
    const struct knit__job *job = knit__job_of(rec);

    return job ? job->options.weight : 1;
}

static inline uint32_t knit__rec_level(const struct knit__rec *rec)
{
    const struct knit__job *job = knit__job_of(rec);

    return job ? (uint32_t)(KNIT_PRIORITY_MOST - job->options.priority) : KNIT__LEVEL_NORMAL;
}

#endif
