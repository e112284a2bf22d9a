/* Policies of a group, as values: who gets in, when it is decided, what one task may ask for.
 *
 *     static const knit_policy first_two = {.join = &(knit_join)KNIT_JOIN_TAKE(2)};
 *     knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 8, .policy = &first_two});
 *
 * A group without a policy pays nothing for all this; one with a policy takes a lock at the start
 * and the end of each task. */
#ifndef KNIT_POLICY_H
#define KNIT_POLICY_H

#include "errgroup.h"
#include "handle.h"
#include "retry.h"
#include "semaphore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- joins: when a group has had enough ---- */

/* How a task ended. */
enum {
    KNIT_OUTCOME_SUCCESS,
    KNIT_OUTCOME_FAILURE,
    KNIT_OUTCOME_ECHO,    /* with the error of a context that had ended */
    KNIT_OUTCOME_SKIPPED, /* it never ran */
};

/* What a join is told. The counts begin anew after a wait that found no task left. */
typedef struct knit_join_event {
    size_t index; /* on_done: number of the task's submission, from 0, in the group */
    int result;   /* on_done: what it returned; -ECANCELED or -ETIMEDOUT if it was skipped */
    int outcome;  /* on_done: KNIT_OUTCOME_... */
    int waited;   /* 1: somebody has waited for the group: nothing more is expected */
    size_t open;  /* submitted and not ended; on_done: without this task */
    size_t succeeded, failed, echoes, skipped; /* on_done: with this task */
    int last_error;                            /* of the failure that came last; 0: none */
} knit_join_event;

enum {
    KNIT_JOIN_GO_ON = 0,
    KNIT_JOIN_ENOUGH = 1, /* success: the rest is cancelled, and no error any more */
};

/* A join decides when a group has had enough, and what its wait returns. Every function may be NULL.
 *
 * All of them are called one at a time for a group, in the order of the ends of its tasks, so they
 * need no locks of their own. They run inside the group: keep them short; they must not wait, and
 * must not call the group's functions. After a decision none is called any more.
 *
 * on_wait and on_done return KNIT_JOIN_GO_ON, KNIT_JOIN_ENOUGH, or a negative code: the group fails
 * with it. Both decisions cancel the rest, and the group takes no more tasks. With a join the
 * failure of a task is an event; it is recorded and counted, and whether it is the group's failure
 * is decided here. */
typedef struct knit_join {
    /* A task is to be submitted. 0, or a negative code, which go returns: it is then not started. */
    int (*on_add)(const struct knit_join *join, const knit_join_event *event);
    /* Somebody waits for the group, or what was to be submitted was refused after that. */
    int (*on_wait)(const struct knit_join *join, const knit_join_event *event);
    /* A task has ended. */
    int (*on_done)(const struct knit_join *join, const knit_join_event *event);
    /* No task is left, nothing was decided, and the group's deadline has passed: what wait returns,
     * 0 or a negative code. NULL: -ETIMEDOUT. */
    int (*on_timeout)(const struct knit_join *join, const knit_join_event *event);
    /* No task is left and nothing was decided: what wait returns. NULL: 0. */
    int (*result)(const struct knit_join *join, const knit_join_event *event);
    void *state; /* of the functions */
    size_t n;
    int (*until)(void *state, const knit_join_event *event); /* of KNIT_JOIN_UNTIL */
} knit_join;

/* Ready-made joins, as initializers. Where too few tasks succeed, wait returns the code of the last
 * failure (-ECHILD for a positive one: a decision is 0 or negative), or -ENODATA if there was none:
 * too few tasks were started. */

/* All must succeed: the first failure cancels the rest. What a group does without a join. */
#define KNIT_JOIN_ALL                                                                              \
    {                                                                                              \
        NULL, NULL, knit_join_all, NULL, NULL, NULL, 0, NULL                                       \
    }
/* All run to their end; wait returns 0, whatever they returned. */
#define KNIT_JOIN_SETTLE                                                                           \
    {                                                                                              \
        NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL                                                \
    }
/* One success is enough. */
#define KNIT_JOIN_ANY KNIT_JOIN_TAKE(1)
/* n successes are enough; so few tasks left that there cannot be n (once somebody waits) are a
 * failure at once. */
#define KNIT_JOIN_TAKE(n)                                                                          \
    {                                                                                              \
        NULL, knit_join_take, knit_join_take, NULL, knit_join_take, NULL, (n), NULL                \
    }
/* predicate(state, event) is asked after each end; anything but 0 is enough. */
#define KNIT_JOIN_UNTIL(predicate, state)                                                          \
    {                                                                                              \
        NULL, NULL, knit_join_until, NULL, knit_join_too_few, (state), 0, (predicate)              \
    }

/* The functions of these, for joins of one's own.
 *
 * Parks: no.  Cancel: not affected.  Errors: see above.  Pointers: borrowed.  Threads: any. */
