/* Stack slabs and the depot behind the workers' caches. */
#include "stack.h"

#include "../plat/fiber.h"

#include <errno.h>
#include <stdlib.h>

enum { SLAB_SLOTS = 256, COLOURS = 16, COLOUR_STEP = 128, REFILL = 16, BARE_MARK = 64 };
enum { WARM = 8 }; /* idle stacks of an unusual class that keep their pages */
#define MOST_WANTED ((size_t)64 << 20)
#define SLAB_SIZE ((size_t)64 << 20)
#define UNUSUAL_SLAB_SIZE ((size_t)16 << 20)

_Atomic bool knit__stacks_bare;

struct slab {
    struct slab *next;
    char *base;
    size_t size, slot_size;
    uint32_t carved;  /* slots handed out so far */
    uint32_t guarded; /* the first so many have a guard */
};

struct size_class {
    struct slab *slabs; /* the first one may have slots left */
    struct knit__stack *free;
    uint32_t idle; /* in free */
};

static struct {
    size_t head_size, page; /* constant after start */
    uint32_t usual;
    void (*made)(struct knit__stack *);
    struct knit__lock lock; /* the rest */
    struct size_class classes[KNIT__STACK_CLASSES];
    struct slab *abandoned; /* of the parent of a fork: one carries the caller */
    uint64_t guards_left;
    _Atomic uint64_t made_count, free_count;
    _Atomic uintptr_t low, high; /* every slab lies between */
} depot;

/* Counters and bounds back to nothing. */
static void forget(void)
{
    for (int i = 0; i < KNIT__STACK_CLASSES; i++)
        depot.classes[i] = (struct size_class){0};
    atomic_store_explicit(&depot.made_count, 0, memory_order_relaxed);
    atomic_store_explicit(&depot.free_count, 0, memory_order_relaxed);
    atomic_store_explicit(&depot.low, UINTPTR_MAX, memory_order_relaxed);
    atomic_store_explicit(&depot.high, 0, memory_order_relaxed);
}

uint32_t knit__stack_class(size_t size)
{
    uint32_t cls = 1;

    while (cls < KNIT__STACK_CLASSES && knit__stack_class_size(cls) < size)
        cls++;
    return cls < KNIT__STACK_CLASSES ? cls : 0;
}

uint32_t knit__stack_class_wanted(size_t size)
{
#if defined(KNIT__ASAN) || defined(KNIT__TSAN)
    enum { LARGER = 4 };
#else
    enum { LARGER = 1 };
#endif

    return size == 0 || size > MOST_WANTED ? 0 : knit__stack_class(LARGER * size);
}

/* More than half of a slot is usable. */
uint32_t knit__stack_class_of(const struct knit__stack *s)
{
    return knit__stack_class((size_t)(s->hi - s->lo));
}

uint32_t knit__stack_usual(void)
{
    return depot.usual;
}

void knit__stacks_start(size_t slot_size, size_t head_size, void (*made)(struct knit__stack *))
{
    forget();
    depot.usual = knit__stack_class(slot_size);
    depot.head_size = (head_size + 63) & ~(size_t)63;
    depot.made = made;
    depot.page = knit__page_size();
    depot.guards_left = UINT64_MAX;
    atomic_store_explicit(&knit__stacks_bare, false, memory_order_relaxed);
}

