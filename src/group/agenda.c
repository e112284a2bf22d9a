/* The heap. Invariant: plan i is not after plans 4i + 1 .. 4i + 4. */
#include "agenda.h"

#include <errno.h>
#include <stdlib.h>

enum { ARITY = 4, FIRST_CAPACITY = 8 };

static bool before(const struct knit__plan *a, const struct knit__plan *b)
{
    if (a->when != b->when)
        return a->when < b->when;
    return (int32_t)(a->index - b->index) < 0;
}

static int resize(struct knit__agenda *a, uint32_t capacity)
{
    void *plans = realloc(a->plans, capacity * sizeof *a->plans);

    if (!plans)
        return -ENOMEM;
    a->plans = plans;
    a->capacity = capacity;
    return 0;
}

int knit__agenda_reserve(struct knit__agenda *a)
{
    if (a->count < a->capacity)
        return 0;
    if (a->capacity > UINT32_MAX / 2)
        return -ENOMEM;
    return resize(a, a->capacity ? a->capacity * 2 : FIRST_CAPACITY);
}

void knit__agenda_add(struct knit__agenda *a, const struct knit__plan *plan)
{
    uint32_t i = a->count++;

    while (i > 0 && before(plan, &a->plans[(i - 1) / ARITY])) {
        a->plans[i] = a->plans[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    a->plans[i] = *plan;
}

/* Put plan, which was the last, where the first was. */
static void sift_down(struct knit__agenda *a, struct knit__plan plan)
{
    uint32_t i = 0;

    for (;;) {
        uint32_t child = i * ARITY + 1, last = child + ARITY, first = child;

        if (child >= a->count)
            break;
        if (last > a->count)
            last = a->count;
        for (uint32_t c = child + 1; c < last; c++) {
            if (before(&a->plans[c], &a->plans[first]))
                first = c;
        }
        if (!before(&a->plans[first], &plan))
            break;
        a->plans[i] = a->plans[first];
        i = first;
    }
    a->plans[i] = plan;
}

struct knit__plan knit__agenda_take(struct knit__agenda *a)
{
    struct knit__plan first = a->plans[0];

    if (--a->count > 0)
        sift_down(a, a->plans[a->count]);
    if (a->capacity > FIRST_CAPACITY && a->count < a->capacity / 4)
        (void)resize(a, a->capacity / 2); /* if not, it stays larger */
    return first;
}

void knit__agenda_fini(struct knit__agenda *a)
{
    free(a->plans);
    *a = (struct knit__agenda){0};
}
