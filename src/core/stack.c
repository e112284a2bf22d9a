/* Stack slabs and the depot behind the workers' caches. */
#include "stack.h"

#include "../plat/fiber.h"

#include <errno.h>
#include <stdlib.h>

enum { SLAB_SLOTS = 256, COLOURS = 16, COLOUR_STEP = 128, REFILL = 16, BARE_MARK = 64 };

_Atomic bool knit__stacks_bare;

struct slab {
    struct slab *next;
    char *base;
    size_t size;
    uint32_t carved;  /* slots handed out so far */
    uint32_t guarded; /* the first so many have a guard */
};

static struct {
    size_t slot_size, head_size, page; /* constant after start */
    void (*made)(struct knit__stack *);
    struct knit__lock lock; /* the rest */
    struct slab *slabs;     /* the first one may have slots left */
    struct slab *abandoned; /* of the parent of a fork: one carries the caller */
    struct knit__stack *free;
    uint32_t slots_per_slab;
    uint64_t guards_left;
    _Atomic uint64_t made_count, free_count;
    _Atomic uintptr_t low, high; /* every slab lies between */
} depot;

/* Counters and bounds back to nothing. */
static void forget(void)
{
    depot.slabs = NULL;
    depot.free = NULL;
    atomic_store_explicit(&depot.made_count, 0, memory_order_relaxed);
    atomic_store_explicit(&depot.free_count, 0, memory_order_relaxed);
    atomic_store_explicit(&depot.low, UINTPTR_MAX, memory_order_relaxed);
    atomic_store_explicit(&depot.high, 0, memory_order_relaxed);
}

void knit__stacks_start(size_t slot_size, size_t head_size, void (*made)(struct knit__stack *))
{
    forget();
    depot.slot_size = slot_size;
    depot.head_size = (head_size + 63) & ~(size_t)63;
    depot.made = made;
    depot.page = knit__page_size();
    depot.guards_left = UINT64_MAX;
    atomic_store_explicit(&knit__stacks_bare, false, memory_order_relaxed);
    depot.slots_per_slab = SLAB_SLOTS;
    while (depot.slots_per_slab > 1 && depot.slots_per_slab * slot_size > ((size_t)64 << 20))
        depot.slots_per_slab /= 2;
}

void knit__stacks_limit_guards(uint64_t n)
{
    depot.guards_left = n;
}

size_t knit__stacks_slot_size(void)
{
    return depot.slot_size;
}

const char *knit__stack_guard(const struct knit__stack *s)
{
    return (uintptr_t)s->lo % depot.page == 0 ? s->lo - depot.page : NULL;
}

bool knit__stack_damaged(const struct knit__stack *s)
{
    const uint64_t *end = (const void *)s->lo;
    const uint64_t *word = (const void *)(s->lo - BARE_MARK - depot.page);
    uint64_t all = 0;

    if (knit__stack_guard(s))
        return false;
    for (; word < end; word++)
        all |= *word;
    return all != 0;
}

static void slab_free(struct slab *s)
{
    knit__vm_unmap(s->base, s->size);
    free(s);
}

void knit__stacks_stop(void)
{
    while (depot.slabs) {
        struct slab *next = depot.slabs->next;

        slab_free(depot.slabs);
        depot.slabs = next;
    }
    forget();
}

void knit__stacks_abandon(void)
{
    while (depot.slabs) {
        struct slab *next = depot.slabs->next;

        depot.slabs->next = depot.abandoned;
        depot.abandoned = depot.slabs;
        depot.slabs = next;
    }
    forget();
    atomic_store_explicit(&depot.lock.word, 0, memory_order_relaxed);
}

static void free_count_add(int n)
{
    atomic_store_explicit(&depot.free_count,
                          atomic_load_explicit(&depot.free_count, memory_order_relaxed) +
                              (uint64_t)n,
                          memory_order_relaxed);
}

uint64_t knit__stacks_free(void)
{
    return atomic_load_explicit(&depot.free_count, memory_order_relaxed);
}

