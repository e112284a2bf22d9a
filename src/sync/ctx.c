/* The cancellation tree.
 *
 * A context is one node: it may end by itself (cancel, deadline), with its parent, or never. Under
 * its lock: its children, the tasks it watches, the functions to call after its end. A child holds
 * a reference to its parent; a parent holds none to its children, which unlink themselves.
 *
 * Ending (ctx_end): under the lock, store the cause, then err (seq_cst: a task that arms a wait
 * reads err after it), then claim every watched task that waits cancelably; unlock; make them
 * ready; run the after functions; then the same for each child, from a list of references instead
 * of by recursion. A child attached later finds its parent ended under the parent's lock.
 *
 * Watching: a task is in the list of one context at most, entered at its first cancelable wait and
 * left when the run ends or its ambient context changes. So a wait under a context that already
 * watches the task takes no lock of the context.
 *
 * Lock rank: ctx; parent before child never (one at a time). */
#include "ctx.h"

#include "../plat/simulated.h"
#include "../sched/timer.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>

enum { CTX_DETACHED = 1 }; /* does not end with its parent */

struct knit_ctx {
    struct knit__cancel cancel; /* first; err is written once, under the lock */
    _Atomic uint32_t refs;
    /* set at birth, then constant */
    knit_ctx *parent;
    int64_t deadline; /* the one that will end it, own or inherited */
    const void *key;
    void *value;
    const char *name; /* of the group it belongs to, or NULL */
    /* lock */
    struct knit__lock lock;
    _Atomic int cause; /* written before err */
    struct knit__list children, watched, afters;
    /* the parent's lock */
    struct knit__list sibling;
    knit_ctx *work; /* in the work list of ctx_end */
    /* the heap's lock; holds no reference: the last unref disarms it under that lock, and it is
     * pinned under it before it fires */
    struct knit__timer timer;
};

struct after {
    struct knit__list link; /* in ctx->afters; its lock */
    knit_ctx *ctx;          /* NULL: never to be called (background) */
    knit_ctx_after_fn *fn;
    void *arg;
    struct knit__task *runner; /* who calls fn */
    _Atomic uint32_t state;
    bool given; /* fn frees the storage, or lets it be reused */
};

enum { AFTER_WAITING, AFTER_RUNNING, AFTER_OVER };

_Static_assert(sizeof(struct after) <= sizeof(knit_ctx_after_handle), "the handle is its storage");

static knit_ctx background = {
    .refs = 1,
    .deadline = KNIT__NEVER,
    .children = {&background.children, &background.children},
    .watched = {&background.watched, &background.watched},
    .afters = {&background.afters, &background.afters},
    .sibling = {&background.sibling, &background.sibling},
};

knit_ctx *knit_ctx_background(void)
{
    return &background;
}

struct knit__cancel *knit__ctx_private(knit_ctx *ctx)
{
    return ctx == &background ? NULL : &ctx->cancel;
}

knit_ctx *knit_ctx_current(void)
{
    struct knit__task *t = knit__task_self();

    return t ? knit__ctx_public(t->run->ctx) : &background;
}

/* ---- references ---- */

