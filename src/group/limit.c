/* Places: who holds them, who is first in turn, and how they are handed on. See limit.h. */
#include "limit.h"

#include "../sync/wait.h"
#include "places.h"

#include <errno.h>

/* Who waits in a line; on its stack. */
struct knit__room {
    struct knit__room *next;
    struct knit__task *task;
    struct knit__rec *rec; /* what is to start, or goes on */
};

enum { WOKE_ADMITTED = KNIT__WOKE_SOURCE, WOKE_QUEUED, WOKE_TURNED_AWAY };

/* ---- places; lock held ---- */

/* Places held, with ROOM set; `leaving` children are about to be subtracted. */
static inline int64_t held_locked(const struct knit__group *g, const struct knit__extra *x,
                                  uint32_t leaving)
{
    int64_t pending = (int64_t)knit__scope_counts(&g->scope).pending - leaving;

    return x ? pending - x->placeless + x->heavy : pending;
}

static inline bool has_room_locked(const struct knit__group *g, const struct knit__extra *x,
                                   uint32_t leaving, uint32_t weight)
{
    int64_t held = held_locked(g, x, leaving), limit = knit__limit_of(g);

    return held + weight <= limit || (held <= 0 && limit > 0);
}

/* ---- who is first; lock held ---- */

enum turn { TURN_NOBODY, TURN_QUEUE, TURN_BACK, TURN_CALLER };

static inline enum turn turn_locked(const struct knit__extra *x)
{
    if (!x)
        return TURN_NOBODY;
    if (x->back.first && (knit__queue_count(&x->queue) == 0 || x->turn))
        return TURN_BACK;
    if (knit__queue_count(&x->queue) != 0)
        return TURN_QUEUE;
    return x->callers.first ? TURN_CALLER : TURN_NOBODY;
}

static inline uint32_t weight_of_turn(const struct knit__extra *x, enum turn turn)
{
    switch (turn) {
    case TURN_QUEUE: return knit__rec_weight(knit__queue_head(&x->queue));
    case TURN_BACK: return knit__rec_weight(x->back.first->rec);
    case TURN_CALLER: return knit__rec_weight(x->callers.first->rec);
    case TURN_NOBODY: break;
    }
    return 0;
}

uint32_t knit__first_weight_locked(const struct knit__group *g)
{
    const struct knit__extra *x = knit__extra_of(g);
    uint32_t weight = weight_of_turn(x, turn_locked(x));

    return weight != 0 && has_room_locked(g, x, 0, weight) ? weight : 0;
}

/* Nobody waits, and the scope's count alone tells what is held. */
static inline bool is_plain_locked(const struct knit__extra *x)
{
    const struct knit__state *st = x ? x->state : NULL;

    return turn_locked(x) == TURN_NOBODY && (!x || (x->heavy == 0 && (!st || st->services == 0)));
}

/* Whoever removed something that needed ROOM looks whether it was the last. */
void knit__room_clear_locked(struct knit__group *g)
{
    if (is_plain_locked(knit__extra_of(g)))
        atomic_fetch_and_explicit(&g->scope.left, ~KNIT__LEFT_ROOM, memory_order_seq_cst);
}

void knit__room_set_locked(struct knit__group *g)
{
    if (!(knit__group_flags(g) & KNIT__SCOPE_ROOM))
        knit__group_set(g, KNIT__SCOPE_ROOM);
    atomic_fetch_or_explicit(&g->scope.left, KNIT__LEFT_ROOM, memory_order_seq_cst);
}

static void line_append(struct knit__line *line, struct knit__room *room)
{
    if (line->last)
        line->last->next = room;
    else
        line->first = room;
    line->last = room;
}

static inline struct knit__room *line_pop(struct knit__line *line)
{
    struct knit__room *room = line->first;

    line->first = room->next;
    if (!line->first)
        line->last = NULL;
    return room;
}

static void line_remove(struct knit__line *line, struct knit__room *room)
{
    struct knit__room *before = NULL, *at = line->first;

    for (; at && at != room; at = at->next)
        before = at;
    if (!at)
        return;
    if (before)
        before->next = at->next;
    else
        line->first = at->next;
    if (line->last == room)
        line->last = before;
}

/* ---- handing out ---- */

/* Take the first of a line and decide that it goes on; NULL: something else had decided. */
static inline struct knit__room *claim_first_locked(struct knit__line *line, uint32_t reason,
                                                    struct knit__batch *ready)
{
    struct knit__room *room = line_pop(line);
    struct knit__task *t = room->task;
    enum knit__claim claim = knit__wait_claim(t, reason);

    if (claim == KNIT__CLAIM_PARKED)
        knit__batch_add(ready, t);
    return claim == KNIT__CLAIM_LOST ? NULL : room;
}

