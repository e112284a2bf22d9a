/* Short forms for the commonest groups: run these calls at the same time and give me all, the first,
 * the first few, the last few.
 *
 *     const knit_call mirrors[] = {{fetch, &a}, {fetch, &b}, {fetch, &c}};
 *     size_t winner;
 *     int r = knit_race(mirrors, 3, NULL, &winner);
 *
 * A call's result is its int; what else it makes lies where its arg points to. Calls are told by
 * their index. Nothing outlives the short form: calls that lose are cancelled, and waited for (in Go,
 * most relatives of these return at once and leave them running).
 *
 * Each makes a group with these options (NULL: all zero). Their policy must have no join, and no
 * overflow that refuses tasks (KNIT_OVERFLOW_REJECT, _DROP): that is -EINVAL. The group's parent is
 * options->ctx, or the ambient context of the caller. */
#ifndef KNIT_FAMILY_H
#define KNIT_FAMILY_H

#include "policy.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct knit_call {
    knit_fn *fn;
    void *arg;
} knit_call;

/* Run all calls to their end. Returns how many did not succeed: 0 is success of all.
 *
 * ret_results[i] is what call i returned; -ECANCELED or -ETIMEDOUT for one that was skipped because
 * the context ended. If one cannot be started (-ENOMEM), that is its result and that of all behind
 * it. No calls: 0.
 *
 * Parks:    yes, until all calls have ended.
 * Cancel:   the calls are told; the rest is skipped; it waits for what runs.
 * Errors:   -EINVAL (calls NULL, a function NULL, options that make no sense); *ret_results is then
 *           untouched.
 * Pointers: calls, options borrowed; ret_results: n results, or NULL.
 * Threads:  any task, any thread. */
KNIT_API int knit_gather(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                         int *ret_results);

/* Run all calls; the first failure cancels the rest and is returned. All succeed: 0; so do no calls.
 *
 * Errors:   the first failure (-ECHILD for a positive result); -EINVAL, -ENOMEM; -ECANCELED,
 *           -ETIMEDOUT when the context ended first.  The rest as knit_gather. */
KNIT_API int knit_all(const knit_call *calls, size_t n, const knit_errgroup_options *options);

/* Run all calls until one succeeds; the others are cancelled. 0: *ret_winner is its index. All
 * failed: the failure that came last is returned.
 *
 * Errors:   the last failure (-ECHILD for a positive result); -ENODATA (no calls); -EINVAL,
 *           -ENOMEM; -ECANCELED, -ETIMEDOUT when the context ended first. *ret_winner is then
 *           untouched.
 * Pointers: ret_winner may be NULL.  The rest as knit_gather. */
KNIT_API int knit_race(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                       size_t *ret_winner);

/* Run all calls until k have succeeded; the others are cancelled. Returns k; ret_indexes[0..k-1] are
 * the calls that did, in the order they ended. As soon as k cannot be reached any more, the rest is
 * cancelled and the failure that came last is returned. k above n stands for n; k = 0 starts nothing
 * and returns 0.
 *
 * Errors:   the last failure (-ECHILD for a positive result); -EINVAL, -ENOMEM; -ECANCELED,
 *           -ETIMEDOUT when the context ended first. What ret_indexes points to is then unspecified.
 * Pointers: ret_indexes: k indexes, or NULL.  The rest as knit_gather. */
KNIT_API int knit_take(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                       size_t k, size_t *ret_indexes);

/* Run all calls to their end; the first failure cancels the rest and is returned. Returns k;
 * ret_indexes[0..k-1] are the calls that ended last, in the order they ended. k above n stands for n.
 *
 * Errors:   as knit_take, but the first failure.  The rest as knit_take. */
KNIT_API int knit_last(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                       size_t k, size_t *ret_indexes);

#ifdef __cplusplus
}
#endif
#endif