void knit__stacks_limit_guards(uint64_t n)
{
    depot.guards_left = n;
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

/* The next slab, out of its class; NULL: that was the last. */
static struct slab *slab_take(void)
{
    for (int i = 0; i < KNIT__STACK_CLASSES; i++) {
        struct slab *s = depot.classes[i].slabs;

        if (s) {
            depot.classes[i].slabs = s->next;
            return s;
        }
    }
    return NULL;
}

void knit__stacks_stop(void)
{
    struct slab *s;

    while ((s = slab_take()) != NULL)
        slab_free(s);
    forget();
}

void knit__stacks_abandon(void)
{
    struct slab *s;

    while ((s = slab_take()) != NULL) {
        s->next = depot.abandoned;
        depot.abandoned = s;
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

static uint32_t slots_of(const struct slab *s)
{
    return (uint32_t)(s->size / s->slot_size);
}

static size_t slab_size(uint32_t cls)
{
    size_t slot = knit__stack_class_size(cls), size = SLAB_SLOTS * slot;
    size_t most = cls == depot.usual ? SLAB_SIZE : UNUSUAL_SLAB_SIZE;

    if (size > most)
        size = most;
    return size < slot ? slot : size;
}

static struct slab *slab_new(uint32_t cls)
{
    struct slab *s = malloc(sizeof *s);

    if (!s)
        return NULL;
    s->slot_size = knit__stack_class_size(cls);
    s->size = slab_size(cls);
    s->base = knit__vm_map(s->size);
    if (!s->base) {
        free(s);
        return NULL;
    }
    s->guarded = slots_of(s);
    if (depot.guards_left < s->guarded)
        s->guarded = (uint32_t)depot.guards_left;
    s->guarded = (uint32_t)knit__vm_guard(s->base, s->slot_size, s->guarded);
    depot.guards_left -= s->guarded;
    if ((uintptr_t)s->base < atomic_load_explicit(&depot.low, memory_order_relaxed))
        atomic_store_explicit(&depot.low, (uintptr_t)s->base, memory_order_relaxed);
    if ((uintptr_t)s->base + s->size > atomic_load_explicit(&depot.high, memory_order_relaxed))
        atomic_store_explicit(&depot.high, (uintptr_t)s->base + s->size, memory_order_relaxed);
    s->carved = 0;
    s->next = depot.classes[cls].slabs;
    depot.classes[cls].slabs = s;
    return s;
}

static struct knit__stack *head_of(const struct slab *s, uint32_t i)
{
    size_t colour = (i % COLOURS) * COLOUR_STEP;

    return (void *)(s->base + s->slot_size * (i + 1) - colour - depot.head_size);
}

void knit__stacks_each(void (*fn)(struct knit__stack *s, void *arg), void *arg)
{
    for (int cls = 0; cls < KNIT__STACK_CLASSES; cls++)
        for (const struct slab *s = depot.classes[cls].slabs; s; s = s->next)
            for (uint32_t i = 0; i < s->carved; i++)
                fn(head_of(s, i), arg);
}

static struct knit__stack *slot_carve(struct slab *s)
{
    char *slot = s->base + s->slot_size * s->carved;
    struct knit__stack *st = head_of(s, s->carved);

    st->lo = slot + depot.page;
    if (s->carved++ >= s->guarded) {
        st->lo += BARE_MARK;
        atomic_store_explicit(&knit__stacks_bare, true, memory_order_relaxed);
    }
    st->hi = (char *)st;
    atomic_fetch_add_explicit(&depot.made_count, 1, memory_order_relaxed);
    knit__fiber_register(st->lo, slot + s->slot_size);
    depot.made(st);
    return st;
}

/* One stack under the depot's lock; NULL: no memory. */
static struct knit__stack *stack_get_locked(uint32_t cls)
{
    struct size_class *c = &depot.classes[cls];
    struct knit__stack *st = c->free;

    if (st) {
        c->free = st->next;
        c->idle--;
        free_count_add(-1);
        return st;
    }
    if ((!c->slabs || c->slabs->carved == slots_of(c->slabs)) && !slab_new(cls))
        return NULL;
    return slot_carve(c->slabs);
}

static void stack_give_locked(uint32_t cls, struct knit__stack *st)
{
    struct size_class *c = &depot.classes[cls];

    st->next = c->free;
    c->free = st;
    c->idle++;
    free_count_add(1);
}

int knit__stack_refill(struct knit__stack_cache *c)
{
    knit__lock(&depot.lock);
    for (int i = 0; i < REFILL; i++) {
        struct knit__stack *st = stack_get_locked(depot.usual);

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
        stack_give_locked(depot.usual, st);
        knit__stack_count_add(c, -1);
    }
    knit__unlock(&depot.lock);
}

struct knit__stack *knit__stack_get(uint32_t cls)
{
    struct knit__stack *st;

    knit__lock(&depot.lock);
    st = stack_get_locked(cls);
    knit__unlock(&depot.lock);
    return st;
}

/* What it holds, but for the page of its head. */
static void forget_pages(const struct knit__stack *s)
{
    uintptr_t lo = ((uintptr_t)s->lo + depot.page - 1) & ~(uintptr_t)(depot.page - 1);
    uintptr_t hi = (uintptr_t)s->hi & ~(uintptr_t)(depot.page - 1);

    (void)knit__vm_forget((void *)lo, hi - lo);
}

void knit__stack_give(struct knit__stack *s)
{
    uint32_t cls = knit__stack_class_of(s);
    bool warm;

    knit__lock(&depot.lock);
    warm = depot.classes[cls].idle < WARM;
    if (warm)
        stack_give_locked(cls, s);
    knit__unlock(&depot.lock);
    if (warm)
        return;
    forget_pages(s);
    knit__lock(&depot.lock);
    stack_give_locked(cls, s);
    knit__unlock(&depot.lock);
}
