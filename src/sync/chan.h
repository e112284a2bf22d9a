/* A channel from inside: a ring of items, two queues of waiting tasks, and one attempt to send or
 * receive. For chan.c and select.c only.
 *
 * Invariants, under the lock: a waiting receiver means an empty buffer, a waiting sender means a
 * full one (capacity 0: no buffer); closed means nobody waits. Senders and receivers wait at the
 * same time only where one select waits for both. Values move under the lock, straight between the
 * buffer or the two stacks.
 *
 * A queue may hold nodes whose wait has fired for another reason (cancel, deadline, another case of
 * a select): whoever pops one loses the claim and takes the next; the node's own task unlinks it in
 * its finish.
 *
 * closed, count and the heads of the queues are atomics so that a select may look at them without
 * the lock. What it sees is a hint: it decides whether to take the lock, nothing else. All of them
 * are written under the lock. */
#ifndef KNIT_SYNC_CHAN_H
#define KNIT_SYNC_CHAN_H

#include "../core/rebias.h"
#include "../plat/tls.h"
#include "wait.h"

#include <errno.h>
#include <knit/chan.h>
#include <string.h>

/* A wait in a queue; on the stack of its task. */
struct knit__chan_node {
    /* set at birth, then constant */
    struct knit__task *task;
    void *slot;      /* item to send, or where to put one; NULL: nowhere */
    uint32_t reason; /* how a claim names this node: reason + one of the two below */
    /* lock */
    bool linked;
    struct knit__chan_node *next, *prev;
};

enum { KNIT__CHAN_DONE = 0, KNIT__CHAN_CLOSED = 1, KNIT__CHAN_REASONS = 2 };

struct knit__chan_queue {
    _Atomic(struct knit__chan_node *) first;
    struct knit__chan_node *last;
};

struct knit_chan {
    /* set at birth, then constant */
    size_t item_size, capacity;
    _Atomic uint32_t refs;
    /* lock */
    struct knit__rebias lock;
    _Atomic bool closed;
    size_t next; /* index of the oldest item */
    _Atomic size_t count;
    struct knit__chan_queue senders, receivers;
    _Alignas(max_align_t) char items[];
};

static inline void knit__chan_lock(struct knit_chan *ch)
{
    knit__rebias_lock(&ch->lock, knit__worker_self()); /* NULL in a plain thread */
}

static inline void knit__chan_unlock(struct knit_chan *ch)
{
    knit__rebias_unlock(&ch->lock);
}

/* ---- the queues; lock held ---- */

static inline struct knit__chan_node *knit__chan_first(const struct knit__chan_queue *q)
{
    return atomic_load_explicit(&q->first, memory_order_relaxed);
}

static inline void knit__chan_append(struct knit__chan_queue *q, struct knit__chan_node *n)
{
    n->next = NULL;
    n->prev = q->last;
    n->linked = true;
    if (q->last)
        q->last->next = n;
    else
        atomic_store_explicit(&q->first, n, memory_order_relaxed);
    q->last = n;
}

/* A node that is not linked any more is left alone. */
static inline void knit__chan_remove(struct knit__chan_queue *q, struct knit__chan_node *n)
{
    if (!n->linked)
        return;
    n->linked = false;
    if (n->next)
        n->next->prev = n->prev;
    else
        q->last = n->prev;
    if (n->prev)
        n->prev->next = n->next;
    else
        atomic_store_explicit(&q->first, n->next, memory_order_relaxed);
}

/* Pop the first waiter whose wait is ours to decide; its item is moved by the caller, under the
 * same lock. NULL: nobody. *ret_ready: it must be readied after unlocking. */
static inline struct knit__chan_node *knit__chan_claim(struct knit__chan_queue *q, uint32_t how,
                                                       struct knit__task **ret_ready)
{
    struct knit__chan_node *n;

