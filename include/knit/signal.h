/* Signals as something a task waits for.
 *
 *     knit_signals *reload;
 *     int hup = SIGHUP;
 *     r = knit_signals_new(&hup, 1, &reload);
 *     while (knit_signals_wait(reload) == SIGHUP)       ends with -ECANCELED when the group does
 *         read_configuration();
 *     knit_signals_free(reload);
 *
 * From the first subscription to a signal until the last one is freed Knit has a handler in the place
 * of what was there. It only takes down what came, so no program's code runs inside a signal. Threads
 * that Knit starts have all signals blocked; a signal that the other threads block too is received all
 * the same, unless it is sent to one of them alone (pthread_kill, raise).
 *
 * And the ready-made task that most programs want:
 *
 *     knit_errgroup_go(&g, serve, &server);
 *     knit_errgroup_go_with(&g, knit_until_signal, NULL,
 *                           &(knit_task_options){.flags = KNIT_TASK_SERVICE});
 *     r = knit_errgroup_wait(&g);                       -EINTR: somebody pressed Ctrl-C
 *
 * As a service (knit/policy.h) it ends when the work has ended. As a plain task it would keep the
 * group waiting until a signal comes; that is right only where the work itself ends no sooner. */
#ifndef KNIT_SIGNAL_H
#define KNIT_SIGNAL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A subscription to some signals. */
typedef struct knit_signals knit_signals;

/* Subscribe to n signals. Each subscription to a signal gets it. One that comes again before it was
 * taken is got once, as the system does with those that it does not queue.
 *
 * Refused are the signals that are not for waiting (SIGKILL, SIGSTOP; SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * SIGTRAP, SIGABRT, SIGSYS) and SIGURG, which Knit uses itself (knit/blocking.h).
 *
 * In the child of a fork there are no subscriptions: each signal is handled as it was before. A
 * subscription of the parent can only be freed there.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL, n == 0, or a signal that is refused), -ENOMEM, -EMFILE, -ENFILE, -ENOSPC
 *           (the user's limit of epoll watches), -EAGAIN (a thread cannot be started).
 * Pointers: numbers borrowed; *ret_signals returned (knit_signals_free), untouched on failure.
 * Threads:  any task, any thread. */
KNIT_API int knit_signals_new(const int *numbers, size_t n, knit_signals **ret_signals);

/* Wait for one of the signals: its number. Those that have come take turns. knit_signals_try_wait
 * does not wait.
 *
 * Parks:    yes, unless a signal has come; try: no.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first. A signal that has come is
 *           there for the next wait.
 * Errors:   -ETIMEDOUT (deadline), -ECANCELED; -EINVAL (NULL), -EBADF (the child of a fork), -ENOMEM,
 *           -ENOSPC and -EAGAIN as knit_wait_fd; try: -EAGAIN, none has come.
 * Pointers: borrowed.
 * Threads:  any task, any thread; each signal goes to one of those that wait. */
KNIT_API int knit_signals_wait(knit_signals *signals);
KNIT_API int knit_signals_wait_until(knit_signals *signals, knit_time deadline);
KNIT_API int knit_signals_try_wait(knit_signals *signals);

/* End a subscription (NULL: nothing). With the last one to a signal the program's own disposition of
 * it is put back, unless the program has set another one meanwhile. Nobody may wait in it any more.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: given.  Threads: any task, any thread. */
KNIT_API void knit_signals_free(knit_signals *signals);

/* A task: wait for SIGINT or SIGTERM, and fail with -EINTR (and the signal's name as the text) when
 * one of them comes, which cancels the group. From that moment on both have their default action
 * again, whoever else subscribes to them: the next one ends the process at once, for programs that do
 * not get to their end. Only a new subscription changes that.
 *
 * A signal that is ignored when the task begins stays ignored: so a shell starts what is not to be
 * interrupted (nohup, jobs in the background).
 *
 * Parks:    yes.
 * Cancel:   0 when the ambient context ends first, its deadline included: no signal came.
 * Errors:   -EINTR, and those of knit_signals_new and knit_signals_wait.
 * Pointers: ret_number: an int, borrowed, set to the signal's number when one came; or NULL.
 * Threads:  any task, any thread. */
KNIT_API int knit_until_signal(void *ret_number);

#ifdef __cplusplus
}
#endif
#endif
