/* Instructions of this processor that have no C name: the pause of a spin loop, a cheap clock. */
#ifndef KNIT_PLAT_RELAX_H
#define KNIT_PLAT_RELAX_H

#include "simulated.h"

static inline void knit__cpu_relax(void)
{
    if (KNIT__UNLIKELY(knit__simulated)) {
        knit__sim_yield(); /* what the loop waits for is done by another thread */
        return;
    }
#if defined(__x86_64__)
    __asm__ volatile("pause" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* A counter that runs at a constant rate; unit unknown (knit__ticks_per_us measures it). */
static inline uint64_t knit__ticks(void)
{
    if (KNIT__UNLIKELY(knit__simulated))
        return knit__sim_ticks();
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t v;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
    return v;
#endif
}

#endif
