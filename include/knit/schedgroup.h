/* Groups of tasks that begin later: at a time, or after a delay.
 *
 *     knit_schedgroup s;
 *     knit_schedgroup_init(&s, NULL);                        cancel on the first error
 *     knit_schedgroup_delay(&s, 5 * KNIT_SECOND, remind, "tea");
 *     knit_schedgroup_schedule(&s, midnight, rotate_logs, NULL);
 *     int r = knit_schedgroup_wait(&s);                      all have run; the first error, or 0
 *
 * Until it begins, a task is 40 bytes in a heap (with up to as much again in reserve): no stack, no
 * timer of its own. A group has one timer in all.
 *
 * Tasks begin at their time or later, never earlier, in the order of their times, and those of one
 * time in the order they were scheduled. Each is a task of its own: those that have begun run at the
 * same time. From then on all is as in an errgroup: the first failure cancels the rest, running or
 * not; a task may schedule more (itself, too), also while others wait for the group. */
#ifndef KNIT_SCHEDGROUP_H
#define KNIT_SCHEDGROUP_H

#include "errgroup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; {0} is a valid group that does not cancel on an error; its content is private. It
 * must not be moved or copied once it was used, and must not go away before knit_schedgroup_wait or
 * _close returned. */
typedef struct knit_schedgroup {
    uint64_t knit__opaque[24];
} knit_schedgroup;

/* As in knit_errgroup_options. All zero means: as with options NULL. There is no limit: what is due
 * begins. */
typedef struct knit_schedgroup_options {
    const char *name;      /* kept while the group is used */
    unsigned flags;        /* KNIT_ERRGROUP_... */
    knit_ctx *ctx;         /* borrowed while the group is used */
    knit_duration timeout; /* > 0: of the whole group, from init on */
    unsigned keep_errors;  /* 0: 16 */
} knit_schedgroup_options;

/* Prepare a group. Options NULL: cancel on the first error, no timeout.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (s NULL, an unknown flag, timeout < 0).
 * Pointers: s kept until wait or close returned; options borrowed, see its fields.
 * Threads:  any task, any thread. */
KNIT_API int knit_schedgroup_init(knit_schedgroup *s, const knit_schedgroup_options *options);

/* Have fn(arg) begin at a time on the monotonic clock (knit_now); after a delay. A time that has
 * passed, and a delay of 0 or less: as soon as possible. KNIT_FOREVER: never; it waits for the end of
 * the group.
 *
 * A task whose group is cancelled before it began never begins, and counts as skipped.
 *
 * Parks:    no.
 * Cancel:   -ECANCELED (-ETIMEDOUT) when the group has been cancelled: the task counts as skipped.
 *           The caller's own context does not matter.
 * Errors:   -EINVAL (s or fn NULL, or s is no group), -ECANCELED, -ETIMEDOUT; -ENOMEM and what
 *           starting a thread returned (-EAGAIN): then the group fails with it.
 * Pointers: s kept; arg kept until the task ends or is skipped.
 * Threads:  any task, any thread. */
#define knit_schedgroup_schedule(s, when, fn, arg)                                                 \
    knit_schedgroup_schedule_at((s), (when), (fn), (arg), KNIT_SITE(#fn))
#define knit_schedgroup_delay(s, delay, fn, arg)                                                   \
    knit_schedgroup_delay_at((s), (delay), (fn), (arg), KNIT_SITE(#fn))

/* The same with a pointer to the task's own copy of the size bytes at value, aligned for every type.
 *
 * Errors:   -EINVAL (also for value NULL with size > 0), the others as above.
 * Pointers: value borrowed.  The rest as above. */
#define knit_schedgroup_schedule_copy(s, when, fn, value, size)                                    \
    knit_schedgroup_schedule_copy_at((s), (when), (fn), (value), (size), KNIT_SITE(#fn))
#define knit_schedgroup_delay_copy(s, delay, fn, value, size)                                      \
    knit_schedgroup_delay_copy_at((s), (delay), (fn), (value), (size), KNIT_SITE(#fn))

/* The functions behind the macros, for callers with a spawn site of their own. site may be NULL.
 * Pointers: site kept: static storage. */
KNIT_API int knit_schedgroup_schedule_at(knit_schedgroup *s, knit_time when, knit_fn *fn, void *arg,
                                         const knit_site *site);
KNIT_API int knit_schedgroup_delay_at(knit_schedgroup *s, knit_duration delay, knit_fn *fn,
                                      void *arg, const knit_site *site);
KNIT_API int knit_schedgroup_schedule_copy_at(knit_schedgroup *s, knit_time when, knit_fn *fn,
                                              const void *value, size_t size,
                                              const knit_site *site);
KNIT_API int knit_schedgroup_delay_copy_at(knit_schedgroup *s, knit_duration delay, knit_fn *fn,
                                           const void *value, size_t size, const knit_site *site);

/* Cancel the group, as knit_errgroup_cancel does; what has not begun is dropped (skipped). Running
 * tasks are told, also those of a {0} group.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: borrowed (NULL: nothing).
 * Threads:  any task, any thread. */
KNIT_API void knit_schedgroup_cancel(knit_schedgroup *s, int cause);

/* Wait until no task is left, neither one to come nor one that runs, and return the first recorded
 * error, or 0, as knit_errgroup_wait does. If the group is cancelled meanwhile, by a failure, a
 * deadline or from above, what has not begun is skipped, and it waits for what runs.
 *
 * Parks:    yes, while tasks are left.
 * Cancel:   a caller whose ambient context ends goes on waiting, as with knit_errgroup_wait.
 * Errors:   the first error; -ETIMEDOUT, -ECANCELED where the group's context ended from above;
 *           -EINVAL; -EDEADLK when called by a task of the group; -ENOMEM.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_schedgroup_wait(knit_schedgroup *s);

/* The same with a bound: -ETIMEDOUT when tasks are left at the deadline, and -ECANCELED when the
 * caller's ambient context ended before; the group is still yours.
 *
 * Errors: as wait, and -ETIMEDOUT, -ECANCELED.  The rest as wait. */
KNIT_API int knit_schedgroup_wait_until(knit_schedgroup *s, knit_time deadline);

/* Cancel, then wait: when it returns no task of the group is left, and it takes no more. Returns the
 * first recorded error, or 0; closing again returns the same.
 *
 * Errors: the first error; -EINVAL; -EDEADLK, -ENOMEM (then nothing was cancelled).  The rest as
 * wait. */
KNIT_API int knit_schedgroup_close(knit_schedgroup *s);

/* The errgroup its tasks run in, to look at (knit_errgroup_error, _format, _stats, _ctx; what has not
 * begun counts as pending), and to start tasks in at once (knit_errgroup_go). Wait for it, cancel and
 * close it by the functions here. NULL: s is NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed, part of s.  Threads: any task, any thread. */
KNIT_API knit_errgroup *knit_schedgroup_errgroup(knit_schedgroup *s);

#ifdef __cplusplus
}
#endif
#endif
