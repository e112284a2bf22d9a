/* What a task can do with itself: sleep, yield, be named, end, leave something to be done then. */
#ifndef KNIT_TASK_H
#define KNIT_TASK_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sleep for d ns; until a time on the monotonic clock. A sleep never ends early with 0. d <= 0 and
 * a time that has passed: returns without parking (but still looks at the context).
 *
 * Parks:    yes.
 * Cancel:   -ECANCELED when the ambient context was cancelled, -ETIMEDOUT when its deadline passed.
 * Errors:   -ECANCELED, -ETIMEDOUT; -ENOMEM when the timer cannot be stored.
 * Threads:  any task, any thread (which then sleeps itself). */
KNIT_API int knit_sleep(knit_duration d);
KNIT_API int knit_sleep_until(knit_time when);

/* Let other ready tasks of this worker run first.
 *
 * Parks:    lets others run; never waits for anything.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context has ended (others ran all the same).
 * Errors:   -ECANCELED, -ETIMEDOUT.
 * Threads:  any task; on a plain thread it gives up the processor. */
KNIT_API int knit_yield(void);

/* 1 in a task, 0 on a plain thread.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any. */
KNIT_API int knit_in_task(void);

/* Name the running task for records and dumps. Without a name a task is called by the text of the
 * function argument at its spawn site.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EPERM on a plain thread.
 * Pointers: name kept until the task ends or is named again (NULL: back to the default).
 * Threads:  any task. */
KNIT_API int knit_task_set_name(const char *name);

/* The name of the running task; "thread" on a plain thread. Never NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed, good while the task runs and is not renamed.  Threads: any. */
KNIT_API const char *knit_task_name(void);

/* ---- ending ---- */

typedef void knit_defer_fn(void *arg);

/* How long the deferred calls of a task that was cancelled may wait, all together. */
#define KNIT_DEFER_BUDGET (5 * KNIT_SECOND)

/* Call fn(arg) when the running task ends, however it ends: by returning, by knit_task_exit, by
 * knit_panic (where that ends the task). The newest call is made first. They are part of the task:
 * they may wait and defer more, and their group waits for them. The task's context is hidden from
 * them, so that they can wait although it was cancelled, until KNIT_DEFER_BUDGET has passed: then
 * their waits return -ETIMEDOUT. knit_task_exit in a deferred call ends that call alone, and its
 * result becomes the task's.
 *
 * When a task returns from its function, that function's local variables are gone before the calls
 * are made: do not defer a pointer to one of them.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (fn NULL), -EPERM (plain thread), -ENOMEM; then fn will not be called.
 * Pointers: arg kept until fn was called.
 * Threads:  any task. */
KNIT_API int knit_defer(knit_defer_fn *fn, void *arg);

/* End the running task from any depth of its calls, as if its function had returned result. First
 * its contexts are left (knit_ctx_enter) and its deferred calls are made; then its frames are
 * given up. It returns only where there is no task to end:
 *
 *     return knit_task_exit(-EIO);
 *
 * What C does at the end of a block is not done for the frames given up: no cleanup attribute runs
 * (KNIT_SCOPE), a lock that is held stays locked, memory stays allocated. So before it is called,
 * or in a deferred call, groups in those frames must have been closed.
 * Not allowed in functions that something else calls in the middle of its work: those of
 * knit_ctx_after, comparison functions of qsort and the like. Those of once and singleflight may
 * exit: who waits for them gets an error.
 *
 * Parks:    as the deferred calls do.
 * Cancel:   not affected.
 * Errors:   -EPERM on a plain thread.
 * Threads:  any task. */
KNIT_API int knit_task_exit(int result);

/* The result of a task that panicked where its group contains that. */
#define KNIT_PANICKED (-ENOTRECOVERABLE)

/* Something is wrong that the running task cannot deal with. What happens is the choice of its group
 * (knit_errgroup_options.flags):
 *
 * - By default the process stops: a line with the text, the task's name and its spawn site goes to
 *   the standard error, then abort(). So it does on a plain thread. No deferred call is made.
 * - KNIT_ERRGROUP_PANIC_ERROR: the task alone ends, as by knit_task_exit(KNIT_PANICKED): that is its
 *   failure, and the text, with the calls that led there, is in the group's error record.
 * - KNIT_ERRGROUP_PANIC_WAITER: the same; and when its tasks have ended, knit_errgroup_wait and
 *   _close do not return but panic in their callers, each time, with that text.
 *
 * A panic while deferred calls are made ends the call it is in, not the rest of them.
 *
 * Parks:    as the deferred calls do.
 * Cancel:   not affected.
 * Errors:   never returns.
 * Pointers: fmt and its arguments borrowed.
 * Threads:  any task, any thread. */
__attribute__((noreturn)) KNIT_API void knit_panic(const char *fmt, ...) KNIT_PRINTF(1, 2);

/* ---- staying on a thread ---- */

/* From here on the running task resumes on the thread it now runs on, and on no other, until it is
 * unpinned as often as it was pinned, or ends: for libraries that keep state in thread-local
 * variables. While that thread is busy or blocked the task waits for it, although other threads may
 * be free; use it for short stretches. Other tasks run on the thread as before. On a plain thread
 * both do nothing.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   pin: -ENOMEM; unpin: -EPERM (it is not pinned).
 * Threads:  any task, any thread. */
KNIT_API int knit_task_pin(void);
KNIT_API int knit_task_unpin(void);

/* ---- task-local values ---- */

/* A key: a static object of yours, {0} or {destroy}. Compared by its address. destroy, if there is
 * one, is called with the value when the task ends, after its deferred calls, if the value is not
 * NULL then. */
typedef struct knit_task_local {
    void (*destroy)(void *value);
} knit_task_local;

/* Set and get the value of the running task under a key; NULL at first. A task inherits no values
 * (contexts do that: knit_ctx_with_value). A plain thread has values of its own, until it ends.
 * Setting replaces: the former value is not destroyed.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (key NULL), -ENOMEM; then the former value stays. get: none.
 * Pointers: key kept until the end of the task; value given to key->destroy at its end, else kept.
 * Threads:  any task, any thread. */
KNIT_API int knit_task_local_set(const knit_task_local *key, void *value);
KNIT_API void *knit_task_local_get(const knit_task_local *key);

#ifdef __cplusplus
}
#endif
#endif
