/* Admission: the limit of a group.
 *
 * `active` counts slots in use, times two, with WAITING as its lowest bit. Taking and giving back a
 * slot is one atomic operation while nobody waits. WAITING is set and cleared under the lock: who
 * finds no room sets it, then looks at the count once more; who gives back sees it and takes the
 * lock to hand the slot on. Either the waiter sees the slot or the giver sees the waiter. */
#include "group.h"

#include "../sync/wait.h"

#include <errno.h>

#define SLOT ((uint32_t)2)
#define WAITING ((uint32_t)1)

/* A caller that waits for room; on its stack. */
struct knit__room {
    struct knit__room *next;
    struct knit__task *task;
};

enum { WOKE_ADMITTED = KNIT__WOKE_SOURCE, WOKE_TURNED_AWAY };

static bool limited(const struct knit__group *g)
{
    return (knit__group_flags(g) & GROUP_LIMITED) != 0;
}

static uint32_t limit_slots(const struct knit__group *g)
{
    int limit = atomic_load_explicit(&g->limit, memory_order_relaxed);

    return limited(g) && limit < INT32_MAX / 2 ? (uint32_t)limit * SLOT : UINT32_MAX - SLOT;
}

/* With `waiting`: what the lowest bit may be. */
static bool take_slot(struct knit__group *g, bool barge)
{
    uint32_t slots = limit_slots(g);
    uint32_t active = atomic_load_explicit(&g->active, memory_order_seq_cst);

    while ((active & ~WAITING) < slots && (barge || !(active & WAITING))) {
        if (atomic_compare_exchange_weak_explicit(&g->active, &active, active + SLOT,
                                                  memory_order_seq_cst, memory_order_relaxed))
            return true;
    }
    return false;
}

/* ---- the queue of members' tasks; lock held ---- */

static int queue_put_locked(struct knit__group *g, const struct knit__rec *rec)
{
    struct knit__chunk *c = g->queue_last;

    if (!c || c->end == KNIT__CHUNK_CAPACITY) {
        c = knit__chunk_get();
        if (!c)
            return -ENOMEM;
        c->next = NULL;
        if (g->queue_last)
            g->queue_last->next = c;
        else
            g->queue_first = c;
        g->queue_last = c;
    }
    c->recs[c->end++] = *rec;
    return 0;
}

static bool queue_get_locked(struct knit__group *g, struct knit__rec *ret_rec)
{
    struct knit__chunk *c = g->queue_first;

    if (!c)
        return false;
    *ret_rec = c->recs[c->begin++];
    if (c->begin == c->end) {
        g->queue_first = c->next;
        if (!g->queue_first)
            g->queue_last = NULL;
        knit__chunk_put(c);
    }
    return true;
}

/* ---- handing out ---- */

/* The first caller that still waits gets the slot just taken; NULL: none. lock held. */
static bool admit_caller_locked(struct knit__group *g, struct knit__batch *ready)
{
    while (g->room_first) {
        struct knit__room *room = g->room_first;
        struct knit__task *t = room->task;
        enum knit__claim claim = knit__wait_claim(t, WOKE_ADMITTED);

        g->room_first = room->next;
        if (!g->room_first)
            g->room_last = NULL;
        if (claim == KNIT__CLAIM_PARKED)
            knit__batch_add(ready, t);
        if (claim != KNIT__CLAIM_LOST)
            return true;
    }
    return false;
}

static void clear_waiting_locked(struct knit__group *g)
{
    if (!g->queue_first && !g->room_first)
        atomic_fetch_and_explicit(&g->active, ~WAITING, memory_order_seq_cst);
}

static void start_queued(struct knit__group *g, struct knit__rec *rec)
{
    int r;

    rec->flags |= KNIT__REC_SLOT;
    r = knit__submit(rec);
    if (r == 0)
        return;
    rec->flags &= ~(uint32_t)KNIT__REC_SLOT; /* given back here: settling must not hand it on */
    atomic_fetch_sub_explicit(&g->active, SLOT, memory_order_seq_cst);
    knit__group_settle(g, rec, r);
}

/* Every task of the queue is counted by the scope, so g lives as long as there is one. */
void knit__group_hand_out(struct knit__group *g)
{
    for (bool more = true; more;) {
        struct knit__batch ready = {0};
        struct knit__rec rec;
        bool queued = false;

        more = false;
        knit__lock(&g->scope.lock);
        if ((g->queue_first || g->room_first) && take_slot(g, true)) {
            queued = queue_get_locked(g, &rec);
            more = queued || admit_caller_locked(g, &ready);
            if (!more)
                atomic_fetch_sub_explicit(&g->active, SLOT, memory_order_seq_cst);
        }
        clear_waiting_locked(g);
        more = more && (g->queue_first || g->room_first);
        knit__unlock(&g->scope.lock);
        knit__ready_batch(&ready);
        if (queued)
            start_queued(g, &rec);
    }
}

void knit__group_release_slot(struct knit__group *g)
{
    uint32_t active = atomic_fetch_sub_explicit(&g->active, SLOT, memory_order_seq_cst);

    if (active & WAITING)
        knit__group_hand_out(g);
}

