/* Readers and writers: two queues and the counts, under one lock.
 *
 * Rules (Go's): a reader comes in unless a writer has the lock or waits for it; a writer comes in
 * when nobody is in. When the last reader leaves, the first writer gets the lock; when a writer
 * leaves, all the readers that queued get it, and only if there are none the next writer. So each
 * kind is kept waiting by one turn of the other kind at most. Everything is handed over (waitq.h):
 * a waiter that wakes has the lock.
 *
 * Invariants, under the lock: readers queue only while a writer is in or queued; writers queue only
 * while somebody is in. A writer that gives up may be what kept readers out: its finish admits.
 *
 * Every call is one CAS and one store when nobody is in the way. Lock rank: channel. */
#include "waitq.h"

#include <errno.h>
#include <knit/sync.h>

enum { WOKE_OWNER = KNIT__WOKE_SOURCE };

struct rwlock {
    struct knit__lock lock; /* the rest */
    uint32_t in;            /* readers in; WRITER: one writer */
    struct knit__waitq readers, writers;
};

#define WRITER UINT32_MAX

_Static_assert(sizeof(struct rwlock) <= sizeof(knit_rwlock), "the public struct is its storage");

static inline struct rwlock *private_of(knit_rwlock *l)
{
    return (struct rwlock *)(void *)l;
}

static bool enter_locked(struct rwlock *l, bool write)
{
    if (write ? l->in != 0 : l->in == WRITER || !knit__waitq_empty(&l->writers))
        return false;
    l->in = write ? WRITER : l->in + 1;
    return true;
}

/* Let in who may come in now; after a writer, the readers first. */
static void admit_locked(struct rwlock *l, bool readers_first, struct knit__batch *batch)
{
    if (l->in == 0 && !readers_first && knit__waitq_wake_one(&l->writers, WOKE_OWNER, batch)) {
        l->in = WRITER;
        return;
    }
    if (l->in != WRITER && (readers_first || knit__waitq_empty(&l->writers)))
        l->in += knit__waitq_wake_all(&l->readers, WOKE_OWNER, batch);
    if (l->in == 0 && knit__waitq_wake_one(&l->writers, WOKE_OWNER, batch))
        l->in = WRITER;
}

/* The lock is held and released. */
static int wait_in(struct rwlock *l, struct knit__task *t, bool write, int64_t deadline,
                   bool cancelable)
{
    struct knit__waitq *q = write ? &l->writers : &l->readers;
    struct knit__batch batch = {0};
    struct knit__waiter w = {0};
    bool granted;
    uint32_t word;

    knit__waitq_add(q, &w, t, cancelable);
    knit__unlock(&l->lock);
    word = knit__waitq_sleep(&w, deadline, cancelable);
    if (knit__wait_unlinked(word))
        return 0;
    granted = knit__wait_reason(word) == WOKE_OWNER;
    knit__lock(&l->lock);
    knit__waitq_remove(q, &w);
    if (!granted)
        admit_locked(l, false, &batch);
    knit__unlock(&l->lock);
    knit__waitq_ready(&batch);
    return granted ? 0 : knit__wait_result(t, word);
}

static int enter(knit_rwlock *public, bool write, int64_t deadline, bool cancelable)
{
    struct rwlock *l = private_of(public);
    struct knit__task *t = NULL;
    int r = 0;

    if (KNIT__UNLIKELY(!l))
        return -EINVAL;
    if (cancelable) {
        t = knit__task_self();
        r = t ? knit__wait_begin(t) : -ENOMEM;
        if (r < 0)
            return r;
    }
    knit__lock(&l->lock);
    if (KNIT__UNLIKELY(!enter_locked(l, write))) {
        if (!t) {
            knit__unlock(&l->lock); /* the first wait of a thread may start the runtime */
            t = knit__task_self();
            if (!t)
                return -ENOMEM;
            knit__lock(&l->lock);
        }
        if (enter_locked(l, write))
            r = 0;
        else if (knit__waitq_too_late(deadline))
            r = -ETIMEDOUT;
        else
            return wait_in(l, t, write, deadline, cancelable);
    }
    knit__unlock(&l->lock);
    return r;
}

static int try_enter(knit_rwlock *public, bool write)
{
    struct rwlock *l = private_of(public);
    bool in;

    if (!l)
        return -EINVAL;
    knit__lock(&l->lock);
    in = enter_locked(l, write);
    knit__unlock(&l->lock);
    return in ? 0 : -EAGAIN;
}

static int leave(knit_rwlock *public, bool write)
{
    struct rwlock *l = private_of(public);
    struct knit__batch batch = {0};

    if (KNIT__UNLIKELY(!l))
        return -EINVAL;
    knit__lock(&l->lock);
    if (write ? l->in != WRITER : l->in == WRITER || l->in == 0) {
        knit__unlock(&l->lock);
        return -EPERM;
    }
    l->in = write ? 0 : l->in - 1;
    if (l->in == 0)
        admit_locked(l, write, &batch);
    knit__unlock(&l->lock);
    knit__waitq_ready(&batch);
    return 0;
}

int knit_rwlock_read(knit_rwlock *l)
{
    return enter(l, false, KNIT__NEVER, false);
}

int knit_rwlock_try_read(knit_rwlock *l)
{
    return try_enter(l, false);
}

int knit_rwlock_read_until(knit_rwlock *l, knit_time deadline)
{
    return enter(l, false, deadline, true);
}

int knit_rwlock_write(knit_rwlock *l)
{
    return enter(l, true, KNIT__NEVER, false);
}

int knit_rwlock_try_write(knit_rwlock *l)
{
    return try_enter(l, true);
}

int knit_rwlock_write_until(knit_rwlock *l, knit_time deadline)
{
    return enter(l, true, deadline, true);
}

int knit_rwlock_read_unlock(knit_rwlock *l)
{
    return leave(l, false);
}

int knit_rwlock_write_unlock(knit_rwlock *l)
{
    return leave(l, true);
}
