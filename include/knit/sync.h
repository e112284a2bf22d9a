/* Locks and their relatives: mutex, rwlock, cond, once. Between tasks and plain threads in any
 * mixture; a task that waits gives its worker to others.
 *
 * All of them lie in the caller's storage, {0} is ready for use and nothing needs to be undone.
 * They must not be moved or copied once used, nor go away while somebody waits in them. None
 * belongs to a task or a thread: who locked it need not be who unlocks it, and a task may hold a
 * mutex while it waits for something else.
 *
 * What can be cancelled: the plain lock calls cannot, as in Go, so that clean-up under an ended
 * context can lock. The _until forms look at the ambient context, first of all, also when they need
 * not wait; with KNIT_FOREVER they are the cancelable forms without a deadline. */
#ifndef KNIT_SYNC_H
#define KNIT_SYNC_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The shortest calls are compiled into the caller where nobody is in the way; the functions called
 * ..._slow are the rest of them, and not for direct use. The words they know are part of the binary
 * interface. */
#define KNIT__CAS(word, from, to, order)                                                           \
    __extension__({                                                                                \
        uint32_t knit__from = (from);                                                              \
        __atomic_compare_exchange_n(word, &knit__from, to, 0, order, __ATOMIC_RELAXED);            \
    })

/* ---- mutex ------------------------------------------------------------------------------------ */

typedef struct knit_mutex {
    uint32_t knit__word; /* 0: free; 1: locked; else: see closer */
    uint32_t knit__opaque0;
    void *knit__opaque[2];
} knit_mutex;

KNIT_API int knit__mutex_lock_slow(knit_mutex *m);
KNIT_API int knit__mutex_unlock_slow(knit_mutex *m);

/* Lock, waiting for it to be unlocked.
 *
 * Fast before fair, but nobody starves: whoever runs may take a free mutex before those who wait,
 * until somebody has waited for more than about a millisecond; then it is handed to that one.
 *
 * The memory may be freed by whoever unlocks last (a reference count inside what it guards).
 *
 * Parks:    yes, unless it is free; the try form never.
 * Cancel:   lock and try do not look at the context. until: -ECANCELED (-ETIMEDOUT for a deadline)
 *           when the ambient context ends first, and at once when it has ended already; then it is
 *           not locked.
 * Errors:   -EINVAL (NULL); try: -EAGAIN locked; until: -ETIMEDOUT, -ECANCELED, -ENOMEM (a wait
 *           that cannot be stored). Plain lock fails for NULL alone: without memory to park it
 *           polls.
 * Pointers: borrowed; kept while waiting.
 * Threads:  any task, any thread. */
KNIT_API inline int knit_mutex_lock(knit_mutex *m)
{
    if (__builtin_expect(m && KNIT__CAS(&m->knit__word, 0, 1, __ATOMIC_ACQUIRE), 1))
        return 0;
    return knit__mutex_lock_slow(m);
}
KNIT_API int knit_mutex_try_lock(knit_mutex *m);
KNIT_API int knit_mutex_lock_until(knit_mutex *m, knit_time deadline);

/* Unlock.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EPERM it is not locked; -EINVAL (NULL). Nothing changes then.
 * Pointers: borrowed.
 * Threads:  any task, any thread, not only the one that locked. */
KNIT_API inline int knit_mutex_unlock(knit_mutex *m)
{
    if (__builtin_expect(m && KNIT__CAS(&m->knit__word, 1, 0, __ATOMIC_RELEASE), 1))
        return 0;
    return knit__mutex_unlock_slow(m);
}

/* ---- rwlock ----------------------------------------------------------------------------------- */

typedef struct knit_rwlock {
    uint32_t knit__word; /* 0: free; 1: written; 8: one reads; else: see closer */
    uint32_t knit__opaque0;
    void *knit__opaque[5];
} knit_rwlock;

KNIT_API int knit__rwlock_read_slow(knit_rwlock *l);
KNIT_API int knit__rwlock_write_slow(knit_rwlock *l);
KNIT_API int knit__rwlock_read_unlock_slow(knit_rwlock *l);
KNIT_API int knit__rwlock_write_unlock_slow(knit_rwlock *l);

/* Lock for reading (many at once) or for writing (alone).
 *
 * A waiting writer keeps new readers out, so readers cannot starve it; when a writer unlocks, all
 * readers that came meanwhile go before the next writer that waits, so writers cannot starve them;
 * a writer that comes only then may be faster, once. Writers are served first come, first served. A
 * reader must not lock again for reading: with a writer between the two that is a deadlock. There is
 * no upgrade.
 *
 * Parks:    yes, unless it can be had at once; the try forms never.
 * Cancel:   the plain and try forms do not look at the context. until: as knit_mutex_lock_until.
 *           A writer that gives up lets the readers in that it kept out.
 * Errors:   -EINVAL (NULL); -ENOMEM a wait that cannot be stored; try: -EAGAIN; until: -ETIMEDOUT,
 *           -ECANCELED. It is then not locked.
 * Pointers: borrowed; kept while waiting.
 * Threads:  any task, any thread. */
KNIT_API inline int knit_rwlock_read(knit_rwlock *l)
{
    if (__builtin_expect(l && KNIT__CAS(&l->knit__word, 0, 8, __ATOMIC_ACQUIRE), 1))
        return 0;
    return knit__rwlock_read_slow(l);
}
KNIT_API int knit_rwlock_try_read(knit_rwlock *l);
KNIT_API int knit_rwlock_read_until(knit_rwlock *l, knit_time deadline);
KNIT_API inline int knit_rwlock_write(knit_rwlock *l)
{
    if (__builtin_expect(l && KNIT__CAS(&l->knit__word, 0, 1, __ATOMIC_ACQUIRE), 1))
        return 0;
    return knit__rwlock_write_slow(l);
}
KNIT_API int knit_rwlock_try_write(knit_rwlock *l);
KNIT_API int knit_rwlock_write_until(knit_rwlock *l, knit_time deadline);

