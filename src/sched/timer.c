/* Arming, disarming and firing. The heap's lock is held for claims (wait protocol), never for
 * callbacks. */
#include "timer.h"

#include "handoff.h"

#include <errno.h>

enum {
    AT_ONCE = 16,
    TOGETHER_NS = 100 * 1000,
    RELIEF_NS = 400 * 1000,
};

static void publish_next(struct knit__worker *w)
{
    /* seq_cst: pairs with the worker that reads it before it sleeps */
    (void)atomic_exchange_explicit(&w->timer_next, knit__timers_next(&w->timers),
                                   memory_order_seq_cst);
}

int knit__timer_arm(struct knit__timer *timer, int64_t when)
{
    struct knit__worker *w = knit__worker_self();
    bool foreign = w == NULL, first;
    int r;

    if (foreign) {
        w = knit__sched.workers[0];
        r = knit__idle_ensure_started();
        if (r < 0)
            return r;
    }
    timer->home = w;
    knit__lock(&w->timer_lock);
    r = knit__timers_add(&w->timers, &timer->entry, when);
    first = r == 0 && knit__timers_is_first(&w->timers, &timer->entry);
    if (first)
        publish_next(w);
    knit__unlock(&w->timer_lock);
    /* w, or while w is away the monitor, may sleep longer than that */
    if (first && (foreign ? !knit__idle_wake_worker(w) : knit__away(w) != KNIT__AWAY_NO))
        knit__sysmon_cover();
    return r;
}

bool knit__timer_disarm(struct knit__timer *timer)
{
    struct knit__worker *w = timer->home;
    bool armed;

    if (KNIT__UNLIKELY(!knit__sched.workers))
        return false; /* the runtime has stopped, and its heaps are gone */
    knit__lock(&w->timer_lock);
    armed = timer->entry.node != 0;
    if (armed) {
        bool first = knit__timers_is_first(&w->timers, &timer->entry);

        knit__timers_remove(&w->timers, &timer->entry);
        if (first)
            publish_next(w);
    }
    knit__unlock(&w->timer_lock);
    return armed;
}

/* Without locks. */
static void call_all(void *timers)
{
    struct knit__timer *calls = timers;

    while (calls) {
        struct knit__timer *timer = calls;

        calls = timer->next;
        timer->fire(timer); /* may free it */
    }
}

/* Decide why it wakes, with the heap's lock held. */
static void claim_locked(struct knit__timer *timer, struct knit__batch *ready,
                         struct knit__timer **calls)
{
    if (!timer->task) {
        if (timer->pin(timer)) {
            timer->next = *calls;
            *calls = timer;
        }
    } else if (knit__wait_claim(timer->task, KNIT__WOKE_TIMER) == KNIT__CLAIM_PARKED) {
        knit__batch_add(ready, timer->task);
    }
}

/* Some of what is due. They lie on stacks that slept for long, a few misses each: all are fetched
 * before the first is touched. */
static uint32_t fire_locked(struct knit__worker *w, int64_t now, struct knit__batch *ready,
                            struct knit__timer **calls)
{
    struct knit__timer *due[AT_ONCE];
    uint32_t n = 0;

    while (n < AT_ONCE && (due[n] = (void *)knit__timers_pop(&w->timers, now)) != NULL)
        __builtin_prefetch(due[n++], 1);
    for (uint32_t i = 0; i < n; i++) {
        if (due[i]->task)
            __builtin_prefetch(&due[i]->task->wait, 1);
    }
    for (uint32_t i = 0; i < n; i++)
        claim_locked(due[i], ready, calls);
    return n;
}

uint32_t knit__timers_run(struct knit__worker *w, int64_t now)
{
    struct knit__batch ready = {0};
    struct knit__timer *calls = NULL;
    uint32_t fired = 0, n;

    if (knit__timer_next(w) > now) {
        if (KNIT__UNLIKELY(knit__simulated) && knit__timer_next(w) != KNIT__NEVER)
            knit__sim_hint(knit__timer_next(w));
        return 0;
    }
    knit__lock(&w->timer_lock);
    do {
        n = fire_locked(w, now, &ready, &calls);
        fired += n;
    } while (n == AT_ONCE);
    publish_next(w);
    knit__unlock(&w->timer_lock);

    knit__ready_batch(&ready);
    if (calls)
        knit__call_with_run(call_all, calls);
    return fired;
}

/* ---- sleeping until then ---- */

/* When to wake for v's timers; *ret_many: RELIEF later will do if another one looks after them. */
static int64_t heap_wants(struct knit__worker *v, bool *ret_many)
{
    int64_t at;

    knit__lock(&v->timer_lock);
    *ret_many = knit__timers_crowded(&v->timers, TOGETHER_NS);
    at = knit__timers_next(&v->timers);
    knit__unlock(&v->timer_lock);
    return *ret_many ? at + TOGETHER_NS : at;
}

/* The first plan of the others that sleep; KNIT__NEVER: none. *at becomes what the first of those
 * wants who rely on somebody, if that is earlier. */
static int64_t plan_of_others(const struct knit__worker *w, int64_t *at)
{
    int64_t first = KNIT__NEVER;
    uint32_t n = knit__workers_live();

    for (uint32_t i = 0; i < n; i++) {
        struct knit__worker *v = knit__sched.workers[i];
        int64_t plan = atomic_load_explicit(&v->plan, memory_order_relaxed), wants;
        bool many;

        if (v == w || plan == KNIT__NEVER)
            continue;
        if (plan < first)
            first = plan;
        if (knit__timer_next(v) >= *at)
            continue;
        wants = heap_wants(v, &many);
        if (wants < plan && wants < *at)
            *at = wants;
    }
    return first;
}

int64_t knit__timers_plan(struct knit__worker *w)
{
    int64_t at = knit__timer_next(w), own;
    bool many;

    if (at != KNIT__NEVER) {
        at = own = heap_wants(w, &many);
        if (plan_of_others(w, &at) <= at)
            at = many ? own + RELIEF_NS : own;
    }
    atomic_store_explicit(&w->plan, at, memory_order_relaxed);
    return at;
}
