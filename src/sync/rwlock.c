/* Readers and writers: one word and two queues.
 *
 *     WRITER   a writer is in
 *     QLOCK    somebody works on the queues (wordlock.h); nobody else changes the word then
 *     WAITING  somebody waits
 *     READER   times the readers that are in
 *
 * Rules (Go's): a reader comes in unless a writer has the lock or waits for it; a writer comes in
 * when nobody is in. When the last reader leaves, the first writer gets the lock; when a writer
 * leaves, all the readers that queued come before the next writer that waits. So each kind is kept
 * waiting by one turn of the other kind at most, or two (below). Who waits is handed the lock
 * (waitq.h), with one exception.
 *
 * Readers that are handed the lock hold it until they run and leave, and the writer that left may be
 * back before. It then waits for all of them, everybody else waits for it, and so on for ever: one
 * collision would make every call a park from then on. So if no writer waits when a writer leaves,
 * the readers are woken to try again, not let in. One that loses then to a writer that came just
 * now queues a second time, and is let in by the next writer that leaves.
 *
 * With nobody waiting every call is one CAS. The header's, inlined into the caller, guesses the word
 * of a lock that nobody else uses: to look first would cost half a locked instruction more.
 *
 * Invariants. WAITING is clear only while both queues are empty, and nobody enters or leaves past
 * QLOCK or WAITING but under QLOCK. So whoever queues, under QLOCK, is seen by the next that leaves.
 * Readers queue only while a writer is in or queued; writers queue only while somebody is in. A
 * writer that gives up may be what kept readers out: its finish admits. The store that drops QLOCK
 * also lets in or out, and is the last touch: whoever is in next may free the memory.
 *
 * Rank: channel. QLOCK is held for a few instructions and the wake-ups of a queue; nothing is locked
 * under it. */
#include "waitq.h"
#include "wordlock.h"

#include <errno.h>
#include <knit/sync.h>

enum { WRITER = 1, QLOCK = 2, WAITING = 4, READER = 8 };
enum { WOKE_OWNER = KNIT__WOKE_SOURCE, WOKE_RETRY };

struct rwlock {
    _Atomic uint32_t word;
    _Atomic uint16_t doubt;              /* of looking on, wordlock.h */
    struct knit__waitq readers, writers; /* QLOCK */
};

_Static_assert(sizeof(struct rwlock) <= sizeof(knit_rwlock), "the public struct is its storage");
_Static_assert(offsetof(struct rwlock, word) == offsetof(knit_rwlock, knit__word) && WRITER == 1 &&
                   READER == 8,
               "what the header changes");

static inline struct rwlock *private_of(knit_rwlock *l)
{
    return (struct rwlock *)(void *)l;
}

/* ---- past the queues ---- */

