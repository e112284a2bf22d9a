/* Weighted semaphore: a capacity that is taken and given back in parts, first come, first served. */
#ifndef KNIT_SEMAPHORE_H
#define KNIT_SEMAPHORE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage. {0} is a semaphore of capacity 0: resize it, or set it up with _init. Nothing
 * needs to be undone. Not to be moved or copied once used, nor to go away while somebody waits. */
typedef struct knit_semaphore {
    uint64_t knit__opaque[6];
} knit_semaphore;

/* Set up with a capacity (>= 0), nothing taken.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL (NULL, capacity < 0).
 * Pointers: borrowed.  Threads: one, before the others know it. */
KNIT_API int knit_semaphore_init(knit_semaphore *s, int64_t capacity);

/* Take n, waiting until that much is free.
 *
 * Strictly first come, first served: whoever waits keeps all later ones waiting, also those that
 * would fit, so that large requests do not starve. n = 0 succeeds as soon as nobody waits before it.
 * What could never be had, n above the capacity, is refused at once instead of waiting for a cancel.
 *
 * Parks:    yes, unless n is free and nobody waits; the try form never.
 * Cancel:   -ECANCELED (-ETIMEDOUT for a deadline) when the ambient context ends first, and at once
 *           when it has ended already, even if n is free; then nothing was taken, and those who
 *           waited behind it are looked at again. The try and nocancel forms do not look at it.
 * Errors:   -E2BIG n is above the capacity, also while waiting (knit_semaphore_resize); -EINVAL
 *           (NULL, n < 0); -EAGAIN (try) it would have to wait; -ETIMEDOUT the deadline passed;
 *           -ECANCELED; -ENOMEM (a wait that cannot be stored).
 * Pointers: borrowed; kept while waiting.
 * Threads:  any task, any thread. */
KNIT_API int knit_semaphore_acquire(knit_semaphore *s, int64_t n);
KNIT_API int knit_semaphore_try_acquire(knit_semaphore *s, int64_t n);
KNIT_API int knit_semaphore_acquire_until(knit_semaphore *s, int64_t n, knit_time deadline);
KNIT_API int knit_semaphore_acquire_nocancel(knit_semaphore *s, int64_t n);

/* Give n back, in other portions than it was taken if you like.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ERANGE more than is taken; -EINVAL (NULL, n < 0). Nothing changes then.
 * Pointers: borrowed.
 * Threads:  any task, any thread, not only the one that took it. */
KNIT_API int knit_semaphore_release(knit_semaphore *s, int64_t n);

/* Change the capacity. More: those who wait are served as far as it goes. Less: what is taken stays
 * taken, and nothing more is given until enough came back; those who wait for more than the new
 * capacity get -E2BIG.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL (NULL, capacity < 0).
 * Pointers: borrowed.  Threads: any task, any thread. */
KNIT_API int knit_semaphore_resize(knit_semaphore *s, int64_t capacity);

/* What is taken now, and the capacity. 0 for NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: borrowed.
 * Threads: any task, any thread. */
KNIT_API int64_t knit_semaphore_held(const knit_semaphore *s);
KNIT_API int64_t knit_semaphore_capacity(const knit_semaphore *s);

#ifdef __cplusplus
}
#endif
#endif
