/* Mutex: one word and a queue.
 *
 *     LOCKED   somebody has it
 *     QLOCK    somebody works on the queue (a spin lock inside the word)
 *     WAKE     an unlock must wake: somebody waits, and nobody is `woken`
 *
 * and `woken`, under QLOCK: a waiter was woken to try again and has not tried yet, so there is no
 * need to wake another. Free -> LOCKED is one CAS by anybody, waiters or not (barging): the one that
 * runs has the data in its cache, and handing a lock to a sleeper makes everybody wait for its
 * wake-up. Unlock is one CAS as well unless WAKE says otherwise. Both are in the header, inlined
 * into the caller, and expect the word to be LOCKED alone: a load to find out would cost half a
 * locked instruction more. A woken waiter that loses goes back to the *front*; if it has waited
 * longer than STARVING_NS by then, the next unlock does not free the mutex but hands it over (Go's
 * mutex has these two modes; parking_lot calls it eventual fairness).
 *
 * Before it waits, a caller looks on for some microseconds where several workers run (wordlock.h).
 *
 * Invariants. LOCKED is not cleared while another holds QLOCK (unlock needs QLOCK then); WAKE is
 * written by the holder of QLOCK only, and is right whenever QLOCK is free. So a waiter that sees
 * LOCKED under QLOCK and queues itself is seen by the unlock that follows: it meets QLOCK or WAKE,
 * or somebody is woken, and no wake-up is lost. `woken` is set by the unlock that wakes one, and
 * cleared by that one, when it has locked or queues again: then WAKE is set if others wait. It
 * always does one of the two, because its wait was claimed for that reason and no other. While the
 * front waiter is starving nobody is woken: it cleared that in queueing, and only waking the front
 * sets it.
 *
 * QLOCK lives in the word so that the last touch of an unlock is the one store that frees or hands
 * over: whoever locks next may unlock and free the memory (wakes are of tasks, not of the mutex).
 * A plain store with a look at a waiters flag after it would be faster by one locked instruction,
 * but that look would come after the last moment at which the memory is known to be there.
 *
 * Rank: channel. QLOCK is held for a few instructions; nothing is locked under it. */
#include "mutex.h"

#include "wordlock.h"

#include <errno.h>

enum { LOCKED = 1, QLOCK = 2, WAKE = 4 }; /* the header knows LOCKED */
enum { WOKE_OWNER = KNIT__WOKE_SOURCE, WOKE_RETRY };
enum { NAP_NS = 50 * 1000, STARVING_NS = 1000 * 1000 };

struct mutex {
    _Atomic uint32_t word;
    _Atomic uint16_t doubt;   /* of looking on, wordlock.h */
    bool woken;               /* QLOCK */
    struct knit__waitq queue; /* QLOCK */
};

_Static_assert(sizeof(struct mutex) <= sizeof(knit_mutex), "the public struct is its storage");
_Static_assert(offsetof(struct mutex, word) == offsetof(knit_mutex, knit__word) && LOCKED == 1,
               "what the header changes");

static inline struct mutex *private_of(knit_mutex *m)
{
    return (struct mutex *)(void *)m;
}

static inline bool cas(struct mutex *m, uint32_t *word, uint32_t to)
{
    return atomic_compare_exchange_weak_explicit(&m->word, word, to, memory_order_acq_rel,
                                                 memory_order_relaxed);
}

static inline bool take(struct mutex *m)
{
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

    while ((word & LOCKED) == 0) {
        if (cas(m, &word, word | LOCKED))
            return true;
    }
    return false;
}

/* Take it, perhaps after looking on for a while. */
static bool take_soon(struct mutex *m)
{
    struct knit__look look;

    if (take(m))
        return true;
    look = knit__look_begin(&m->doubt);
    while (knit__look_again(&look)) {
        if (take(m)) {
            knit__look_end(&m->doubt, true);
            return true;
        }
    }
    knit__look_end(&m->doubt, false);
    return false;
}

static uint32_t queue_lock(struct mutex *m)
{
    return knit__wordlock_take(&m->word, QLOCK);
}

/* Drop QLOCK, WAKE as it must be; the last touch. Others may set LOCKED meanwhile. */
static void queue_unlock(struct mutex *m, uint32_t clear)
{
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);
    uint32_t set = !m->woken && !knit__waitq_empty(&m->queue) ? WAKE : 0;

    clear |= QLOCK | WAKE;
    while (!cas(m, &word, (word & ~clear) | set))
        ;
}

