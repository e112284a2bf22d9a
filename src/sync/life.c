/* Deferred calls, exit, task-local values. The essay is in life.h.
 *
 * Everything here belongs to one run and is touched by the code that runs on its stack: no locks. */
#include "life.h"

#include "../sched/ready.h"
#include "ctx.h"

#include <errno.h>
#include <knit/task.h>
#include <stdlib.h>

/* A value of one run. */
struct local {
    struct local *next;
    const knit_task_local *key;
    void *value;
};

struct life {
    struct knit__defer *defers; /* the newest first */
    struct local *locals;       /* the newest first */
    uint32_t pins;              /* knit_task_pin without unpin */
    bool finishing;             /* deferred calls are being made, caught one by one */
    bool exited;                /* the one that was just made, by an exit */
    int result;                 /* of the last exit */
    void *entered;              /* the scope to leave down to then */
};

/* NULL: no memory. */
static struct life *life_of(struct knit__run *run)
{
    knit__run_touch(run);
    if (!run->life)
        run->life = calloc(1, sizeof(struct life));
    return run->life;
}

static struct life *life_if_any(const struct knit__run *run)
{
    return knit__run_touched(run) ? run->life : NULL;
}

/* The run of a task; NULL on a plain thread and where no task runs (a timer's callback). */
static struct knit__run *task_run(void)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__run *run = w ? w->task->run : NULL;

    return run && run->rec.group ? run : NULL;
}

/* ---- deferred calls ---- */

static int defer_push(struct knit__run *run, struct knit__defer *d)
{
    struct life *life = life_of(run);

    if (!life)
        return -ENOMEM;
    d->next = life->defers;
    life->defers = d;
    return 0;
}

int knit_defer(knit_defer_fn *fn, void *arg)
{
    struct knit__run *run = task_run();
    struct knit__defer *d;

    if (!fn)
        return -EINVAL;
    if (!run)
        return -EPERM;
    d = malloc(sizeof *d);
    if (!d)
        return -ENOMEM;
    *d = (struct knit__defer){.fn = fn, .arg = arg, .on_heap = true};
    if (defer_push(run, d) == 0)
        return 0;
    free(d);
    return -ENOMEM;
}

int knit__life_guard(struct knit__task *t, struct knit__defer *d)
{
    d->on_heap = false;
    return t->run->rec.group ? defer_push(t->run, d) : 0;
}

void knit__life_unguard(struct knit__task *t, struct knit__defer *d)
{
    struct life *life = life_if_any(t->run);
    struct knit__defer **at = life ? &life->defers : NULL;

    while (at && *at && *at != d) /* the guarded code may have deferred calls */
        at = &(*at)->next;
    if (at && *at)
        *at = d->next;
}

int knit__life_exit_error(const struct knit__task *t)
{
    const struct life *life = life_if_any(t->run);

    return life && life->result == KNIT_PANICKED ? KNIT_PANICKED : -EOWNERDEAD;
}

/* Make the guards: their frames are about to be left. Those of frames that stay are made early. */
static void make_guards(struct life *life)
{
    struct knit__defer **at = &life->defers;

    while (*at) {
        struct knit__defer *d = *at;

        if (d->on_heap) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        d->fn(d->arg);
    }
}

static int call_deferred(void *defer)
{
    struct knit__defer *d = defer;
    void (*fn)(void *) = d->fn;
    void *arg = d->arg;

    if (d->on_heap)
        free(d);
    fn(arg);
    return 0;
}

/* Make all deferred calls, also those that they add. Returns the result of the run. */
static int make_deferred_calls(struct knit__run *run, struct life *life, int r)
{
    while (life->defers) {
        struct knit__defer *d = life->defers;

        life->defers = d->next;
        life->exited = false;
        (void)knit__call_caught(&run->caught, call_deferred, d);
        if (life->exited)
            r = life->result;
    }
    return r;
}

