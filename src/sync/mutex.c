/* Mutex: one word and a queue.
 *
 *     LOCKED   somebody has it
 *     QLOCK    somebody works on the queue (a spin lock inside the word)
 *     QUEUED   the queue is not empty
 *     WOKEN    a waiter was woken to try again and has not tried yet: no need to wake another
 *
 * Free -> LOCKED is one CAS by anybody, waiters or not (barging): the one that runs has the data in
 * its cache, and handing a lock to a sleeper makes everybody wait for its wake-up. Unlock is one CAS
 * as well unless somebody must be woken. A woken waiter that loses goes back to the *front*; if it
 * has waited longer than STARVING_NS by then, the next unlock does not free the mutex but hands it
 * over (Go's mutex has these two modes; parking_lot calls it eventual fairness).
 *
 * Invariants. LOCKED is not cleared while another holds QLOCK (unlock needs QLOCK then). So a waiter
 * that sees LOCKED under QLOCK and queues itself is seen by the unlock that follows: no wake-up is
 * lost. WOKEN is set by the unlock that wakes one, and cleared by that one, when it locks or queues
 * again; it always does one of the two, because its wait was claimed for that reason and no other.
 * While the front waiter is starving WOKEN is clear: it cleared it in queueing, and only waking the
 * front sets it.
 *
 * QLOCK lives in the word so that the last touch of an unlock is the one store that frees or hands
 * over: whoever locks next may unlock and free the memory (wakes are of tasks, not of the mutex).
 * A plain store with a look at a waiters flag after it would be faster by one locked instruction,
 * but that look would come after the last moment at which the memory is known to be there.
 *
 * Rank: channel. QLOCK is held for a few instructions; nothing is locked under it. */
#include "mutex.h"

#include "../plat/relax.h"

#include <errno.h>

enum { LOCKED = 1, QLOCK = 2, QUEUED = 4, WOKEN = 8 };
enum { WOKE_OWNER = KNIT__WOKE_SOURCE, WOKE_RETRY };
enum { SPINS = 30, QSPINS = 100, QYIELDS = 20, NAP_NS = 50 * 1000, STARVING_NS = 1000 * 1000 };

struct mutex {
    _Atomic uint32_t word;
    uint32_t unused;
    struct knit__waitq queue; /* QLOCK */
};

_Static_assert(sizeof(struct mutex) <= sizeof(knit_mutex), "the public struct is its storage");

static inline struct mutex *private_of(knit_mutex *m)
{
    return (struct mutex *)(void *)m;
}

static inline bool cas(struct mutex *m, uint32_t *word, uint32_t to)
{
    return atomic_compare_exchange_weak_explicit(&m->word, word, to, memory_order_acq_rel,
                                                 memory_order_relaxed);
}

/* Free to locked; clear: WOKEN where the caller was the woken one. */
static inline bool take(struct mutex *m, uint32_t clear)
{
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

    while ((word & LOCKED) == 0) {
        if (cas(m, &word, (word | LOCKED) & ~clear))
            return true;
    }
    return false;
}

/* Take QLOCK; returns the word with it. The holder may have lost its processor: the same steps as
 * in core/lock.c, and as there nobody asks to be woken. */
static uint32_t queue_lock(struct mutex *m)
{
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

    for (int i = 0;; i++) {
        if ((word & QLOCK) == 0) {
            if (cas(m, &word, word | QLOCK))
                return word | QLOCK;
            continue;
        }
        if (i < QSPINS)
            knit__cpu_relax();
        else if (i < QSPINS + QYIELDS)
            knit__os_yield();
        else
            knit__futex_wait(&m->word, word, knit__clock_now() + NAP_NS);
        word = atomic_load_explicit(&m->word, memory_order_relaxed);
    }
}

/* Drop QLOCK, QUEUED as the queue is; the last touch. Others may set LOCKED meanwhile. */
static void queue_unlock(struct mutex *m, uint32_t clear, uint32_t set)
{
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

    clear |= QLOCK | QUEUED;
    if (!knit__waitq_empty(&m->queue))
        set |= QUEUED;
    while (!cas(m, &word, (word & ~clear) | set))
        ;
}

/* ---- lock ---- */

/* Without memory for a wait. */
static void lock_polling(struct mutex *m)
{
    _Atomic uint32_t nothing = 0;

    while (!take(m, 0))
        knit__futex_wait(&nothing, 0, knit__clock_now() + NAP_NS);
}

/* Queue and sleep once; clear: WOKEN, from the second time on, then to the front. Returns the word
 * of the wait, or 0 when the mutex was taken instead. */
