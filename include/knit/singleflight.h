/* Singleflight: of many that want the same thing at the same time one fetches it, and all get it.
 * Nothing is kept after that: it is no cache. */
#ifndef KNIT_SINGLEFLIGHT_H
#define KNIT_SINGLEFLIGHT_H

#include "base.h"
#include "chan.h"
#include "errgroup.h"
#include "sync.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; {0} is ready for use, nothing needs to be undone. Not to be moved or copied once
 * used, nor to go away while a call is in it: while do has not returned, as long as a group may run
 * a task for do_chan, and before the result of each do_chan has arrived in its channel. */
typedef struct knit_singleflight {
    uint64_t knit__opaque[44];
} knit_singleflight;

typedef struct knit_singleflight_result {
    void *value; /* what fn made; the same pointer for all */
    int error;   /* what fn returned */
    int shared;  /* 1: more than one caller got it */
} knit_singleflight_result;

/* The value for key: calls fn(arg, &value) unless a call for the same key is on its way; then waits
 * for that one and gives what it gave.
 *
 * fn of the first caller (the leader) runs in that caller, under its context, as in x/sync: no task
 * is needed for it, and its priority, names and limits are the caller's. What differs is
 * cancellation, which is each caller's own:
 *   - a follower whose context ends leaves; the leader goes on;
 *   - a leader that fails with -ECANCELED or -ETIMEDOUT because its own context has ended is no
 *     answer for those whose contexts live: one of them leads next, with its own fn.
 * Any other failure is everybody's result. If fn ends its task instead of returning, that is one, too:
 * the followers get the error -EOWNERDEAD after a knit_task_exit, KNIT_PANICKED after a knit_panic
 * that the leader's group contains.
 *
 * Parks:    while another call for the key is on its way.
 * Cancel:   a follower: -ECANCELED (-ETIMEDOUT for a deadline) when its ambient context ends first,
 *           and at once when it has ended already. The leader: only fn decides.
 * Errors:   what fn returned; -EDEADLK called for a key by the fn of that key; -EOWNERDEAD and
 *           KNIT_PANICKED, see above; -EINVAL (sf, key or fn NULL); -ECANCELED; -ETIMEDOUT; -ENOMEM.
 *           *ret_result (may be NULL) is written when there
 *           was a result, also a failed one: not when the wait failed.
 * Pointers: key borrowed (copied); fn, arg borrowed; the value belongs to all callers together: hand
 *           out something counted, or something that stays.
 * Threads:  any task, any thread. */
KNIT_API int knit_singleflight_do(knit_singleflight *sf, const char *key, knit_value_fn *fn,
                                  void *arg, knit_singleflight_result *ret_result);

/* The same without waiting for it: the result comes over a channel of capacity 1, one
 * knit_singleflight_result each, which may be left unread; the channel is not closed.
 *
 * Where no call is on its way, fn runs as a task of the group g, and callers of do may follow it. A
 * failure of fn is a result, not a failure of g; a panic or an exit of fn is both.
 * When g is cancelled before the task has begun, or fn fails because of that cancel, do followers
 * choose a new leader as above, and the channels get the error.
 *
 * Parks:    as knit_errgroup_go: at the limit of g.
 * Cancel:   as knit_errgroup_go.
 * Errors:   those of knit_errgroup_go; -EINVAL (a NULL); -ENOMEM. Then there is no channel, and those
 *           who followed meanwhile get the error too.
 * Pointers: sf kept while g runs the task; g as in knit_errgroup_go; key borrowed (copied); fn and
 *           arg kept until fn returned; *ret_chan returned: knit_chan_unref.
 * Threads:  any task, any thread. */
KNIT_API int knit_singleflight_do_chan(knit_singleflight *sf, knit_errgroup *g, const char *key,
                                       knit_value_fn *fn, void *arg, knit_chan **ret_chan);

/* Let later callers for key start anew, instead of following the call on its way. Those who follow
 * it already get its result.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL (NULL); no such call: 0.
 * Pointers: borrowed.  Threads: any task, any thread. */
KNIT_API int knit_singleflight_forget(knit_singleflight *sf, const char *key);

#ifdef __cplusplus
}
#endif
#endif
