/* Sleepers, searchers, wake-ups. The essay is in idle.h. Lock: idle.lock, a leaf. */
#include "idle.h"

#include "handoff.h"
#include "poller.h"
#include "ready.h"
#include "timer.h"

#include <errno.h>

enum { RETRY_START_NS = 50 * 1000 * 1000 };
#define LINGER_NS ((int64_t)2 * 1000 * 1000 * 1000) /* of a spare worker's thread */

_Atomic int32_t knit__vacant;
_Atomic uint32_t knit__searchers;

static struct {
    struct knit__lock lock; /* and asleep, started of the workers */
    int64_t retry_at;       /* after a thread could not be started */
    _Atomic uint64_t wakes;
    _Atomic uint64_t spares_started;
    _Atomic uint32_t spares;
} idle;

/* Read by others with the lock, by the monitor without. */
static bool is_asleep(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->asleep, memory_order_relaxed);
}

static void set_asleep(struct knit__worker *w, bool asleep)
{
    atomic_store_explicit(&w->asleep, asleep, memory_order_relaxed);
}

static bool is_spare(const struct knit__worker *w)
{
    return w->index >= knit__sched.count;
}

void knit__idle_start(void)
{
    atomic_store_explicit(&idle.spares, 0, memory_order_relaxed);
    atomic_store_explicit(&idle.spares_started, 0, memory_order_relaxed);
    idle.retry_at = 0;
    atomic_store_explicit(&idle.lock.word, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < knit__sched.count; i++)
        set_asleep(knit__sched.workers[i], true);
    atomic_store_explicit(&knit__searchers, 0, memory_order_relaxed);
    atomic_store_explicit(&knit__vacant, (int32_t)knit__sched.count, memory_order_relaxed);
}

uint64_t knit__idle_wakes(void)
{
    return atomic_load_explicit(&idle.wakes, memory_order_relaxed);
}

uint32_t knit__idle_spares(uint64_t *ret_started)
{
    *ret_started = atomic_load_explicit(&idle.spares_started, memory_order_relaxed);
    return atomic_load_explicit(&idle.spares, memory_order_relaxed);
}

/* Take w out of the sleepers; its token is given after unlocking. */
static void rouse_locked(struct knit__worker *w, bool searcher)
{
    set_asleep(w, false);
    if (searcher)
        atomic_fetch_add_explicit(&knit__searchers, 1, memory_order_seq_cst);
    atomic_fetch_sub_explicit(&knit__vacant, 1, memory_order_seq_cst);
    atomic_fetch_add_explicit(&idle.wakes, 1, memory_order_relaxed);
}

/* The thread w had before has ended, or is about to: it touches no lock any more. */
static void join_former(struct knit__worker *w)
{
    if (!w->joinable)
        return;
    knit__os_thread_join(&w->thread);
    w->joinable = false;
    atomic_store_explicit(&w->exited, 0, memory_order_relaxed);
}

static void count_start_locked(struct knit__worker *w)
{
    w->started = true;
    w->joinable = true;
    atomic_store_explicit(&w->thread_ready, true, memory_order_release);
    if (is_spare(w)) {
        atomic_fetch_add_explicit(&idle.spares, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&idle.spares_started, 1, memory_order_relaxed);
    }
}

/* Start w's thread, which begins awake and as a searcher; idle.lock held. Whatever its first loop
 * needs is there before. */
static int start_locked(struct knit__worker *w)
{
    int r;

    if (atomic_load_explicit(&knit__sched.stop, memory_order_seq_cst))
        return -ECANCELED; /* who stops has counted the threads, or will under this lock */
    join_former(w);
    r = knit__stack_count(&w->stacks) > 0 ? 0 : knit__stack_refill(&w->stacks);
    if (r == 0) {
        w->retiring = false;
        rouse_locked(w, true);
        r = knit__os_thread_start(&w->thread, knit__worker_thread, w);
        if (r < 0) {
            set_asleep(w, true);
            knit__idle_end_search();
            atomic_fetch_add_explicit(&knit__vacant, 1, memory_order_seq_cst);
        }
    }
    if (r < 0) {
        idle.retry_at = knit__clock_now() + RETRY_START_NS;
        return r;
    }
    count_start_locked(w);
    return 0;
}

