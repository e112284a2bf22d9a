/* Waiting for the children of a scope. */
#ifndef KNIT_SYNC_JOIN_H
#define KNIT_SYNC_JOIN_H

#include "../sched/worker.h"

/* Whether s lies on the stack the task runs on: then this code is its owner. */
static inline bool knit__scope_is_ours(const struct knit__task *t, const struct knit__scope *s)
{
    return (uintptr_t)s - (uintptr_t)t->stack.lo < (uintptr_t)(t->stack.hi - t->stack.lo);
}

/* Whether children of s may run on top of t, as long as it is this deep: while half of its stack is
 * left, and not where they are to have larger ones. */
static inline bool knit__may_run_on_top(const struct knit__task *t, const struct knit__scope *s)
{
    uintptr_t lo = (uintptr_t)t->stack.lo, hi = (uintptr_t)t->stack.hi;

    return (uintptr_t)__builtin_frame_address(0) - lo > (hi - lo) / 2 &&
           (atomic_load_explicit(&s->flags, memory_order_relaxed) & KNIT__SCOPE_STACK) == 0;
}

/* Run the newest records of the own ring on this stack while they are children of s. Then, if s is
 * private: true when no child is left. */
bool knit__scope_help(struct knit__task *t, struct knit__scope *s);

/* Park until no child is left. cancel: NULL, or the context that ends the wait. Returns 0,
 * -ETIMEDOUT (deadline), the error of the context, -ENOMEM. */
int knit__scope_join(struct knit__task *t, struct knit__scope *s, int64_t deadline,
                     struct knit__cancel *cancel);

#endif
