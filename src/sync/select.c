/* Select: one wait with a node in several places.
 *
 * ESSAY: how a select finds its case
 *
 *   1. Glance. The cases are looked at in random order, without locks. One that seems ready is
 *      tried under the lock of its channel alone: if that succeeds the select is over, as if it
 *      had been that one operation. This is the usual way out, and takes one lock.
 *   2. Look. The locks of all channels are taken, in the order of their addresses, so that two
 *      selects cannot wait for each other. With all of them held, "no case is ready" is true at
 *      one moment (a try form that said so after looking at one channel after the other would be
 *      wrong: an item may always have been in the one it was not looking at). A ready case is
 *      taken.
 *   3. Wait. Still with all locks: arm, and a node into the queue of every case. Unlock, and park
 *      as every wait does (sched/park.h). One claim wins, on whichever channel; its reason tells
 *      the node, and so the case. The nodes of one task share its state word: that is all that
 *      keeps two cases from happening.
 *   4. Finish: through the lock of every channel, one after the other, to unlink the rest. The one
 *      lock that need not be taken is that of a claimer that found the task parked, if its channel
 *      is in no other case.
 *
 * A select cannot meet itself: its nodes are in no queue while it looks, and when they are, it does
 * not look any more. (As a consequence a channel may have waiting senders and receivers at once.)
 *
 * A context is waited for by an alarm (sync/ctx.c), set after the channels are unlocked, since its
 * lock comes before theirs. Of the times only the earliest matters: it becomes the deadline of the
 * wait.
 *
 * The order of the random draws: a permutation made as it is needed (Fisher and Yates; Durstenfeld,
 * CACM 7, 1964). Taking every ready case with the same chance is what lets nobody starve.
 *
 * Locks: those of channels, in the order of their addresses. */
#include "chan.h"

#include "../sched/worker.h"
#include "random.h"

#include <knit/select.h>
#include <stdlib.h>

enum { ON_STACK = 16 };

_Static_assert(KNIT__WOKE_SOURCE + KNIT__CHAN_REASONS * KNIT_SELECT_MAX <
                   1 << (32 - KNIT__WAIT_REASON_SHIFT),
               "a reason names every case");

/* What a case leaves in the place it waits for. */
union hook {
    struct knit__chan_node node;
    struct knit__alarm alarm;
};

/* A case that has a channel. */
struct place {
    knit_chan *ch;
    uint32_t i;
};

struct selecting {
    struct knit__task *task;
    knit_case *cases;
    uint32_t n;
    uint32_t first_at; /* the case with the earliest time; n: there is none */
    bool has_alarms;   /* a case is KNIT_CASE_DONE */
    int64_t deadline;
    union hook *hooks;        /* one a case */
    uint16_t *order;          /* the cases in random order */
    uint32_t drawn;           /* so many of them are drawn */
    uint32_t chans;           /* so many cases have a channel */
    struct place *places;     /* those, by its address */
    struct knit__task *ready; /* to be readied after unlocking */
};

static inline bool has_chan(const knit_case *c)
{
    return (c->kind == KNIT_CASE_SEND || c->kind == KNIT_CASE_RECV) && c->ch;
}

/* 0, or -EINVAL for a case that makes no sense. */
static int check(const knit_case *c)
{
    if (c->kind == KNIT_CASE_SEND)
        return c->ch && !c->item && c->ch->item_size != 0 ? -EINVAL : 0;
    return c->kind >= KNIT_CASE_NEVER && c->kind <= KNIT_CASE_AT ? 0 : -EINVAL;
}

/* The i-th case of the random order. */
static inline uint32_t nth(struct selecting *s, uint32_t i)
{
    uint16_t *order = s->order, drawn;
    uint32_t other;

    if (i < s->drawn)
        return order[i];
    s->drawn = i + 1;
    other = i + knit__random_below(s->task, s->n - i);
    drawn = order[other];
    order[other] = order[i];
    order[i] = drawn;
    return drawn;
}

/* ---- one case ---- */

static inline int attempt_locked(struct selecting *s, const knit_case *c)
{
    return c->kind == KNIT_CASE_SEND ? knit__chan_send_locked(c->ch, c->item, &s->ready)
                                     : knit__chan_recv_locked(c->ch, c->ret_item, &s->ready);
}

/* A case without a channel that has happened; *result then is how. */
static bool has_happened(const knit_case *c, int *result)
{
    switch (c->kind) {
    case KNIT_CASE_DONE: *result = c->ctx ? knit_ctx_err(c->ctx) : 0; return *result != 0;
    case KNIT_CASE_AT: *result = 0; return c->when <= knit__clock_now();
    default: return false;
    }
}

static inline int happened(struct selecting *s, uint32_t i, int result)
{
    s->cases[i].result = result;
    if (s->ready)
        knit__ready(s->ready);
    return (int)i;
}

/* ---- 1: glance ---- */

