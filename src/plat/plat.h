/* The whole contract with the operating system. Nothing above this floor calls it directly.
 *
 * Conventions: out-pointers are never NULL; sizes are bytes and page-aligned where pages are meant;
 * 0 is success, a negative errno failure; times are ns on the monotonic clock. */
#ifndef KNIT_PLAT_PLAT_H
#define KNIT_PLAT_PLAT_H

#include "../base/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- clock.c ---- */

#define KNIT__NEVER INT64_MAX

/* Monotonic time, ns. */
int64_t knit__clock_now(void);

/* ---- thread.c ---- */

struct knit__os_thread {
    unsigned long handle; /* a pthread_t */
};

/* Start a thread with asynchronous signals blocked. -EAGAIN and -ENOMEM are expected failures. */
int knit__os_thread_start(struct knit__os_thread *thread, void *(*fn)(void *), void *arg);
void knit__os_thread_join(struct knit__os_thread *thread);
void knit__os_thread_name(const char *name);
void knit__os_yield(void);

/* ---- meter.c ---- */

/* What one thread does, as another one sees it. */
struct knit__os_meter {
    _Atomic int clock; /* its processor-time clock */
    _Atomic int tid;   /* 0: it has not begun */
};

/* Of the calling thread. */
void knit__os_meter_begin(struct knit__os_meter *m);
/* Processor time it has used, ns; -1: it has ended, or cannot be measured. */
int64_t knit__os_meter_cpu(const struct knit__os_meter *m);
/* It waits for something that is not a processor. Where the system does not tell: true. */
bool knit__os_meter_waits(const struct knit__os_meter *m);

/* ---- place.c ---- */

/* Where a thread may run. */
struct knit__os_place {
    uint64_t bits[16];
};

/* Let the sleeping thread of m wake on another processor than the caller's. True: it must call
 * _anywhere with what was stored, as soon as it runs. */
bool knit__os_place_elsewhere(const struct knit__os_meter *m, struct knit__os_place *ret_before);
void knit__os_place_anywhere(const struct knit__os_place *before);

/* ---- interrupt.c ---- */

/* A thread whose system calls may be interrupted (EINTR): the essay is in interrupt.c. */
struct knit__os_target {
    unsigned long handle; /* a pthread_t */
    bool was_blocked;
};

/* Between open and close, which the thread calls itself, a send from anywhere interrupts a system
 * call it is in. No send may be in progress when close is called, or come later. `sent`: there was
 * one. 0, or a negative errno. */
int knit__os_target_open(struct knit__os_target *t);
void knit__os_target_send(const struct knit__os_target *t);
void knit__os_target_close(struct knit__os_target *t, bool sent);
/* Give the signal back to the program. */
void knit__os_targets_stop(void);
void knit__os_targets_abandon(void); /* child of a fork */

/* ---- futex.c ---- */

/* Sleep while *word == value, until `deadline` (KNIT__NEVER: no bound). May return at any time:
 * the caller loops over its own condition. */
void knit__futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
/* Wake up to n sleepers. The address is only compared: the word itself may be gone already. */
void knit__futex_wake(const _Atomic uint32_t *word, int n);

/* ---- poll.c ---- */

enum {
    KNIT__POLL_IN = 1,
    KNIT__POLL_OUT = 2,
    KNIT__POLL_PRI = 4,
    KNIT__POLL_ENDED = 8, /* hung up, by one side at least, or broken; with what that makes hold */
};

struct knit__os_event {
    uint64_t data;
    uint32_t what;
};

enum { KNIT__POLL_AT_ONCE = 128 };

/* A set of descriptors to wait for (epoll), and a way to wake who waits. What the system tells is
 * kept here and not on the waiter's stack: a worker's loop runs on a stack that becomes a task's, and
 * as a page of it would stay resident. */
struct knit__os_poll {
    int set, bell;
    _Atomic uint32_t rung; /* simulated: to wait on */
    /* As the system writes it; see _event. Apart from what all read. */
    KNIT__ALIGN_LINE uint64_t got[KNIT__POLL_AT_ONCE * 2];
};