/* The same, hidden from the end of the run's context, for a while. */
static int make_shielded_calls(struct knit__run *run, struct life *life, int r)
{
    struct knit__cancel *before = run->ctx;
    struct knit__catch caught = run->caught;
    knit_ctx *shield = NULL;

    if (before && knit_ctx_shield(knit__ctx_public(before), KNIT_DEFER_BUDGET, &shield) < 0)
        shield = NULL; /* no memory: without a bound is better than without a chance */
    life->entered = run->entered;
    life->finishing = true;
    run->ctx = shield ? knit__ctx_private(shield) : NULL;
    r = make_deferred_calls(run, life, r);
    life->finishing = false;
    knit__ctx_unwatch(knit__task_self());
    run->ctx = before;
    run->caught = caught;
    knit_ctx_unref(shield);
    return r;
}

/* ---- task-local values ---- */

static struct local *find_local(const struct life *life, const knit_task_local *key)
{
    struct local *l = life ? life->locals : NULL;

    while (l && l->key != key)
        l = l->next;
    return l;
}

int knit_task_local_set(const knit_task_local *key, void *value)
{
    struct knit__task *t = knit__task_self();
    struct life *life;
    struct local *l;

    if (!key)
        return -EINVAL;
    life = t ? life_of(t->run) : NULL;
    if (!life)
        return -ENOMEM;
    l = find_local(life, key);
    if (!l) {
        l = malloc(sizeof *l);
        if (!l)
            return -ENOMEM;
        *l = (struct local){life->locals, key, NULL};
        life->locals = l;
    }
    l->value = value;
    return 0;
}

void *knit_task_local_get(const knit_task_local *key)
{
    struct knit__task *t = knit__task_self();
    const struct local *l = t ? find_local(life_if_any(t->run), key) : NULL;

    return l ? l->value : NULL;
}

/* Also those that a destructor sets. */
static void destroy_locals(struct life *life)
{
    while (life->locals) {
        struct local *l = life->locals;
        const knit_task_local *key = l->key;
        void *value = l->value;

        life->locals = l->next;
        free(l);
        if (value && key->destroy)
            key->destroy(value);
    }
}

/* ---- pins ---- */

int knit_task_pin(void)
{
    struct knit__run *run = task_run();
    struct life *life;

    if (!run)
        return 0; /* a thread */
    life = life_of(run);
    if (!life)
        return -ENOMEM;
    if (life->pins++ == 0)
        knit__pin(knit__task_self());
    return 0;
}

int knit_task_unpin(void)
{
    struct knit__run *run = task_run();
    struct life *life = run ? life_if_any(run) : NULL;

    if (!run)
        return 0;
    if (!life || life->pins == 0)
        return -EPERM;
    if (--life->pins == 0)
        knit__unpin(knit__task_self());
    return 0;
}

/* ---- the end ---- */

/* A destructor may defer, and a deferred call set a value. */
int knit__life_finish(struct knit__run *run, int r)
{
    struct life *life = run->life;

    while (life->defers || life->locals) {
        if (life->defers)
            r = make_shielded_calls(run, life, r);
        destroy_locals(life);
    }
    if (life->pins > 0)
        knit__unpin(knit__task_self());
    run->life = NULL;
    free(life);
    return r;
}

void knit__life_exit(struct knit__task *t, int r)
{
    struct knit__run *run = t->run;
    struct life *life = life_if_any(run);

    knit__leave_blocking(t, run);
    if (life)
        life->result = r;
    if (life && life->finishing) {
        life->exited = true;
        make_guards(life);
        knit__ctx_leave_down_to(t, life->entered);
        knit__throw(&run->caught, 0);
    }
    knit__ctx_leave_down_to(t, NULL);
    if (life)
        r = knit__life_finish(run, r);
    knit__run_exit(t, r);
}

int knit_task_exit(int result)
{
    if (!task_run())
        return -EPERM;
    knit__life_exit(knit__task_self(), result);
}
