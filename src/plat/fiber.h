/* A fiber: a stopped stack, and what the sanitizers must be told when stacks change.
 *
 * knit__fiber_switch is a macro so that the switch itself stays inline in the one function that
 * parks (sched/park.c) and the one that leaves a loop for good (sched/worker.c). `dies` says that
 * `from` will never be resumed. In normal builds the hooks vanish. */
#ifndef KNIT_PLAT_FIBER_H
#define KNIT_PLAT_FIBER_H

#include "switch.h"

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define KNIT__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KNIT__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define KNIT__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KNIT__TSAN 1
#endif
#endif
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define KNIT__MSAN 1
#endif
#endif

struct knit__fiber {
    struct knit__context context;
    char *lo; /* lowest usable byte; NULL for a thread's own stack */
    char *hi; /* first byte above the usable part */
#if defined(KNIT__ASAN) || defined(KNIT__TSAN)
    void *tool;            /* ASan: fake stack; TSan: fiber */
    void *reap;            /* TSan: fiber that died switching to us */
    const void *native_lo; /* ASan: bounds of a thread's own stack */
    size_t native_size;
#endif
};

/* First entry: entry.S, which calls knit__stack_main. */
void knit__context_entry(void);

/* Make f start at the top of its stack. Forgets whatever ran there. */
void knit__fiber_prepare(struct knit__fiber *f);
/* Once per stack slot, when it is made (Valgrind). */
void knit__fiber_register(char *lo, char *hi);

#if defined(KNIT__ASAN) || defined(KNIT__TSAN)
void knit__fiber_adopt(struct knit__fiber *f); /* f is the calling thread's own stack */
void knit__fiber_after(struct knit__fiber *self);
/* On a fresh stack; native: the thread's own stack that led here for the first time, or NULL. */
void knit__fiber_entered(struct knit__fiber *self, struct knit__fiber *native);
#else
#define knit__fiber_adopt(f) ((void)(f))
#define knit__fiber_before(from, to, dies) ((void)0)
#define knit__fiber_after(self) ((void)0)
#define knit__fiber_entered(self, native) ((void)0)
#endif

#if defined(KNIT__ASAN)
void knit__fiber_before(struct knit__fiber *from, struct knit__fiber *to, bool dies);
#elif defined(KNIT__TSAN)
/* Not a function: TSan counts entries and exits of functions by fiber. */
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#define knit__fiber_before(from, to, dies)                                                         \
    do {                                                                                           \
        (to)->reap = (dies) ? (from)->tool : NULL;                                                 \
        __tsan_switch_to_fiber((to)->tool, 0);                                                     \
    } while (0)
#endif

#define knit__fiber_switch(from_fiber, to_fiber, dies)                                             \
    do {                                                                                           \
        struct knit__fiber *knit__f = (from_fiber), *knit__t = (to_fiber);                         \
        knit__fiber_before(knit__f, knit__t, dies);                                                \
        knit__switch(&knit__f->context, &knit__t->context);                                        \
    } while (0)

#endif