static inline bool seems_ready(const knit_case *c)
{
    return c->kind == KNIT_CASE_SEND ? knit__chan_may_send(c->ch) : knit__chan_may_recv(c->ch);
}

/* The index of the case that happened, or -EAGAIN. */
static int glance(struct selecting *s)
{
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t i = nth(s, k);
        const knit_case *c = &s->cases[i];
        int r;

        if (!has_chan(c)) {
            if (has_happened(c, &r))
                return happened(s, i, r);
            continue;
        }
        if (!seems_ready(c))
            continue;
        knit__chan_lock(c->ch);
        r = attempt_locked(s, c);
        knit__chan_unlock(c->ch);
        if (r != -EAGAIN)
            return happened(s, i, r);
    }
    return -EAGAIN;
}

/* ---- 2: look ---- */

/* Shell's sort, with Knuth's gaps (The Art of Computer Programming 3, 5.2.1): short, in place, no
 * worst case worth the name, and for a few channels it is an insertion sort. */
static void sort_by_address(struct selecting *s)
{
    struct place *p = s->places;
    uint32_t n = 0, gap = 1;

    for (uint32_t i = 0; i < s->n; i++) {
        if (has_chan(&s->cases[i]))
            p[n++] = (struct place){s->cases[i].ch, i};
    }
    s->chans = n;
    while (gap < n / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3) {
        for (uint32_t i = gap; i < n; i++) {
            struct place moved = p[i];
            uint32_t j = i;

            for (; j >= gap && (uintptr_t)p[j - gap].ch > (uintptr_t)moved.ch; j -= gap)
                p[j] = p[j - gap];
            p[j] = moved;
        }
    }
}

static inline void lock_all(const struct selecting *s)
{
    for (uint32_t k = 0; k < s->chans; k++) {
        if (k == 0 || s->places[k].ch != s->places[k - 1].ch)
            knit__chan_lock(s->places[k].ch);
    }
}

static inline void unlock_all(const struct selecting *s)
{
    for (uint32_t k = 0; k < s->chans; k++) {
        if (k == 0 || s->places[k].ch != s->places[k - 1].ch)
            knit__chan_unlock(s->places[k].ch);
    }
}

/* All locks held: the case that happened, or -EAGAIN. */
static int look_locked(struct selecting *s, int *result)
{
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t i = nth(s, k);
        const knit_case *c = &s->cases[i];

        if (has_chan(c)) {
            *result = attempt_locked(s, c);
            if (*result != -EAGAIN)
                return (int)i;
        } else if (has_happened(c, result)) {
            return (int)i;
        }
    }
    return -EAGAIN;
}

/* ---- 3: wait ---- */

static inline uint32_t reason_of(uint32_t i)
{
    return KNIT__WOKE_SOURCE + KNIT__CHAN_REASONS * i;
}

static inline struct knit__chan_queue *queue_of(const knit_case *c)
{
    return c->kind == KNIT_CASE_SEND ? &c->ch->senders : &c->ch->receivers;
}

/* Nodes into the queues; all locks held. In random order, for a channel that is in two cases. */
static void enqueue_locked(struct selecting *s)
{
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t i = s->order[k];
        const knit_case *c = &s->cases[i];
        struct knit__chan_node *node = &s->hooks[i].node;

        if (!has_chan(c))
            continue;
        node->task = s->task;
        node->slot = c->kind == KNIT_CASE_SEND ? (void *)(uintptr_t)c->item : c->ret_item;
        node->reason = reason_of(i);
        knit__chan_append(queue_of(c), node);
    }
}

static inline bool has_alarm(const knit_case *c)
{
    return c->kind == KNIT_CASE_DONE && c->ctx;
}

static void set_alarms(struct selecting *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (!has_alarm(&s->cases[i]))
            continue;
        s->hooks[i].alarm.task = s->task;
        s->hooks[i].alarm.reason = reason_of(i);
        knit__alarm_set(&s->hooks[i].alarm, s->cases[i].ctx);
    }
}

/* ---- 4: finish ---- */

/* Out of the queues of the channel at `first`. Returns the place after its last case. unlinked: the
 * case that is known to be out already, or n. */
static inline uint32_t leave_chan(struct selecting *s, uint32_t first, uint32_t unlinked)
{
    knit_chan *ch = s->places[first].ch;
    uint32_t end = first + 1;

    while (end < s->chans && s->places[end].ch == ch)
        end++;
    if (end == first + 1 && s->places[first].i == unlinked)
        return end;
    knit__chan_lock(ch);
    for (uint32_t k = first; k < end; k++) {
        uint32_t i = s->places[k].i;

        knit__chan_remove(queue_of(&s->cases[i]), &s->hooks[i].node);
    }
    knit__chan_unlock(ch);
    return end;
}