/* ---- lock ---- */

/* Without memory for a wait. */
static void lock_polling(struct mutex *m)
{
    _Atomic uint32_t nothing = 0;

    while (!take(m))
        knit__futex_wait(&nothing, 0, knit__clock_now() + NAP_NS);
}

/* Queue and sleep once; again: a woken waiter that lost, to the front. Returns the word of the wait,
 * or 0 when the mutex was taken instead. */
static uint32_t queue_and_sleep(struct mutex *m, struct knit__waiter *w, struct knit__task *t,
                                int64_t deadline, bool cancelable, bool again)
{
    uint32_t word = queue_lock(m);

    if (again)
        m->woken = false;
    while ((word & LOCKED) == 0) {
        if (cas(m, &word, word | LOCKED)) {
            queue_unlock(m, 0);
            return 0;
        }
    }
    knit__waitq_add(&m->queue, w, t, cancelable);
    if (again) {
        knit__waitq_remove(&m->queue, w);
        knit__waitq_prepend(&m->queue, w);
    }
    queue_unlock(m, 0);
    word = knit__waitq_sleep(w, deadline, cancelable);
    if (!knit__wait_unlinked(word)) {
        (void)queue_lock(m);
        knit__waitq_remove(&m->queue, w);
        queue_unlock(m, 0);
    }
    return word;
}

static int lock_slow(struct mutex *m, int64_t deadline, bool cancelable)
{
    struct knit__waiter w = {0};
    struct knit__task *t;
    bool again = false;
    int64_t since;
    uint32_t word;

    if (take_soon(m))
        return 0;
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
        word = queue_and_sleep(m, &w, t, deadline, cancelable, again);
        if (word == 0 || knit__wait_reason(word) == WOKE_OWNER)
            return 0;
        if (knit__wait_reason(word) != WOKE_RETRY)
            return knit__wait_result(t, word);
        if (take_soon(m)) {
            (void)queue_lock(m);
            m->woken = false;
            queue_unlock(m, 0);
            return 0;
        }
        again = true;
        w.flag = knit__clock_now() - since > STARVING_NS;
    }
}

int knit__mutex_lock_slow(knit_mutex *m)
{
    return m ? lock_slow(private_of(m), KNIT__NEVER, false) : -EINVAL;
}

/* The calls that callers did not inline, C++ and other languages. */
extern KNIT_API int knit_mutex_lock(knit_mutex *m);

int knit_mutex_try_lock(knit_mutex *m)
{
    if (!m)
        return -EINVAL;
    return take(private_of(m)) ? 0 : -EAGAIN;
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
    return take(private_of(m)) ? 0 : lock_slow(private_of(m), deadline, true);
}

/* ---- unlock ---- */

/* LOCKED and QLOCK are held, so nobody else changes the word. */
static void wake_locked(struct mutex *m, struct knit__batch *batch)
{
    uint32_t clear = LOCKED;

    while (m->queue.first) {
        bool starving = m->queue.first->flag;

        if (!knit__waitq_claim(&m->queue, m->queue.first, starving ? WOKE_OWNER : WOKE_RETRY,
                               batch))
            continue;
        if (starving)
            clear = 0;
        else
            m->woken = true;
        break;
    }
    queue_unlock(m, clear);
}

static KNIT__NOINLINE int unlock_slow(struct mutex *m)
{
    struct knit__batch batch = {0};
    uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

    for (;;) {
        if ((word & LOCKED) == 0)
            return -EPERM;
        if ((word & (QLOCK | WAKE)) == 0) {
            if (cas(m, &word, word & ~(uint32_t)LOCKED))
                return 0;
            continue;
        }
        word = queue_lock(m);
        if ((word & LOCKED) != 0 && (word & WAKE) != 0)
            break;
        queue_unlock(m, 0);
        word = atomic_load_explicit(&m->word, memory_order_relaxed);
    }
    wake_locked(m, &batch);
    knit__waitq_ready(&batch);
    return 0;
}

int knit__mutex_unlock_slow(knit_mutex *m)
{
    return m ? unlock_slow(private_of(m)) : -EINVAL;
}

extern KNIT_API int knit_mutex_unlock(knit_mutex *m);

bool knit__mutex_is_locked(knit_mutex *m)
{
    return (atomic_load_explicit(&private_of(m)->word, memory_order_relaxed) & LOCKED) != 0;
}