/* One more spare worker, not started. NULL: no more are allowed, or no memory. */
static struct knit__worker *spare_new_locked(void)
{
    uint32_t live = knit__workers_live();
    struct knit__worker *w = live < knit__sched.limit ? knit__worker_new(live) : NULL;

    if (!w) {
        if (live < knit__sched.limit)
            idle.retry_at = knit__clock_now() + RETRY_START_NS;
        return NULL;
    }
    set_asleep(w, true);
    knit__sched.workers[live] = w;
    /* release pairs with knit__workers_live */
    atomic_store_explicit(&knit__sched.live, live + 1, memory_order_release);
    return w;
}

/* The sleeper to wake: started ones first, configured ones before spare ones, and those that served
 * longest. NULL: none, or none can be started now. */
static struct knit__worker *pick_locked(void)
{
    struct knit__worker *fresh = NULL;

    for (uint32_t i = 0; i < knit__workers_live(); i++) {
        struct knit__worker *w = knit__sched.workers[i];

        if (is_asleep(w) && w->started)
            return w;
        if (is_asleep(w) && !fresh)
            fresh = w;
    }
    if (idle.retry_at != 0 && knit__clock_now() < idle.retry_at)
        return NULL;
    return fresh ? fresh : spare_new_locked();
}

enum { TOKEN_WAKE = 1, TOKEN_SEARCH = 2 };

/* The token is the last touch of what the woken worker reads. */
static void give_token(struct knit__worker *w, uint32_t token)
{
    /* seq_cst: then we look whether it polls; it says so, then looks at the token */
    atomic_store_explicit(&w->token, token, memory_order_seq_cst);
    if (atomic_load_explicit(&w->polling, memory_order_seq_cst))
        knit__driver.ring();
    else
        knit__futex_wake(&w->token, 1);
}

bool knit__idle_notify(void)
{
    struct knit__worker *w;
    bool fresh = false, failed;
    int64_t retry_at;

    if (!knit__idle_can_wake())
        return false;
    knit__lock(&idle.lock);
    retry_at = idle.retry_at;
    w = knit__idle_can_wake() ? pick_locked() : NULL;
    if (w && !w->started) {
        fresh = start_locked(w) == 0;
        w = NULL;
    } else if (w) {
        rouse_locked(w, true);
    }
    failed = idle.retry_at != retry_at;
    knit__unlock(&idle.lock);
    if (w) {
        /* a worker that wakes another has work of its own to go on with */
        w->placed = knit__worker_self() && knit__os_place_elsewhere(&w->meter, &w->place);
        give_token(w, TOKEN_SEARCH);
    }
    if (w || fresh || failed) /* failed: it tries again, though everybody is away */
        knit__sysmon_wake();
    return w || fresh;
}

void knit__idle_rouse_one(void)
{
    struct knit__worker *w = NULL;

    knit__lock(&idle.lock);
    if (atomic_load_explicit(&knit__vacant, memory_order_relaxed) > 0)
        w = pick_locked();
    if (w && !w->started) {
        (void)start_locked(w);
        w = NULL;
    } else if (w) {
        rouse_locked(w, false);
    }
    knit__unlock(&idle.lock);
    if (w)
        give_token(w, TOKEN_WAKE);
    knit__sysmon_wake();
}

/* A spare worker is woken for a vacancy only, for its pinned tasks, or to end. */
static bool may_wake(const struct knit__worker *w)
{
    return !is_spare(w) || knit__pinned_any(w, memory_order_seq_cst) ||
           atomic_load_explicit(&knit__vacant, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&knit__sched.stop, memory_order_relaxed);
}