static inline bool cas(struct rwlock *l, uint32_t *word, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(&l->word, word, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* False: not without a wait, or somebody is at the queues. */
static inline bool enter_fast(struct rwlock *l, bool write)
{
    uint32_t word = atomic_load_explicit(&l->word, memory_order_relaxed);

    while (write ? word == 0 : (word & (WRITER | QLOCK | WAITING)) == 0) {
        if (cas(l, &word, word + (write ? WRITER : READER)))
            return true;
    }
    return false;
}

static inline bool leave_fast(struct rwlock *l, bool write)
{
    uint32_t word = atomic_load_explicit(&l->word, memory_order_relaxed);

    while (write ? word == WRITER : word >= READER && (word & (WRITER | QLOCK | WAITING)) == 0) {
        if (cas(l, &word, word - (write ? WRITER : READER)))
            return true;
    }
    return false;
}

/* ---- under QLOCK; *word is what the word will be ---- */

static uint32_t queues_lock(struct rwlock *l)
{
    return knit__wordlock_take(&l->word, QLOCK);
}

static void queues_unlock(struct rwlock *l, uint32_t word)
{
    word &= ~(uint32_t)(QLOCK | WAITING);
    if (!knit__waitq_empty(&l->readers) || !knit__waitq_empty(&l->writers))
        word |= WAITING;
    /* release: pairs with the acquire of whoever changes the word next */
    atomic_store_explicit(&l->word, word, memory_order_release);
    KNIT__POINT();
}

static inline bool is_empty(uint32_t word)
{
    return word < READER && (word & WRITER) == 0;
}

static bool enter_locked(struct rwlock *l, uint32_t *word, bool write)
{
    if (write ? !is_empty(*word) : (*word & WRITER) != 0 || !knit__waitq_empty(&l->writers))
        return false;
    *word += write ? WRITER : READER;
    return true;
}

/* Wake all readers; returns how many are in by that. Those that have not lost yet may also be woken
 * to try again. */
static uint32_t wake_readers(struct rwlock *l, bool in, struct knit__batch *batch)
{
    struct knit__waiter *w;
    uint32_t n = 0;

    while ((w = l->readers.first) != NULL) {
        bool enters = in || w->flag;

        if (knit__waitq_claim(&l->readers, w, enters ? WOKE_OWNER : WOKE_RETRY, batch) && enters)
            n++;
    }
    return n;
}

/* Let in who may come in now; after a writer, the readers first. */
static void admit_locked(struct rwlock *l, uint32_t *word, bool after_writer,
                         struct knit__batch *batch)
{
    bool writers = !knit__waitq_empty(&l->writers);

    if (is_empty(*word) && !after_writer && knit__waitq_wake_one(&l->writers, WOKE_OWNER, batch)) {
        *word += WRITER;
        return;
    }
    if ((*word & WRITER) == 0 && (after_writer || knit__waitq_empty(&l->writers)))
        *word += READER * wake_readers(l, !after_writer || writers, batch);
    if (is_empty(*word) && knit__waitq_wake_one(&l->writers, WOKE_OWNER, batch))
        *word += WRITER;
}

/* ---- enter and leave ---- */

/* Come in, perhaps after looking on for a while; not once anybody waits. */
static bool enter_soon(struct rwlock *l, bool write)
{
    struct knit__look look;

    if (enter_fast(l, write))
        return true;
    look = knit__look_begin(&l->doubt);
    while ((atomic_load_explicit(&l->word, memory_order_relaxed) & WAITING) == 0 &&
           knit__look_again(&look)) {
        if (enter_fast(l, write)) {
            knit__look_end(&l->doubt, true);
            return true;
        }
    }
    knit__look_end(&l->doubt, false);
    return false;
}

/* QLOCK is held and released. Returns the word of the wait. */
static uint32_t sleep_in(struct rwlock *l, uint32_t now, struct knit__waiter *w,
                         struct knit__task *t, bool write, int64_t deadline, bool cancelable)
{
    struct knit__waitq *q = write ? &l->writers : &l->readers;
    struct knit__batch batch = {0};
    uint32_t word;

    knit__waitq_add(q, w, t, cancelable);
    queues_unlock(l, now);
    word = knit__waitq_sleep(w, deadline, cancelable);
    if (knit__wait_unlinked(word))
        return word;
    now = queues_lock(l);
    knit__waitq_remove(q, w);
    if (knit__wait_reason(word) < KNIT__WOKE_SOURCE)
        admit_locked(l, &now, false, &batch);
    queues_unlock(l, now);
    knit__waitq_ready(&batch);
    return word;
}

static KNIT__NOINLINE int enter_slow(struct rwlock *l, bool write, int64_t deadline,
                                     bool cancelable)
{
    struct knit__task *t = knit__task_self(); /* the first wait of a thread may start the runtime */
    struct knit__waiter w = {0};
    uint32_t word;

    if (!t)
        return -ENOMEM;
    do {
        word = queues_lock(l);
        if (enter_locked(l, &word, write)) {
            queues_unlock(l, word);
            return 0;
        }
        if (!w.flag && knit__waitq_too_late(deadline)) {
            queues_unlock(l, word);
            return -ETIMEDOUT;
        }
        word = sleep_in(l, word, &w, t, write, deadline, cancelable);
        if (knit__wait_reason(word) == WOKE_OWNER)
            return 0;
        if (knit__wait_reason(word) != WOKE_RETRY)
            return knit__wait_result(t, word);
        w.flag = true;
    } while (!enter_soon(l, write));
    return 0;
}

static int enter(knit_rwlock *l, bool write)
{
    if (KNIT__UNLIKELY(!l))
        return -EINVAL;
    if (enter_soon(private_of(l), write))
        return 0;
    return enter_slow(private_of(l), write, KNIT__NEVER, false);
}

static int enter_until(knit_rwlock *l, bool write, int64_t deadline)
{
    struct knit__task *t;
    int r;

    if (!l)
        return -EINVAL;
    t = knit__task_self();
    r = t ? knit__wait_begin(t) : -ENOMEM;
    if (r < 0)
        return r;
    return enter_soon(private_of(l), write) ? 0 : enter_slow(private_of(l), write, deadline, true);
}

static int try_enter(knit_rwlock *public, bool write)
{
    struct rwlock *l = private_of(public);
    uint32_t word;
    bool in;

    if (!l)
        return -EINVAL;
    if (enter_fast(l, write))
        return 0;
    word = queues_lock(l);
    in = enter_locked(l, &word, write);
    queues_unlock(l, word);
    return in ? 0 : -EAGAIN;
}

static KNIT__NOINLINE int leave_slow(struct rwlock *l, bool write)
{
    struct knit__batch batch = {0};
    uint32_t word = queues_lock(l);
    int r = 0;

    if (write ? (word & WRITER) == 0 : word < READER)
        r = -EPERM;
    else
        word -= write ? WRITER : READER;
    if (r == 0 && is_empty(word))
        admit_locked(l, &word, write, &batch);
    queues_unlock(l, word);
    knit__waitq_ready(&batch);
    return r;
}

static int leave(knit_rwlock *l, bool write)
{
    if (KNIT__UNLIKELY(!l))
        return -EINVAL;
    return KNIT__LIKELY(leave_fast(private_of(l), write)) ? 0 : leave_slow(private_of(l), write);
}

int knit__rwlock_read_slow(knit_rwlock *l)
{
    return enter(l, false);
}

int knit_rwlock_try_read(knit_rwlock *l)
{
    return try_enter(l, false);
}

int knit_rwlock_read_until(knit_rwlock *l, knit_time deadline)
{
    return enter_until(l, false, deadline);
}

int knit__rwlock_write_slow(knit_rwlock *l)
{
    return enter(l, true);
}

int knit_rwlock_try_write(knit_rwlock *l)
{
    return try_enter(l, true);
}

int knit_rwlock_write_until(knit_rwlock *l, knit_time deadline)
{
    return enter_until(l, true, deadline);
}

int knit__rwlock_read_unlock_slow(knit_rwlock *l)
{
    return leave(l, false);
}

int knit__rwlock_write_unlock_slow(knit_rwlock *l)
{
    return leave(l, true);
}

/* For callers that did not inline them, and other languages. */
extern KNIT_API int knit_rwlock_read(knit_rwlock *l);
extern KNIT_API int knit_rwlock_write(knit_rwlock *l);
extern KNIT_API int knit_rwlock_read_unlock(knit_rwlock *l);
extern KNIT_API int knit_rwlock_write_unlock(knit_rwlock *l);