static void leave_all(struct selecting *s, uint32_t word, uint32_t fired)
{
    uint32_t unlinked = knit__wait_unlinked(word) ? fired : s->n;

    for (uint32_t k = 0; k < s->chans;)
        k = leave_chan(s, k, unlinked);
    for (uint32_t i = 0; s->has_alarms && i < s->n; i++) {
        if (has_alarm(&s->cases[i]))
            knit__alarm_clear(&s->hooks[i].alarm);
    }
}

/* The nodes are linked, the locks given up. */
static int wait_for_one(struct selecting *s)
{
    int64_t at = s->first_at < s->n ? s->cases[s->first_at].when : KNIT__NEVER;
    uint32_t word, reason, fired = s->n;
    int result = 0;

    if (s->has_alarms)
        set_alarms(s);
    word = knit__wait_for(s->task, at < s->deadline ? at : s->deadline, true);
    reason = knit__wait_reason(word);
    if (reason >= KNIT__WOKE_SOURCE)
        fired = (reason - KNIT__WOKE_SOURCE) / KNIT__CHAN_REASONS;
    else if (reason == KNIT__WOKE_TIMER && at <= s->deadline)
        fired = s->first_at;
    leave_all(s, word, fired);
    if (fired == s->n)
        return knit__wait_result(s->task, word);
    if (s->cases[fired].kind == KNIT_CASE_DONE)
        result = knit_ctx_err(s->cases[fired].ctx);
    else if (reason == reason_of(fired) + KNIT__CHAN_CLOSED)
        result = -EPIPE;
    return happened(s, fired, result);
}

/* No case was ready at a glance. */
static int look_and_wait(struct selecting *s, bool may_wait)
{
    int i, result;

    sort_by_address(s);
    lock_all(s);
    i = look_locked(s, &result);
    if (i >= 0 || !may_wait) {
        unlock_all(s);
        return i >= 0 ? happened(s, (uint32_t)i, result) : i;
    }
    if (s->deadline != KNIT__NEVER && s->deadline <= knit__clock_now()) {
        unlock_all(s);
        return -ETIMEDOUT;
    }
    knit__wait_arm(s->task, s->task->run->ctx != NULL);
    enqueue_locked(s);
    unlock_all(s);
    return wait_for_one(s);
}

/* ---- the doors ---- */

/* Up to ON_STACK cases; the glance is over. Not inlined: a case that was ready pays for no frame of
 * 1.5 kB. */
static KNIT__NOINLINE int select_few(struct selecting *s, bool may_wait)
{
    union hook hooks[ON_STACK];
    struct place places[ON_STACK];

    s->hooks = hooks;
    s->places = places;
    return look_and_wait(s, may_wait);
}

static KNIT__NOINLINE int select_many(struct selecting *s, bool may_wait)
{
    size_t each = sizeof(union hook) + sizeof(struct place) + sizeof(uint16_t);
    char *memory = malloc(s->n * each);
    int r;

    if (!memory)
        return -ENOMEM;
    s->hooks = (void *)memory;
    s->places = (void *)(memory + s->n * sizeof(union hook));
    s->order = (void *)(s->places + s->n);
    for (uint32_t i = 0; i < s->n; i++)
        s->order[i] = (uint16_t)i;
    r = glance(s);
    if (r < 0)
        r = look_and_wait(s, may_wait);
    free(memory);
    return r;
}

static int select_one(knit_case *cases, size_t n, int64_t deadline, bool may_wait)
{
    static const uint16_t identity[ON_STACK] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};
    uint16_t order[ON_STACK];
    struct selecting s = {.task = knit__task_self(),
                          .cases = cases,
                          .n = (uint32_t)n,
                          .first_at = (uint32_t)n,
                          .deadline = deadline,
                          .order = order};
    int r;

    if (n > KNIT_SELECT_MAX || (n != 0 && !cases))
        return -EINVAL;
    if (!s.task)
        return -ENOMEM;
    for (uint32_t i = 0; i < s.n; i++) {
        if (check(&cases[i]) < 0)
            return -EINVAL;
        if (cases[i].kind == KNIT_CASE_DONE)
            s.has_alarms = true;
        if (cases[i].kind == KNIT_CASE_AT &&
            (s.first_at == s.n || cases[i].when < cases[s.first_at].when))
            s.first_at = i;
    }
    r = may_wait ? knit__wait_begin(s.task) : 0;
    if (r < 0)
        return r;
    knit__random_begin(s.task);
    if (n > ON_STACK)
        return select_many(&s, may_wait);
    memcpy(order, identity, sizeof order);
    r = glance(&s);
    return r >= 0 ? r : select_few(&s, may_wait);
}

int knit_select_until(knit_case *cases, size_t n, knit_time deadline)
{
    return select_one(cases, n, deadline, true);
}

int knit_select(knit_case *cases, size_t n)
{
    return select_one(cases, n, KNIT__NEVER, true);
}

int knit_try_select(knit_case *cases, size_t n)
{
    return select_one(cases, n, KNIT__NEVER, false);
}
