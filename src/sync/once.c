/* Once: NEW -> RUNNING -> DONE. DONE is published by a release store after the result, and read
 * without the lock, by callers too (the header knows the first three fields); the way there is under
 * the lock, and so is the queue of those that wait.
 *
 * The last touch is the unlock after DONE: but a caller that sees DONE without the lock may free
 * the object while the runner is still about to unlock. So callers that see DONE for the first time
 * in the fast path must not; a once is in static or long-lived storage, and the header forbids it to
 * go away while a call is in it, the first one included.
 *
 * A function that does not return but ends its task (knit_task_exit, knit_panic) is done all the
 * same: a guard (life.h) gives those who wait an error for its result.
 *
 * Lock rank: channel. */
#include "life.h"
#include "waitq.h"

#include <errno.h>
#include <knit/sync.h>

enum { WOKE_DONE = KNIT__WOKE_SOURCE };
enum { NEW, RUNNING, DONE }; /* the header knows DONE */

struct once {
    _Atomic uint32_t state; /* written under the lock */
    int result;             /* before DONE */
    void *value;            /* before DONE */
    struct knit__lock lock; /* the rest */
    uint32_t unused;
    const struct knit__task *runner; /* its stack: fn and what it runs inline while it waits */
    struct knit__waitq queue;
};

_Static_assert(sizeof(struct once) <= sizeof(knit_once), "the public struct is its storage");
_Static_assert(offsetof(struct once, state) == offsetof(knit_once, knit__state) &&
                   offsetof(struct once, result) == offsetof(knit_once, knit__result) &&
                   offsetof(struct once, value) == offsetof(knit_once, knit__value) && DONE == 2,
               "what the header reads");

struct call {
    knit_fn *fn;
    knit_value_fn *value_fn;
    void *arg;
};

/* The function has ended: let the others go. */
static void finish(struct once *o, int result, void *value)
{
    struct knit__batch batch = {0};

    o->result = result;
    o->value = result == 0 ? value : NULL;
    knit__lock(&o->lock);
    o->runner = NULL;
    /* pairs with the acquire in once_do and knit_once_done */
    atomic_store_explicit(&o->state, DONE, memory_order_release);
    knit__waitq_wake_all(&o->queue, WOKE_DONE, &batch);
    knit__unlock(&o->lock);
    knit__waitq_ready(&batch);
}

/* It has ended its task instead of returning. */
static void left(void *arg)
{
    finish(arg, knit__life_exit_error(knit__task_self()), NULL);
}

static bool claim(struct once *o, const struct knit__task *t)
{
    bool first;

    knit__lock(&o->lock);
    first = atomic_load_explicit(&o->state, memory_order_relaxed) == NEW;
    if (first) {
        atomic_store_explicit(&o->state, RUNNING, memory_order_relaxed);
        o->runner = t;
    }
    knit__unlock(&o->lock);
    return first;
}

/* Run the function if this is the first call: 1. 0: it is not. The guard comes first: then nothing
 * is used up when there is no memory for it. */
static int run_if_first(struct once *o, const struct call *call, struct knit__task *t)
{
    struct knit__defer guard = {.fn = left, .arg = o};
    void *value = NULL;
    int r;

    if (atomic_load_explicit(&o->state, memory_order_relaxed) != NEW)
        return 0;
    r = knit__life_guard(t, &guard);
    if (r < 0)
        return r;
    if (!claim(o, t)) {
        knit__life_unguard(t, &guard);
        return 0;
    }
    r = call->fn ? call->fn(call->arg) : call->value_fn(call->arg, &value);
    knit__life_unguard(t, &guard);
    finish(o, r, value);
    return 1;
}

/* The lock is held and released. */
static int wait_in(struct once *o, struct knit__task *t)
{
    struct knit__waiter w = {0};
    uint32_t word;

    knit__waitq_add(&o->queue, &w, t, true);
    knit__unlock(&o->lock);
    word = knit__waitq_sleep(&w, KNIT__NEVER, true);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&o->lock);
        knit__waitq_remove(&o->queue, &w);
        knit__unlock(&o->lock);
    }
    return knit__wait_reason(word) == WOKE_DONE ? 0 : knit__wait_result(t, word);
}

static KNIT__NOINLINE int do_slow(struct once *o, const struct call *call)
{
    struct knit__task *t = knit__task_self();
    uint32_t state;
    int r;

    if (!t)
        return -ENOMEM;
    r = run_if_first(o, call, t);
    if (r != 0)
        return r < 0 ? r : 0;
    knit__lock(&o->lock);
    state = atomic_load_explicit(&o->state, memory_order_relaxed);
    if (state == RUNNING && o->runner != t) {
        knit__unlock(&o->lock);
        r = knit__wait_begin(t);
        if (r < 0)
            return r;
        knit__lock(&o->lock);
        if (atomic_load_explicit(&o->state, memory_order_relaxed) == RUNNING)
            return wait_in(o, t);
        state = DONE;
    }
    knit__unlock(&o->lock);
    return state == DONE ? 0 : -EDEADLK;
}

static int once_do(struct once *o, const struct call *call)
{
    int r;

    if (KNIT__UNLIKELY(atomic_load_explicit(&o->state, memory_order_acquire) != DONE)) {
        r = do_slow(o, call);
        if (r < 0)
            return r;
    }
    return o->result;
}

int knit__once_do_slow(knit_once *o, knit_fn *fn, void *arg)
{
    struct call call = {.fn = fn, .arg = arg};

    if (!o || !fn)
        return -EINVAL;
    return once_do((struct once *)(void *)o, &call);
}

int knit__once_value_slow(knit_once *public, knit_value_fn *fn, void *arg, void **ret_value)
{
    struct call call = {.value_fn = fn, .arg = arg};
    struct once *o = (struct once *)(void *)public;
    int r;

    if (!o || !fn || !ret_value)
        return -EINVAL;
    r = once_do(o, &call);
    /* an error of the wait itself may come before DONE, and may look like fn's */
    if (r == 0)
        *ret_value = o->value;
    return r;
}

/* For callers that did not inline them, and other languages. */
extern KNIT_API int knit_once_do(knit_once *o, knit_fn *fn, void *arg);
extern KNIT_API int knit_once_value(knit_once *o, knit_value_fn *fn, void *arg, void **ret_value);

int knit_once_done(const knit_once *public)
{
    const struct once *o = (const struct once *)(const void *)public;

    return o && atomic_load_explicit(&o->state, memory_order_acquire) == DONE;
}
