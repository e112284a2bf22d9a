/* Sleepers, searchers, wake-ups. The essay is in idle.h. Lock: idle.lock, a leaf. */
#include "idle.h"

#include "guest.h"
#include "ready.h"
#include "timer.h"

#include <errno.h>

enum { RETRY_START_NS = 50 * 1000 * 1000 };

_Atomic uint32_t knit__sleepers, knit__searchers;

static struct {
    struct knit__lock lock; /* and asleep, started of the workers */
    uint32_t started;
    int64_t retry_at; /* after a thread could not be started */
    _Atomic uint64_t wakes;
} idle;

void knit__idle_start(void)
{
    idle.started = 0;
    idle.retry_at = 0;
    atomic_store_explicit(&idle.lock.word, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < knit__sched.count; i++)
        knit__sched.workers[i]->asleep = true;
    atomic_store_explicit(&knit__searchers, 0, memory_order_relaxed);
    atomic_store_explicit(&knit__sleepers, knit__sched.count, memory_order_relaxed);
}

uint64_t knit__idle_wakes(void)
{
    return atomic_load_explicit(&idle.wakes, memory_order_relaxed);
}

/* Take w out of the sleepers; its token is given after unlocking. */
static void rouse_locked(struct knit__worker *w, bool searcher)
{
    w->asleep = false;
    if (searcher)
        atomic_fetch_add_explicit(&knit__searchers, 1, memory_order_seq_cst);
    atomic_fetch_sub_explicit(&knit__sleepers, 1, memory_order_seq_cst);
    atomic_fetch_add_explicit(&idle.wakes, 1, memory_order_relaxed);
}

/* Start w's thread, which begins awake and as a searcher; idle.lock held. Whatever its first loop
 * needs is there before. */
static int start_locked(struct knit__worker *w)
{
    int r = knit__stack_count(&w->stacks) > 0 ? 0 : knit__stack_refill(&w->stacks);

    if (atomic_load_explicit(&knit__sched.stop, memory_order_seq_cst))
        return -ECANCELED; /* who stops has counted the threads, or will under this lock */

    if (r == 0) {
        rouse_locked(w, true);
        r = knit__os_thread_start(&w->thread, knit__worker_thread, w);
        if (r < 0) {
            w->asleep = true;
            knit__idle_end_search();
            atomic_fetch_add_explicit(&knit__sleepers, 1, memory_order_seq_cst);
        }
    }
    if (r < 0) {
        idle.retry_at = knit__clock_now() + RETRY_START_NS;
        return r;
    }
    w->started = true;
    idle.started++;
    atomic_store_explicit(&w->thread_ready, true, memory_order_release);
    return 0;
}

/* The sleeper to wake: started ones first. NULL: none, or none can be started now. */
static struct knit__worker *pick_locked(void)
{
    struct knit__worker *fresh = NULL;

    for (uint32_t i = 0; i < knit__sched.count; i++) {
        struct knit__worker *w = knit__sched.workers[i];

        if (w->asleep && w->started)
            return w;
        if (w->asleep && !fresh)
            fresh = w;
    }
    if (!fresh || (idle.retry_at != 0 && knit__clock_now() < idle.retry_at))
        return NULL;
    return fresh;
}

enum { TOKEN_WAKE = 1, TOKEN_SEARCH = 2 };

static void give_token(struct knit__worker *w, uint32_t token)
{
    atomic_store_explicit(&w->token, token, memory_order_release);
    knit__futex_wake(&w->token, 1);
}

void knit__idle_notify(void)
{
    struct knit__worker *w;
    bool fresh = false;

    if (!knit__idle_can_wake())
        return;
    knit__lock(&idle.lock);
    w = atomic_load_explicit(&knit__searchers, memory_order_relaxed) == 0 ? pick_locked() : NULL;
    if (w && !w->started) {
        fresh = start_locked(w) == 0;
        w = NULL;
    } else if (w) {
        rouse_locked(w, true);
    }
    knit__unlock(&idle.lock);
    if (w)
        give_token(w, TOKEN_SEARCH);
    if (w || fresh)
        knit__sysmon_wake();
}

