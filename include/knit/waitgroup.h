/* Wait group: a count by hand, and errors reported by hand. For children that are not tasks of a
 * group: requests on the way, callbacks, plain threads. It starts nothing and cancels nothing; for
 * functions that are to run as tasks take a knit_errgroup, which counts by itself. */
#ifndef KNIT_WAITGROUP_H
#define KNIT_WAITGROUP_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; {0} is ready for use: the count is 0, no errors. Not to be moved or copied once
 * used. It may go away when a wait has returned 0 or an error of the group and nobody else waits or
 * is about to add. */
typedef struct knit_waitgroup {
    uint64_t knit__opaque[8];
} knit_waitgroup;

/* Add delta, which may be negative, to the count; done is add(-1). At 0 all that wait are released,
 * and the group may be used again at once: whoever was released does not wait for a later count.
 *
 * What was done before a done is seen by whoever the wait releases.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ERANGE the count would be negative (a done too many); -EOVERFLOW; -EINVAL (NULL). The
 *           count is unchanged then.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_waitgroup_add(knit_waitgroup *wg, int delta);
KNIT_API int knit_waitgroup_done(knit_waitgroup *wg);

/* Report a failure: any code but 0. Does not touch the count, and may be called any time. Codes are
 * kept in the order of the calls, the first always.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (wg NULL, or code 0); -ENOMEM: the code is counted, and kept if it is the first.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_waitgroup_error(knit_waitgroup *wg, int code);

/* Wait until the count is 0. Returns the first error reported so far, or 0; all of them are read
 * with knit_waitgroup_errors. Errors are not reset: waiting again returns the same.
 *
 * A wait that gave up leaves no trace: the group can be waited for again, and used again.
 *
 * Parks:    yes, unless the count is 0.
 * Cancel:   wait and until: -ECANCELED (-ETIMEDOUT for a deadline) when the ambient context ends
 *           first, and at once when it has ended already while the count is not 0. The nocancel form
 *           does not look at the context: for what the children use and you own.
 * Errors:   the first code reported; -EINVAL (NULL); -ETIMEDOUT the deadline passed; -ECANCELED;
 *           -ENOMEM (a wait that cannot be stored). To tell an error of the wait from a reported one
 *           look at knit_waitgroup_pending.
 * Pointers: borrowed; kept while waiting.
 * Threads:  any task, any thread, any number at once. */
KNIT_API int knit_waitgroup_wait(knit_waitgroup *wg);
KNIT_API int knit_waitgroup_wait_until(knit_waitgroup *wg, knit_time deadline);
KNIT_API int knit_waitgroup_wait_nocancel(knit_waitgroup *wg);

/* The count now. 0 for NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: borrowed.
 * Threads: any task, any thread. */
KNIT_API int knit_waitgroup_pending(const knit_waitgroup *wg);

/* Copy the first n reported codes; returns how many were reported. A code that could
 * not be kept (-ENOMEM of knit_waitgroup_error) reads as -ENOMEM.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (wg NULL, or ret_codes NULL with n > 0).
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_waitgroup_errors(const knit_waitgroup *wg, int *ret_codes, size_t n);

/* The reported errors as one text: nothing, the text of the only one, or
 * "multiple errors: e1 | e2 | ...". Returns its length as snprintf does: cut, and ended with a 0
 * byte, when it does not fit into size bytes.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (wg NULL, or buffer NULL with size > 0).
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_waitgroup_format(const knit_waitgroup *wg, char *buffer, size_t size);

/* Free the reported errors: the group is {0} again. Needed only where more than one error was
 * reported; does no harm otherwise.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EBUSY the count is not 0: nothing happened. NULL: 0.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_waitgroup_fini(knit_waitgroup *wg);

#ifdef __cplusplus
}
#endif
#endif