void knit__group_purge(struct knit__group *g)
{
    struct knit__batch ready = {0};
    struct knit__chunk *c;

    knit__lock(&g->scope.lock);
    while (g->room_first) {
        struct knit__room *room = g->room_first;
        struct knit__task *t = room->task;

        g->room_first = room->next;
        if (knit__wait_claim(t, WOKE_TURNED_AWAY) == KNIT__CLAIM_PARKED)
            knit__batch_add(&ready, t);
    }
    g->room_last = NULL;
    c = g->queue_first;
    g->queue_first = g->queue_last = NULL;
    clear_waiting_locked(g);
    knit__unlock(&g->scope.lock);

    knit__ready_batch(&ready);
    while (c) {
        struct knit__chunk *next = c->next;

        for (uint32_t i = c->begin; i < c->end; i++)
            knit__group_settle(g, &c->recs[i], 0);
        knit__chunk_put(c);
        c = next;
    }
}

/* ---- asking for room ---- */

static void leave_room_locked(struct knit__group *g, struct knit__room *room)
{
    struct knit__room *before = NULL;

    for (struct knit__room *at = g->room_first; at; before = at, at = at->next) {
        if (at != room)
            continue;
        if (before)
            before->next = at->next;
        else
            g->room_first = at->next;
        if (g->room_last == room)
            g->room_last = before;
        break;
    }
    clear_waiting_locked(g);
}

/* Wait for a slot; the lock is held and released. */
static int wait_for_room(struct knit__group *g, struct knit__task *t)
{
    struct knit__room room = {.task = t};
    struct knit__alarm alarm = {.task = t, .reason = WOKE_TURNED_AWAY};
    knit_ctx *ctx = knit_ctx_ref(knit__ctx_public(g->scope.cancel));
    uint32_t word;
    int err;

    if (g->room_last)
        g->room_last->next = &room;
    else
        g->room_first = &room;
    g->room_last = &room;
    knit__wait_arm(t, t->run->ctx != NULL);
    knit__unlock(&g->scope.lock);

    if (knit__ctx_private(ctx))
        knit__alarm_set(&alarm, ctx); /* it may end without the group being told */
    word = knit__wait_for(t, KNIT__NEVER, true);
    if (knit__ctx_private(ctx))
        knit__alarm_clear(&alarm);
    if (!knit__wait_unlinked(word) || knit__wait_reason(word) == WOKE_TURNED_AWAY) {
        knit__lock(&g->scope.lock);
        leave_room_locked(g, &room);
        knit__unlock(&g->scope.lock);
    }
    err = knit_ctx_err(ctx);
    knit_ctx_unref(ctx);
    switch (knit__wait_reason(word)) {
    case WOKE_ADMITTED: return 0;
    case WOKE_TURNED_AWAY: return err != 0 ? err : -ECANCELED;
    default: return knit__wait_result(t, word);
    }
}

/* The lock is held and released. */
static int queue_task(struct knit__group *g, struct knit__rec *rec)
{
    int r = queue_put_locked(g, rec);

    if (r == 0)
        rec->index = knit__scope_enter_shared(&g->scope);
    if (r == 0)
        g->queue_last->recs[g->queue_last->end - 1].index = rec->index;
    else
        clear_waiting_locked(g);
    knit__unlock(&g->scope.lock);
    return r < 0 ? r : 1;
}

int knit__group_admit(struct knit__group *g, struct knit__task *t, struct knit__rec *rec,
                      enum knit__admit how)
{
    int r;

    if (take_slot(g, false))
        goto got_slot;
    if (how == KNIT__ADMIT_TRY)
        return -EAGAIN;
    if (how == KNIT__ADMIT_WAIT) {
        r = knit__wait_begin(t);
        if (r < 0)
            return r;
    }
    knit__lock(&g->scope.lock);
    knit__group_share_locked(g, t);
    r = knit__group_ended(g);
    if (r < 0) {
        knit__unlock(&g->scope.lock);
        return r;
    }
    atomic_fetch_or_explicit(&g->active, WAITING, memory_order_seq_cst);
    if (!g->queue_first && !g->room_first && take_slot(g, true)) {
        clear_waiting_locked(g);
        knit__unlock(&g->scope.lock);
        goto got_slot;
    }
    if (how == KNIT__ADMIT_QUEUE)
        return queue_task(g, rec);
    r = wait_for_room(g, t);
    if (r < 0)
        return r;
got_slot:
    rec->flags |= KNIT__REC_SLOT;
    return 0;
}

int knit_errgroup_set_limit(knit_errgroup *group, int n)
{
    struct knit__group *g = knit__group_of(group);
    struct knit__task *t = knit__task_self();

    if (!g || !knit__group_valid(g))
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    knit__lock(&g->scope.lock);
    knit__group_share_locked(g, t);
    atomic_store_explicit(&g->limit, n < 0 ? 0 : n, memory_order_seq_cst);
    if (n < 0)
        atomic_fetch_and_explicit(&g->scope.flags, ~(uint32_t)GROUP_LIMITED, memory_order_seq_cst);
    else
        knit__group_set(g, GROUP_LIMITED | KNIT__SCOPE_SLOW_GO);
    knit__unlock(&g->scope.lock);
    knit__group_hand_out(g);
    return 0;
}
