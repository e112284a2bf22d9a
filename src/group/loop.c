/* Doors into foreign event loops: a queue of calls and an eventfd.
 *
 * The eventfd is set by whoever finds the queue empty, and cleared by a dispatch *before* it takes
 * the queue. So what is posted after that finds an empty queue and sets it again; what comes between
 * the two is taken, and leaves the eventfd set for nothing, once.
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

static void call_put(knit_loop *l, struct call *c)
{
    knit__lock(&l->lock);
    if (l->spares < SPARES) {
        c->next = l->spare;
        l->spare = c;
        l->spares++;
        c = NULL;
    }
    knit__unlock(&l->lock);
    free(c);
}

static void push(knit_loop *l, struct call *c)
{
    bool first;

    c->next = NULL;
    knit__lock(&l->lock);
    first = l->first == NULL;
    *l->last = c;
    l->last = &c->next;
    knit__unlock(&l->lock);
    if (first)
        knit__os_bell_ring(l->bell);
}

static struct call *take_all(knit_loop *l)
{
    struct call *c;

    knit__lock(&l->lock);
    c = l->first;
    l->first = NULL;
    l->last = &l->first;
    knit__unlock(&l->lock);
    return c;
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
    struct call *c;
    int n = 0;

    if (!l)
        return -EINVAL;
    knit__os_bell_silence(l->bell);
    for (c = take_all(l); c; n++) {
        struct call call = *c;

        call_put(l, c); /* first: fn may post */
        if (call.end)
            call.end(call.arg, call.result);
        else
            call.fn(call.arg);
        c = call.next;
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
    knit_errgroup_wait(&l->watches);
    while (knit_loop_dispatch(l) > 0)
        continue;
    while (l->spare) {
        struct call *next = l->spare->next;

        free(l->spare);
        l->spare = next;
    }
    knit__os_bell_close(l->bell);
    free(l);
}