static uint32_t queue_and_sleep(struct mutex *m, struct knit__waiter *w, struct knit__task *t,
                                int64_t deadline, bool cancelable, uint32_t clear)
{
    uint32_t word = queue_lock(m);

    while ((word & LOCKED) == 0) {
        if (cas(m, &word, (word | LOCKED) & ~clear)) {
            queue_unlock(m, 0, 0);
            return 0;
        }
    }
    knit__waitq_add(&m->queue, w, t, cancelable);
    if (clear) {
        knit__waitq_remove(&m->queue, w);
        knit__waitq_prepend(&m->queue, w);
    }
    queue_unlock(m, clear, 0);
    word = knit__waitq_sleep(w, deadline, cancelable);
    if (!knit__wait_unlinked(word)) {
        (void)queue_lock(m);
        knit__waitq_remove(&m->queue, w);
        queue_unlock(m, 0, 0);
    }
    return word;
}

static KNIT__NOINLINE int lock_slow(struct mutex *m, int64_t deadline, bool cancelable)
{
    struct knit__waiter w = {0};
    struct knit__task *t;
    int64_t since = 0;
    uint32_t word, clear = 0;

    for (int i = 0; i < SPINS; i++) {
        if (take(m, 0))
            return 0;
        knit__cpu_relax();
    }
    t = knit__task_self();
    if (!t) {
        if (cancelable)
            return -ENOMEM;
        lock_polling(m);
        return 0;
    }
    if (knit__waitq_too_late(deadline))
        return -ETIMEDOUT;
    since = knit__clock_now();
    for (;;) {
        word = queue_and_sleep(m, &w, t, deadline, cancelable, clear);
        if (word == 0 || knit__wait_reason(word) == WOKE_OWNER)
            return 0;
        if (knit__wait_reason(word) != WOKE_RETRY)
            return knit__wait_result(t, word);
        clear = WOKEN;
        if (take(m, WOKEN))
            return 0;
        w.flag = knit__clock_now() - since > STARVING_NS;
    }
}

int knit_mutex_lock(knit_mutex *public)
{
    struct mutex *m = private_of(public);
    uint32_t free = 0;

    if (KNIT__UNLIKELY(!m))
        return -EINVAL;
    if (KNIT__LIKELY(atomic_compare_exchange_strong_explicit(
            &m->word, &free, LOCKED, memory_order_acquire, memory_order_relaxed)))
        return 0;
    return lock_slow(m, KNIT__NEVER, false);
}

int knit_mutex_try_lock(knit_mutex *m)
{
    if (!m)
        return -EINVAL;
    return take(private_of(m), 0) ? 0 : -EAGAIN;
}

int knit_mutex_lock_until(knit_mutex *m, knit_time deadline)
{
    struct knit__task *t;
    int r;

    if (!m)
        return -EINVAL;
    t = knit__task_self();
    if (!t)
        return -ENOMEM;
    r = knit__wait_begin(t);
    if (r < 0)
        return r;
    return take(private_of(m), 0) ? 0 : lock_slow(private_of(m), deadline, true);
}

/* ---- unlock ---- */

/* LOCKED and QLOCK are held, so nobody else changes the word. */
static void wake_locked(struct mutex *m, struct knit__batch *batch)
{
    uint32_t clear = LOCKED, set = 0;

    while (m->queue.first) {
        bool starving = m->queue.first->flag;

        if (!knit__waitq_claim(&m->queue, m->queue.first, starving ? WOKE_OWNER : WOKE_RETRY,
                               batch))
            continue;
        if (starving)
            clear = 0;
        else
            set = WOKEN;
        break;
    }
    queue_unlock(m, clear, set);
}

static KNIT__NOINLINE int unlock_slow(struct mutex *m)
{
    struct knit__batch batch = {0};
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

    for (;;) {
        if ((word & LOCKED) == 0)
            return -EPERM;
        if ((word & QLOCK) == 0 && (word & (QUEUED | WOKEN)) != QUEUED) {
            if (cas(m, &word, word & ~(uint32_t)LOCKED))
                return 0;
            continue;
        }
        word = queue_lock(m);
        if ((word & LOCKED) != 0 && (word & (QUEUED | WOKEN)) == QUEUED)
            break;
        queue_unlock(m, 0, 0);
        word = atomic_load_explicit(&m->word, memory_order_relaxed);
    }
    wake_locked(m, &batch);
    knit__waitq_ready(&batch);
    return 0;
}

int knit_mutex_unlock(knit_mutex *public)
{
    struct mutex *m = private_of(public);
    uint32_t locked = LOCKED;

    if (KNIT__UNLIKELY(!m))
        return -EINVAL;
    if (KNIT__LIKELY(atomic_compare_exchange_strong_explicit(
            &m->word, &locked, 0, memory_order_release, memory_order_relaxed)))
        return 0;
    return unlock_slow(m);
}

bool knit__mutex_is_locked(knit_mutex *m)
{
    return (atomic_load_explicit(&private_of(m)->word, memory_order_relaxed) & LOCKED) != 0;
}
