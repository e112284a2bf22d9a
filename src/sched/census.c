/* The census of stacks. The essay is in census.h. */
#include "census.h"

#include "handoff.h"

#include <errno.h>
#include <knit/runtime.h>
#include <stdio.h>

enum { SITES = 256, ENTRIES = SITES + 1 }; /* entry 0: all that found no room or have no site */

_Atomic bool knit__census_on;

static struct {
    _Atomic(const knit_site *) sites[ENTRIES];
    _Atomic uint64_t deepest[ENTRIES], runs[ENTRIES];
} census;

/* The frames of those that wipe lie in what they wipe. */
enum { OWN_FRAMES = 2048, OWN_FRAME = 256 };

/* All bytes from lo to below this frame. Calls nothing. */
KNIT__UNCHECKED static KNIT__NOINLINE void wipe_words(char *lo)
{
    volatile uint64_t *word = (volatile uint64_t *)(void *)lo;
    volatile uint64_t *end =
        (volatile uint64_t *)(void *)((char *)__builtin_frame_address(0) - OWN_FRAME);

    for (; word < end; word++)
        *word = 0;
}

/* The whole pages from lo on that are surely below all frames; returns what is left. */
KNIT__UNCHECKED static KNIT__NOINLINE char *forget_pages(char *lo)
{
    uintptr_t page = knit__page_size();
    uintptr_t from = ((uintptr_t)lo + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)__builtin_frame_address(0) - OWN_FRAMES) & ~(page - 1);

    if (from >= to || !knit__vm_forget((void *)from, to - from))
        return lo;
    for (char *at = lo; at < (char *)from; at++) /* a bare stack begins within a page */
        *at = 0;
    return (char *)to;
}

/* The lowest word of t's stack that is not zero. */
KNIT__UNCHECKED static KNIT__NOINLINE const char *lowest_used(const struct knit__task *t)
{
    const volatile uint64_t *word = (const volatile uint64_t *)(const void *)t->stack.lo;

    while (*word == 0) /* this frame is not */
        word++;
    return (const char *)word;
}

static void take_down(struct knit__mark *mark, const char *lowest)
{
    if (lowest < mark->lowest)
        mark->lowest = lowest;
}

void knit__census_begin(struct knit__task *t, struct knit__mark *mark)
{
    if (t->mark)
        take_down(t->mark, lowest_used(t));
    *mark = (struct knit__mark){t->mark, (const char *)mark};
    t->mark = mark;
    wipe_words(forget_pages(t->stack.lo));
}

static void note(const knit_site *site, uint64_t depth)
{
    uint32_t i = knit__site_find(census.sites, ENTRIES, site);
    uint64_t was = atomic_load_explicit(&census.deepest[i], memory_order_relaxed);

    while (was < depth &&
           !atomic_compare_exchange_weak_explicit(&census.deepest[i], &was, depth,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    atomic_fetch_add_explicit(&census.runs[i], 1, memory_order_relaxed);
}

void knit__census_end(struct knit__task *t, const knit_site *site)
{
    struct knit__mark *mark = t->mark;

    take_down(mark, lowest_used(t));
    note(site, (uint64_t)((const char *)mark - mark->lowest));
    t->mark = mark->up;
    if (t->mark)
        take_down(t->mark, mark->lowest);
}

/* ---- looking ---- */

int knit_stack_census_start(void)
{
    atomic_store_explicit(&knit__census_on, true, memory_order_relaxed);
    return 0;
}

/* False: nobody was there. */
static bool read_entry(uint32_t i, knit_stack_use *ret)
{
    const knit_site *site = atomic_load_explicit(&census.sites[i], memory_order_relaxed);

    *ret = (knit_stack_use){
        .task = site ? site->what : "task",
        .file = site ? site->file : "",
        .line = site ? site->line : 0,
        .deepest = (size_t)atomic_load_explicit(&census.deepest[i], memory_order_relaxed),
        .runs = atomic_load_explicit(&census.runs[i], memory_order_relaxed),
    };
    return ret->runs > 0;
}

/* Into n sorted ones with room for most; what falls out is dropped. */
static void insert(knit_stack_use *uses, size_t n, size_t most, const knit_stack_use *use)
{
    size_t at = n < most ? n : most;

    while (at > 0 && uses[at - 1].deepest < use->deepest) {
        if (at < most)
            uses[at] = uses[at - 1];
        at--;
    }
    if (at < most)
        uses[at] = *use;
}

int knit_stack_census(knit_stack_use *ret_uses, size_t n)
{
    knit_stack_use use;
    size_t found = 0;

    if (!ret_uses && n > 0)
        return -EINVAL;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        if (read_entry(i, &use))
            insert(ret_uses, found++, n, &use);
    }
    return (int)found;
}

void knit__census_print(void)
{
    static knit_stack_use uses[ENTRIES];
    int n = knit_stack_census(uses, ENTRIES);

    fprintf(stderr, "knit: stack census: the deepest task of each place, of %zu bytes\n",
            knit__stack_class_size(knit__stack_usual()));
    for (int i = 0; i < n; i++)
        fprintf(stderr, "knit: %9zu bytes, %llu run(s) of %s (%s:%d)\n", uses[i].deepest,
                (unsigned long long)uses[i].runs, uses[i].task, uses[i].file, uses[i].line);
}
