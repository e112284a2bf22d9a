/* Compiler words, spelled once. */
#ifndef KNIT_BASE_ATTR_H
#define KNIT_BASE_ATTR_H

#define KNIT__LIKELY(x) __builtin_expect(!!(x), 1)
#define KNIT__UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Code that reads or writes memory in ways the sanitizers cannot know to be right. */
#if defined(__has_attribute)
#if __has_attribute(no_sanitize)
#define KNIT__UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))
#endif
#endif
#ifndef KNIT__UNCHECKED
#define KNIT__UNCHECKED                                                                            \
    __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif
#define KNIT__COLD __attribute__((cold, noinline))
#define KNIT__NOINLINE __attribute__((noinline))
#define KNIT__NORETURN __attribute__((noreturn))
#define KNIT__CACHE_LINE 64
#define KNIT__ALIGN_LINE _Alignas(KNIT__CACHE_LINE)

/* The object that holds `member` at address ptr. */
#define KNIT__CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Load a field by itself: not merged with its neighbours to one wide load, which could not be served
 * from their stores as long as those are on their way to the cache. */
#define KNIT__LOAD(field) (*(const volatile __typeof__(field) *)&(field))

/* The compiler may not move memory accesses across this; the processor may. */
static inline void knit__compiler_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

#endif
