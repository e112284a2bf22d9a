/* Pinned tasks: stacks that run on one worker only.
 *
 * A worker has one thread as long as something is pinned to it: those of the configured workers stay
 * for good, and a spare one (handoff.h) with pins does not end its own. So to stay on a worker is to
 * stay on a thread.
 *
 * Ready queues are robbed and handed over, so a pinned task is in none of them. Who readies one
 * (every ready goes through a batch, which keeps it apart) puts it into its worker's list of pinned
 * tasks, which only that worker empties, and wakes the worker if it sleeps: count first, then look
 * at the sleepers, as with the inbox (idle.h). Being pinned is written by the task itself while it
 * runs, and read by who has claimed it, so after that. */
#include "../base/assert.h"
#include "idle.h"
#include "ready.h"

void knit__pin(struct knit__task *t)
{
    if (t->pins++ > 0)
        return;
    t->home = knit__worker_self();
    t->home->pins++;
    t->apart = true;
}

void knit__unpin(struct knit__task *t)
{
    if (--t->pins > 0)
        return;
    knit__assert(t->home == knit__worker_self());
    t->home->pins--;
    t->apart = false;
}

void knit__pinned_push(struct knit__task *t)
{
    struct knit__worker *w = t->home;

    t->next = NULL;
    knit__lock(&w->inbox_lock);
    if (w->pinned_first)
        w->pinned_last->next = t;
    else
        w->pinned_first = t;
    w->pinned_last = t;
    /* seq_cst: published before we look whether w sleeps */
    atomic_fetch_add_explicit(&w->pinned_count, 1, memory_order_seq_cst);
    knit__unlock(&w->inbox_lock);
    if (w != knit__worker_self())
        knit__idle_wake_worker(w);
}

struct knit__task *knit__pinned_pop(struct knit__worker *w)
{
    struct knit__task *t;

    knit__lock(&w->inbox_lock);
    t = w->pinned_first;
    if (t) {
        w->pinned_first = t->next;
        atomic_fetch_sub_explicit(&w->pinned_count, 1, memory_order_relaxed);
    }
    knit__unlock(&w->inbox_lock);
    return t;
}
