/* Task handles, and tasks that say when they are ready.
 *
 * A task with a handle is a wrapper that runs the user's function under the handle's context. Its
 * record carries a flag (KNIT__REC_HANDLE), by which its end is told to the handle, however it ends:
 * by return, exit or panic, or without having begun. That is all the group knows of it, and tasks
 * without the flag do nothing new.
 *
 * References: the user's, and the record's, which the end drops. Under the handle's lock: the state
 * and who waits for it to change; each change wakes all of them (there are few), and they look
 * again. Lock rank: channel. */
#include "handle.h"

#include "../sync/waitq.h"

#include <errno.h>
#include <knit/handle.h>
#include <stdlib.h>

struct knit_task {
    _Atomic uint32_t refs;
    /* set at birth, then constant */
    bool wants_ready; /* somebody waits for knit_task_ready */
    knit_fn *fn;
    void *arg;
    /* lock; the state is also read without */
    struct knit__lock lock;
    _Atomic int state;
    bool canceled;  /* before it began */
    bool ready;     /* knit_task_ready was called, with `value` */
    bool abandoned; /* the starter has gone before that */
    int result;     /* when it is over */
    knit_ctx *ctx;  /* while it runs */
    void *value;
    struct knit__waitq waiters;
};

/* ---- references ---- */

knit_task *knit_task_ref(knit_task *task)
{
    if (task)
        atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
    return task;
}

void knit_task_unref(knit_task *task)
{
    /* acq_rel: who frees it does so after all that the others did with it */
    if (task && atomic_fetch_sub_explicit(&task->refs, 1, memory_order_acq_rel) == 1)
        free(task);
}

/* ---- the task's side ---- */

/* The handle of the innermost run, or NULL. */
static knit_task *handle_of(const struct knit__run *run)
{
    return run && (run->rec.flags & KNIT__REC_HANDLE) ? run->rec.arg : NULL;
}

/* Give the task its context, unless it was cancelled before: -ECANCELED. */
static int begin(knit_task *task, knit_ctx *ctx)
{
    int r = 0;

    knit__lock(&task->lock);
    if (task->canceled) {
        r = -ECANCELED;
    } else {
        task->ctx = knit_ctx_ref(ctx);
        atomic_store_explicit(&task->state, KNIT_TASK_RUNNING, memory_order_relaxed);
    }
    knit__unlock(&task->lock);
    return r;
}

static int run_task(void *arg)
{
    knit_task *task = arg;
    struct knit__task *t = knit__task_self();
    knit_ctx_scope scope;
    knit_ctx *ctx;
    int r = knit_ctx_with_cancel(knit_ctx_current(), &ctx);

    if (r < 0)
        return r;
    r = begin(task, ctx);
    if (r < 0)
        t->run->rec.flags |= KNIT__REC_SKIPPED;
    else
        knit_ctx_enter(ctx, &scope); /* cannot fail in a task */
    knit_ctx_unref(ctx);
    if (r < 0)
        return r;
    r = task->fn(task->arg);
    (void)knit_ctx_leave(&scope);
    return r;
}

bool knit__handle_echo(const struct knit__run *run, int r)
{
    const knit_task *task = run->rec.arg;
    /* this task sets it, and ends now: no lock */
    int err = task->ctx ? knit_ctx_err(task->ctx) : 0;

    return err != 0 && (r == err || r == -ECANCELED);
}

void knit__handle_ended(const struct knit__rec *rec, int r, bool skipped)
{
    knit_task *task = rec->arg;
    struct knit__batch ready = {0};
    knit_ctx *ctx;

    knit__lock(&task->lock);
    ctx = task->ctx;
    task->ctx = NULL;
    task->result = skipped && r == 0 ? -ECANCELED : r;
    atomic_store_explicit(&task->state, skipped ? KNIT_TASK_SKIPPED : KNIT_TASK_ENDED,
                          memory_order_release);
    knit__waitq_wake_all(&task->waiters, KNIT__WOKE_SOURCE, &ready);
    knit__unlock(&task->lock);
    knit__waitq_ready(&ready);
    knit_ctx_unref(ctx);
    knit_task_unref(task);
}

knit_task *knit_task_self(void)
{
    struct knit__worker *w = knit__worker_self();

    return w ? handle_of(w->task->run) : NULL;
}

int knit_task_ready(void *value)
{
    knit_task *task = knit_task_self();
    struct knit__batch ready = {0};
    int r = 0;

    if (!task || !task->wants_ready)
        return -EPERM;
    knit__lock(&task->lock);
    if (task->abandoned) {
        r = -ECANCELED;
    } else if (task->ready) {
        r = -EALREADY;
    } else {
        task->ready = true;
        task->value = value;
        knit__waitq_wake_all(&task->waiters, KNIT__WOKE_SOURCE, &ready);
    }
    knit__unlock(&task->lock);
    knit__waitq_ready(&ready);
    return r;
}

/* ---- starting ---- */

static knit_task *task_new(knit_fn *fn, void *arg, bool wants_ready)
{
    knit_task *task = calloc(1, sizeof *task);

    if (!task)
        return NULL;
    atomic_store_explicit(&task->refs, 2, memory_order_relaxed);
    task->fn = fn;
    task->arg = arg;
    task->wants_ready = wants_ready;
    return task;
}

knit_task *knit__handle_new(knit_fn *fn, void *arg)
{
    return task_new(fn, arg, false);
}

