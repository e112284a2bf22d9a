/* The list of calls to be interrupted. The argument is in nudge.h. Lock: nudges.lock, a leaf. */
#include "nudge.h"

#include "idle.h"

enum { FIRST_GAP_NS = 1000 * 1000, LAST_GAP_NS = 64 * 1000 * 1000 };

static struct {
    struct knit__lock lock;
    struct knit__list list;
    _Atomic uint32_t count;
} nudges = {.list = {&nudges.list, &nudges.list}};

int knit__nudge_open(struct knit__nudge *n)
{
    int r = knit__sysmon_start(); /* who repeats the signal */

    if (r < 0)
        return r;
    knit__list_init(&n->link);
    n->sent = false;
    return knit__os_target_open(&n->target);
}

static void send_locked(struct knit__nudge *n, int64_t now)
{
    knit__os_target_send(&n->target);
    n->sent = true;
    n->at = now + n->gap;
    if (n->gap < LAST_GAP_NS)
        n->gap *= 2;
}

void knit__nudge(struct knit__nudge *n)
{
    int64_t now = knit__clock_now();

    knit__lock(&nudges.lock);
    knit__list_append(&nudges.list, &n->link);
    n->gap = FIRST_GAP_NS;
    send_locked(n, now);
    atomic_fetch_add_explicit(&nudges.count, 1, memory_order_seq_cst);
    knit__unlock(&nudges.lock);
    knit__sysmon_interrupt();
}

void knit__nudge_close(struct knit__nudge *n)
{
    bool sent;

    knit__lock(&nudges.lock);
    sent = n->sent;
    if (sent) {
        knit__list_remove(&n->link);
        atomic_fetch_sub_explicit(&nudges.count, 1, memory_order_seq_cst);
    }
    knit__unlock(&nudges.lock);
    knit__os_target_close(&n->target, sent);
}

bool knit__nudges_send(void)
{
    int64_t now;

    if (atomic_load_explicit(&nudges.count, memory_order_seq_cst) == 0)
        return false;
    now = knit__clock_now();
    knit__lock(&nudges.lock);
    for (struct knit__list *l = nudges.list.next; l != &nudges.list; l = l->next) {
        struct knit__nudge *n = KNIT__CONTAINER(l, struct knit__nudge, link);

        if (n->at <= now)
            send_locked(n, now);
    }
    knit__unlock(&nudges.lock);
    return true;
}

void knit__nudges_abandon(void)
{
    knit__list_init(&nudges.list);
    atomic_store_explicit(&nudges.lock.word, 0, memory_order_relaxed);
    atomic_store_explicit(&nudges.count, 0, memory_order_relaxed);
}
