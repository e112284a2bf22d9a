/* A heap of timers: knows a deadline and an entry, nothing of tasks. The caller locks.
 *
 * 4-ary, {when, entry} pairs side by side in one array (a wheel is faster to add to, but rounds;
 * both are bound by cache misses at a million). An entry knows its place, so it can be removed. */
#ifndef KNIT_CORE_TIMERS_H
#define KNIT_CORE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct knit__timer_entry {
    uint32_t place; /* index + 1 in the heap; 0: in none */
};

struct knit__timer_slot {
    int64_t when;
    struct knit__timer_entry *entry;
};

struct knit__timers {
    struct knit__timer_slot *slots;
    uint32_t count;
    uint32_t capacity;
};

/* -ENOMEM; then the heap is unchanged. */
int knit__timers_add(struct knit__timers *h, struct knit__timer_entry *e, int64_t when);
void knit__timers_remove(struct knit__timers *h, struct knit__timer_entry *e);
/* Take the earliest entry that is due at `now`; NULL: none. */
struct knit__timer_entry *knit__timers_pop(struct knit__timers *h, int64_t now);
/* INT64_MAX when empty. */
int64_t knit__timers_next(const struct knit__timers *h);
void knit__timers_fini(struct knit__timers *h);

#endif
