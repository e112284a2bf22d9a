/* The composition root: the only file that sees every floor.
 *
 * Start (first use, under the lock): barrier, stacks, workers (their threads come later), guests.
 * Stop (atexit): signals, resolver; workers leave their loops, monitor, guests, queues, workers,
 * stacks, error records, the set of the poller. If something still runs 200 ms after it was asked to
 * stop, or exit was called by a task, nothing is freed: the process is ending anyway.
 * Fork: the child begins without a runtime; a task that forked goes on there as a plain thread, its
 * stack included, and must exec or _exit. */
#include "runtime.h"

#include "group/group.h"
#include "group/limit.h"
#include "io/netpoll.h"
#include "io/resolve.h"
#include "io/signal.h"
#include "plat/simulated.h"
#include "sched/census.h"
#include "sched/guest.h"
#include "sched/idle.h"
#include "sched/overflow.h"
#include "sched/report.h"
#include "sync/ctx.h"
#include "sync/life.h"

#include <errno.h>
#include <knit/runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A context of the group's own carries the name; a borrowed one is called what its owner is. */
static const char *group_name(const struct knit__scope *s)
{
    const struct knit__group *g = (const struct knit__group *)(const void *)s;

    if (!(atomic_load_explicit(&s->flags, memory_order_relaxed) & GROUP_INITED))
        return NULL;
    return knit__group_ctx(g) ? knit__ctx_name((const knit_ctx *)(const void *)s->cancel) : NULL;
}

const struct knit__upcalls knit__upcalls = {
    .ended = knit__group_task_ended,
    .leave = knit__group_leave,
    .unwatch = knit__ctx_unwatch,
    .name = group_name,
    .finish = knit__life_finish,
};

const struct knit__driver knit__driver = {
    .poll = knit__netpoll_poll,
    .ring = knit__netpoll_ring,
};

int (*const knit__start_runtime)(void) = knit__runtime_start;

enum { MAX_WORKERS = 1024, MIN_STACK = 16 * 1024, MAX_STACK = 64 * 1024 * 1024 };
enum { DEFAULT_SPARES = 256 };
#define DEFAULT_STACK ((size_t)64 * 1024)

static struct {
    pthread_mutex_t lock; /* a pthread mutex: fork handlers may take it */
    _Atomic bool started;
    bool hooks;   /* atexit and fork handlers are there */
    size_t stack; /* what the program asked for; 0: nothing */
} runtime = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A simulated thread must not sleep in the kernel: who comes next would not be the seed's choice. */
static void lock_runtime(void)
{
    if (!knit__simulated) {
        pthread_mutex_lock(&runtime.lock);
        return;
    }
    while (pthread_mutex_trylock(&runtime.lock) != 0)
        knit__os_yield();
}

static void complain(const char *name, const char *value)
{
    fprintf(stderr, "knit: %s=%s is not usable, the default is taken\n", name, value);
}

/* A number from the environment, least..most; -1: none that can be used. */
static long number_of(const char *name, long least, long most)
{
    const char *value = getenv(name);
    char *end;
    long n;

    if (!value || !*value)
        return -1;
    errno = 0;
    n = strtol(value, &end, 10);
    if (errno == 0 && *end == 0 && n >= least && n <= most)
        return n;
    complain(name, value);
    return -1;
}

static uint32_t workers_wanted(void)
{
    long n = number_of("KNIT_WORKERS", 1, MAX_WORKERS);

    if (n < 0)
        n = knit__cpu_count();
    return n > MAX_WORKERS ? MAX_WORKERS : (uint32_t)n;
}

static uint32_t spares_wanted(void)
{
    long n = number_of("KNIT_SPARES", 0, MAX_WORKERS);

    return n < 0 ? DEFAULT_SPARES : (uint32_t)n;
}

static size_t stack_wanted(void)
{
    const char *value = getenv("KNIT_STACK");
    size_t size = MIN_STACK;
    const size_t normal = knit__stack_class_size(
        knit__stack_class_wanted(runtime.stack ? runtime.stack : DEFAULT_STACK));
    unsigned long long n;
    char *end;

    if (!value || !*value)
        return normal;
    errno = 0;
    n = strtoull(value, &end, 10);
    if (*end == 'k' || *end == 'K')
        n *= 1024, end++;
    else if (*end == 'm' || *end == 'M')
        n *= 1024 * 1024, end++;
    if (errno != 0 || *end != 0 || *value == '-' || n < MIN_STACK || n > MAX_STACK) {
        complain("KNIT_STACK", value);
        return normal;
    }
    while (size < n)
        size *= 2;
    return size;
}