bool knit__stacks_cover(const void *address)
{
    uintptr_t at = (uintptr_t)address;

    return at >= atomic_load_explicit(&depot.low, memory_order_relaxed) &&
           at < atomic_load_explicit(&depot.high, memory_order_relaxed);
}

uint64_t knit__stacks_made(void)
{
    return atomic_load_explicit(&depot.made_count, memory_order_relaxed);
}

static struct slab *slab_new(void)
{
    struct slab *s = malloc(sizeof *s);

    if (!s)
        return NULL;
    s->size = depot.slot_size * depot.slots_per_slab;
    s->base = knit__vm_map(s->size);
    if (!s->base) {
        free(s);
        return NULL;
    }
    s->guarded = depot.slots_per_slab;
    if (depot.guards_left < s->guarded)
        s->guarded = (uint32_t)depot.guards_left;
    s->guarded = (uint32_t)knit__vm_guard(s->base, depot.slot_size, s->guarded);
    depot.guards_left -= s->guarded;
    if ((uintptr_t)s->base < atomic_load_explicit(&depot.low, memory_order_relaxed))
        atomic_store_explicit(&depot.low, (uintptr_t)s->base, memory_order_relaxed);
    if ((uintptr_t)s->base + s->size > atomic_load_explicit(&depot.high, memory_order_relaxed))
        atomic_store_explicit(&depot.high, (uintptr_t)s->base + s->size, memory_order_relaxed);
    s->carved = 0;
    s->next = depot.slabs;
    depot.slabs = s;
    return s;
}

static struct knit__stack *head_of(const struct slab *s, uint32_t i)
{
    size_t colour = (i % COLOURS) * COLOUR_STEP;

    return (void *)(s->base + depot.slot_size * (i + 1) - colour - depot.head_size);
}

void knit__stacks_each(void (*fn)(struct knit__stack *s, void *arg), void *arg)
{
    for (const struct slab *s = depot.slabs; s; s = s->next)
        for (uint32_t i = 0; i < s->carved; i++)
            fn(head_of(s, i), arg);
}

static struct knit__stack *slot_carve(struct slab *s)
{
    char *slot = s->base + depot.slot_size * s->carved;
    struct knit__stack *st = head_of(s, s->carved);

    st->lo = slot + depot.page;
    if (s->carved++ >= s->guarded) {
        st->lo += BARE_MARK;
        atomic_store_explicit(&knit__stacks_bare, true, memory_order_relaxed);
    }
    st->hi = (char *)st;
    atomic_fetch_add_explicit(&depot.made_count, 1, memory_order_relaxed);
    knit__fiber_register(st->lo, slot + depot.slot_size);
    depot.made(st);
    return st;
}

/* One stack under the depot's lock; NULL: no memory. */
static struct knit__stack *stack_get_locked(void)
{
    struct knit__stack *st = depot.free;

    if (st) {
        depot.free = st->next;
        free_count_add(-1);
        return st;
    }
    if ((!depot.slabs || depot.slabs->carved == depot.slots_per_slab) && !slab_new())
        return NULL;
    return slot_carve(depot.slabs);
}

int knit__stack_refill(struct knit__stack_cache *c)
{
    knit__lock(&depot.lock);
    for (int i = 0; i < REFILL; i++) {
        struct knit__stack *st = stack_get_locked();

        if (!st)
            break;
        knit__stack_put(c, st);
    }
    knit__unlock(&depot.lock);
    return knit__stack_count(c) > 0 ? 0 : -ENOMEM;
}

void knit__stack_spill(struct knit__stack_cache *c, bool flush)
{
    uint32_t keep = flush ? 0 : KNIT__STACK_CACHE_MAX / 2;
    struct knit__stack **from = &c->top;

    /* the top ones are warm, and the top one may carry the caller: the others go */
    for (uint32_t i = 0; i < keep && *from; i++)
        from = &(*from)->next;
    knit__lock(&depot.lock);
    while (*from) {
        struct knit__stack *st = *from;

        *from = st->next;
        st->next = depot.free;
        depot.free = st;
        free_count_add(1);
        knit__stack_count_add(c, -1);
    }
    knit__unlock(&depot.lock);
}