    while ((n = knit__chan_first(q)) != NULL) {
        struct knit__task *t = n->task;
        enum knit__claim claim = knit__wait_claim(t, n->reason + how);

        knit__chan_remove(q, n);
        if (claim == KNIT__CLAIM_LOST)
            continue;
        *ret_ready = claim == KNIT__CLAIM_PARKED ? t : NULL;
        return n;
    }
    return NULL;
}

/* ---- the buffer; lock held ---- */

static inline size_t knit__chan_count(const struct knit_chan *ch)
{
    return atomic_load_explicit(&ch->count, memory_order_relaxed);
}

static inline bool knit__chan_closed(const struct knit_chan *ch)
{
    return atomic_load_explicit(&ch->closed, memory_order_relaxed);
}

/* Small items of the usual sizes without a call. */
static inline void knit__chan_copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(void *))
        memcpy(to, from, sizeof(void *));
    else if (size == sizeof(int))
        memcpy(to, from, sizeof(int));
    else if (size != 0)
        memcpy(to, from, size);
}

static inline void *knit__chan_item(struct knit_chan *ch, size_t i)
{
    i += ch->next;
    if (i >= ch->capacity)
        i -= ch->capacity;
    return ch->items + i * ch->item_size;
}

static inline void knit__chan_put(struct knit_chan *ch, const void *item)
{
    size_t count = knit__chan_count(ch);

    knit__chan_copy(knit__chan_item(ch, count), item, ch->item_size);
    atomic_store_explicit(&ch->count, count + 1, memory_order_relaxed);
}

static inline void knit__chan_get(struct knit_chan *ch, void *ret_item)
{
    if (ret_item)
        knit__chan_copy(ret_item, knit__chan_item(ch, 0), ch->item_size);
    if (++ch->next == ch->capacity)
        ch->next = 0;
    atomic_store_explicit(&ch->count, knit__chan_count(ch) - 1, memory_order_relaxed);
}

/* ---- one attempt ---- */

/* Without the lock: an attempt now would not be -EAGAIN, perhaps. */
static inline bool knit__chan_may_send(const struct knit_chan *ch)
{
    return knit__chan_first(&ch->receivers) || knit__chan_count(ch) < ch->capacity ||
           knit__chan_closed(ch);
}

static inline bool knit__chan_may_recv(const struct knit_chan *ch)
{
    return knit__chan_count(ch) > 0 || knit__chan_first(&ch->senders) || knit__chan_closed(ch);
}

/* Lock held. 0, -EPIPE, -EAGAIN. *ret_ready: to be readied after unlocking. */
static inline int knit__chan_send_locked(struct knit_chan *ch, const void *item,
                                         struct knit__task **ret_ready)
{
    struct knit__chan_node *receiver;

    if (knit__chan_closed(ch))
        return -EPIPE;
    receiver = knit__chan_claim(&ch->receivers, KNIT__CHAN_DONE, ret_ready);
    if (receiver) {
        if (receiver->slot)
            knit__chan_copy(receiver->slot, item, ch->item_size);
        return 0;
    }
    if (knit__chan_count(ch) == ch->capacity)
        return -EAGAIN;
    knit__chan_put(ch, item);
    return 0;
}

/* The same for receiving. */
static inline int knit__chan_recv_locked(struct knit_chan *ch, void *ret_item,
                                         struct knit__task **ret_ready)
{
    struct knit__chan_node *sender;

    if (knit__chan_count(ch) > 0) {
        knit__chan_get(ch, ret_item);
        sender = knit__chan_claim(&ch->senders, KNIT__CHAN_DONE, ret_ready);
        if (sender)
            knit__chan_put(ch, sender->slot);
        return 0;
    }
    sender = knit__chan_claim(&ch->senders, KNIT__CHAN_DONE, ret_ready);
    if (sender) {
        if (ret_item)
            knit__chan_copy(ret_item, sender->slot, ch->item_size);
        return 0;
    }
    return knit__chan_closed(ch) ? -EPIPE : -EAGAIN;
}

#endif
