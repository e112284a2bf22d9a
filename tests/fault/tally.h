/* What the scenarios share: results that failures may have, and a group whose tasks are counted. */
#ifndef TALLY_H
#define TALLY_H

#include "knittest.h"
#include "scenarios.h"

#include <stdatomic.h>

/* A result that a call may have when something failed below it. */
static inline int bear(int r)
{
    if (expect_success)
        CHECK_INT(r, 0);
    else
        CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN || r == -ECANCELED);
    return r;
}

typedef struct tally {
    knit_errgroup group;
    int submitted, accepted; /* by the one that starts tasks */
    atomic_int nested;       /* submitted by tasks */
    atomic_int nested_refused;
    atomic_int ran;
} tally;

static inline tally *tally_of(knit_errgroup *g)
{
    return (tally *)(void *)g; /* first member */
}

static inline void start(tally *t, knit_fn *fn, void *arg)
{
    int r = bear(knit_errgroup_go(&t->group, fn, arg));
    t->submitted++;
    t->accepted += r == 0;
}

/* All tasks of it return 0. */
static inline void finish(tally *t)
{
    int r = bear(knit_errgroup_wait(&t->group));
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&t->group, &counts), 0);
    int started = t->accepted + atomic_load(&t->nested) - atomic_load(&t->nested_refused);
    int lost = started - atomic_load(&t->ran);
    CHECK_INT(counts.pending, 0);
    CHECK(lost >= 0);
    CHECK((int)(counts.skipped + counts.failed + counts.echoes) >= lost);
    if (r == 0)
        CHECK_INT(atomic_load(&t->ran), t->submitted + atomic_load(&t->nested));
    if (r != 0)
        CHECK_INT(knit_errgroup_wait(&t->group), r);
    CHECK_INT(bear(knit_errgroup_close(&t->group)), r);
}

static inline int count_task(void *arg)
{
    tally *t = tally_of(arg);
    atomic_fetch_add(&t->ran, 1);
    return 0;
}

#endif
