/* All workers: making them, stopping them. Threads are started by idle.c when they are needed. */
#include "../plat/relax.h"
#include "guest.h"
#include "idle.h"
#include "nudge.h"
#include "pace.h"
#include "poller.h"
#include "timer.h"

#include <errno.h>
#include <stdlib.h>

/* How long exit waits for workers that run a task: they end when that returns to the loop. Tools
 * that look for leaks get more: they slow everything down, and what is given up is one. */
#if defined(KNIT__ASAN) || defined(KNIT__TSAN)
#define STOP_PATIENCE_NS ((int64_t)2000 * 1000 * 1000)
#else
#define STOP_PATIENCE_NS ((int64_t)200 * 1000 * 1000)
#endif

enum {
    STOP_AT_LAST = 25,     /* times that, whatever the reason */
    STOP_ASLEEP_LOOKS = 50 /* in a row, a millisecond apart: it does not sleep for a moment only */
};

struct knit__sched knit__sched;

/* Ticks of the cheap clock in a microsecond, measured for 200 us. */
static uint64_t measure_ticks(void)
{
    int64_t began = knit__clock_now(), now;
    uint64_t ticks = knit__ticks();

    if (knit__simulated)
        return 1000;
    do
        now = knit__clock_now();
    while (now - began < 200 * 1000);
    ticks = (knit__ticks() - ticks) * 1000 / (uint64_t)(now - began);
    return ticks > 0 ? ticks : 1;
}

struct knit__worker *knit__worker_new(uint32_t index)
{
    size_t size =
        (sizeof(struct knit__worker) + KNIT__CACHE_LINE - 1) & ~(size_t)(KNIT__CACHE_LINE - 1);
    struct knit__worker *w = aligned_alloc(KNIT__CACHE_LINE, size);

    if (!w)
        return NULL;
    *w = (struct knit__worker){.index = index, .random = index * 7919u + 1};
    knit__pace_start(w);
    atomic_store_explicit(&w->timer_next, KNIT__NEVER, memory_order_relaxed);
    knit__timers_unplan(w);
    return w;
}

static void forget_workers(void)
{
    free(knit__sched.workers);
    knit__sched.workers = NULL;
    knit__sched.count = knit__sched.limit = 0;
    atomic_store_explicit(&knit__sched.live, 0, memory_order_relaxed);
}

static void free_workers(void)
{
    for (uint32_t i = 0; i < knit__workers_live(); i++) {
        knit__timers_fini(&knit__sched.workers[i]->timers);
        free(knit__sched.workers[i]);
    }
    forget_workers();
}

int knit__sched_start(uint32_t workers, uint32_t spares, bool migrate)
{
    knit__sched.workers = calloc(workers + spares, sizeof(struct knit__worker *));
    if (!knit__sched.workers)
        return -ENOMEM;
    if (knit__sched.ticks_per_us == 0)
        knit__sched.ticks_per_us = measure_ticks();
    for (uint32_t i = 0; i < workers; i++) {
        struct knit__worker *w = knit__worker_new(i);

        if (!w)
            goto free_workers;
        knit__sched.workers[i] = w;
        atomic_store_explicit(&knit__sched.live, i + 1, memory_order_relaxed);
    }
    knit__sched.count = workers;
    knit__sched.limit = workers + spares;
    knit__sched.migrate = migrate && workers > 1;
    atomic_store_explicit(&knit__sched.stop, false, memory_order_relaxed);
    knit__idle_start();
    knit__poller_start();
    knit__guests_start();
    return 0;

free_workers:
    free_workers();
    return -ENOMEM;
}

/* Whether w, which was to end `began` ago and had used `cpu` then, is not to be waited for any more.
 * On a busy machine it may only want a processor: then it gets more time. */
static bool out_of_patience(const struct knit__worker *w, int64_t began, int64_t cpu,
                            uint32_t *asleep)
{
    int64_t passed = knit__clock_now() - began;

    if (passed < STOP_PATIENCE_NS / 2)
        return false;
    *asleep = knit__os_meter_waits(&w->meter) ? *asleep + 1 : 0;
    return passed >= STOP_PATIENCE_NS &&
           (passed >= STOP_AT_LAST * STOP_PATIENCE_NS ||
            knit__os_meter_cpu(&w->meter) - cpu >= STOP_PATIENCE_NS / 2 ||
            *asleep >= STOP_ASLEEP_LOOKS);
}

/* Wait until every started worker has left its loop, but not for long. */
static bool all_exited(void)
{
    int64_t began = knit__clock_now();

    for (uint32_t i = 0; i < knit__workers_live(); i++) {
        struct knit__worker *w = knit__sched.workers[i];
        int64_t cpu = knit__os_meter_cpu(&w->meter);
        uint32_t asleep = 0;

        while (w->joinable && atomic_load_explicit(&w->exited, memory_order_acquire) == 0) {
            if (out_of_patience(w, began, cpu, &asleep))
                return false;
            knit__idle_wake_worker(w);
            knit__futex_wait(&w->exited, 0, knit__clock_now() + 1000 * 1000);
        }
    }
    return true;
}

static void join_exited(void)
{
    for (uint32_t i = 0; i < knit__workers_live(); i++) {
        struct knit__worker *w = knit__sched.workers[i];

        if (w->joinable && atomic_load_explicit(&w->exited, memory_order_acquire) != 0)
            knit__os_thread_join(&w->thread);
    }
}

bool knit__sched_stop(void)
{
    bool all;

    if (knit__worker_self() || knit__guests_others())
        return false; /* exit() was called by a task, or other threads may still call us */
    atomic_store_explicit(&knit__sched.stop, true, memory_order_seq_cst);
    knit__idle_no_more_starts();
    knit__sysmon_stop();
    all = all_exited();
    join_exited();
    if (!all)
        return false; /* something still runs: leave it all as it is, the process ends */
    knit__os_targets_stop();
    knit__guests_stop();
    knit__inject_reset(false);
    free_workers();
    knit__stacks_stop();
    return true;
}

void knit__sched_abandon(void)
{
    static struct knit__worker *kept; /* reachable, for leak checkers */
    struct knit__worker *self = knit__worker_self();

    kept = self ? self : kept;
    /* The forking task's own worker and stack stay: it is still running on them. */
    for (uint32_t i = 0; i < knit__workers_live(); i++) {
        if (knit__sched.workers[i] != self) {
            knit__timers_fini(&knit__sched.workers[i]->timers);
            free(knit__sched.workers[i]);
        }
    }
    forget_workers();
    knit__tls_set_worker(NULL);
    knit__sysmon_abandon();
    knit__nudges_abandon();
    knit__os_targets_abandon();
    knit__guests_abandon();
    knit__inject_reset(true);
    knit__stacks_abandon();
}

void knit__task_made(struct knit__stack *s)
{
    struct knit__task *t = (struct knit__task *)(void *)s;
    struct knit__stack stack = *s;

    *t = (struct knit__task){.stack = stack};
    t->fiber.lo = stack.lo;
    t->fiber.hi = stack.hi;
    knit__list_init(&t->watch_link);
}

void knit__call_with_run(void (*fn)(void *arg), void *arg)
{
    struct knit__task *t = knit__task_self();
    struct knit__run none = {0};
    bool bare = t && !t->run;

    if (bare)
        t->run = &none;
    fn(arg);
    if (bare && t->watcher)
        knit__upcalls.unwatch(t);
    if (bare)
        t->run = NULL;
}
