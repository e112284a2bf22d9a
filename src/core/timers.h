/* A heap of timers: knows a deadline and an entry, nothing of tasks. The caller locks.
 *
 * 4-ary (a wheel is faster to add to, but rounds; both are bound by cache misses at a million). The
 * heap holds {deadline, node} pairs side by side; a node knows its entry and its place in the heap.
 * Nodes lie in an array of their own: sorting touches that, and not the entries, which lie on the
 * stacks of sleeping tasks, a miss and a page walk each. */
#ifndef KNIT_CORE_TIMERS_H
#define KNIT_CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct knit__timer_entry {
    uint32_t node; /* index + 1; 0: in no heap */
};

struct knit__timer_slot {
    int64_t when;
    uint32_t node;
};

struct knit__timer_node {
    struct knit__timer_entry *entry;
    uint32_t place; /* index in the heap; of an unused node: the next unused one + 1 */
};

struct knit__timers {
    struct knit__timer_slot *slots;
    struct knit__timer_node *nodes;
    uint32_t count;    /* slots in use, and nodes in use */
    uint32_t capacity; /* of both arrays */
    uint32_t made;     /* nodes from here on were never used */
    uint32_t unused;   /* the first node that was, and is not any more, + 1; 0: none */
};

/* -ENOMEM; then the heap is unchanged. */
int knit__timers_add(struct knit__timers *h, struct knit__timer_entry *e, int64_t when);
void knit__timers_remove(struct knit__timers *h, struct knit__timer_entry *e);
/* Take the earliest entry that is due at `now`; NULL: none. */
struct knit__timer_entry *knit__timers_pop(struct knit__timers *h, int64_t now);
/* INT64_MAX when empty. */
int64_t knit__timers_next(const struct knit__timers *h);
/* The earliest has company: at least two more of those next to it are due within `within` of it. */
bool knit__timers_crowded(const struct knit__timers *h, int64_t within);
/* e is in the heap, and is the earliest. */
bool knit__timers_is_first(const struct knit__timers *h, const struct knit__timer_entry *e);
void knit__timers_fini(struct knit__timers *h);

#endif