/* 0, or -EMFILE, -ENFILE, -ENOMEM. */
int knit__os_poll_open(struct knit__os_poll *p);
void knit__os_poll_close(struct knit__os_poll *p);
/* Tell of fd from now on, by this data. once: until the first event, which comes at once if it holds
 * already. Else whenever `what` begins to hold, and now if it does. A hang-up of both sides and an
 * error are reported unasked, as all that there is. Replaces what was said of fd
 * before; likely: whether something was. 0, -EPERM (a file, always ready), -EBADF, -ENOMEM, -ENOSPC
 * (too many). */
int knit__os_poll_watch(struct knit__os_poll *p, int fd, uint64_t data, uint32_t what, bool once,
                        bool likely);
void knit__os_poll_unwatch(struct knit__os_poll *p, int fd);
/* How many events there are; none when woken, at the deadline, or for no reason. A deadline that has
 * passed: it does not wait. They are there until the next wait; only one thread at a time may wait
 * or look at them. */
uint32_t knit__os_poll_wait(struct knit__os_poll *p, int64_t deadline);
/* The i-th of them. what: 0, it is none of a descriptor that is watched. */
struct knit__os_event knit__os_poll_event(const struct knit__os_poll *p, uint32_t i);
/* The wait that is going on, or the next one, ends. */
void knit__os_poll_wake(struct knit__os_poll *p);

/* ---- socket.c ---- */

/* recv and send, straight to the system: libc's are points of cancellation, which a process with
 * threads pays for with a locked instruction on the way in and one on the way out. The number of
 * bytes, or a negative errno. */
long knit__os_recv(int fd, void *buf, size_t n, int flags);
long knit__os_send(int fd, const void *buf, size_t n, int flags);

/* ---- barrier.c ---- */

/* True when knit__heavy_barrier works: then a plain store, a compiler barrier and a load on one
 * side are ordered against a seq_cst store, the heavy barrier and a load on the other side. When
 * false both sides must use seq_cst operations. Constant after knit__barrier_start. */
extern bool knit__asymmetric;
void knit__barrier_start(bool force_fence);
/* A full barrier on every running thread of the process (membarrier(2)). Up to 10 us. */
void knit__heavy_barrier(void);

/* ---- cpu.c ---- */

/* Processors this process may use: affinity mask, cut by a cgroup CPU quota (rounded up). >= 1. */
int knit__cpu_count(void);

/* ---- write.c ---- */

/* All of it to a descriptor; false: it could not be written. */
bool knit__os_write(int fd, const char *text, size_t n);

/* ---- bell.c ---- */

/* A descriptor that is readable from ring to silence; or a negative errno. */
int knit__os_bell_open(void);
void knit__os_bell_ring(int bell); /* async-signal-safe */
void knit__os_bell_silence(int bell);
void knit__os_bell_close(int bell);

/* ---- backtrace.c ---- */

/* The calls that led here as text, a line each that begins with the line's end; less the innermost
 * `skip`. Empty where the system cannot tell. Returns the length; size > 0. */
size_t knit__os_backtrace(char *text, size_t size, int skip);

/* ---- vm.c ---- */

size_t knit__page_size(void);
/* Reserve zeroed memory, filled lazily, small pages. NULL: none. */
void *knit__vm_map(size_t size);
void knit__vm_unmap(void *base, size_t size);
/* Give these pages' memory back; they are zero at the next use. False: they are as they were. */
bool knit__vm_forget(void *base, size_t size);
/* Make the first page of each of the count slots of `stride` bytes from base inaccessible. Returns
 * how many were made (guards beyond the kernel's limits are left out). */
size_t knit__vm_guard(void *base, size_t stride, size_t count);

/* ---- fault.c ---- */

/* Bytes of a thread's stack for faults: the kernel's frame (large with wide registers), the report,
 * and what a handler of the program may want. */
enum { KNIT__FAULT_STACK = 64 * 1024 };

/* Once per process: ask `report` (async-signal-safe) at every fault whether the address is a guard.
 * True: it has said so on stderr, and the process ends by the signal's default action. */
void knit__fault_start(bool (*report)(const void *address));
/* The calling thread's alternate stack for signals; NULL: none. */
void knit__fault_stack(void *base, size_t size);
/* All of it, async-signal-safe. */
void knit__write_stderr(const char *text, size_t size);

#endif
