/* Whether this process is simulated (KNIT_SIM), and the doors to plat/sim. The essay is in
 * sim/sim.h. knit__simulated is constant from the time the library is loaded: a predictable branch
 * in paths that are slow anyway. */
#ifndef KNIT_PLAT_SIMULATED_H
#define KNIT_PLAT_SIMULATED_H

#include "../base/attr.h"
#include "plat.h"

enum { KNIT__SIM_CPUS = 3 };

extern bool knit__simulated;

/* Each of them is a point: another thread may run before it returns. */
int64_t knit__sim_clock(void);
uint64_t knit__sim_ticks(void); /* a thousand a microsecond; no point */
void knit__sim_futex_wait(const _Atomic uint32_t *word, uint32_t value, int64_t deadline);
void knit__sim_futex_wake(const _Atomic uint32_t *word, int n);
void knit__sim_yield(void);
void knit__sim_point(void);
int knit__sim_thread_start(struct knit__os_thread *thread, void *(*fn)(void *), void *arg);
void knit__sim_thread_join(struct knit__os_thread *thread);

/* The calling thread got on, so who yields does not yet wait for time to pass. No point. */
void knit__sim_progress(void);
/* The caller looks after something that is due then, and may spin until it is. No point. */
void knit__sim_hint(int64_t deadline);
/* The calling thread only watches others: nobody waits for its deadlines. It hints, before each
 * sleep, at what it looks after. */
void knit__sim_background(void);
/* That thread of the system is asleep in a call that is not simulated. No point. */
bool knit__sim_asleep(int tid);
/* Who is not uses all the time there is, ns. No point. */
int64_t knit__sim_cpu(int tid);

/* Who waits on the word waits for this epoll set too (-1: for none). What becomes ready there is
 * noticed now and then, and when nobody can run; the clock does not wait for it. */
void knit__sim_poll_begin(int set, const _Atomic uint32_t *word);

uint64_t knit__sim_seed(void);
/* Called once when nobody can run any more: says on stderr what the tasks are. Set by the roof. */
extern void (*knit__sim_report)(void);

/* A spot in lock-free code where another thread might step in between. Nothing at all unless the
 * library is built for it (preset sim). */
#if defined(KNIT_SIM_POINTS)
#define KNIT__POINT()                                                                              \
    do {                                                                                           \
        if (knit__simulated)                                                                       \
            knit__sim_point();                                                                     \
    } while (0)
#else
#define KNIT__POINT() ((void)0)
#endif

/* For loops that might otherwise go on for ever without a point: a branch in any build. */
#define KNIT__POINT_ALWAYS()                                                                       \
    do {                                                                                           \
        if (KNIT__UNLIKELY(knit__simulated))                                                       \
            knit__sim_yield();                                                                     \
    } while (0)

#endif