KNIT_API int knit_join_all(const knit_join *join, const knit_join_event *event);
KNIT_API int knit_join_take(const knit_join *join, const knit_join_event *event);
KNIT_API int knit_join_until(const knit_join *join, const knit_join_event *event);
KNIT_API int knit_join_too_few(const knit_join *join, const knit_join_event *event);

/* ---- policies ---- */

/* What becomes of a task for which there is neither a place to run nor one in the queue. */
enum {
    KNIT_OVERFLOW_WAIT,   /* the caller waits; a member of the group never does: it is queued */
    KNIT_OVERFLOW_REJECT, /* go returns -EAGAIN */
    KNIT_OVERFLOW_DROP,   /* go returns KNIT_DROPPED, and the task counts as dropped */
    KNIT_OVERFLOW_INLINE, /* the caller runs it: go returns when it has ended. A plain thread waits
                             for a place instead: tasks run on workers. A caller with little stack
                             left: it is queued */
};

enum { KNIT_DROPPED = 1 };   /* of go: there is no such task */
#define KNIT_UNBOUNDED (~0u) /* as a length of a queue */

typedef void knit_progress_fn(void *arg, const knit_errgroup_counts *counts);

/* All zero means: as without a policy. */
typedef struct knit_policy {
    /* admission, at the group's limit */
    unsigned queue;    /* so many tasks wait in a queue before `overflow` applies */
    unsigned overflow; /* KNIT_OVERFLOW_... */
    knit_semaphore
        *limiter;           /* shared with other groups, or with anybody: a task that runs holds its
                                weight of it. Who waits for it does so first come, first served.
                                A task that holds some of it must not wait for a group that needs
                                it: both would wait for ever */
    knit_duration interval; /* > 0: tasks start at most so often... */
    unsigned burst;         /* ...but so many at once after a pause; 0: 1 */
    /* the end */
    const knit_join *join;
    /* Called at ends of tasks, when `progress_every` has passed since the last call, and by a wait
     * that finds no task left. Like the functions of a join in all else. */
    knit_progress_fn *progress;
    void *progress_arg;
    knit_duration progress_every;
} knit_policy;

/* ---- tasks ---- */

enum {
    /* It serves the others: when the last task that is no service has ended and somebody has waited
     * for the group, its context is cancelled. It holds no place under the limit. */
    KNIT_TASK_SERVICE = 1,
    /* It cleans up: it is started and runs also when its group was cancelled, and is not told of
     * that. Its waits end with -ETIMEDOUT after its timeout (0: KNIT_DEFER_BUDGET). It holds no place
     * under the limit. In a closed group only a member can start one. */
    KNIT_TASK_RUN_ANYWAY = 2,
};

enum { KNIT_PRIORITY_LEAST = -2, KNIT_PRIORITY_MOST = 2 };

/* All zero means: as knit_errgroup_go. */
typedef struct knit_task_options {
    const char *name; /* for records and dumps; NULL: the text of the function argument */
    unsigned flags;   /* KNIT_TASK_... */
    int priority;     /* where it queues: the higher first, within one first come, first served */
    unsigned weight;  /* how many places it takes of the limit and the limiter; 0: 1. One heavier
                              than the limit runs when nothing else does */
    knit_duration delay;   /* > 0: it starts so much later */
    knit_duration timeout; /* > 0: its context ends with -ETIMEDOUT so long after it began, and that
                              is its failure; all its attempts together */
    const knit_retry_policy *retry; /* call it again when it fails; its pauses hold no place */
    knit_task **ret_task;           /* where to put a handle (knit/handle.h); NULL: none */
} knit_task_options;

/* Start fn(arg) as a task of the group with options of its own.
 *
 * A task takes its places when it begins, gives them back while it pauses between two attempts, and
 * asks for them again, in turn with the queue. If the group is cancelled in a pause, or before its
 * delay is over, the task ends with that (an echo).
 *
 * Parks:    as knit_errgroup_go.
 * Cancel:   as knit_errgroup_go, but for KNIT_TASK_RUN_ANYWAY.
 * Errors:   as knit_errgroup_go; -EINVAL (options that make no sense); -E2BIG (heavier than the
 *           group's limiter is now); -EAGAIN and KNIT_DROPPED by the group's policy. On any of them
 *           there is no task, and *ret_task is untouched.
 * Pointers: g kept; arg kept by the task; options borrowed; options->name, ->retry kept by the task;
 *           *ret_task returned: knit_task_unref.
 * Threads:  any task, any thread. */
#define knit_errgroup_go_with(g, fn, arg, ...)                                                     \
    knit_errgroup_go_with_at((g), (fn), (arg), (__VA_ARGS__), KNIT_SITE(#fn)) /* may hold commas */
KNIT_API int knit_errgroup_go_with_at(knit_errgroup *g, knit_fn *fn, void *arg,
                                      const knit_task_options *options, const knit_site *site);

#ifdef __cplusplus
}
#endif
#endif
