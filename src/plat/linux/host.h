/* The real system under the dispatch of clock.c, futex.c and thread.c: for these and for sim/. */
#ifndef KNIT_PLAT_LINUX_HOST_H
#define KNIT_PLAT_LINUX_HOST_H

#include "../plat.h"

int64_t knit__host_now(void);
int64_t knit__host_cpu(void); /* processor time of the process, ns */
void knit__host_futex_wait(const _Atomic uint32_t *word, uint32_t value, int64_t deadline);
void knit__host_futex_wake(const _Atomic uint32_t *word, int n);
int knit__host_thread_start(struct knit__os_thread *thread, void *(*fn)(void *), void *arg);
void knit__host_thread_join(struct knit__os_thread *thread);
void knit__host_yield(void);
/* The calling thread, and what it starts, stay on the processor it is on; a wake-up does not preempt
 * it. Not where the program has chosen a policy. */
void knit__host_gather(void);
/* Sleep for so long. */
void knit__host_pause(int64_t ns);
/* The epoll set has something to tell. */
bool knit__host_poll_ready(int set);

/* What the kernel says about the threads of this process (proc(5)). */
enum knit__host_state {
    KNIT__HOST_RUNNING,
    KNIT__HOST_BLOCKED,
    KNIT__HOST_FUTEX, /* blocked, in futex(2) */
    KNIT__HOST_GONE,
};

int knit__host_tid(void);
int knit__host_process(void); /* also the id of its first thread */
/* From here on the calling thread opens files that the program never sees; it keeps 0 to 2. */
void knit__host_own_files(void);
/* 0: the kernel does not tell. */
uint32_t knit__host_thread_count(void);
enum knit__host_state knit__host_thread_state(int tid);
/* Up to max thread ids, in the order in which they were made; returns how many. */
uint32_t knit__host_threads(int *tids, uint32_t max);

#endif