/* Somebody waits; see that an usher does for him, if it is at the gate. */
void knit__usher_see_locked(struct knit__group *g, struct knit__extra *x, struct knit__handed *h)
{
    if (!(h->found & KNIT__HANDED_SHUT) || knit__usher_there(x->state))
        return;
    knit__usher_set(x->state, true);
    x->placeless++;
    atomic_fetch_add_explicit(&g->scope.left, KNIT__LEFT_CHILD, memory_order_seq_cst);
    h->found |= KNIT__HANDED_USHER;
}

/* Room, and the gate is open. */
static inline bool may_start_locked(struct knit__group *g, struct knit__extra *x, uint32_t leaving,
                                    uint32_t weight, struct knit__handed *h)
{
    const knit_policy *p;

    if (!has_room_locked(g, x, leaving, weight))
        return false;
    if (KNIT__LIKELY(!x || !x->state))
        return true;
    p = knit__group_policy(g);
    if (!knit__policy_has_gate(p) || knit__gate_pass_locked(p, x->state, weight))
        return true;
    h->found |= KNIT__HANDED_SHUT;
    return false;
}

/* The places are those of a record whose task waited for them. The rest as below. */
static inline int64_t let_in_locked(struct knit__group *g, struct knit__extra *x, enum turn turn,
                                    struct knit__rec *rec, uint32_t **ret_index)
{
    knit__hold_locked(g, x, rec);
    if (turn == TURN_BACK) {
        x->placeless--;
        knit__job_of(rec)->placeless = false;
        return 0;
    }
    if (knit__group_is_shared(g)) {
        *ret_index = &rec->index;
        return KNIT__LEFT_SUBMITTED + KNIT__LEFT_CHILD;
    }
    rec->index = knit__count_child_locked(g);
    return 0;
}

/* Hand places to the first in turn, if they are there. Returns the change of the scope's count that
 * is still to be made; *ret_index: then to be set to its index, or NULL. */
static inline int64_t hand_to_first_locked(struct knit__group *g, struct knit__extra *x,
                                           uint32_t leaving, struct knit__handed *h,
                                           uint32_t **ret_index)
{
    enum turn turn;

    while ((turn = turn_locked(x)) != TURN_NOBODY) {
        uint32_t weight = weight_of_turn(x, turn);
        struct knit__room *room;

        if (!may_start_locked(g, x, leaving, weight, h))
            return 0;
        x->turn = turn == TURN_QUEUE;
        h->found |= KNIT__HANDED_ANY;
        if (turn == TURN_QUEUE) {
            h->rec = knit__queue_get(&x->queue);
            h->found |= KNIT__HANDED_REC;
            knit__hold_locked(g, x, &h->rec);
            x->placeless--;
            return 0;
        }
        room = claim_first_locked(turn == TURN_BACK ? &x->back : &x->callers, WOKE_ADMITTED,
                                  &h->ready);
        if (room)
            return let_in_locked(g, x, turn, room->rec, ret_index);
        if (knit__policy_has_gate(knit__group_policy(g))) {
            knit__gate_undo_locked(knit__group_policy(g), x->state, weight);
            h->found |= KNIT__HANDED_SHUT; /* an usher gives back what nobody takes */
        }
    }
    return 0;
}

/* Callers into the queue, as far as its length goes. */
static void queue_callers_locked(struct knit__group *g, struct knit__extra *x,
                                 struct knit__batch *ready)
{
    const knit_policy *p = knit__group_policy(g);

    if (knit__group_ended(g) < 0)
        return; /* they are about to be turned away */
    while (p && x->callers.first && knit__queue_count(&x->queue) < p->queue) {
        struct knit__rec *rec = x->callers.first->rec;
        uint32_t level = knit__rec_level(rec);
        struct knit__rec *copy = knit__queue_put(&x->queue, rec, level);

        if (!copy)
            return; /* they wait on, and are looked at again */
        if (!claim_first_locked(&x->callers, WOKE_QUEUED, ready)) {
            knit__queue_unput(&x->queue, level);
            continue;
        }
        copy->index = knit__scope_enter_shared(&g->scope);
        x->placeless++;
    }
}

/* `leaving` children (0 or 1) end, and the first in turn gets places if there are any: all of it is
 * one change of the count. */
