/* An ordered stream: tasks that run at the same time, each followed by a call of its own; those
 * calls are made one at a time, in the order in which the tasks were submitted.
 *
 *     knit_stream s;
 *     knit_stream_init(&s, &(knit_stream_options){.limit = 8});
 *     while (next_block(file, &block))
 *         knit_stream_go(&s, compress, append_to_output, block);
 *     r = knit_stream_wait(&s);
 *
 * The calls are made by the tasks themselves: by whichever ends as the first one outstanding. Only a
 * bounded number of tasks is outstanding at any time, so a slow one cannot pile up the results of
 * those behind it. */
#ifndef KNIT_STREAM_H
#define KNIT_STREAM_H

#include "base.h"
#include "ctx.h"
#include "errgroup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; {0} is a valid stream, as if initialized without options; its content is
 * private. It must not be moved once it was used, and must not go away before knit_stream_wait or
 * _close returned. */
typedef struct knit_stream {
    uint64_t knit__opaque[22];
} knit_stream;

/* All zero means: as with options NULL. */
typedef struct knit_stream_options {
    const char *name; /* for records and dumps; kept while the stream is used */
    int limit;        /* > 0: at most so many tasks at once; 0 and < 0: as many as the window */
    unsigned window;  /* most tasks outstanding: submitted, and not followed by their call yet;
                              0: twice the limit, or 64 without one */
    unsigned flags;   /* KNIT_ERRGROUP_KEEP_GOING, _STOP, _LATE_OK, _PANIC_... */
    knit_ctx *ctx;    /* parent of the tasks' context; NULL: the ambient one of the first use;
                              borrowed while the stream is used */
    knit_duration timeout; /* > 0: that context ends with -ETIMEDOUT so long after init */
} knit_stream_options;

/* What follows a task: result is what the task returned. 0 is success. */
typedef int knit_stream_fn(void *arg, int result);

/* Prepare a stream.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (s NULL, an unknown flag, timeout < 0).
 * Pointers: s kept until wait or close returned; options borrowed, see its fields.
 * Threads:  any task, any thread. */
KNIT_API int knit_stream_init(knit_stream *s, const knit_stream_options *options);

/* Run fn(arg) as a task, and when it and the calls of all tasks submitted before have ended,
 * then(arg, its result). then may be NULL. Both are ended singly by knit_task_exit and knit_panic.
 *
 * While the window is full, a caller from outside waits for room, first come, first served; tasks
 * and calls of the stream never wait: what they submit exceeds the window.
 *
 * The first failure, of a task or a call, ends the stream: its context ends, what has not begun
 * never will, and no call is made from the first task on, in the order of submission, that did not
 * succeed. With KNIT_ERRGROUP_KEEP_GOING all run, and all calls are made.
 *
 * Parks:    only while the window is full, see above.
 * Cancel:   a go that waits returns -ECANCELED (-ETIMEDOUT) when the stream's or the caller's ambient
 *           context ends; in a stream that has ended it returns that at once. Either way neither
 *           function is called.
 * Errors:   -EINVAL (s or fn NULL, or s is no stream), -ECANCELED, -ETIMEDOUT; -ENOMEM, and what
 *           starting a thread returned (-EAGAIN): then the stream fails with it.
 * Pointers: s kept; arg kept until then has returned.
 * Threads:  any task, any thread. */
#define knit_stream_go(s, fn, then, arg) knit_stream_go_at((s), (fn), (then), (arg), KNIT_SITE(#fn))

/* The function behind the macro. site may be NULL. Pointers: site kept: static storage. */
KNIT_API int knit_stream_go_at(knit_stream *s, knit_fn *fn, knit_stream_fn *then, void *arg,
                               const knit_site *site);

/* Wait until all tasks and calls have ended; returns the first failure in time, or 0. Ends of the
 * context are as in knit_errgroup_wait. After a wait without failure the stream may be used again.
 *
 * Parks:    yes, while tasks are left.
 * Cancel:   a caller whose ambient context ends goes on waiting, as in knit_errgroup_wait.
 * Errors:   the first failure; -ECANCELED, -ETIMEDOUT; -EINVAL; -EDEADLK when called by a task or
 *           call of the stream; -ENOMEM on a plain thread's first use.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_stream_wait(knit_stream *s);

/* Cancel, then wait; it takes no more tasks. Closing again returns the same.
 *
 * Errors: as wait.  The rest as knit_stream_wait. */
KNIT_API int knit_stream_close(knit_stream *s);

/* The group the tasks run in: to cancel it, for its context and its error records, whose index is
 * that of the submission, from 0. Its tasks are not the stream's: it is not for starting or waiting,
 * and it has no limit.
 *
 * Parks: no.  Cancel: not affected.  Errors: NULL for NULL.
 * Pointers: borrowed; the result is part of the stream.
 * Threads:  any task, any thread. */
KNIT_API knit_errgroup *knit_stream_group(knit_stream *s);

#ifdef __cplusplus
}
#endif
#endif
