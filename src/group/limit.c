/* Admission: the limit of a group.
 *
 * What runs is what the scope counts (sched/scope.h), less what waits in the queue. While nobody
 * waits, starting a task is one compare-and-swap on that count. Who finds no room takes the lock,
 * sets ROOM, and looks once more: from then on nobody starts a task without the lock, and no child
 * ends without it, so what was counted stays. Either that look sees the end of a child, or the child
 * sees ROOM.
 *
 * The owner of a private scope waits privately: parked, it leaves its count alone, and whoever
 * admits it counts for it, under the lock. All other callers share the scope first. */
#include "extra.h"

#include "../sync/wait.h"

#include <errno.h>

/* A caller that waits for room; on its stack. */
struct knit__room {
    struct knit__room *next;
    struct knit__task *task;
    uint32_t index; /* of the child, when admitted */
};

enum { WOKE_ADMITTED = KNIT__WOKE_SOURCE, WOKE_TURNED_AWAY };

static bool limited(const struct knit__group *g)
{
    return (knit__group_flags(g) & GROUP_LIMITED) != 0;
}

static int64_t limit_of(const struct knit__group *g)
{
    return limited(g) ? atomic_load_explicit(&g->limit, memory_order_relaxed) : INT32_MAX;
}

/* Count rec as a child if there is room and nobody waits for it; the scope is shared. */
static bool take_place(struct knit__group *g, struct knit__rec *rec)
{
    int64_t limit = limit_of(g), left = atomic_load_explicit(&g->scope.left, memory_order_relaxed);

    do {
        if ((left & KNIT__LEFT_ROOM) || knit__left_open(left) >= limit)
            return false;
        /* seq_cst: as in knit__scope_enter_shared */
    } while (!atomic_compare_exchange_weak_explicit(&g->scope.left, &left,
                                                    left + KNIT__LEFT_SUBMITTED + KNIT__LEFT_CHILD,
                                                    memory_order_seq_cst, memory_order_relaxed));
    rec->index = knit__left_high(left);
    return true;
}

static bool is_shared(const struct knit__group *g)
{
    return (knit__group_flags(g) & KNIT__SCOPE_SHARED) != 0;
}

/* Count a child: for the caller, or for the owner of a private scope, who waits. lock held. */
static uint32_t count_locked(struct knit__group *g)
{
    uint64_t plain = atomic_load_explicit(&g->scope.plain, memory_order_relaxed);

    if (is_shared(g))
        return knit__scope_enter_shared(&g->scope);
    atomic_store_explicit(&g->scope.plain, plain + ((uint64_t)1 << 32), memory_order_relaxed);
    return (uint32_t)(plain >> 32);
}

/* With ROOM set and the lock held; `leaving` children are about to be subtracted. */
static bool has_room_locked(const struct knit__group *g, uint32_t leaving)
{
    const struct knit__extra *x = knit__extra_of(g);
    int64_t queued = x ? x->queued : 0;

    return (int64_t)knit__scope_pending(&g->scope) - queued - leaving < limit_of(g);
}

static bool nobody_waits_locked(const struct knit__group *g)
{
    const struct knit__extra *x = knit__extra_of(g);

    return !x || (!x->queue_first && !x->room_first);
}

/* ---- the queue of members' tasks; lock held ---- */

static int queue_put_locked(struct knit__extra *x, const struct knit__rec *rec)
{
    struct knit__chunk *c = x->queue_last;

    if (!c || c->end == KNIT__CHUNK_CAPACITY) {
        c = knit__chunk_get();
        if (!c)
            return -ENOMEM;
        c->next = NULL;
        if (x->queue_last)
            x->queue_last->next = c;
        else
            x->queue_first = c;
        x->queue_last = c;
    }
    c->recs[c->end++] = *rec;
    x->queued++;
    return 0;
}

static bool queue_get_locked(struct knit__extra *x, struct knit__rec *ret_rec)
{
    struct knit__chunk *c = x->queue_first;

    if (!c)
        return false;
    *ret_rec = c->recs[c->begin++];
    x->queued--;
    if (c->begin == c->end) {
        x->queue_first = c->next;
        if (!x->queue_first)
            x->queue_last = NULL;
        knit__chunk_put(c);
    }
    return true;
}

/* ---- handing out ---- */

/* The first caller that still waits, claimed; NULL: there is none. lock held. */
static struct knit__room *claim_caller_locked(struct knit__extra *x, struct knit__batch *ready)
{
    struct knit__room *room;