knit_ctx *knit_ctx_ref(knit_ctx *ctx)
{
    if (ctx && ctx != &background)
        atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

/* A reference unless the last one is gone already. */
static bool ctx_try_ref(knit_ctx *ctx)
{
    uint32_t n = atomic_load_explicit(&ctx->refs, memory_order_relaxed);

    while (n != 0) {
        if (atomic_compare_exchange_weak_explicit(&ctx->refs, &n, n + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
    return false;
}

static void ctx_detach(knit_ctx *ctx)
{
    if (ctx->parent == &background)
        return; /* it keeps no children */
    knit__lock(&ctx->parent->lock);
    knit__list_remove(&ctx->sibling);
    knit__unlock(&ctx->parent->lock);
}

void knit_ctx_unref(knit_ctx *ctx)
{
    while (ctx && ctx != &background) {
        knit_ctx *parent = ctx->parent;

        if (atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
            return;
        if (ctx->timer.home)
            knit__timer_disarm(&ctx->timer);
        ctx_detach(ctx);
        free(ctx);
        ctx = parent; /* it held one */
    }
}

/* ---- the end ---- */

static void after_call(struct after *a)
{
    _Atomic uint32_t *state = &a->state;
    knit_ctx *ctx = a->ctx;
    bool given = a->given;

    a->fn(a->arg);
    if (given) {
        knit_ctx_unref(ctx);
        return;
    }
    /* the last touch: after it the storage may be gone */
    atomic_store_explicit(state, AFTER_OVER, memory_order_release);
    knit__futex_wake(state, INT32_MAX);
    knit_ctx_unref(ctx);
}

/* Claim the waiting tasks and take over the after functions; lock held. */
static void collect_locked(knit_ctx *ctx, struct knit__batch *ready, struct knit__list *calls)
{
    for (struct knit__list *l = ctx->watched.next; l != &ctx->watched; l = l->next) {
        struct knit__task *t = KNIT__CONTAINER(l, struct knit__task, watch_link);
        /* seq_cst: after the store of err, against the store in knit__wait_arm */
        uint32_t word = atomic_load_explicit(&t->wait, memory_order_seq_cst);

        while (word & KNIT__WAIT_CANCELABLE) { /* FIRED words do not have it */
            enum knit__claim claim = knit__wait_claim_word(t, &word, KNIT__WOKE_CTX);

            if (claim == KNIT__CLAIM_PARKED)
                knit__batch_add(ready, t);
            if (claim != KNIT__CLAIM_LOST)
                break;
        }
    }
    while (!knit__list_empty(&ctx->afters)) {
        struct after *a = KNIT__CONTAINER(ctx->afters.next, struct after, link);
        uint32_t waiting = AFTER_WAITING;

        knit__list_remove(&a->link);
        a->runner = knit__task_self();
        /* release: a stop that sees RUNNING sees the runner; one that came first unlinks it */
        if (atomic_compare_exchange_strong_explicit(&a->state, &waiting, AFTER_RUNNING,
                                                    memory_order_acq_rel, memory_order_relaxed))
            knit__list_append(calls, &a->link);
    }
}

/* Move the children, a reference each, to the front of a work list; lock held. */
static knit_ctx *take_children_locked(knit_ctx *ctx, knit_ctx *work)
{
    while (!knit__list_empty(&ctx->children)) {
        knit_ctx *child = KNIT__CONTAINER(ctx->children.next, struct knit_ctx, sibling);

        knit__list_remove(&child->sibling);
        if (ctx_try_ref(child)) {
            child->work = work;
            work = child;
        }
    }
    return work;
}

/* End this one node. Returns the work list with its children added. */
static knit_ctx *end_one(knit_ctx *ctx, int err, int cause, knit_ctx *work)
{
    struct knit__batch ready = {0};
    struct knit__list calls;

    knit__list_init(&calls);
    knit__lock(&ctx->lock);
    if (atomic_load_explicit(&ctx->cancel.err, memory_order_relaxed) != 0) {
        knit__unlock(&ctx->lock);
        return work;
    }
    atomic_store_explicit(&ctx->cause, cause, memory_order_relaxed);
    (void)atomic_exchange_explicit(&ctx->cancel.err, err, memory_order_seq_cst);
    collect_locked(ctx, &ready, &calls);
    work = take_children_locked(ctx, work);
    knit__unlock(&ctx->lock);

    if (ctx->timer.home)
        knit__timer_disarm(&ctx->timer);
    knit__ready_batch(&ready);
    while (!knit__list_empty(&calls)) {
        struct after *a = KNIT__CONTAINER(calls.next, struct after, link);

        knit__list_remove(&a->link);
        after_call(a);
    }
    return work;
}

static void ctx_end(knit_ctx *ctx, int err, int cause)
{
    knit_ctx *work = end_one(ctx, err, cause, NULL);

    while (work) {
        knit_ctx *child = work;

        work = end_one(child, err, cause, child->work);
        knit_ctx_unref(child);
    }
}

void knit_ctx_cancel(knit_ctx *ctx, int cause)
{
    if (!ctx || ctx == &background || knit__ctx_ended(&ctx->cancel) != 0)
        return;
    knit_ctx_ref(ctx);
    ctx_end(ctx, -ECANCELED, cause ? cause : -ECANCELED);
    knit_ctx_unref(ctx);
}

static bool pin_timer(struct knit__timer *timer)
{
    return ctx_try_ref(KNIT__CONTAINER(timer, struct knit_ctx, timer));
}

static void deadline_passed(struct knit__timer *timer)
{
    knit_ctx *ctx = KNIT__CONTAINER(timer, struct knit_ctx, timer);

    ctx_end(ctx, -ETIMEDOUT, -ETIMEDOUT);
    knit_ctx_unref(ctx); /* from pin_timer */
}

/* ---- birth ---- */

/* Link a new child, or end it if the parent has ended. */
static void ctx_attach(knit_ctx *ctx, knit_ctx *parent, bool detached)
{
    int err = 0, cause = 0;

    if (detached || parent == &background)
        return;
    knit__lock(&parent->lock);
    err = atomic_load_explicit(&parent->cancel.err, memory_order_relaxed);
    cause = atomic_load_explicit(&parent->cause, memory_order_relaxed);
    if (err == 0)
        knit__list_append(&parent->children, &ctx->sibling);
    knit__unlock(&parent->lock);
    if (err != 0)
        ctx_end(ctx, err, cause);
}

static knit_ctx *ctx_new(knit_ctx *parent, bool detached)
{
    knit_ctx *ctx = malloc(sizeof *ctx);

    if (!ctx)
        return NULL;
    *ctx = (struct knit_ctx){
        .refs = 1,
        .parent = knit_ctx_ref(parent),
        .deadline = detached ? KNIT__NEVER : parent->deadline,
    };
    knit__list_init(&ctx->children);
    knit__list_init(&ctx->watched);
    knit__list_init(&ctx->afters);
    knit__list_init(&ctx->sibling);
    return ctx;
}

/* Give ctx an end of its own at `deadline`, if that is the earlier one. */
static int ctx_set_deadline(knit_ctx *ctx, int64_t deadline)
{
    if (deadline == KNIT__NEVER || ctx->deadline < deadline)
        return 0;
    ctx->deadline = deadline;
    if (knit__ctx_ended(&ctx->cancel) != 0)
        return 0;
    if (deadline <= knit__clock_now()) {
        ctx_end(ctx, -ETIMEDOUT, -ETIMEDOUT);
        return 0;
    }
    ctx->timer.pin = pin_timer;
    ctx->timer.fire = deadline_passed;
    return knit__timer_arm(&ctx->timer, deadline);
}

static int ctx_make(knit_ctx *parent, bool detached, int64_t deadline, knit_ctx **ret_ctx)
{
    knit_ctx *ctx;
    int r;

    if (!parent || !ret_ctx)
        return -EINVAL;
    if (!knit__task_self()) /* the runtime is there: a deadline needs it */
        return -ENOMEM;
    ctx = ctx_new(parent, detached);
    if (!ctx)
        return -ENOMEM;
    if (!detached && knit__ctx_ended(&parent->cancel) != 0)
        deadline = KNIT__NEVER; /* it ends now, as its parent did */
    r = ctx_set_deadline(ctx, deadline);
    if (r < 0) {
        knit_ctx_unref(ctx);
        return -ENOMEM;
    }
    ctx_attach(ctx, parent, detached);
    *ret_ctx = ctx;
    return 0;
}

int knit_ctx_with_cancel(knit_ctx *parent, knit_ctx **ret_ctx)
{
    return ctx_make(parent, false, KNIT__NEVER, ret_ctx);
}

int knit_ctx_with_deadline(knit_ctx *parent, knit_time deadline, knit_ctx **ret_ctx)
{
    return ctx_make(parent, false, deadline, ret_ctx);
}

int knit__ctx_for_group(knit_ctx *parent, int64_t deadline, const char *name, knit_ctx **ret_ctx)
{
    int r = ctx_make(parent, false, deadline, ret_ctx);

    if (r == 0)
        (*ret_ctx)->name = name;
    return r;
}

const char *knit__ctx_name(const knit_ctx *ctx)
{
    return ctx->name;
}

knit_ctx *knit__ctx_parent(const knit_ctx *ctx)
{
    return ctx->parent;
}

/* now + d, without overflow. */
static int64_t time_after(knit_duration d)
{
    int64_t now = knit__clock_now();

    return d >= KNIT__NEVER - now ? KNIT__NEVER : now + d;
}

int knit_ctx_with_timeout(knit_ctx *parent, knit_duration timeout, knit_ctx **ret_ctx)
{
    return ctx_make(parent, false, time_after(timeout), ret_ctx);
}

int knit_ctx_with_value(knit_ctx *parent, const void *key, void *value, knit_ctx **ret_ctx)
{
    knit_ctx *ctx;
    int r;

    if (!key)
        return -EINVAL;
    r = ctx_make(parent, false, KNIT__NEVER, &ctx);
    if (r < 0)
        return r;
    ctx->key = key;
    ctx->value = value;
    if (!ret_ctx) {
        knit_ctx_unref(ctx);
        return -EINVAL;
    }
    *ret_ctx = ctx;
    return 0;
}

int knit_ctx_without_cancel(knit_ctx *parent, knit_ctx **ret_ctx)
{
    return ctx_make(parent, true, KNIT__NEVER, ret_ctx);
}

int knit_ctx_shield(knit_ctx *parent, knit_duration budget, knit_ctx **ret_ctx)
{
    if (budget < 0)
        return -EINVAL;
    return ctx_make(parent, true, time_after(budget), ret_ctx);
}

/* ---- questions ---- */

int knit_ctx_err(const knit_ctx *ctx)
{
    return ctx ? knit__ctx_ended(&ctx->cancel) : -EINVAL;
}

int knit_ctx_cause(const knit_ctx *ctx)
{
    if (!ctx)
        return -EINVAL;
    if (knit__ctx_ended(&ctx->cancel) == 0)
        return 0;
    return atomic_load_explicit(&ctx->cause, memory_order_relaxed);
}

knit_time knit_ctx_deadline(const knit_ctx *ctx)
{
    return ctx ? ctx->deadline : KNIT__NEVER;
}

void *knit_ctx_value(const knit_ctx *ctx, const void *key)
{
    for (; ctx && key; ctx = ctx->parent) {
        if (ctx->key == key)
            return ctx->value;
    }
    return NULL;
}

int knit_canceled(void)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__cancel *ctx;

    KNIT__POINT_ALWAYS();
    if (w)
        ctx = w->task->run->ctx;
    else
        ctx = knit__ctx_private(knit_ctx_current());
    return ctx && atomic_load_explicit(&ctx->err, memory_order_relaxed) != 0;
}

/* ---- watching tasks ---- */

void knit__ctx_unwatch(struct knit__task *t)
{
    knit_ctx *ctx = (knit_ctx *)(void *)t->watcher;

    if (!ctx)
        return;
    knit__lock(&ctx->lock);
    knit__list_remove(&t->watch_link);
    knit__unlock(&ctx->lock);
    t->watcher = NULL;
}

int knit__ctx_watch(struct knit__task *t, struct knit__cancel *cancel)
{
    knit_ctx *ctx = (knit_ctx *)(void *)cancel;
    int err;

    if (t->watcher != cancel)
        knit__ctx_unwatch(t);
    if (!ctx)
        return 0;
    knit__lock(&ctx->lock);
    err = atomic_load_explicit(&cancel->err, memory_order_relaxed);
    if (err == 0 && t->watcher != cancel) {
        knit__list_append(&ctx->watched, &t->watch_link);
        t->watcher = cancel;
        knit__run_touch(t->run);
    }
    knit__unlock(&ctx->lock);
    return err;
}

/* ---- entering ---- */

/* What a knit_ctx_scope holds. */
struct entered {
    knit_ctx *ctx;
    struct knit__cancel *before;
    struct entered *outer;
    struct knit__run *run;
};

_Static_assert(sizeof(struct entered) <= sizeof(knit_ctx_scope), "the scope is its storage");

int knit_ctx_enter(knit_ctx *ctx, knit_ctx_scope *scope)
{
    struct knit__task *t = knit__task_self();
    struct entered *e = (void *)scope;

    if (!ctx || !scope)
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    knit__run_touch(t->run);
    *e = (struct entered){knit_ctx_ref(ctx), t->run->ctx, t->run->entered, t->run};
    t->run->entered = e;
    t->run->ctx = knit__ctx_private(ctx);
    return 0;
}

int knit_ctx_leave(knit_ctx_scope *scope)
{
    struct knit__task *t = knit__task_self();
    struct entered *e = (void *)scope;

    if (!scope || !t)
        return -EINVAL;
    if (!knit__run_touched(t->run) || t->run->entered != e || e->run != t->run)
        return -EPERM;
    if (t->watcher)
        knit__ctx_unwatch(t);
    t->run->entered = e->outer;
    t->run->ctx = e->before;
    knit_ctx_unref(e->ctx);
    return 0;
}

void knit__ctx_leave_down_to(struct knit__task *t, const void *entered)
{
    struct knit__run *run = t->run;

    while (knit__run_touched(run) && run->entered && run->entered != entered)
        (void)knit_ctx_leave(run->entered);
}

/* ---- after functions ---- */

static void after_set(knit_ctx *ctx, struct after *a)
{
    bool ended;

    knit__list_init(&a->link);
    if (ctx == &background)
        return;
    a->ctx = knit_ctx_ref(ctx);
    knit__lock(&ctx->lock);
    ended = atomic_load_explicit(&ctx->cancel.err, memory_order_relaxed) != 0;
    if (!ended) {
        knit__list_append(&ctx->afters, &a->link);
    } else {
        a->runner = knit__task_self();
        atomic_store_explicit(&a->state, AFTER_RUNNING, memory_order_relaxed);
    }
    knit__unlock(&ctx->lock);
    if (ended)
        after_call(a);
}

int knit_ctx_after(knit_ctx *ctx, knit_ctx_after_fn *fn, void *arg, knit_ctx_after_handle *handle)
{
    struct after *a = (void *)handle;

    if (!ctx || !fn || !handle)
        return -EINVAL;
    *a = (struct after){.fn = fn, .arg = arg};
    after_set(ctx, a);
    return 0;
}

void knit__ctx_after_given(knit_ctx *ctx, knit_ctx_after_fn *fn, void *arg,
                           knit_ctx_after_handle *handle)
{
    struct after *a = (void *)handle;

    *a = (struct after){.fn = fn, .arg = arg, .given = true};
    after_set(ctx, a);
}

/* The stop that wins the state over the end of the context: nobody will call it. Its reference
 * keeps the context until here. */
static int stop_waiting(struct after *a)
{
    knit_ctx *ctx = a->ctx;

    if (ctx) {
        knit__lock(&ctx->lock);
        knit__list_remove(&a->link);
        knit__unlock(&ctx->lock);
        knit_ctx_unref(ctx);
    }
    return 1;
}

bool knit__ctx_after_take_back(knit_ctx_after_handle *handle)
{
    struct after *a = (void *)handle;
    uint32_t state = AFTER_WAITING;

    return atomic_compare_exchange_strong_explicit(&a->state, &state, AFTER_OVER,
                                                   memory_order_acq_rel, memory_order_acquire) &&
           stop_waiting(a);
}

int knit_ctx_after_stop(knit_ctx_after_handle *handle)
{
    struct after *a = (void *)handle;
    uint32_t state = AFTER_WAITING;

    if (!handle)
        return -EINVAL;
    if (atomic_compare_exchange_strong_explicit(&a->state, &state, AFTER_OVER, memory_order_acq_rel,
                                                memory_order_acquire))
        return stop_waiting(a);
    if (state == AFTER_OVER)
        return 0;
    if (a->runner == knit__task_self()) {
        if (knit__list_empty(&a->link))
            return 0; /* fn stops itself */
        /* its turn has not come yet: we are in the function before it */
        knit__list_remove(&a->link);
        atomic_store_explicit(&a->state, AFTER_OVER, memory_order_relaxed);
        knit_ctx_unref(a->ctx);
        return 1;
    }
    /* acquire pairs with the release in after_call */
    while (atomic_load_explicit(&a->state, memory_order_acquire) == AFTER_RUNNING)
        knit__futex_wait(&a->state, AFTER_RUNNING, KNIT__NEVER);
    return 0;
}

/* ---- waiting for the end ---- */

/* The claim is made without the context's lock: knit__alarm_clear keeps the waiter's frame alive
 * until this has returned. */
static void ring_alarm(void *arg)
{
    struct knit__alarm *alarm = arg;

    if (knit__wait_claim(alarm->task, alarm->reason) == KNIT__CLAIM_PARKED)
        knit__ready(alarm->task);
}

void knit__alarm_set(struct knit__alarm *alarm, knit_ctx *ctx)
{
    knit_ctx_after(ctx, ring_alarm, alarm, &alarm->handle);
}

void knit__alarm_clear(struct knit__alarm *alarm)
{
    knit_ctx_after_stop(&alarm->handle);
}

int knit_ctx_wait(knit_ctx *ctx)
{
    struct knit__task *t = knit__task_self();
    struct knit__alarm alarm = {.task = t, .reason = KNIT__WOKE_SOURCE};
    uint32_t word;
    int r;

    if (!ctx)
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    r = knit_ctx_err(ctx);
    if (r != 0)
        return r;
    r = knit__wait_begin(t);
    if (r < 0)
        return r;
    knit__wait_arm(t, t->run->ctx != NULL);
    knit__alarm_set(&alarm, ctx);
    word = knit__wait_for(t, KNIT__NEVER, true);
    knit__alarm_clear(&alarm);
    if (knit__wait_reason(word) >= KNIT__WOKE_SOURCE)
        return knit_ctx_err(ctx);
    return knit__wait_result(t, word);
}
