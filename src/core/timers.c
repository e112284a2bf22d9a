/* The 4-ary timer heap. Invariant: slots[i].when <= slots[4i + 1 .. 4i + 4].when, and the node of
 * slot i has place i. */
#include "timers.h"

#include "../base/assert.h"

#include <errno.h>
#include <stdlib.h>

enum { ARITY = 4, FIRST_CAPACITY = 64, SHRINK_ABOVE = 4096 };

static void put(struct knit__timers *h, uint32_t i, struct knit__timer_slot slot)
{
    h->slots[i] = slot;
    h->nodes[slot.node].place = i;
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

/* ---- nodes ---- */

static uint32_t node_take(struct knit__timers *h)
{
    uint32_t node = h->unused;

    if (node == 0)
        return h->made++;
    h->unused = h->nodes[node - 1].place;
    return node - 1;
}

static void node_give_back(struct knit__timers *h, uint32_t node)
{
    h->nodes[node] = (struct knit__timer_node){NULL, h->unused};
    h->unused = node + 1;
}

static int grow(struct knit__timers *h)
{
    uint32_t capacity = h->capacity ? h->capacity * 2 : FIRST_CAPACITY;
    void *slots = realloc(h->slots, capacity * sizeof *h->slots), *nodes;

    if (!slots)
        return -ENOMEM;
    h->slots = slots;
    nodes = realloc(h->nodes, capacity * sizeof *h->nodes);
    if (!nodes)
        return -ENOMEM;
    h->nodes = nodes;
    h->capacity = capacity;
    return 0;
}

/* Memory follows the number of live timers down; nodes are numbered anew. */
static void maybe_shrink(struct knit__timers *h)
{
    uint32_t capacity = h->capacity / 4;
    struct knit__timer_node *nodes;
    void *slots;

    if (h->capacity <= SHRINK_ABOVE || h->count > h->capacity / 8)
        return;
    nodes = malloc(capacity * sizeof *nodes);
    if (!nodes)
        return;
    for (uint32_t i = 0; i < h->count; i++) {
        nodes[i] = (struct knit__timer_node){h->nodes[h->slots[i].node].entry, i};
        nodes[i].entry->node = i + 1;
        h->slots[i].node = i;
    }
    free(h->nodes);
    h->nodes = nodes;
    h->made = h->count;
    h->unused = 0;
    h->capacity = capacity;
    slots = realloc(h->slots, capacity * sizeof *h->slots);
    if (slots)
        h->slots = slots;
}

/* ---- the heap ---- */

int knit__timers_add(struct knit__timers *h, struct knit__timer_entry *e, int64_t when)
{
    uint32_t node;

    if (h->count == h->capacity && grow(h) < 0)
        return -ENOMEM;
    node = node_take(h);
    h->nodes[node].entry = e;
    e->node = node + 1;
    h->count++;
    sift_up(h, h->count - 1, (struct knit__timer_slot){when, node});
    return 0;
}

/* Slot i, whose entry no longer knows its node. */
static void remove_at(struct knit__timers *h, uint32_t i)
{
    struct knit__timer_slot moved;

    node_give_back(h, h->slots[i].node);
    moved = h->slots[--h->count];
    if (i != h->count) {
        if (i > 0 && moved.when < h->slots[(i - 1) / ARITY].when)
            sift_up(h, i, moved);
        else
            sift_down(h, i, moved);
    }
    maybe_shrink(h);
}

void knit__timers_remove(struct knit__timers *h, struct knit__timer_entry *e)
{
    uint32_t node = e->node - 1, i = h->nodes[node].place;

    knit__assert(e->node != 0 && i < h->count && h->slots[i].node == node);
    e->node = 0;
    remove_at(h, i);
}

struct knit__timer_entry *knit__timers_pop(struct knit__timers *h, int64_t now)
{
    struct knit__timer_entry *e;

    if (h->count == 0 || h->slots[0].when > now)
        return NULL;
    e = h->nodes[h->slots[0].node].entry;
    e->node = 0; /* written, not read: nobody waits for the miss */
    remove_at(h, 0);
    return e;
}

int64_t knit__timers_next(const struct knit__timers *h)
{
    return h->count == 0 ? INT64_MAX : h->slots[0].when;
}

bool knit__timers_crowded(const struct knit__timers *h, int64_t within)
{
    int near = 0;

    if (h->count <= ARITY)
        return false;                     /* so few are no crowd */
    for (uint32_t i = 1; i <= ARITY; i++) /* each the earliest of a quarter of the rest */
        near += h->slots[i].when - within <= h->slots[0].when;
    return near >= 2;
}

bool knit__timers_is_first(const struct knit__timers *h, const struct knit__timer_entry *e)
{
    return e->node != 0 && h->nodes[e->node - 1].place == 0;
}

void knit__timers_fini(struct knit__timers *h)
{
    free(h->slots);
    free(h->nodes);
    *h = (struct knit__timers){0};
}
