/* Results of a group's tasks: where they were submitted, and one by one as the tasks end.
 *
 *     knit_result slots[N];
 *     knit_results rs;
 *     knit_results_init(&rs, &g);
 *     for (int i = 0; i < N; i++)
 *         knit_results_go(&rs, &slots[i], fetch, &pages[i]);
 *     while (knit_results_next(&rs, &slot) == 0)
 *         printf("%zu: %s\n", slot->index, knit_strerror(slot->code));
 *     knit_errgroup_wait(&g);
 *
 * The slots are the caller's: an array of them has the results in the order of submission, and
 * nothing is kept anywhere else, however many tasks end before somebody looks. A task that is
 * submitted without a slot leaves nothing behind. What a task produces beside its code it writes to
 * what its argument points to. */
#ifndef KNIT_RESULTS_H
#define KNIT_RESULTS_H

#include "base.h"
#include "errgroup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; its content is private. */
typedef struct knit_results {
    uint64_t knit__opaque[8];
} knit_results;

typedef enum knit_result_state {
    KNIT_RESULT_NONE,    /* {0}: no task yet */
    KNIT_RESULT_PENDING, /* the task has not ended */
    KNIT_RESULT_ENDED,   /* it has, with `code` */
    KNIT_RESULT_SKIPPED, /* it never began, for the reason `code`: cancelled, or could not start */
} knit_result_state;

/* The slot of a task. Read it when knit_results_next gave it out, or when the group was waited for;
 * once it was given out it may be used for another task. It must not go away before. */
typedef struct knit_result {
    int code;     /* what the task returned */
    int state;    /* knit_result_state */
    size_t index; /* number of its submission to these results, from 0 */
    void *arg;    /* what the task was given */
    knit_fn *knit__fn;
    struct knit_results *knit__owner;
    struct knit_result *knit__next;
} knit_result;

/* Prepare results for tasks of g. Several may have the same group.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL).
 * Pointers: rs and g kept until no task that was submitted here is left.
 * Threads:  any task, any thread. */
KNIT_API int knit_results_init(knit_results *rs, knit_errgroup *g);

/* Start fn(arg) as a task of the group, as knit_errgroup_go does, whose result goes to the slot.
 * slot NULL: it goes nowhere, and next does not tell of this task. A task that cannot be started
 * (any error but -EINVAL) leaves its slot skipped, with that error, and next tells of it.
 *
 * Parks:    as knit_errgroup_go.
 * Cancel:   as knit_errgroup_go.
 * Errors:   those of knit_errgroup_go; -EINVAL also for rs NULL: then the slot is untouched.
 * Pointers: rs, arg kept by the task; slot kept until next gave it out or the group was waited for.
 * Threads:  any task, any thread. */
#define knit_results_go(rs, slot, fn, arg)                                                         \
    knit_results_go_at((rs), (slot), (fn), (arg), KNIT_SITE(#fn))
KNIT_API int knit_results_go_at(knit_results *rs, knit_result *slot, knit_fn *fn, void *arg,
                                const knit_site *site);

/* The next task that has ended, first ended first, each once; waits until there is one. Skipped ones
 * are among them. -ENOENT: all have been given out, and no task with a slot is left; more may be
 * submitted then. With _until: not after the deadline. try: does not wait.
 *
 * Several callers may share the results: each gets others.
 *
 * Parks:    yes, while none has ended; try: no.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the caller's ambient context ends first; nothing is lost.
 * Errors:   -ENOENT, -EINVAL, -ECANCELED, -ETIMEDOUT, -ENOMEM; try: -ENOENT, -EAGAIN (none yet).
 *           *ret_slot is then untouched.
 * Pointers: borrowed; *ret_slot is the caller's slot.
 * Threads:  any task, any thread; a task with a slot here that waits for itself waits for ever. */
KNIT_API int knit_results_next(knit_results *rs, knit_result **ret_slot);
KNIT_API int knit_results_next_until(knit_results *rs, knit_result **ret_slot, knit_time deadline);
KNIT_API int knit_results_try_next(knit_results *rs, knit_result **ret_slot);

#ifdef __cplusplus
}
#endif
#endif
