/* The census of stacks: how deep the tasks of each spawn site went. Off, it costs a look at a flag
 * for every few records; the rest is on paths that are slow anyway.
 *
 * ESSAY: how deep a run went
 *
 * Before a run begins, all of the stack below it is made zero: whole pages are forgotten, which
 * costs no memory for parked tasks (paint would take all pages of every stack), the rest is written.
 * Until the run ends the stack is its own. Then the lowest word that is not zero is what it reached;
 * reading a page that nobody touched maps the kernel's one page of zeros. What was touched but only
 * with zeros, at the very bottom, is missed.
 *
 * A run on top of another one would wipe what tells how deep that one went: so what is known of the
 * outer run is taken down before, in its mark. Marks lie in the frames of those who call the runs. */
#ifndef KNIT_SCHED_CENSUS_H
#define KNIT_SCHED_CENSUS_H

#include "task.h"

struct knit__mark {
    struct knit__mark *up; /* of the measured run below on this stack */
    const char *lowest;    /* that the run is known to have touched */
};

extern _Atomic bool knit__census_on;

static inline bool knit__census(void)
{
    return KNIT__UNLIKELY(atomic_load_explicit(&knit__census_on, memory_order_relaxed));
}

/* On stderr, what there is. */
void knit__census_print(void);
/* Around a run on t's stack; mark lies in the caller's frame. */
KNIT__COLD void knit__census_begin(struct knit__task *t, struct knit__mark *mark);
KNIT__COLD void knit__census_end(struct knit__task *t, const knit_site *site);

#endif