static uint64_t guards_wanted(void)
{
    const char *value = getenv("KNIT_GUARDS");
    unsigned long long n;
    char *end;

    if (!value || !*value)
        return UINT64_MAX;
    errno = 0;
    n = strtoull(value, &end, 10);
    if (errno == 0 && *end == 0 && *value != '-')
        return n;
    complain("KNIT_GUARDS", value);
    return UINT64_MAX;
}

static bool env_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value && strcmp(value, "0") != 0;
}

static void stop_at_exit(void)
{
    lock_runtime();
    if (env_set("KNIT_STACK_CENSUS") && knit__census_on)
        knit__census_print();
    knit__signals_stop();
    knit__resolver_stop();
    if (atomic_load_explicit(&runtime.started, memory_order_acquire) && knit__sched_stop()) {
        knit__extras_stop();
        knit__netpoll_stop();
        atomic_store_explicit(&runtime.started, false, memory_order_release);
    }
    pthread_mutex_unlock(&runtime.lock);
}

static void before_fork(void)
{
    lock_runtime();
    knit__extras_lock();
    knit__signals_before_fork();
}

static void after_fork_parent(void)
{
    knit__signals_after_fork(false);
    knit__extras_unlock();
    pthread_mutex_unlock(&runtime.lock);
}

static void after_fork_child(void)
{
    knit__signals_after_fork(true);
    knit__extras_unlock();
    if (atomic_load_explicit(&runtime.started, memory_order_relaxed))
        knit__sched_abandon();
    knit__netpoll_abandon();
    knit__resolver_abandon();
    atomic_store_explicit(&runtime.started, false, memory_order_relaxed);
    pthread_mutex_unlock(&runtime.lock);
}

static int start_locked(void)
{
    int r;

    knit__sim_report = knit__report_parked;
    knit__barrier_start(env_set("KNIT_FENCE"));
    knit__stacks_start(stack_wanted(), sizeof(struct knit__task), knit__task_made);
    knit__stacks_limit_guards(guards_wanted());
    if (env_set("KNIT_STACK_CENSUS"))
        (void)knit_stack_census_start();
    r = knit__sched_start(workers_wanted(), spares_wanted(), env_set("KNIT_MIGRATE"));
    if (r < 0)
        return r;
    if (!runtime.hooks) {
        runtime.hooks = true;
        knit__fault_start(knit__overflow_report);
        atexit(stop_at_exit);
        pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    }
    atomic_store_explicit(&runtime.started, true, memory_order_release);
    return 0;
}

int knit__runtime_start(void)
{
    int r = 0;

    if (KNIT__LIKELY(atomic_load_explicit(&runtime.started, memory_order_acquire)))
        return 0;
    lock_runtime();
    if (!atomic_load_explicit(&runtime.started, memory_order_relaxed))
        r = start_locked();
    pthread_mutex_unlock(&runtime.lock);
    return r;
}

int knit_stack_set_size(size_t size)
{
    int r = 0;

    if (knit__stack_class_wanted(size) == 0)
        return -EINVAL;
    lock_runtime();
    if (atomic_load_explicit(&runtime.started, memory_order_relaxed))
        r = -EBUSY;
    else
        runtime.stack = size;
    pthread_mutex_unlock(&runtime.lock);
    return r;
}

int knit_workers(void)
{
    int r = knit__runtime_start();

    return r < 0 ? r : (int)knit__sched.count;
}

int knit_simulated(uint64_t *ret_seed)
{
    if (knit__simulated && ret_seed)
        *ret_seed = knit__sim_seed();
    return knit__simulated;
}

void knit_sim_point(void)
{
    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_point();
}

static uint64_t sum(uint64_t *total, const _Atomic uint64_t *counter)
{
    return *total += atomic_load_explicit(counter, memory_order_relaxed);
}

int knit_runtime_stats(knit_runtime_counts *ret_counts)
{
    knit_runtime_counts c = {0};
    uint64_t idle = 0;

    if (!ret_counts)
        return -EINVAL;
    if (atomic_load_explicit(&runtime.started, memory_order_acquire)) {
        for (uint32_t i = 0; i < knit__workers_live(); i++) {
            struct knit__worker *w = knit__sched.workers[i];

            sum(&c.tasks_run, &w->tasks_run);
            sum(&c.parks, &w->parks);
            sum(&c.steals, &w->steals);
            idle += atomic_load_explicit(&w->stacks.count, memory_order_relaxed);
        }
        idle += knit__stacks_free();
        c.wakes = knit__idle_wakes();
        c.spares = knit__idle_spares(&c.spares_started);
        c.stacks = knit__stacks_made();
        c.stacks_in_use = c.stacks > idle ? c.stacks - idle : 0;
    }
    *ret_counts = c;
    return 0;
}
