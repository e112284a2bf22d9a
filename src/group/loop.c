/* Doors into foreign event loops: a queue of calls and an eventfd.
 *
 * The eventfd is set by whoever finds the queue empty, and cleared by whoever leaves it empty, both
 * under the lock: it is readable while something waits to be called, also inside a call that runs the
 * loop in its turn (a dialog). And a call may be the sign to free the loop: who posted it is done with
 * the loop when it lets go of the lock.
 *
 * A watched group is waited for by a task of the loop's own group. A hook at the group's last child
 * would save its stack, but a wait is more than that: services and joins are told of it, and it sees
 * to the queue of a limited group whose context ends. There is one way to wait.
 *
 * Lock: loop->lock, taken with nothing below it. */
#include "group.h"

#include <errno.h>
#include <knit/loop.h>
#include <stdlib.h>

enum { SPARES = 64 };

struct call {
    struct call *next;
    knit_loop_fn *fn;
    knit_loop_end_fn *end; /* instead of fn */
    void *arg;
    int result; /* for end */
};

struct watch {
    knit_loop *loop;
    knit_errgroup *group;
    struct call *call;
};

struct knit_loop {
    /* set at birth */
    int bell;
    knit_errgroup watches;
    /* lock */
    struct knit__lock lock;
    struct call *first, **last;
    uint64_t posted, taken;
    struct call *spare;
    unsigned spares;
};

int knit_loop_new(knit_loop **ret_loop)
{
    knit_errgroup_options options = {
        .name = "loop",
        .flags = KNIT_ERRGROUP_KEEP_GOING,
        .ctx = knit_ctx_background(), /* whoever is the first to watch */
    };
    knit_loop *l;

    if (!ret_loop)
        return -EINVAL;
    l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->bell = knit__os_bell_open();
    if (l->bell < 0) {
        int r = l->bell;

        free(l);
        return r;
    }
    l->last = &l->first;
    knit_errgroup_init(&l->watches, &options);
    *ret_loop = l;
    return 0;
}

int knit_loop_fd(const knit_loop *l)
{
    return l ? l->bell : -EINVAL;
}

/* ---- the queue ---- */

/* NULL: no memory. */
static struct call *call_get(knit_loop *l)
{
    struct call *c;

    knit__lock(&l->lock);
    c = l->spare;
    if (c) {
        l->spare = c->next;
        l->spares--;
    }
    knit__unlock(&l->lock);
    return c ? c : malloc(sizeof *c);
}

/* c, or NULL if it is kept. */
static struct call *keep_locked(knit_loop *l, struct call *c)
{
    if (l->spares == SPARES)
        return c;
    c->next = l->spare;
    l->spare = c;
    l->spares++;
    return NULL;
}

static void call_put(knit_loop *l, struct call *c)
{
    knit__lock(&l->lock);
    c = keep_locked(l, c);
    knit__unlock(&l->lock);
    free(c);
}

static void push(knit_loop *l, struct call *c)
{
    c->next = NULL;
    knit__lock(&l->lock);
    *l->last = c;
    l->last = &c->next;
    l->posted++;
    if (l->first == c)
        knit__os_bell_ring(l->bell);
    knit__unlock(&l->lock);
}

/* The next of those posted before the one with number `until`; false: there is none. */
static bool take(knit_loop *l, uint64_t until, struct call *ret_call)
{
    struct call *c = NULL;
    bool found;

    knit__lock(&l->lock);
    found = l->taken < until;
    if (found) {
        c = l->first;
        *ret_call = *c;
        l->first = c->next;
        l->taken++;
        c = keep_locked(l, c);
    }
    if (found && !l->first) {
        l->last = &l->first;
        knit__os_bell_silence(l->bell);
    }
    knit__unlock(&l->lock);
    free(c);
    return found;
}

static uint64_t posted(knit_loop *l)
{
    uint64_t n;

    knit__lock(&l->lock);
    n = l->posted;
    knit__unlock(&l->lock);
    return n;
}

int knit_loop_post(knit_loop *l, knit_loop_fn *fn, void *arg)
{
    struct call *c;

    if (!l || !fn)
        return -EINVAL;
    c = call_get(l);
    if (!c)
        return -ENOMEM;
    *c = (struct call){.fn = fn, .arg = arg};
    push(l, c);
    return 0;
}

int knit_loop_dispatch(knit_loop *l)
{
    struct call call;
    uint64_t until;
    int n = 0;

    if (!l)
        return -EINVAL;
    for (until = posted(l); take(l, until, &call); n++) {
        if (call.end)
            call.end(call.arg, call.result);
        else
            call.fn(call.arg);
    }
    return n;
}

/* ---- groups ---- */

static int wait_and_report(void *arg)
{
    struct watch w = *(struct watch *)arg;

    free(arg);
    w.call->result = knit__group_await(knit__group_of(w.group));
    push(w.loop, w.call);
    return 0;
}

int knit_loop_watch(knit_loop *l, knit_errgroup *g, knit_loop_end_fn *fn, void *arg)
{
    struct watch *w;
    int r;

    if (!l || !g || !fn)
        return -EINVAL;
    w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct watch){l, g, call_get(l)};
    if (!w->call) {
        free(w);
        return -ENOMEM;
    }
    *w->call = (struct call){.end = fn, .arg = arg};
    r = knit_errgroup_go(&l->watches, wait_and_report, w);
    if (r != 0) {
        call_put(l, w->call);
        free(w);
    }
    return r;
}

void knit_loop_free(knit_loop *l)
{
    if (!l)
        return;
    do
        knit_errgroup_wait(&l->watches); /* a call may watch again */
    while (knit_loop_dispatch(l) > 0);
    while (l->spare) {
        struct call *next = l->spare->next;

        free(l->spare);
        l->spare = next;
    }
    knit__os_bell_close(l->bell);
    free(l);
}