static void hand_out_locked(struct knit__group *g, uint32_t leaving, struct knit__handed *h)
{
    int64_t change = -(int64_t)leaving * KNIT__LEFT_CHILD, before;
    struct knit__extra *x = knit__extra_of(g);
    uint32_t *index = NULL;

    change += hand_to_first_locked(g, x, leaving, h, &index);
    if (KNIT__UNLIKELY(x && x->state)) {
        knit__usher_see_locked(g, x, h);
        queue_callers_locked(g, x, &h->ready);
    }
    if (is_plain_locked(x) &&
        (atomic_load_explicit(&g->scope.left, memory_order_relaxed) & KNIT__LEFT_ROOM))
        change -= KNIT__LEFT_ROOM; /* set and cleared under the lock only */
    before = knit__scope_change_locked(&g->scope, change, &h->ready);
    if (index)
        *index = knit__left_high(before);
    if (KNIT__UNLIKELY(x && x->state)) {
        h->services = knit__services_to_end_locked(g, x->state);
        h->found |= h->services ? KNIT__HANDED_SERVICES : 0;
    }
}

/* Start a child that is counted, so g lives. True: it could not be started, and has ended but for its
 * count. */
static bool start_failed(const struct knit__rec *rec)
{
    int r = knit__submit(rec);
    struct knit__run run = {.rec = *rec};

    if (r < 0)
        knit__group_task_ended(&run, r, false);
    return r < 0;
}

/* The same for an usher. If it fails, who is behind the gate would wait for ever: end the group. */
static bool usher_failed(struct knit__group *g)
{
    const struct knit__rec usher = knit__usher_rec(g);
    int r = knit__submit(&usher);

    if (r == 0)
        return false;
    knit__usher_ended(g);
    knit__placeless_end(g);
    knit__extra_count(g, KNIT__COUNT_FAILED);
    knit__group_end(g, r, true);
    return true;
}

void knit__usher_start(struct knit__group *g, const struct knit__handed *h)
{
    if ((h->found & KNIT__HANDED_USHER) && usher_failed(g))
        knit__scope_subtract(&g->scope, 1);
}

/* The arguments and the result of: */
struct rest {
    struct knit__group *g;
    const struct knit__handed *h;
    uint32_t ended;
};

static void finish_with_run(void *arg)
{
    struct rest *rest = arg;
    struct knit__group *g = rest->g;
    const struct knit__handed *h = rest->h;

    if (h->found & KNIT__HANDED_SERVICES) {
        knit_ctx_cancel(h->services, 0);
        knit_ctx_unref(h->services);
    }
    if ((h->found & KNIT__HANDED_USHER) && usher_failed(g))
        rest->ended++;
    if ((h->found & KNIT__HANDED_REC) && start_failed(&h->rec))
        rest->ended++;
}

/* Without the lock; g may be gone if nothing is to be started. Returns how many of the children that
 * were to be started have ended instead, but for their count. What the end of a context calls may be
 * anybody's. */
static KNIT__NOINLINE uint32_t finish_rest(struct knit__group *g, const struct knit__handed *h)
{
    struct rest rest = {g, h, 0};

    knit__call_with_run(finish_with_run, &rest);
    return rest.ended;
}

static inline uint32_t finish_handed(struct knit__group *g, struct knit__handed *h)
{
    if (h->ready.first || h->ready.apart)
        knit__ready_batch(&h->ready);
    return h->found > KNIT__HANDED_ANY ? finish_rest(g, h) : 0;
}

void knit__group_leave(struct knit__scope *s)
{
    struct knit__group *g = (struct knit__group *)(void *)s;
    uint32_t leaving = 1;

    while (leaving-- > 0) {
        struct knit__handed h;

        knit__handed_init(&h);
        knit__lock(&s->lock);
        hand_out_locked(g, 1, &h);
        knit__unlock(&s->lock); /* the last touch, but for children to be started */
        leaving += finish_handed(g, &h);
    }
}

void knit__group_hand_out(struct knit__group *g)
{
    struct knit__handed h;

    do {
        uint32_t ended;

        knit__handed_init(&h);
        knit__lock(&g->scope.lock);
        hand_out_locked(g, 0, &h);
        knit__unlock(&g->scope.lock);
        ended = finish_handed(g, &h);
        if (ended > 0)
            knit__scope_subtract(&g->scope, ended);
    } while (h.found & KNIT__HANDED_ANY);
}

/* ---- turning away ---- */

/* Nobody waits any more: the context of the usher that does, with a reference; or NULL. To be ended
 * after unlocking, or a wait for the group would wait for the gate. */
static knit_ctx *errand_in_vain_locked(const struct knit__group *g)
{
    const struct knit__extra *x = knit__extra_of(g);

    return x && x->state && x->state->errand && turn_locked(x) == TURN_NOBODY
               ? knit_ctx_ref(x->state->errand)
               : NULL;
}

static void dismiss(knit_ctx *errand)
{
    knit_ctx_cancel(errand, 0);
    knit_ctx_unref(errand);
}