bool knit__idle_wake_worker(struct knit__worker *w)
{
    bool wake;

    knit__lock(&idle.lock);
    wake = is_asleep(w) && w->started && may_wake(w);
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
    r = knit__sched.limit > 1 ? knit__sysmon_start() : 0;
    if (r < 0 && knit__sched.count > 1)
        return r; /* throttled wake-ups rely on it; a single worker can do without */
    knit__lock(&idle.lock);
    if (!w->started)
        r = start_locked(w);
    knit__unlock(&idle.lock);
    knit__sysmon_wake();
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

/* The second look of a worker that counts itself as asleep: its own work, which looked empty if a
 * thief was at it, and work from outside, which is for others if enough of them run. */
static bool anything_for(struct knit__worker *w)
{
    if (knit__ready_count(w) != 0 || !knit__ring_drained(&w->ring) ||
        knit__pinned_any(w, memory_order_seq_cst) ||
        atomic_load_explicit(&knit__sched.stop, memory_order_seq_cst) ||
        atomic_load_explicit(&w->inbox_count, memory_order_seq_cst) != 0)
        return true;
    return atomic_load_explicit(&knit__vacant, memory_order_seq_cst) > 0 &&
           knit__work_for_anybody();
}

/* Leave the sleepers unless a waker took us out already; returns the token then given. */
static uint32_t leave_sleepers(struct knit__worker *w)
{
    bool was_asleep;

    knit__lock(&idle.lock);
    was_asleep = is_asleep(w);
    if (was_asleep) {
        set_asleep(w, false);
        atomic_fetch_sub_explicit(&knit__vacant, 1, memory_order_seq_cst);
    }
    knit__unlock(&idle.lock);
    if (was_asleep) {
        knit__sysmon_wake();
        return 0;
    }
    while (atomic_load_explicit(&w->token, memory_order_acquire) == 0)
        knit__futex_wait(&w->token, 0, KNIT__NEVER); /* a few instructions away */
    if (w->placed) {
        w->placed = false;
        knit__os_place_anywhere(&w->place);
    }
    return atomic_exchange_explicit(&w->token, 0, memory_order_acquire);
}

/* The thread of a spare worker that nothing needs ends: from now on it counts as not started. An
 * inbox filled before is seen here; who fills it later finds that there is no thread. */
static bool retire(struct knit__worker *w)
{
    knit__lock(&idle.lock);
    if (is_asleep(w) && atomic_load_explicit(&w->inbox_count, memory_order_seq_cst) == 0 &&
        !atomic_load_explicit(&knit__sched.stop, memory_order_seq_cst)) {
        w->started = false;
        w->retiring = true;
        atomic_store_explicit(&w->thread_ready, false, memory_order_seq_cst);
        atomic_fetch_sub_explicit(&idle.spares, 1, memory_order_relaxed);
    }
    knit__unlock(&idle.lock);
    return w->retiring;
}

/* There is something to poll, and w is free to run what that finds. seq_cst: w may have polled just
 * now; who counted itself as asleep and then found the poller held is seen here. */
static bool may_poll(const struct knit__worker *w)
{
    return atomic_load_explicit(&knit__poller.on, memory_order_seq_cst) &&
           (!is_spare(w) || atomic_load_explicit(&knit__vacant, memory_order_seq_cst) > 0);
}

/* As the poller, until something has happened, which is in *found, or there is a token. True: w is to
 * wake and run that. */
static bool doze_in_poll(struct knit__worker *w, int64_t until, struct knit__batch *found)
{
    /* seq_cst: pairs with give_token */
    atomic_store_explicit(&w->polling, true, memory_order_seq_cst);
    if (atomic_load_explicit(&w->token, memory_order_seq_cst) == 0)
        knit__driver.poll(until, found);
    /* seq_cst: whoever gives a token from here on, and still finds us polling, gave it before we look
     * at it once more */
    atomic_store_explicit(&w->polling, false, memory_order_seq_cst);
    knit__poller_release();
    if (!found->first && !found->apart)
        return false;
    if (is_spare(w) && atomic_load_explicit(&knit__vacant, memory_order_relaxed) <= 0) {
        knit__ready_batch_elsewhere(found); /* the configured ones run again, all of them */
        *found = (struct knit__batch){0};
        return false;
    }
    return true;
}

/* A spare worker that ends must not leave the descriptors to nobody: true if another one, which
 * sleeps, will see to them. */
static bool poll_is_covered(void)
{
    if (!knit__poller_unattended())
        return true;
    for (uint32_t i = 0; i < knit__sched.count; i++) {
        if (knit__idle_wake_worker(knit__sched.workers[i]))
            return true;
    }
    return false;
}

/* Until there is a token, or timers are to be fired, or *found is to be made ready. False: the thread
 * is to end. */
static bool doze(struct knit__worker *w, struct knit__batch *found)
{
    int64_t ends = is_spare(w) && w->pins == 0 ? knit__clock_now() + LINGER_NS : KNIT__NEVER;

    for (;;) {
        int64_t next = knit__timers_plan(w), until = next == KNIT__NEVER ? ends : next;

        /* seq_cst: pairs with give_token, after `polling` */
        if (atomic_load_explicit(&w->token, memory_order_seq_cst) != 0 ||
            (next != KNIT__NEVER && next <= knit__clock_now()))
            return true;
        if (!may_poll(w) || !knit__poller_try())
            knit__futex_wait(&w->token, 0, until);
        else if (doze_in_poll(w, until, found))
            return true;
        if (next != KNIT__NEVER || ends == KNIT__NEVER || ends > knit__clock_now())
            continue;
        if (poll_is_covered() && retire(w))
            return false;
        ends = knit__clock_now() + LINGER_NS; /* it is needed, or somebody is about to wake us */
    }
}

/* Under the lock, and not if w sleeps: a worker is vacant once, asleep or away. One that is away and
 * goes to sleep is no longer away (knit__idle_sleep). */
bool knit__idle_mark_away(struct knit__worker *w, uint32_t why)
{
    uint32_t no = KNIT__AWAY_NO;
    bool marked;

    knit__lock(&idle.lock);
    marked = !is_asleep(w) && atomic_compare_exchange_strong_explicit(
                                  &w->away, &no, why, memory_order_seq_cst, memory_order_relaxed);
    if (marked)
        /* seq_cst: away was set before; handoff.h, "nothing is forgotten" */
        atomic_fetch_add_explicit(&knit__vacant, 1, memory_order_seq_cst);
    knit__unlock(&idle.lock);
    return marked;
}

int64_t knit__idle_retry_at(void)
{
    int64_t at;

    knit__lock(&idle.lock);
    at = idle.retry_at;
    knit__unlock(&idle.lock);
    return at;
}

bool knit__idle_sleep(struct knit__worker *w)
{
    struct knit__batch found = {0};
    bool searcher;

    knit__lock(&idle.lock);
    set_asleep(w, true);
    /* seq_cst: counted as a sleeper before the second look. Noticed as away since it last looked: it
     * is counted already. */
    if (atomic_exchange_explicit(&w->away, KNIT__AWAY_NO, memory_order_seq_cst) == KNIT__AWAY_NO)
        atomic_fetch_add_explicit(&knit__vacant, 1, memory_order_seq_cst);
    knit__unlock(&idle.lock);

    KNIT__POINT();
    if (!anything_for(w) && !doze(w, &found))
        return false;
    knit__timers_unplan(w);
    searcher = leave_sleepers(w) == TOKEN_SEARCH;
    if (found.first || found.apart)
        knit__ready_batch(&found);
    return searcher;
}

void knit__idle_no_more_starts(void)
{
    knit__lock(&idle.lock); /* a start in progress ends; later ones see knit__sched.stop */
    knit__unlock(&idle.lock);
}