bool knit__idle_wake_worker(struct knit__worker *w)
{
    bool wake;

    knit__lock(&idle.lock);
    wake = w->asleep && w->started;
    if (wake)
        rouse_locked(w, false);
    knit__unlock(&idle.lock);
    if (wake) {
        give_token(w, TOKEN_WAKE);
        knit__sysmon_wake();
    }
    return wake;
}

int knit__idle_start_worker(struct knit__worker *w)
{
    int r;

    if (KNIT__LIKELY(atomic_load_explicit(&w->thread_ready, memory_order_acquire)))
        return 0;
    r = knit__sysmon_start(); /* first: throttled wake-ups rely on it */
    if (r < 0)
        return r;
    knit__lock(&idle.lock);
    if (!w->started)
        r = start_locked(w);
    knit__unlock(&idle.lock);
    return r;
}

int knit__idle_ensure_started(void)
{
    return knit__idle_start_worker(knit__sched.workers[0]);
}

bool knit__idle_begin_search(void)
{
    uint32_t none = 0;

    return atomic_compare_exchange_strong_explicit(&knit__searchers, &none, 1, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

void knit__idle_end_search(void)
{
    atomic_fetch_sub_explicit(&knit__searchers, 1, memory_order_seq_cst);
}

/* The second look of a worker that counts itself as asleep: work from outside, and its own, which
 * looked empty if a thief was at it. */
static bool anything_for(struct knit__worker *w)
{
    return knit__ready_count(w) != 0 || !knit__ring_drained(&w->ring) ||
           atomic_load_explicit(&knit__sched.stop, memory_order_seq_cst) ||
           knit__inject_pending() || knit__guests_pending() ||
           atomic_load_explicit(&w->inbox_count, memory_order_seq_cst) != 0;
}

/* Leave the sleepers unless a waker took us out already; returns the token then given. */
static uint32_t leave_sleepers(struct knit__worker *w)
{
    bool was_asleep;

    knit__lock(&idle.lock);
    was_asleep = w->asleep;
    if (was_asleep) {
        w->asleep = false;
        atomic_fetch_sub_explicit(&knit__sleepers, 1, memory_order_seq_cst);
    }
    knit__unlock(&idle.lock);
    if (was_asleep) {
        knit__sysmon_wake();
        return 0;
    }
    while (atomic_load_explicit(&w->token, memory_order_acquire) == 0)
        knit__futex_wait(&w->token, 0, KNIT__NEVER); /* a few instructions away */
    return atomic_exchange_explicit(&w->token, 0, memory_order_acquire);
}

bool knit__idle_sleep(struct knit__worker *w)
{
    uint32_t token;

    knit__lock(&idle.lock);
    w->asleep = true;
    /* seq_cst: counted as a sleeper before the second look */
    atomic_fetch_add_explicit(&knit__sleepers, 1, memory_order_seq_cst);
    knit__unlock(&idle.lock);

    if (!anything_for(w)) {
        for (;;) {
            int64_t next = knit__timer_next(w);

            if (atomic_load_explicit(&w->token, memory_order_acquire) != 0 ||
                (next != KNIT__NEVER && next <= knit__clock_now()))
                break;
            knit__futex_wait(&w->token, 0, next);
        }
    }
    token = leave_sleepers(w);
    return token == TOKEN_SEARCH;
}

uint32_t knit__idle_sleepers(void)
{
    return atomic_load_explicit(&knit__sleepers, memory_order_seq_cst);
}

void knit__idle_no_more_starts(void)
{
    knit__lock(&idle.lock); /* a start in progress ends; later ones see knit__sched.stop */
    knit__unlock(&idle.lock);
}