    while ((room = x->room_first) != NULL) {
        enum knit__claim claim = knit__wait_claim(room->task, WOKE_ADMITTED);

        x->room_first = room->next;
        if (!x->room_first)
            x->room_last = NULL;
        if (claim == KNIT__CLAIM_PARKED)
            knit__batch_add(ready, room->task);
        if (claim != KNIT__CLAIM_LOST)
            return room;
    }
    return NULL;
}

/* Whoever removed somebody who waited looks whether it was the last. lock held. */
static void clear_room_locked(struct knit__group *g)
{
    if (nobody_waits_locked(g))
        atomic_fetch_and_explicit(&g->scope.left, ~KNIT__LEFT_ROOM, memory_order_seq_cst);
}

/* What one step of handing out found; done after unlocking. */
struct handed {
    struct knit__batch ready;
    struct knit__rec rec; /* of the queue, valid with `queued` */
    bool queued, any;
};

/* `leaving` children (0 or 1) end, and one place is handed on if there is one: all of it is one
 * change of the count. */
static void hand_out_locked(struct knit__group *g, uint32_t leaving, struct handed *h)
{
    int64_t change = -(int64_t)leaving * KNIT__LEFT_CHILD, before;
    struct knit__extra *x = knit__extra_of(g);
    struct knit__room *room = NULL;

    if (!nobody_waits_locked(g) && has_room_locked(g, leaving)) {
        h->queued = queue_get_locked(x, &h->rec);
        if (!h->queued)
            room = claim_caller_locked(x, &h->ready);
        h->any = h->queued || room;
    }
    if (room && is_shared(g))
        change += KNIT__LEFT_SUBMITTED + KNIT__LEFT_CHILD;
    else if (room)
        room->index = count_locked(g);
    if (nobody_waits_locked(g) &&
        (atomic_load_explicit(&g->scope.left, memory_order_relaxed) & KNIT__LEFT_ROOM))
        change -= KNIT__LEFT_ROOM; /* set and cleared under the lock only */
    before = knit__scope_change_locked(&g->scope, change, &h->ready);
    if (room && is_shared(g))
        room->index = knit__left_high(before);
}

/* Start a task of the queue: it is counted, so g lives. True: it could not be started, and has
 * ended but for its count. */
static bool start_failed(const struct knit__rec *rec)
{
    int r = knit__submit(rec);
    struct knit__run run = {.rec = *rec};

    if (r < 0)
        knit__group_task_ended(&run, r, false);
    return r < 0;
}

void knit__group_leave(struct knit__scope *s)
{
    struct knit__group *g = (struct knit__group *)(void *)s;
    struct handed h;

    do {
        h = (struct handed){0};
        knit__lock(&s->lock);
        hand_out_locked(g, 1, &h);
        knit__unlock(&s->lock); /* the last touch, but for a child taken from the queue */
        knit__ready_batch(&h.ready);
    } while (h.queued && start_failed(&h.rec));
}

/* The limit has changed; the caller's own right keeps g alive. */
static void hand_out(struct knit__group *g)
{
    struct handed h;

    do {
        h = (struct handed){0};
        knit__lock(&g->scope.lock);
        hand_out_locked(g, 0, &h);
        knit__unlock(&g->scope.lock);
        knit__ready_batch(&h.ready);
        if (h.queued && start_failed(&h.rec))
            knit__scope_subtract(&g->scope, 1);
    } while (h.any);
}

/* Turn away the callers; lock held. */
static void empty_room_locked(struct knit__extra *x, struct knit__batch *ready)
{
    while (x->room_first) {
        struct knit__room *room = x->room_first;
        struct knit__task *t = room->task;

        x->room_first = room->next;
        if (knit__wait_claim(t, WOKE_TURNED_AWAY) == KNIT__CLAIM_PARKED)
            knit__batch_add(ready, t);
    }
    x->room_last = NULL;
}

/* Settle the tasks of a queue that was taken over: each counts, so g lives to the last. */
static void skip_queued(struct knit__group *g, struct knit__chunk *c)
{
    while (c) {
        struct knit__chunk *next = c->next;

        for (uint32_t i = c->begin; i < c->end; i++)
            knit__group_settle(g, &c->recs[i], 0);
        knit__chunk_put(c);
        c = next;
    }
}

