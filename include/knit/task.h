/* What a task can do with itself: sleep, yield, be named. */
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

#ifdef __cplusplus
}
#endif
#endif
