/* Where the program blocks: a bounded table, by place.
 *
 * An entry is taken by a CAS of its site from NULL, and kept; the table is never shrunk, so readers
 * and writers need no lock. Entry 0 has no site: it counts what found no room, and tasks without
 * one. A plain hash of the address, then the next entries. */
#include "handoff.h"

enum { ENTRIES = 128 };

static struct {
    _Atomic(const knit_site *) sites[ENTRIES];
    _Atomic uint64_t counts[ENTRIES][KNIT__SITE_EVENTS];
} table;

uint32_t knit__site_find(_Atomic(const knit_site *) *sites, uint32_t n, const knit_site *site)
{
    uint32_t first = (uint32_t)((uintptr_t)site / sizeof(knit_site));

    for (uint32_t i = 0; site && i < n - 1; i++) {
        uint32_t at = 1 + (first + i) % (n - 1);
        const knit_site *was = NULL;

        if (atomic_load_explicit(&sites[at], memory_order_relaxed) == site ||
            atomic_compare_exchange_strong_explicit(&sites[at], &was, site, memory_order_relaxed,
                                                    memory_order_relaxed) ||
            was == site)
            return at;
    }
    return 0;
}

void knit__site_count(const knit_site *site, enum knit__site_event event)
{
    uint32_t i = knit__site_find(table.sites, ENTRIES, site);

    atomic_fetch_add_explicit(&table.counts[i][event], 1, memory_order_relaxed);
}

uint32_t knit__site_entries(void)
{
    return ENTRIES;
}

const knit_site *knit__site_get(uint32_t i, uint64_t counts[KNIT__SITE_EVENTS])
{
    for (int event = 0; event < KNIT__SITE_EVENTS; event++)
        counts[event] = atomic_load_explicit(&table.counts[i][event], memory_order_relaxed);
    return atomic_load_explicit(&table.sites[i], memory_order_relaxed);
}

/* What a worker that does not get on is running. Its fields are plain ones, and it may get on at
 * any moment, so this reads like a seqlock: task, run, site; a barrier on every thread; again. The
 * run lives while task->run points to it; it is left by storing another pointer there, before
 * anything else can use its memory (which stays mapped: a stack is never given back). If the site
 * that was read came from a store after that, the barrier makes the earlier store visible too, and
 * the second look differs. Where there is no such barrier nothing is read. */
KNIT__UNCHECKED KNIT__NOINLINE const knit_site *knit__site_of_stuck(const struct knit__worker *w)
{
    struct knit__task *const volatile *task_at = (struct knit__task *const volatile *)&w->task;
    uint32_t tick = atomic_load_explicit(&w->tick_seen, memory_order_acquire);
    struct knit__task *t = *task_at;
    struct knit__run *const volatile *run_at;
    const knit_site *const volatile *site_at;
    struct knit__run *run;
    const knit_site *site;

    if (!knit__asymmetric || !t)
        return NULL;
    run_at = (struct knit__run *const volatile *)&t->run;
    run = *run_at;
    if (!run)
        return NULL;
    site_at = (const knit_site *const volatile *)&run->rec.site;
    site = *site_at;
    knit__heavy_barrier();
    if (*task_at != t || *run_at != run ||
        atomic_load_explicit(&w->tick_seen, memory_order_relaxed) != tick)
        return NULL;
    return site;
}
