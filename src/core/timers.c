/* The 4-ary timer heap. Invariant: slots[i].when <= slots[4i + 1 .. 4i + 4].when, and the entry of
 * slot i has place i + 1. */
#include "timers.h"

#include "../base/assert.h"

#include <errno.h>
#include <stdlib.h>

enum { ARITY = 4, FIRST_CAPACITY = 64, SHRINK_ABOVE = 4096 };

static void put(struct knit__timers *h, uint32_t i, struct knit__timer_slot slot)
{
    h->slots[i] = slot;
    slot.entry->place = i + 1;
}

static void sift_up(struct knit__timers *h, uint32_t i, struct knit__timer_slot slot)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / ARITY;

        if (h->slots[parent].when <= slot.when)
            break;
        put(h, i, h->slots[parent]);
        i = parent;
    }
    put(h, i, slot);
}

static void sift_down(struct knit__timers *h, uint32_t i, struct knit__timer_slot slot)
{
    for (;;) {
        uint32_t child = i * ARITY + 1, last = child + ARITY, least;

        if (child >= h->count)
            break;
        if (last > h->count)
            last = h->count;
        least = child;
        for (uint32_t c = child + 1; c < last; c++) {
            if (h->slots[c].when < h->slots[least].when)
                least = c;
        }
        if (slot.when <= h->slots[least].when)
            break;
        put(h, i, h->slots[least]);
        i = least;
    }
    put(h, i, slot);
}

int knit__timers_add(struct knit__timers *h, struct knit__timer_entry *e, int64_t when)
{
    if (h->count == h->capacity) {
        uint32_t capacity = h->capacity ? h->capacity * 2 : FIRST_CAPACITY;
        void *slots = realloc(h->slots, capacity * sizeof *h->slots);

        if (!slots)
            return -ENOMEM;
        h->slots = slots;
        h->capacity = capacity;
    }
    h->count++;
    sift_up(h, h->count - 1, (struct knit__timer_slot){when, e});
    return 0;
}

/* Memory follows the number of live timers down. */
static void maybe_shrink(struct knit__timers *h)
{
    void *slots;

    if (h->capacity <= SHRINK_ABOVE || h->count > h->capacity / 8)
        return;
    slots = realloc(h->slots, h->capacity / 4 * sizeof *h->slots);
    if (!slots)
        return;
    h->slots = slots;
    h->capacity /= 4;
}

void knit__timers_remove(struct knit__timers *h, struct knit__timer_entry *e)
{
    uint32_t i = e->place - 1;
    struct knit__timer_slot moved;

    knit__assert(e->place != 0 && i < h->count && h->slots[i].entry == e);
    e->place = 0;
    moved = h->slots[--h->count];
    if (i != h->count) {
        if (i > 0 && moved.when < h->slots[(i - 1) / ARITY].when)
            sift_up(h, i, moved);
        else
            sift_down(h, i, moved);
    }
    maybe_shrink(h);
}

struct knit__timer_entry *knit__timers_pop(struct knit__timers *h, int64_t now)
{
    struct knit__timer_entry *e;

    if (h->count == 0 || h->slots[0].when > now)
        return NULL;
    e = h->slots[0].entry;
    knit__timers_remove(h, e);
    return e;
}

int64_t knit__timers_next(const struct knit__timers *h)
{
    return h->count == 0 ? INT64_MAX : h->slots[0].when;
}

void knit__timers_fini(struct knit__timers *h)
{
    free(h->slots);
    *h = (struct knit__timers){0};
}
