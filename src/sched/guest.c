/* Plain threads as callers.
 *
 * A guest is made at a thread's first use and freed at the thread's end (a pthread key). The tasks
 * it starts go into its open chunk, under its own lock: uncontended but for the moments when a
 * worker collects; a full chunk goes to the inject queue as it is. Global: how many guests have
 * something in their chunk, so that workers need not look. */
#include "guest.h"

#include "../plat/simulated.h"
#include "idle.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static struct {
    struct knit__lock lock; /* list */
    struct knit__list list;
    _Atomic uint32_t with_work;
    pthread_key_t key;
    bool key_ok;
    struct knit__list abandoned; /* in the child of a fork; reachable, for leak checkers */
} guests;

/* Hand the open chunk to the inject queue; guest's lock held. */
static void hand_over_locked(struct knit__guest *g)
{
    struct knit__chunk *c = g->chunk;

    if (!c || c->end == 0)
        return;
    g->chunk = NULL;
    knit__inject_chunk(c);
    atomic_store_explicit(&g->pending, 0, memory_order_relaxed);
    atomic_fetch_sub_explicit(&guests.with_work, 1, memory_order_seq_cst);
}

static void guest_free(void *guest)
{
    struct knit__guest *g = guest;
    bool work;

    if (knit__run_touched(&g->run) && g->run.life) /* task-local values of a thread */
        (void)knit__upcalls.finish(&g->run, 0);
    knit__lock(&guests.lock);
    knit__list_remove(&g->link);
    knit__unlock(&guests.lock);
    knit__lock(&g->lock);
    work = g->chunk && g->chunk->end != 0;
    hand_over_locked(g);
    knit__unlock(&g->lock);
    if (work)
        knit__idle_notify();
    if (g->chunk)
        knit__chunk_put(g->chunk);
    knit__tls_set_guest(NULL);
    free(g);
}

/* Made at the first guest; tried again if that failed. */
static bool have_key(void)
{
    bool ok;

    knit__lock(&guests.lock);
    if (!guests.key_ok)
        guests.key_ok = pthread_key_create(&guests.key, guest_free) == 0;
    ok = guests.key_ok;
    knit__unlock(&guests.lock);
    return ok;
}

void knit__guests_start(void)
{
    knit__list_init(&guests.list);
    atomic_store_explicit(&guests.lock.word, 0, memory_order_relaxed);
    atomic_store_explicit(&guests.with_work, 0, memory_order_relaxed);
}

static KNIT__COLD struct knit__guest *guest_new(void)
{
    struct knit__guest *g;

    KNIT__POINT_ALWAYS(); /* a new thread takes its turn before it touches anything */
    if (knit__start_runtime() < 0)
        return NULL;
    g = aligned_alloc(KNIT__CACHE_LINE,
                      (sizeof *g + KNIT__CACHE_LINE - 1) & ~(size_t)(KNIT__CACHE_LINE - 1));
    if (!g)
        return NULL;
    *g = (struct knit__guest){.task.is_thread = true, .task.apart = true, .task.run = &g->run};
    knit__list_init(&g->task.watch_link);
    if (!have_key() || pthread_setspecific(guests.key, g) != 0) {
        free(g);
        return NULL;
    }
    knit__tls_set_guest(g);
    knit__lock(&guests.lock);
    knit__list_append(&guests.list, &g->link);
    knit__unlock(&guests.lock);
    return g;
}

struct knit__task *knit__guest_task(void)
{
    struct knit__guest *g = knit__guest_self();

    if (KNIT__UNLIKELY(!g))
        g = guest_new();
    return g ? &g->task : NULL;
}

int knit__guest_submit(const struct knit__rec *rec)
{
    struct knit__guest *g = knit__guest_self();
    struct knit__chunk *c;
    bool notify = false;
    int r = knit__idle_ensure_started();

    if (r < 0)
        return r;
    knit__lock(&g->lock);
    c = g->chunk;
    if (KNIT__UNLIKELY(!c)) {
        c = g->chunk = knit__chunk_get();
        if (!c) {
            knit__unlock(&g->lock);
            return -ENOMEM;
        }
    }
    c->recs[c->end++] = *rec;
    atomic_store_explicit(&g->pending, c->end, memory_order_relaxed);
    if (c->end == 1) {
        /* seq_cst: published before the notify looks for sleepers */
        atomic_fetch_add_explicit(&guests.with_work, 1, memory_order_seq_cst);
        notify = true;
    } else if (c->end == KNIT__CHUNK_CAPACITY) {
        hand_over_locked(g);
        notify = true;
    }
    knit__unlock(&g->lock);
    if (notify)
        knit__idle_notify();
    return 0;
}

bool knit__guests_pending(void)
{
    return atomic_load_explicit(&guests.with_work, memory_order_seq_cst) != 0;
}

bool knit__guests_collect(void)
{
    bool moved = false;

    if (!knit__guests_pending() || !knit__trylock(&guests.lock))
        return false;
    for (struct knit__list *l = guests.list.next; l != &guests.list; l = l->next) {
        struct knit__guest *g = KNIT__CONTAINER(l, struct knit__guest, link);
        uint32_t n;

        n = atomic_load_explicit(&g->pending, memory_order_relaxed);
        if (n == 0 || g->seen == 0) { /* new, and perhaps growing: leave its lines to the thread */
            g->seen = n;
            continue;
        }
        g->seen = 0;
        knit__lock(&g->lock);
        hand_over_locked(g);
        knit__unlock(&g->lock);
        moved = true;
    }
    knit__unlock(&guests.lock);
    return moved;
}

void knit__guests_stop(void)
{
    struct knit__guest *self = knit__guest_self();

    if (self) {
        pthread_setspecific(guests.key, NULL);
        guest_free(self);
    }
}

void knit__guests_abandon(void)
{
    struct knit__guest *self = knit__guest_self();

    /* not freed: a context may still watch them */
    if (!guests.abandoned.next)
        knit__list_init(&guests.abandoned);
    while (!knit__list_empty(&guests.list)) {
        struct knit__list *first = guests.list.next;

        knit__list_remove(first);
        knit__list_append(&guests.abandoned, first);
    }
    if (self) {
        pthread_setspecific(guests.key, NULL);
        knit__tls_set_guest(NULL);
    }
}

bool knit__guests_others(void)
{
    struct knit__guest *self = knit__guest_self();
    bool others = false;

    knit__lock(&guests.lock);
    for (struct knit__list *l = guests.list.next; l != &guests.list; l = l->next)
        others |= KNIT__CONTAINER(l, struct knit__guest, link) != self;
    knit__unlock(&guests.lock);
    return others;
}