/* Undo one read lock; undo the write lock.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EPERM it is not locked that way; -EINVAL (NULL). Nothing changes then.
 * Pointers: borrowed.
 * Threads:  any task, any thread, not only the one that locked. */
KNIT_API inline int knit_rwlock_read_unlock(knit_rwlock *l)
{
    if (__builtin_expect(l && KNIT__CAS(&l->knit__word, 8, 0, __ATOMIC_RELEASE), 1))
        return 0;
    return knit__rwlock_read_unlock_slow(l);
}
KNIT_API inline int knit_rwlock_write_unlock(knit_rwlock *l)
{
    if (__builtin_expect(l && KNIT__CAS(&l->knit__word, 1, 0, __ATOMIC_RELEASE), 1))
        return 0;
    return knit__rwlock_write_unlock_slow(l);
}

/* ---- cond ------------------------------------------------------------------------------------- */

typedef struct knit_cond {
    uint64_t knit__opaque[4];
} knit_cond;

/* Unlock m, wait for a signal, lock m again. m is locked when this returns, whatever it returns,
 * -EINVAL and -EPERM aside, which change nothing.
 *
 * No wake-up is spurious: 0 means that a signal or a broadcast that came after the call chose this
 * caller. Another may have changed what m guards before m was locked again: wait in a loop.
 *
 * Parks:    yes.
 * Cancel:   wait and until: -ECANCELED (-ETIMEDOUT for a deadline) when the ambient context ends
 *           before a signal, and at once when it has ended already (m stays locked all the time);
 *           no signal was taken. Locking m again cannot be cancelled. The nocancel form does not
 *           look at the context.
 * Errors:   -EPERM m is not locked; -EINVAL (NULL, or c is a copy of a cond that was used);
 *           -ECANCELED; -ETIMEDOUT; -ENOMEM (a wait that cannot be stored).
 * Pointers: c, m borrowed; kept while waiting.
 * Threads:  any task, any thread. */
KNIT_API int knit_cond_wait(knit_cond *c, knit_mutex *m);
KNIT_API int knit_cond_wait_until(knit_cond *c, knit_mutex *m, knit_time deadline);
KNIT_API int knit_cond_wait_nocancel(knit_cond *c, knit_mutex *m);

/* Wake the one that has waited longest; wake all that wait now. With nobody waiting: nothing. The
 * mutex need not be held.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL, or c is a copy of a cond that was used).
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_cond_signal(knit_cond *c);
KNIT_API int knit_cond_broadcast(knit_cond *c);

/* ---- once ------------------------------------------------------------------------------------- */

typedef struct knit_once {
    uint32_t knit__state; /* 2: what follows is there to be read */
    int knit__result;
    void *knit__value;
    uint64_t knit__opaque[4];
} knit_once;

/* Computes a value: 0 and *ret_value, or anything else for failure. */
typedef int knit_value_fn(void *arg, void **ret_value);

KNIT_API int knit__once_do_slow(knit_once *o, knit_fn *fn, void *arg);
KNIT_API int knit__once_value_slow(knit_once *o, knit_value_fn *fn, void *arg, void **ret_value);

/* Call fn(arg) if this is the first call for o; otherwise wait until that first call has ended.
 * Everybody gets what it returned, failure included: a failed function is not called again, and a
 * later call with another function does not run that one.
 *
 * knit_once_value also hands everybody the value; *ret_value is set only where the result is 0 (NULL
 * after a knit_once_do on the same o).
 *
 * fn runs in the first caller, under its context, without any lock held. If it ends its task instead
 * of returning, it has been called all the same: everybody else gets -EOWNERDEAD after a
 * knit_task_exit, KNIT_PANICKED after a knit_panic that the task's group contains.
 *
 * Parks:    while another call runs its fn.
 * Cancel:   one that waits: -ECANCELED (-ETIMEDOUT for a deadline) when its ambient context ends
 *           first; fn goes on. The first caller, and one that comes after the end: not affected.
 * Errors:   what fn returned; -EDEADLK called by fn itself, for the same o; -EOWNERDEAD and
 *           KNIT_PANICKED, see above; -EINVAL (o or fn NULL; o is not used up); -ECANCELED,
 *           -ETIMEDOUT; -ENOMEM (a wait or, in a task, a first call that cannot be stored; o is not
 *           used up).
 * Pointers: borrowed; the value is what fn made, owned as fn says.
 * Threads:  any task, any thread. */
KNIT_API inline int knit_once_do(knit_once *o, knit_fn *fn, void *arg)
{
    if (__builtin_expect(o && fn && __atomic_load_n(&o->knit__state, __ATOMIC_ACQUIRE) == 2, 1))
        return o->knit__result;
    return knit__once_do_slow(o, fn, arg);
}
KNIT_API inline int knit_once_value(knit_once *o, knit_value_fn *fn, void *arg, void **ret_value)
{
    if (__builtin_expect(
            o && fn && ret_value && __atomic_load_n(&o->knit__state, __ATOMIC_ACQUIRE) == 2, 1)) {
        if (o->knit__result == 0)
            *ret_value = o->knit__value;
        return o->knit__result;
    }
    return knit__once_value_slow(o, fn, arg, ret_value);
}

/* 1 when the function of o has ended, else 0 (also for NULL).
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API int knit_once_done(const knit_once *o);

#ifdef __cplusplus
}
#endif
#endif
