/* What is to begin later, in order: a heap of plans, the earliest first, those of one time in the
 * order of their submission. Knows nothing of clocks, timers and tasks; its owner locks.
 *
 * 4-ary, the plans (40 bytes) in the array itself: a plan costs no allocation of its own. The array
 * doubles and halves with their number. */
#ifndef KNIT_GROUP_AGENDA_H
#define KNIT_GROUP_AGENDA_H

#include <knit/base.h>

#include <stdbool.h>

struct knit__plan {
    int64_t when;
    knit_fn *fn;
    void *arg;
    const knit_site *site;
    uint32_t index; /* number of its submission, which may wrap */
    uint32_t flags; /* KNIT__REC_... */
};

struct knit__agenda {
    struct knit__plan *plans;
    uint32_t count, capacity;
};

/* Room for one more: 0, -ENOMEM. After it one add cannot fail. */
int knit__agenda_reserve(struct knit__agenda *a);
void knit__agenda_add(struct knit__agenda *a, const struct knit__plan *plan);
/* Take the first plan; there is one. */
struct knit__plan knit__agenda_take(struct knit__agenda *a);
void knit__agenda_fini(struct knit__agenda *a);

/* When the first one begins; INT64_MAX: there is none. */
static inline int64_t knit__agenda_next(const struct knit__agenda *a)
{
    return a->count == 0 ? INT64_MAX : a->plans[0].when;
}

#endif
