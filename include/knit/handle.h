/* Handles on single tasks: cancel one, wait for one, ask for its state and result; and start one and
 * wait until it says that it is ready.
 *
 *     knit_task *task;
 *     knit_errgroup_go_task(&g, copy_shard, &shard, &task);
 *     ...
 *     knit_task_cancel(task, 0);          this task and all below it, not its group
 *     knit_task_wait(task, &result);
 *     knit_task_unref(task);
 *
 * A task with a handle runs under a context of its own, a child of its group's. It is a task of its
 * group like any other: the group waits for it, and its failure is the group's. A handle may outlive
 * its task and the group. Tasks that are started without one pay nothing for all this. */
#ifndef KNIT_HANDLE_H
#define KNIT_HANDLE_H

#include "errgroup.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct knit_task knit_task; /* reference counted */

typedef enum knit_task_state_code {
    KNIT_TASK_QUEUED,  /* not begun */
    KNIT_TASK_RUNNING, /* begun: it runs, is ready to, or waits */
    KNIT_TASK_ENDED,   /* its function and its deferred calls have returned */
    KNIT_TASK_SKIPPED, /* it was cancelled before it began, and never will */
} knit_task_state_code;

/* Start fn(arg) as a task of the group, as knit_errgroup_go does, and get a handle on it.
 *
 * Parks:    as knit_errgroup_go.
 * Cancel:   as knit_errgroup_go.
 * Errors:   -EINVAL (also for ret_task NULL), and those of knit_errgroup_go; on any of them there
 *           is no task, and *ret_task is untouched.
 * Pointers: g kept; arg kept by the task; *ret_task returned: knit_task_unref.
 * Threads:  any task, any thread. */
#define knit_errgroup_go_task(g, fn, arg, ret_task)                                                \
    knit_errgroup_go_task_at((g), (fn), (arg), (ret_task), KNIT_SITE(#fn))
KNIT_API int knit_errgroup_go_task_at(knit_errgroup *g, knit_fn *fn, void *arg,
                                      knit_task **ret_task, const knit_site *site);

/* Cancel one task: its context ends with -ECANCELED and this cause (0 stands for -ECANCELED), and
 * with it the groups and contexts the task has made. A task that has not begun never will. If the
 * task then ends with -ECANCELED, that is an echo, no failure of its group: the rest goes on.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed (NULL: nothing).  Threads: any task, any thread. */
KNIT_API void knit_task_cancel(knit_task *task, int cause);

/* Wait until the task has ended (knit_task_wait_until: or until the deadline), and get its result:
 * what its function returned, or -ECANCELED for one that was skipped. The try form does not wait.
 * The group counts the task as ended right after that.
 *
 * Parks:    yes, unless the task has ended; try: no.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the caller's ambient context ends first; the task is not
 *           affected by that.
 * Errors:   -EINVAL (task NULL), -EDEADLK (the task itself waits), -ECANCELED, -ETIMEDOUT, -ENOMEM;
 *           try: -EINVAL, -EAGAIN (not ended). *ret_result is then untouched.
 * Pointers: borrowed; ret_result may be NULL.
 * Threads:  any task, any thread. */
KNIT_API int knit_task_wait(knit_task *task, int *ret_result);
KNIT_API int knit_task_wait_until(knit_task *task, int *ret_result, knit_time deadline);
KNIT_API int knit_task_try_wait(knit_task *task, int *ret_result);

/* Where the task is, at this moment: a knit_task_state_code.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL (NULL).
 * Pointers: borrowed.  Threads: any task, any thread. */
KNIT_API int knit_task_state(const knit_task *task);

/* The handle the running task was started with (or knit_errgroup_start's); NULL: it has none.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed, good until the task ends; take a reference to keep it longer.
 * Threads:  any task, any thread. */
KNIT_API knit_task *knit_task_self(void);

/* One more reference, and task back; drop a reference (NULL: nothing). Dropping the last one does
 * nothing to the task.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API knit_task *knit_task_ref(knit_task *task);
KNIT_API void knit_task_unref(knit_task *task);

/* Start fn(arg) as a task of the group and wait until it calls knit_task_ready: a server that
 * listens, a worker that has opened what it needs. After Trio's nursery.start.
 *
 * 0: the task is ready, and goes on; *ret_value is what it gave. If it ends before, its result is
 * returned (it is a failure of the group as well), -ECHILD for a success. If the caller's wait
 * ends first, the task is cancelled, and the group joins it.
 *
 * Parks:    yes.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the caller's ambient context ends; see above.
 * Errors:   as knit_errgroup_go_task; -ECHILD; the task's own result.
 * Pointers: g kept; arg kept by the task; ret_value may be NULL.
 * Threads:  any task, any thread. */
#define knit_errgroup_start(g, fn, arg, ret_value)                                                 \
    knit_errgroup_start_at((g), (fn), (arg), (ret_value), KNIT_SITE(#fn))
KNIT_API int knit_errgroup_start_at(knit_errgroup *g, knit_fn *fn, void *arg, void **ret_value,
                                    const knit_site *site);

/* The running task is ready: who started it by knit_errgroup_start goes on, with this value. Once.
 *
 * Parks:    no.
 * Cancel:   -ECANCELED: the starter has gone; the task's context has ended.
 * Errors:   -EPERM (a plain thread, or not started so), -EALREADY (said before), -ECANCELED.
 * Pointers: value handed to the starter.
 * Threads:  any task. */
KNIT_API int knit_task_ready(void *value);

#ifdef __cplusplus
}
#endif
#endif