static void empty_line_locked(struct knit__line *line, struct knit__batch *ready)
{
    while (line->first)
        (void)claim_first_locked(line, WOKE_TURNED_AWAY, ready);
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
    knit_ctx *errand;

    knit__lock(&g->scope.lock);
    x = knit__extra_of(g);
    if (x) {
        empty_line_locked(&x->callers, &ready);
        empty_line_locked(&x->back, &ready);
        x->placeless -= knit__queue_count(&x->queue);
        c = knit__queue_take_all(&x->queue);
        knit__room_clear_locked(g);
    }
    errand = errand_in_vain_locked(g);
    knit__unlock(&g->scope.lock);
    dismiss(errand);
    knit__ready_batch(&ready);
    skip_queued(g, c);
}

/* ---- asking for places ---- */

/* Sleep, linked; the lock is held and released. The group's context may end without the group being
 * told: if the caller does not run under it, an alarm tells him. *ret_err: set when he was turned away:
 * the error of that context. */
static uint32_t sleep_with_alarm(struct knit__group *g, struct knit__task *t,
                                 const struct knit__handed *h, int *ret_err)
{
    struct knit__alarm alarm = {.task = t, .reason = WOKE_TURNED_AWAY};
    struct knit__cancel *under = knit__group_ctx(g);
    knit_ctx *ctx = knit_ctx_ref(knit__ctx_public(under));
    uint32_t word;

    knit__wait_arm(t, t->run->ctx != NULL);
    knit__unlock(&g->scope.lock);
    knit__usher_start(g, h);
    if (under)
        knit__alarm_set(&alarm, ctx);
    word = knit__wait_for(t, KNIT__NEVER, true);
    if (under)
        knit__alarm_clear(&alarm);
    *ret_err = knit_ctx_err(ctx);
    knit_ctx_unref(ctx);
    return word;
}

/* No alarm is needed: he runs under the group's context himself, or it never ends. */
static inline bool is_told(const struct knit__group *g, const struct knit__task *t)
{
    const struct knit__cancel *under = knit__group_ctx(g);

    return !under || under == t->run->ctx;
}

/* The rest of a wait in a line that did not just end with places. */
static KNIT__NOINLINE int line_left(struct knit__group *g, struct knit__line *line,
                                    struct knit__task *t, struct knit__room *room, uint32_t word,
                                    int err)
{
    uint32_t reason = knit__wait_reason(word);
    knit_ctx *errand = NULL;

    if (!knit__wait_unlinked(word) || reason == WOKE_TURNED_AWAY) {
        knit__lock(&g->scope.lock);
        line_remove(line, room);
        knit__room_clear_locked(g);
        errand = errand_in_vain_locked(g);
        knit__unlock(&g->scope.lock);
    }
    dismiss(errand);
    if (reason == WOKE_ADMITTED)
        return KNIT__ADMITTED;
    if (reason == WOKE_QUEUED)
        return KNIT__QUEUED;
    knit__group_hand_out(g); /* it may have been what others waited behind */
    if (reason != WOKE_TURNED_AWAY)
        return knit__wait_result(t, word);
    if (err > 0)
        err = knit__ctx_ended(t->run->ctx); /* which is the group's */
    return err != 0 ? err : -ECANCELED;
}

/* Wait in a line: 0: the places are there, and rec is counted; KNIT__QUEUED: it is in the queue; or
 * an error. The lock is held and released. */
int knit__line_wait(struct knit__group *g, struct knit__line *line, struct knit__task *t,
                    struct knit__rec *rec, struct knit__handed *h)
{
    struct knit__room room = {.task = t, .rec = rec};
    uint32_t word, reason;
    int err = 1; /* nobody has looked */

    line_append(line, &room);
    if (KNIT__UNLIKELY(h->found & KNIT__HANDED_SHUT))
        knit__usher_see_locked(g, knit__extra_of(g), h);
    if (KNIT__LIKELY(is_told(g, t) && !(h->found & KNIT__HANDED_USHER)))
        word = knit__wait_locked(t, knit__lock_word(&g->scope.lock), KNIT__NEVER);
    else
        word = sleep_with_alarm(g, t, h, &err);
    reason = knit__wait_reason(word);
    if (KNIT__LIKELY(reason == WOKE_ADMITTED && knit__wait_unlinked(word)))
        return KNIT__ADMITTED;
    return line_left(g, line, t, &room, word, err);
}

/* Say that somebody waits. True: there is room after all, nobody waits, and the gate is open. */
bool knit__announce_locked(struct knit__group *g, struct knit__extra *x, uint32_t weight,
                           struct knit__handed *h)
{
    knit__room_set_locked(g);
    return turn_locked(x) == TURN_NOBODY && may_start_locked(g, x, 0, weight, h);
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
    knit__group_hand_out(g);
    return 0;
}
