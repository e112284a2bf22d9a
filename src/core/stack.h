/* Stacks: guarded, from slabs, recycled through per-worker caches; never given back while the
 * runtime lives (touching a page again costs more than keeping it).
 *
 * Sizes are powers of two, a class each. One of them is the usual one: loops and most tasks have it,
 * and the caches hold no other. The rest is for groups that ask for it (scope.h), is taken from and
 * given to the depot one by one, and keeps its pages only while few of its class are idle: one task
 * that once went deep must not cost its megabytes for ever.
 *
 * A slab is one mapping of some slots of one class. A slot, from low to high: a guard page, the
 * stack, at its top the head (type-stable: the memory at a slot's head is a head for ever, so a
 * stale pointer to one can be read; its page is never forgotten), then 0..15 x 128 unused bytes.
 * This colouring keeps the hot lines of many stacks from falling into the same cache sets (2.3 times
 * faster switches at 64-256 live tasks).
 *
 * Guards are limited where the kernel makes each of them a mapping of its own (plat/linux/vm.c). A
 * stack without one is *bare*: the page that should have been its guard is its canary. Nobody writes
 * there, so it is zero until the stack overflows; whoever leaves a bare stack looks at all of it (a
 * frame may leave most of itself unwritten, but not a page of frames). Reading maps the kernel's one
 * page of zeros and so takes no memory; canary words would take a page for every stack. A bare stack
 * is told by its lo, which lies 64 bytes above a page's begin.
 *
 * Cache: one worker's, no lock. Depot: global, under its lock. */
#ifndef KNIT_CORE_STACK_H
#define KNIT_CORE_STACK_H

#include "lock.h"

/* Top of every slot; the upper floor puts its task structure around it (first member). */
struct knit__stack {
    /* set when the slot is made, then constant */
    char *lo; /* lowest usable byte, above the guard */
    char *hi; /* the head's own address: the stack grows down from here */
    /* whoever holds the stack */
    struct knit__stack *next; /* in a cache or the depot */
};

struct knit__stack_cache {
    struct knit__stack *top;
    _Atomic uint32_t count; /* owner writes, statistics read */
};

enum { KNIT__STACK_MIN_BITS = 14, KNIT__STACK_MAX_BITS = 28, KNIT__STACK_CLASSES = 16 };

/* The class of stacks of so many bytes with their guard, rounded up; 0: there are none so large. */
uint32_t knit__stack_class(size_t size);
/* What a program asks for, 16 KiB to 64 MiB: more where a sanitizer makes frames larger. 0: too much,
 * or nothing. */
uint32_t knit__stack_class_wanted(size_t size);
/* The class of s. */
uint32_t knit__stack_class_of(const struct knit__stack *s);
/* Bytes of a slot of that class (not 0). */
static inline size_t knit__stack_class_size(uint32_t cls)
{
    return (size_t)1 << (KNIT__STACK_MIN_BITS - 1 + cls);
}

/* Size of the usual stack with its guard, a power of two; head_size: bytes to keep at the top. Once,
 * before the first stack. */
void knit__stacks_start(size_t slot_size, size_t head_size, void (*made)(struct knit__stack *));
/* From now on no more than n guards; call it after start. For tests of what has none. */
void knit__stacks_limit_guards(uint64_t n);
/* Frees every slab: no stack may be in use. */
void knit__stacks_stop(void);
/* Child of a fork: forget every slab but leave the memory (one of them carries the caller). */
void knit__stacks_abandon(void);

/* Make sure the cache holds at least one stack: -ENOMEM when there is none to be had. */
KNIT__COLD int knit__stack_refill(struct knit__stack_cache *c);
/* Give half of a cache that has grown large to the depot; all of it when flush. */
KNIT__COLD void knit__stack_spill(struct knit__stack_cache *c, bool flush);
/* One stack of any class, not by a cache; NULL: there is none to be had. Give it back when nobody
 * runs on it any more. */
KNIT__COLD struct knit__stack *knit__stack_get(uint32_t cls);
KNIT__COLD void knit__stack_give(struct knit__stack *s);
/* The class that caches hold. */
uint32_t knit__stack_usual(void);
/* Slots made so far. */
uint64_t knit__stacks_made(void);
/* Stacks in the depot. */
uint64_t knit__stacks_free(void);
/* Every slot made so far, in use or not. The caller sees to it that nothing else runs. */
void knit__stacks_each(void (*fn)(struct knit__stack *s, void *arg), void *arg);
/* Whether an address may lie on a task's stack (false: it surely does not). */
bool knit__stacks_cover(const void *address);

/* There is a bare stack. Relaxed: who leaves one took it from the lock under which this was set. */
extern _Atomic bool knit__stacks_bare;
/* The canary of a bare stack is not zero: it overflowed. False for all others. */
KNIT__COLD bool knit__stack_damaged(const struct knit__stack *s);
/* The guard page of s; NULL: it is bare. */
const char *knit__stack_guard(const struct knit__stack *s);
#if defined(KNIT_SIM_POINTS)
enum { KNIT__STACK_CACHE_MAX = 4 };
#else
enum { KNIT__STACK_CACHE_MAX = 128 };
#endif

static inline uint32_t knit__stack_count(const struct knit__stack_cache *c)
{
    return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static inline void knit__stack_count_add(struct knit__stack_cache *c, int n)
{
    atomic_store_explicit(&c->count, knit__stack_count(c) + (uint32_t)n, memory_order_relaxed);
}

/* The cache is not empty (knit__stack_refill). */
static inline struct knit__stack *knit__stack_take(struct knit__stack_cache *c)
{
    struct knit__stack *s = c->top;

    c->top = s->next;
    knit__stack_count_add(c, -1);
    return s;
}

/* The stack may still carry the caller: it is reused only after the caller switched away. */
static inline void knit__stack_put(struct knit__stack_cache *c, struct knit__stack *s)
{
    s->next = c->top;
    c->top = s;
    knit__stack_count_add(c, 1);
}

#endif
