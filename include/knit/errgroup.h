/* Errgroups: functions that may fail, run at the same time, with one end.
 *
 * The first failure is stored, then the rest is cancelled; wait returns when no task of the group
 * runs any more. A {0} group is valid: no limit, no cancel on error; its tasks run under the ambient
 * context of the first to use it (since its last wait).
 *
 *     knit_errgroup g;
 *     knit_errgroup_init(&g, NULL);                     cancel on the first error
 *     for (int i = 0; i < n; i++)
 *         knit_errgroup_go(&g, fetch, &urls[i]);
 *     int r = knit_errgroup_wait(&g);                   the first error, or 0
 *
 * A task of the group may start more tasks in it, also while others wait for the group. */
#ifndef KNIT_ERRGROUP_H
#define KNIT_ERRGROUP_H

#include "base.h"
#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; {0} is a valid group; its content is private. A group must not be moved or
 * copied once it was used, and must not go away before knit_errgroup_wait or _close returned. */
typedef struct knit_errgroup {
    uint64_t knit__opaque[10];
} knit_errgroup;

enum {
    KNIT_ERRGROUP_KEEP_GOING = 1, /* an error cancels nothing: all tasks run */
    KNIT_ERRGROUP_LATE_OK = 2,    /* tasks that all succeed after the deadline are a success */
    /* what becomes of a knit_panic in one of its tasks; neither: the process stops */
    KNIT_ERRGROUP_PANIC_ERROR = 4,  /* it is the task's failure */
    KNIT_ERRGROUP_PANIC_WAITER = 8, /* the same, and each wait and close panics in turn */
    KNIT_ERRGROUP_STOP = 16, /* an error stops admission: what runs goes on, the rest is skipped */
};

struct knit_policy; /* knit/policy.h */

/* All zero means: as with options NULL. */
typedef struct knit_errgroup_options {
    const char *name;      /* for records and dumps; kept while the group is used */
    int limit;             /* > 0: at most so many tasks at once; 0 and < 0: no limit */
    unsigned flags;        /* KNIT_ERRGROUP_... */
    knit_ctx *ctx;         /* parent of the group's context; borrowed while the group is used;
                              NULL: the ambient context of the first to use the group */
    knit_duration timeout; /* > 0: the group's context ends with -ETIMEDOUT so long after init */
    unsigned keep_errors;  /* how many error records are kept; 0: 16; KNIT_ALL_ERRORS: all */
    size_t stack;          /* bytes of a task's stack, as in KNIT_STACK (knit/runtime.h); the usual
                              size if that is larger; 0: the usual size */
    const struct knit_policy
        *policy; /* more rules (knit/policy.h); kept while the group is used, with
                                         what it points to; NULL: none */
} knit_errgroup_options;

#define KNIT_ALL_ERRORS (~0u)

/* Prepare a group. Options NULL: cancel on the first error, no limit, no timeout. The group makes a
 * context of its own (at its first use), a child of options->ctx or of the ambient one; it is
 * cancelled by the first error with that error as its cause, by knit_errgroup_cancel and by
 * knit_errgroup_close; a normal end does not cancel it.
 * With options->stack each task has a stack of that size to itself: it is not run on top of one that
 * waits. Only such groups pay for it. Without memory for one its task fails with -ENOMEM.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (g NULL, an unknown flag, timeout < 0, stack > 64 MiB, a policy that makes no
 *           sense).
 * Pointers: g kept until wait or close returned; options borrowed, see its fields.
 * Threads:  any task, any thread. */
KNIT_API int knit_errgroup_init(knit_errgroup *g, const knit_errgroup_options *options);

/* Start fn(arg) as a task of the group. Returns 0 when the task was started or queued.
 *
 * At the limit a caller from outside waits for room, first come, first served; a member of the
 * group (one of its tasks, or a task of a group nested in it) never waits: its task is queued.
 * knit_errgroup_try_go never waits and never queues: -EAGAIN at the limit.
 * A task may be run on the caller's own processor time: a task that starts very many others may be
 * made to yield, but never waits for any of them.
 *
 * Parks:    only at the limit, see above; a task may yield.
 * Cancel:   a go that waits returns -ECANCELED (-ETIMEDOUT) when the group or the caller's ambient
 *           context ends. In a group that was cancelled (by an error, a cancel, a close or its
 *           parent) it returns -ECANCELED (-ETIMEDOUT) at once. Either way fn does not run, and the
 *           task counts as skipped.
 * Errors:   -EINVAL (g or fn NULL, or g is no group), -ECANCELED, -ETIMEDOUT, -EAGAIN (try);
 *           -ENOMEM and what starting a thread returned (-EAGAIN): then the group fails with it.
 * Pointers: g kept; arg kept by the task.
 * Threads:  any task, any thread. */
