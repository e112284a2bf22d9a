/* Waking a thread on another processor than the caller's.
 *
 * Whoever wakes a worker for queued work goes on running itself, so the same processor is the one
 * place where the woken one is of no use. Linux chooses it all the same when no other looks idle,
 * and the halted processors of a virtual machine do not (KVM marks a halted one as preempted): the
 * woken thread then waits behind its waker for a time slice, some milliseconds. So the waker
 * forbids its processor to the sleeper, which lifts that when it runs.
 *
 * A mask that somebody else sets for the thread in between is lost. */
#define _GNU_SOURCE
#include "../plat.h"
#include "../simulated.h"

#include <sched.h>

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
    (void)sched_setaffinity(0, sizeof(cpu_set_t), (const cpu_set_t *)(const void *)before);
}
