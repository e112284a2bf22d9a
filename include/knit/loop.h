/* A door into a foreign event loop: libuv, GLib, a plain epoll loop, the loop of a toolkit.
 *
 * Such a loop owns its thread, and that thread must never wait in a call of Knit. It can start groups
 * (knit_errgroup_go does not wait without a limit), and through one descriptor, which it watches like
 * any other, it is told what comes back:
 *
 *     knit_loop_new(&loop);
 *     watch knit_loop_fd(loop) for reading; when it is readable call knit_loop_dispatch(loop)
 *
 *     knit_errgroup_go(&group, work, &job);
 *     knit_loop_watch(loop, &group, ended, &job);       ended(&job, result), on the loop's thread
 *
 * and a task tells it something in between by knit_loop_post(loop, show_progress, &job). */
#ifndef KNIT_LOOP_H
#define KNIT_LOOP_H

#include "base.h"
#include "errgroup.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct knit_loop knit_loop;

typedef void knit_loop_fn(void *arg);
typedef void knit_loop_end_fn(void *arg, int result);

/* Make a door. It belongs to the thread that dispatches; nothing runs because of it.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL), -ENOMEM, -EMFILE, -ENFILE.
 * Pointers: *ret_loop returned: knit_loop_free; untouched on failure.
 * Threads:  any task, any thread. */
KNIT_API int knit_loop_new(knit_loop **ret_loop);

/* The descriptor that is readable while something waits to be called. It is only for watching.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL).
 * Pointers: borrowed; the descriptor is the loop's, until knit_loop_free.
 * Threads:  any task, any thread. */
KNIT_API int knit_loop_fd(const knit_loop *loop);

/* Have fn(arg) called by the next knit_loop_dispatch: in the order of the posts, each once.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (loop or fn NULL); -ENOMEM: fn will not be called. No memory is needed while not
 *           more posts wait than have waited before (64 of them count).
 * Pointers: arg kept until the call.
 * Threads:  any task, any thread; not a signal handler. */
KNIT_API int knit_loop_post(knit_loop *loop, knit_loop_fn *fn, void *arg);

/* Have fn(arg, result) called by a dispatch when no task of the group is left; result is what
 * knit_errgroup_wait returns. Then a wait or close of the group returns at once, and without either
 * the group's storage may go, or be used again.
 *
 * A group without tasks has ended. It is a wait in all things: a task of Knit waits on the caller's
 * behalf, so services end with the last task, joins are told, and tasks that are added until then are
 * waited for too. One group may be watched and waited for any number of times. A panic that
 * knit_errgroup_wait would raise again is an error like others here.
 *
 * Parks:    no; a task may yield.
 * Cancel:   not affected, and the wait is not.
 * Errors:   -EINVAL (NULL), -ENOMEM, -EAGAIN (no thread can be started); fn will not be called.
 * Pointers: g kept until the call; arg kept until the call.
 * Threads:  any task, any thread. */
KNIT_API int knit_loop_watch(knit_loop *loop, knit_errgroup *g, knit_loop_end_fn *fn, void *arg);

/* Call what was posted before this call; what the functions post themselves is left for the next.
 * Returns how many were called. A function may run the loop, and so dispatch, in its turn (a dialog):
 * what is left is called there then.
 *
 * Parks:    no, but for what the functions do.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL).
 * Pointers: borrowed; a function must not free the loop.
 * Threads:  the loop's: one at a time. */
KNIT_API int knit_loop_dispatch(knit_loop *loop);

/* Wait for the groups that are watched, call what is left to be called, and free (NULL: nothing). A
 * loop that must not wait cancels its groups, and frees when the last of them was reported.
 *
 * Parks:    while a watched group has not ended.
 * Cancel:   not affected.
 * Errors:   none.
 * Pointers: given.
 * Threads:  the loop's; nobody may post any more, but for the functions that are called here. */
KNIT_API void knit_loop_free(knit_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
