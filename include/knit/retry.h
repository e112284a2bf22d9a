/* Trying again: call a function until it succeeds, with a pause after each failure that grows and is
 * drawn at random.
 *
 *     int r = knit_retry(fetch, url, &(knit_retry_policy){.attempts = 5});
 *
 * The pause is "full jitter": after the n-th failure any time from 0 to base * multiplier^(n-1), but
 * no more than max. Callers that failed together so come back apart (Marc Brooker, "Exponential
 * Backoff and Jitter", AWS Architecture Blog, 2015). */
#ifndef KNIT_RETRY_H
#define KNIT_RETRY_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KNIT_RETRY_NO_JITTER = 1, /* each pause as long as it may be: for a single caller, and tests */
};

/* When to try again, and how long to wait before. All zero: with growing pauses until it succeeds or
 * the context ends. */
typedef struct knit_retry_policy {
    int attempts;       /* calls at most, the first included; 0: any number */
    unsigned flags;     /* KNIT_RETRY_... */
    knit_duration base; /* bound of the first pause; 0: 100 ms; < 0: no pauses at all */
    knit_duration max;  /* bound of every pause; 0: 30 s */
    double multiplier;  /* how the bound grows; 0: 2; 1: not at all */
    /* Whether to try again after a failure with this code; NULL: after every one. Called where the
     * function was; must not park. */
    int (*retry_if)(int code, void *arg);
    void *arg; /* of retry_if; kept while the policy is used */
} knit_retry_policy;

/* Call fn(arg) until it returns 0, policy->attempts calls have been made, policy->retry_if refuses,
 * or the ambient context ends. Returns what the last call returned; its text (knit_error) is then the
 * task's, texts of former calls are forgotten. policy NULL: all zero.
 *
 * The function runs in the caller. A context that has ended is noticed before each call (so that
 * there may be none) and during each pause; that something was tried before is then said in the text
 * of the failure.
 *
 * Parks:    during the pauses, and as fn does. Without pauses it yields between two calls.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends between two calls or in a pause;
 *           fn is not called again.
 * Errors:   what fn returned (anything but 0 is a failure); -EINVAL (fn NULL; attempts < 0, max < 0,
 *           multiplier neither 0 nor a number >= 1, an unknown flag); -ECANCELED, -ETIMEDOUT; -ENOMEM.
 * Pointers: all borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_retry(knit_fn *fn, void *arg, const knit_retry_policy *policy);

#ifdef __cplusplus
}
#endif
#endif
