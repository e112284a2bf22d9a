/* Loops whose bodies run at the same time: over a range of indices, over an array, and from one
 * array into another.
 *
 *     static int scale(void *element, size_t index, void *arg)
 *     {
 *         double *x = element;
 *         (void)index;
 *         *x *= *(const double *)arg;
 *         return 0;
 *     }
 *     ...
 *     r = knit_for_each_element(xs, n, sizeof xs[0], scale, &factor, NULL);
 *
 * A few tasks share the loop. Each takes some indices at a time: thousands of tiny bodies, long ones
 * one by one. While indices are left there is one more task ready to start, up to the limit; so a
 * body that waits holds up only what was taken together with it.
 *
 * A body is a call in one of these tasks, not a task of its own; yet knit_task_exit and knit_panic
 * end the body alone. What it leaves to the end of a task (deferred calls, task-local values, pins)
 * is done before the task takes its next indices, at the latest. */
#ifndef KNIT_FOREACH_H
#define KNIT_FOREACH_H

#include "base.h"
#include "ctx.h"
#include "errgroup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No index: knit_for_each_report.index. */
#define KNIT_NO_INDEX SIZE_MAX

/* What became of a loop. */
typedef struct knit_for_each_report {
    size_t done;   /* indices whose bodies returned 0 */
    size_t failed; /* bodies that failed; one that ended with the loop's cancel did not */
    size_t index;  /* of the failure whose code the loop returned; KNIT_NO_INDEX: of none */
} knit_for_each_report;

/* All zero means: as with options NULL. */
typedef struct knit_for_each_options {
    const char *name;      /* for records and dumps; kept while the loop runs */
    int limit;             /* > 0: at most so many bodies at once; 0: as many as there are workers,
                              for bodies that compute; < 0: as many as there are indices */
    size_t chunk;          /* indices a task takes at a time; 0: it finds out */
    unsigned flags;        /* KNIT_ERRGROUP_KEEP_GOING, _STOP, _LATE_OK, _PANIC_... */
    knit_ctx *ctx;         /* parent of the bodies' context; NULL: the ambient one; borrowed */
    knit_duration timeout; /* > 0: that context ends with -ETIMEDOUT so long after the start */
    int *codes;            /* NULL, or room for a code an index, the first index first: what its
                              body returned, -ECANCELED where it was not called; borrowed */
    knit_for_each_report *report; /* NULL, or filled in before the call returns; borrowed */
} knit_for_each_options;

/* The bodies. 0 is success. */
typedef int knit_index_fn(size_t index, void *arg);
typedef int knit_range_fn(size_t begin, size_t end, void *arg); /* begin <= i < end */
typedef int knit_element_fn(void *element, size_t index, void *arg);
typedef int knit_map_fn(const void *element, void *ret_slot, size_t index, void *arg);

/* Call fn(index, arg) for every index from begin up to, not including, end, and wait for all.
 *
 * Indices are taken in rising order: a body may wait for those of lower indices. Bodies that wait
 * for higher ones need chunk 1 and a limit as high as so many wait at once.
 *
 * Fails fast: the first failure ends the bodies' context, so that those which wait are woken; no
 * further body is called, and the call returns that failure. With KNIT_ERRGROUP_KEEP_GOING all
 * bodies are called. The end of the caller's context, or of options->ctx, stops the loop likewise.
 * It is noticed between bodies, some microseconds apart.
 *
 * Parks:    yes.
 * Cancel:   -ECANCELED or -ETIMEDOUT when a context above ended and a body was not called or ended
 *           with that error; see knit_errgroup_wait. It returns when the bodies that run have ended.
 * Errors:   the first failure; -ECANCELED, -ETIMEDOUT; -EINVAL (end < begin, fn NULL, an unknown
 *           flag, timeout < 0); -ENOMEM and what starting a thread returned (-EAGAIN).
 * Pointers: arg borrowed; options borrowed, see its fields.
 * Threads:  any task, any thread; in bodies as well. */
#define knit_for_each(begin, end, fn, arg, options)                                                \
    knit_for_each_at((begin), (end), (fn), (arg), (options), KNIT_SITE(#fn))

/* The same, and fn is called for a range of indices at a time: for loops so small that the call
 * would cost more than the body, and that the compiler may vectorise. A failure is that of the whole
 * range, its index that of the range's begin.
 *
 * The rest as knit_for_each. */
#define knit_for_ranges(begin, end, fn, arg, options)                                              \
    knit_for_ranges_at((begin), (end), (fn), (arg), (options), KNIT_SITE(#fn))

/* The same over the n elements, of size bytes each, at array: fn may change its element.
 *
 * Errors:   -EINVAL also for array NULL with n > 0.
 * Pointers: array borrowed.  The rest as knit_for_each. */
#define knit_for_each_element(array, n, size, fn, arg, options)                                    \
    knit_for_each_element_at((array), (n), (size), (fn), (arg), (options), KNIT_SITE(#fn))

/* The same from one array to another: fn writes the result of element i to slot i of ret_slots.
 * Slots whose body failed or was not called keep what they held or what it wrote.
 *
 * Errors:   -EINVAL also for array or ret_slots NULL with n > 0.
 * Pointers: array, ret_slots borrowed.  The rest as knit_for_each. */
#define knit_map(array, n, size, fn, arg, ret_slots, slot_size, options)                           \
    knit_map_at((array), (n), (size), (fn), (arg), (ret_slots), (slot_size), (options),            \
                KNIT_SITE(#fn))

/* The functions behind the macros. site may be NULL. Pointers: site kept: static storage. */
KNIT_API int knit_for_each_at(size_t begin, size_t end, knit_index_fn *fn, void *arg,
                              const knit_for_each_options *options, const knit_site *site);
KNIT_API int knit_for_ranges_at(size_t begin, size_t end, knit_range_fn *fn, void *arg,
                                const knit_for_each_options *options, const knit_site *site);
KNIT_API int knit_for_each_element_at(void *array, size_t n, size_t size, knit_element_fn *fn,
                                      void *arg, const knit_for_each_options *options,
                                      const knit_site *site);
KNIT_API int knit_map_at(const void *array, size_t n, size_t size, knit_map_fn *fn, void *arg,
                         void *ret_slots, size_t slot_size, const knit_for_each_options *options,
                         const knit_site *site);

#ifdef __cplusplus
}
#endif
#endif