#define knit_errgroup_go(g, fn, arg) knit_errgroup_go_at((g), (fn), (arg), KNIT_SITE(#fn))
#define knit_errgroup_try_go(g, fn, arg) knit_errgroup_try_go_at((g), (fn), (arg), KNIT_SITE(#fn))

/* Start fn with a pointer to its own copy of the size bytes at value: for loop variables. The copy
 * is aligned for every type and lives until fn returns.
 *
 * Errors:   -EINVAL (also for value NULL with size > 0) and -ENOMEM as above.
 * Pointers: value borrowed.  The rest as knit_errgroup_go. */
#define knit_errgroup_go_copy(g, fn, value, size)                                                  \
    knit_errgroup_go_copy_at((g), (fn), (value), (size), KNIT_SITE(#fn))
#define knit_errgroup_try_go_copy(g, fn, value, size)                                              \
    knit_errgroup_try_go_copy_at((g), (fn), (value), (size), KNIT_SITE(#fn))

/* The functions behind the macros, for callers with a spawn site of their own (other languages,
 * wrappers). site may be NULL. Pointers: site kept: static storage. */
KNIT_API int knit_errgroup_go_at(knit_errgroup *g, knit_fn *fn, void *arg, const knit_site *site);
KNIT_API int knit_errgroup_try_go_at(knit_errgroup *g, knit_fn *fn, void *arg,
                                     const knit_site *site);
KNIT_API int knit_errgroup_go_copy_at(knit_errgroup *g, knit_fn *fn, const void *value, size_t size,
                                      const knit_site *site);
KNIT_API int knit_errgroup_try_go_copy_at(knit_errgroup *g, knit_fn *fn, const void *value,
                                          size_t size, const knit_site *site);

/* Change the limit, at any time: n > 0 so many at once, 0 paused (nothing new starts), < 0 none.
 * A lower limit stops no task that runs; a higher one starts what is queued and admits who waits.
 * What runs is counted, whenever it was started.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_errgroup_set_limit(knit_errgroup *g, int n);

/* Cancel the group: no new task starts, queued ones are skipped, running ones see their context
 * end. wait will return cause (0 stands for -ECANCELED) unless an error was recorded before. A {0}
 * group has no context of its own: its running tasks are not told, the rest holds.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: borrowed (NULL: nothing).
 * Threads:  any task, any thread. */
KNIT_API void knit_errgroup_cancel(knit_errgroup *g, int cause);

/* Wait until no task of the group is left and return the first recorded error, or 0.
 *
 * A task that fails with -ECANCELED (or -ETIMEDOUT) after its context ended that way is an echo:
 * counted, not recorded. Where the group's context was ended from above (parent, deadline) and no
 * error is recorded, wait returns -ETIMEDOUT for a deadline (unless KNIT_ERRGROUP_LATE_OK and all
 * tasks succeeded), and -ECANCELED if any task was skipped or ended as an echo.
 * Any number of callers may wait; waiting again returns the same. After a wait the group may be
 * used again; an error stays.
 *
 * Parks:    yes, while tasks are left. A waiting task may run tasks of the group meanwhile.
 * Cancel:   a caller whose ambient context ends goes on waiting: nobody is left behind. (The
 *           group's own context, if a child of it, has ended with it, so its tasks know.)
 * Errors:   the first error; -EINVAL; -EDEADLK when called by a task of the group or of a group
 *           nested in it.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_errgroup_wait(knit_errgroup *g);

/* The same with a bound: -ETIMEDOUT when tasks are left at the deadline, and -ECANCELED when the
 * caller's ambient context ended before; the group is still yours and must be waited for or closed.
 *
 * Errors: as wait, and -ETIMEDOUT, -ECANCELED, -ENOMEM (no memory for the timer). */
KNIT_API int knit_errgroup_wait_until(knit_errgroup *g, knit_time deadline);

/* Cancel, then wait: when it returns no task of the group is left, and it takes no more. Returns
 * the first recorded error, or 0; closing again, and waiting after it, returns the same. Error
 * records stay readable until the group's storage is used for something else.
 *
 * Errors: the first error; -EINVAL; -EDEADLK (then nothing was cancelled).  The rest as wait. */
KNIT_API int knit_errgroup_close(knit_errgroup *g);

/* The group's context, for what is no task of it: a child of the one its tasks run under or that
 * very one. NULL when it could not be made (no memory).
 *
 * Parks: no.  Cancel: not affected.
 * Pointers: borrowed, good until wait or close returns; take a reference to keep it longer.
 * Threads:  any task, any thread. */
KNIT_API knit_ctx *knit_errgroup_ctx(knit_errgroup *g);

/* What went wrong in one task. */
typedef struct knit_error_record {
    int code;         /* what the task returned */
    size_t index;     /* number of its submission, from 0, in the group */
    const char *text; /* from knit_error, or "" */
    const char *task; /* its name, else the text of its function argument */
    const char *file; /* of the spawn site, or "" */
    int line;
    knit_time when; /* end of the task */
    size_t causes;  /* records of the nested group whose error this task passed on */
} knit_error_record;

/* The i-th kept record, first error first; the first options.keep_errors (16) are kept, all are
 * counted (knit_errgroup_stats). They are kept for the last 1024 groups that failed.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ENOENT there is no such record; -EINVAL; *ret_record is then untouched.
 * Pointers: the strings are the group's: good until it is closed or used again.
 * Threads:  any task, any thread, while no task of the group can fail (after a wait). */
KNIT_API int knit_errgroup_error(const knit_errgroup *g, size_t i, knit_error_record *ret_record);

/* Write the kept records as a text tree, nested groups indented below the task that passed their
 * error on, a line each:
 *
 *     #3 fetch_page (fetch.c:42): No such file or directory: open /tmp/x
 *
 * Like snprintf: at most size bytes with the final 0 (buffer may be NULL when size is 0); returns
 * the length the whole text has. 0 when there is no error.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL.  Pointers: borrowed.
 * Threads:  as knit_errgroup_error. */
KNIT_API int knit_errgroup_format(const knit_errgroup *g, char *buffer, size_t size);

/* Counts. Exact when no task runs; otherwise each is a moment's view. */
typedef struct knit_errgroup_counts {
    size_t submitted; /* taken by go, and skipped ones */
    size_t pending;   /* not ended: running, queued or parked */
    size_t failed;    /* ended with an error that is no echo */
    size_t echoes;    /* ended with an echo of the cancel */
    size_t skipped;   /* never ran: the group was cancelled first */
    size_t running;   /* pending, less those that wait in the group's queue */
    size_t done;      /* ended with success */
    size_t dropped;   /* refused by KNIT_OVERFLOW_DROP: not among the submitted */
} knit_errgroup_counts;

/* Parks: no.  Cancel: not affected.  Errors: -EINVAL.  Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_errgroup_stats(const knit_errgroup *g, knit_errgroup_counts *ret_counts);

/* A group for a block, closed however the block is left (end, break, return, goto; not longjmp):
 *
 *     KNIT_SCOPE(g, NULL) {
 *         knit_errgroup_go(g, fetch, "a");
 *         knit_errgroup_go(g, fetch, "b");
 *         r = knit_errgroup_wait(g);
 *     }
 *
 * `group` is a knit_errgroup pointer inside the block; options as knit_errgroup_init's (options it
 * refuses make every go and wait in the block return -EINVAL). continue ends the block too. Leaving
 * early cancels what runs, then waits for it. */
#define KNIT_SCOPE(group, options)                                                                 \
    for (knit_errgroup knit__scope_##group                                                         \
         __attribute__((cleanup(knit__scope_leave))) = knit__scope_enter(options),                 \
         *group = &knit__scope_##group;                                                            \
         group; group = NULL)

/* For KNIT_SCOPE only. */
KNIT_API knit_errgroup knit__scope_enter(const knit_errgroup_options *options);
KNIT_API void knit__scope_leave(knit_errgroup *g);

#ifdef __cplusplus
}
#endif
#endif
