/* Bodies of tasks that many tests start, and the groups they start them in. */
#ifndef BODIES_H
#define BODIES_H

#include "knittest.h"

#include <stdatomic.h>

static inline int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static inline int return_copied_code(void *arg)
{
    return *(int *)arg;
}

static inline int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

static inline knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

/* A group that keeps the record of every failure. */
static inline void init_group(knit_errgroup *g, int limit, unsigned flags,
                              const knit_policy *policy)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.limit = limit,
                                                             .flags = flags,
                                                             .policy = policy,
                                                             .keep_errors = KNIT_ALL_ERRORS}),
              0);
}

#endif