void knit__group_purge(struct knit__group *g)
{
    struct knit__batch ready = {0};
    struct knit__chunk *c = NULL;
    struct knit__extra *x;

    knit__lock(&g->scope.lock);
    x = knit__extra_of(g);
    if (x) {
        empty_room_locked(x, &ready);
        c = x->queue_first;
        x->queue_first = x->queue_last = NULL;
        x->queued = 0;
        clear_room_locked(g);
    }
    knit__unlock(&g->scope.lock);
    knit__ready_batch(&ready);
    skip_queued(g, c);
}

/* ---- asking for room ---- */

static void leave_room_locked(struct knit__group *g, struct knit__room *room)
{
    struct knit__extra *x = knit__extra_of(g);
    struct knit__room *before = NULL;

    for (struct knit__room *at = x ? x->room_first : NULL; at; before = at, at = at->next) {
        if (at != room)
            continue;
        if (before)
            before->next = at->next;
        else
            x->room_first = at->next;
        if (x->room_last == room)
            x->room_last = before;
        break;
    }
    clear_room_locked(g);
}

/* Wait for a place, counted; the lock is held and released. */
static int wait_for_room(struct knit__group *g, struct knit__extra *x, struct knit__task *t,
                         struct knit__rec *rec)
{
    struct knit__room room = {.task = t};
    struct knit__alarm alarm = {.task = t, .reason = WOKE_TURNED_AWAY};
    knit_ctx *ctx = knit_ctx_ref(knit__ctx_public(knit__group_ctx(g)));
    uint32_t word;
    int err;

    if (x->room_last)
        x->room_last->next = &room;
    else
        x->room_first = &room;
    x->room_last = &room;
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
    case WOKE_ADMITTED: rec->index = room.index; return 0;
    case WOKE_TURNED_AWAY: return err != 0 ? err : -ECANCELED;
    default: return knit__wait_result(t, word);
    }
}

/* The lock is held and released. */
static int queue_task(struct knit__group *g, struct knit__extra *x, struct knit__rec *rec)
{
    int r = queue_put_locked(x, rec);

    if (r == 0)
        x->queue_last->recs[x->queue_last->end - 1].index = knit__scope_enter_shared(&g->scope);
    else
        clear_room_locked(g);
    knit__unlock(&g->scope.lock);
    return r < 0 ? r : 1;
}

/* Say that somebody waits. True: there is room after all, nobody waits, and rec is counted. */
static bool announce_locked(struct knit__group *g, struct knit__rec *rec)
{
    if (!(knit__group_flags(g) & KNIT__SCOPE_ROOM))
        knit__group_set(g, KNIT__SCOPE_ROOM);
    atomic_fetch_or_explicit(&g->scope.left, KNIT__LEFT_ROOM, memory_order_seq_cst);
    if (!nobody_waits_locked(g) || !has_room_locked(g, 0))
        return false;
    rec->index = count_locked(g);
    clear_room_locked(g);
    return true;
}

int knit__group_admit(struct knit__group *g, struct knit__task *t, struct knit__rec *rec,
                      enum knit__admit how)
{
    struct knit__extra *x = NULL;
    int r;

    rec->flags |= KNIT__RUN_PROMPT;
    if ((knit__group_flags(g) & KNIT__SCOPE_FOLDED) && take_place(g, rec))
        return 0;
    if (how == KNIT__ADMIT_WAIT) {
        r = knit__wait_begin(t);
        if (r < 0)
            return r;
    }
    knit__lock(&g->scope.lock);
    if (how == KNIT__ADMIT_QUEUE || !knit__scope_is_ours(t, &g->scope))
        knit__group_share_locked(g, t);
    r = knit__group_ended(g);
    if (r == 0 && announce_locked(g, rec)) {
        knit__unlock(&g->scope.lock);
        return 0;
    }
    if (r == 0 && how != KNIT__ADMIT_TRY && !(x = knit__extra_get(g)))
        r = -ENOMEM;
    if (x)
        return how == KNIT__ADMIT_QUEUE ? queue_task(g, x, rec) : wait_for_room(g, x, t, rec);
    clear_room_locked(g);
    knit__unlock(&g->scope.lock);
    return r < 0 ? r : -EAGAIN;
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
    if (!knit__scope_is_ours(t, &g->scope))
        knit__group_share_locked(g, t);
    atomic_store_explicit(&g->limit, n < 0 ? 0 : n, memory_order_seq_cst);
    if (n < 0)
        atomic_fetch_and_explicit(&g->scope.flags, ~(uint32_t)GROUP_LIMITED, memory_order_seq_cst);
    else
        knit__group_set(g, GROUP_LIMITED);
    knit__unlock(&g->scope.lock);
    hand_out(g);
    return 0;
}