int knit__handle_start(struct knit__group *g, knit_task *task, knit_task **ret_task,
                       const knit_site *site, uint32_t rec_flags)
{
    int r = knit__group_go(g, run_task, task, site, rec_flags | KNIT__REC_HANDLE);

    if (r != 0)
        knit_task_unref(task); /* the record's reference is gone */
    else
        *ret_task = task;
    return r;
}

void *knit__handle_arg(const knit_task *task)
{
    return task->arg;
}

static int start_task(knit_errgroup *group, knit_fn *fn, void *arg, knit_task **ret_task,
                      const knit_site *site, bool wants_ready)
{
    struct knit__group *g = knit__group_of(group);
    knit_task *task;

    if (!knit__group_usable(g) || !fn || !ret_task)
        return -EINVAL;
    task = task_new(fn, arg, wants_ready);
    if (!task)
        return knit__group_fail(g, -ENOMEM);
    return knit__handle_start(g, task, ret_task, site, 0);
}

int knit_errgroup_go_task_at(knit_errgroup *g, knit_fn *fn, void *arg, knit_task **ret_task,
                             const knit_site *site)
{
    return start_task(g, fn, arg, ret_task, site, false);
}

/* ---- the others' side ---- */

void knit_task_cancel(knit_task *task, int cause)
{
    knit_ctx *ctx;

    if (!task)
        return;
    knit__lock(&task->lock);
    ctx = knit_ctx_ref(task->ctx);
    if (!ctx)
        task->canceled = true; /* it has not begun, or it is over and nobody looks */
    knit__unlock(&task->lock);
    knit_ctx_cancel(ctx, cause);
    knit_ctx_unref(ctx);
}

int knit_task_state(const knit_task *task)
{
    /* acquire pairs with the release at the end: who sees that sees what the task did */
    return task ? atomic_load_explicit(&task->state, memory_order_acquire) : -EINVAL;
}

static bool is_over(const knit_task *task)
{
    int state = knit_task_state(task);

    return state == KNIT_TASK_ENDED || state == KNIT_TASK_SKIPPED;
}

/* Over, or ready for a starter. */
static bool has_come(const knit_task *task)
{
    return is_over(task) || task->ready;
}

/* One sleep until the state may have changed: 0, or why there is nothing to wait for any more. The
 * lock is released. */
static int sleep_once(knit_task *task, struct knit__task *t, int64_t deadline)
{
    struct knit__waiter w = {0};
    uint32_t word;

    if (knit__waitq_too_late(deadline)) {
        knit__unlock(&task->lock);
        return -ETIMEDOUT;
    }
    knit__waitq_add(&task->waiters, &w, t, true);
    knit__unlock(&task->lock);
    word = knit__waitq_sleep(&w, deadline, true);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&task->lock);
        knit__waitq_remove(&task->waiters, &w);
        knit__unlock(&task->lock);
    }
    return knit__wait_reason(word) >= KNIT__WOKE_SOURCE ? 0 : knit__wait_result(t, word);
}

/* Until the task is over, or (starter) has come. */
static int wait_for(knit_task *task, bool starter, int64_t deadline)
{
    struct knit__task *t = knit__task_self();
    if (!t)
        return -ENOMEM;
    for (;;) {
        int r = knit__wait_begin(t);
        bool done;

        knit__lock(&task->lock);
        done = starter ? has_come(task) : is_over(task);
        if (done || r < 0) {
            knit__unlock(&task->lock);
            return done ? 0 : r;
        }
        r = sleep_once(task, t, deadline);
        if (r < 0)
            return r;
    }
}

static bool runs_here(const knit_task *task)
{
    const struct knit__worker *w = knit__worker_self();

    for (const struct knit__run *run = w ? w->task->run : NULL; run; run = run->up) {
        if (handle_of(run) == task)
            return true;
    }
    return false;
}

int knit_task_try_wait(knit_task *task, int *ret_result)
{
    if (!task)
        return -EINVAL;
    if (!is_over(task))
        return -EAGAIN;
    if (ret_result)
        *ret_result = task->result; /* constant now */
    return 0;
}

int knit_task_wait_until(knit_task *task, int *ret_result, knit_time deadline)
{
    int r;

    if (!task)
        return -EINVAL;
    if (is_over(task))
        return knit_task_try_wait(task, ret_result);
    if (runs_here(task))
        return -EDEADLK;
    r = wait_for(task, false, deadline);
    return r < 0 ? r : knit_task_try_wait(task, ret_result);
}

int knit_task_wait(knit_task *task, int *ret_result)
{
    return knit_task_wait_until(task, ret_result, KNIT_FOREVER);
}

/* What the starter found. r: of its wait. */
static int outcome_of_start(knit_task *task, int r, void **ret_value)
{
    knit__lock(&task->lock);
    if (task->ready) {
        r = 0;
        if (ret_value)
            *ret_value = task->value;
    } else if (is_over(task)) {
        r = task->result != 0 ? task->result : -ECHILD;
    } else {
        task->abandoned = true;
    }
    knit__unlock(&task->lock);
    return r;
}

int knit_errgroup_start_at(knit_errgroup *g, knit_fn *fn, void *arg, void **ret_value,
                           const knit_site *site)
{
    knit_task *task = NULL;
    int r = start_task(g, fn, arg, &task, site, true);

    if (r != 0)
        return r;
    r = wait_for(task, true, KNIT__NEVER);
    r = outcome_of_start(task, r, ret_value);
    if (task->abandoned) /* written by this caller only */
        knit_task_cancel(task, r);
    knit_task_unref(task);
    return r;
}
