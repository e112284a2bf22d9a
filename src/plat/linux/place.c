/* Waking a thread on another processor than the caller's.
 *
 * Whoever wakes a worker for queued work goes on running itself, so the same processor is the one
 * place where the woken one is of no use. Linux chooses it all the same when no other looks idle,
 * and the halted processors of a virtual machine do not (KVM marks a halted one as preempted): the
 * woken thread then waits behind its waker for a time slice, some milliseconds. So the waker
 * forbids its processor to the sleeper, which lifts that when it runs.
 *
 * A thread whose mask was set never gets processors that its cpuset gains later, even if the mask
 * had all there were (since Linux 6.2). So lifting means a mask of all processors there can be,
 * which the kernel cuts to the cpuset; only where that gives the thread more than it had before,
 * somebody has restricted it, and it gets what it had. A mask that somebody sets for the thread in
 * between is lost. */
#define _GNU_SOURCE
#include "../plat.h"
#include "../simulated.h"

#include <sched.h>
#include <string.h>

_Static_assert(sizeof(cpu_set_t) <= sizeof(struct knit__os_place), "room for a mask");

bool knit__os_place_elsewhere(const struct knit__os_meter *m, struct knit__os_place *ret_before)
{
    cpu_set_t *before = (cpu_set_t *)(void *)ret_before, mask;
    int tid = atomic_load_explicit(&m->tid, memory_order_relaxed), here = sched_getcpu();

    if (knit__simulated || tid == 0 || here < 0 || here >= CPU_SETSIZE ||
        sched_getaffinity(tid, sizeof mask, &mask) != 0 || !CPU_ISSET((size_t)here, &mask) ||
        CPU_COUNT(&mask) < 2)
        return false;
    *before = mask;
    CPU_CLR((size_t)here, &mask);
    return sched_setaffinity(tid, sizeof mask, &mask) == 0;
}

void knit__os_place_anywhere(const struct knit__os_place *before)
{
    const cpu_set_t *had = (const cpu_set_t *)(const void *)before;
    cpu_set_t all, now;

    memset(&all, 0xff, sizeof all);
    if (sched_setaffinity(0, sizeof all, &all) != 0 ||
        sched_getaffinity(0, sizeof now, &now) != 0 || !CPU_EQUAL(&now, had))
        (void)sched_setaffinity(0, sizeof *had, had);
}
