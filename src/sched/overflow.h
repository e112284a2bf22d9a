/* Stack overflow: noticed at the guard page or at the canary, reported, fatal. */
#ifndef KNIT_SCHED_OVERFLOW_H
#define KNIT_SCHED_OVERFLOW_H

#include "task.h"

/* At a fault: if the address is in the guard page of the running task's stack, report; true. */
bool knit__overflow_report(const void *address);
/* The stack of t is bare and overflowed: report and abort. */
KNIT__COLD void knit__overflow_check_slow(struct knit__task *t);

/* Whoever leaves a stack. */
static inline void knit__overflow_check(struct knit__task *t)
{
    if (KNIT__UNLIKELY(atomic_load_explicit(&knit__stacks_bare, memory_order_relaxed)))
        knit__overflow_check_slow(t);
}

#endif
