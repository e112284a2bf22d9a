/* Channels: a ring of items and two queues of waiting tasks.
 *
 * Invariants, under the lock: a waiting receiver means an empty buffer and no waiting sender; a
 * waiting sender means a full buffer (capacity 0: no buffer) and no waiting receiver; closed means
 * nobody waits. Values move under the lock, straight between the buffer or the two stacks.
 *
 * A queue may hold nodes whose wait has fired for another reason (cancel, deadline): whoever pops
 * one loses the claim and takes the next; the node's own task unlinks it in its finish.
 *
 * Lock rank: channel. Wakes are collected under the lock and done after it. */
#include "../sched/worker.h"
#include "wait.h"

#include <errno.h>
#include <knit/chan.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct knit__list link; /* linked to itself: in no queue */
    struct knit__task *task;
    void *slot; /* item to send, or where to put one; NULL: nowhere */
};

struct knit_chan {
    /* set at birth, then constant */
    size_t item_size, capacity;
    _Atomic uint32_t refs;
    /* lock */
    struct knit__lock lock;
    bool closed;
    size_t first;
    _Atomic size_t count; /* read without the lock by knit_chan_len */
    struct knit__list senders, receivers;
    _Alignas(max_align_t) char items[];
};

enum { WOKE_DONE = KNIT__WOKE_SOURCE, WOKE_CLOSED };

int knit_chan_new(size_t item_size, size_t capacity, knit_chan **ret_chan)
{
    size_t bytes;
    knit_chan *ch;

    if (!ret_chan || __builtin_mul_overflow(item_size, capacity, &bytes) ||
        bytes > (size_t)PTRDIFF_MAX - sizeof *ch)
        return -EINVAL;
    ch = malloc(sizeof *ch + bytes);
    if (!ch)
        return -ENOMEM;
    *ch = (struct knit_chan){.item_size = item_size, .capacity = capacity, .refs = 1};
    knit__list_init(&ch->senders);
    knit__list_init(&ch->receivers);
    *ret_chan = ch;
    return 0;
}

knit_chan *knit_chan_ref(knit_chan *ch)
{
    if (ch)
        atomic_fetch_add_explicit(&ch->refs, 1, memory_order_relaxed);
    return ch;
}

void knit_chan_unref(knit_chan *ch)
{
    if (ch && atomic_fetch_sub_explicit(&ch->refs, 1, memory_order_acq_rel) == 1)
        free(ch);
}

static inline size_t count_of(const knit_chan *ch)
{
    return atomic_load_explicit(&ch->count, memory_order_relaxed);
}

size_t knit_chan_len(const knit_chan *ch)
{
    return ch ? count_of(ch) : 0;
}

size_t knit_chan_cap(const knit_chan *ch)
{
    return ch ? ch->capacity : 0;
}

/* ---- the buffer; lock held ---- */

/* Small items of the usual sizes without a call. */
static inline void item_copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(void *))
        memcpy(to, from, sizeof(void *));
    else if (size == sizeof(int))
        memcpy(to, from, sizeof(int));
    else if (size != 0)
        memcpy(to, from, size);
}

static inline void *item_at(knit_chan *ch, size_t i)
{
    i += ch->first;
    if (i >= ch->capacity)
        i -= ch->capacity;
    return ch->items + i * ch->item_size;
}

static inline void buffer_put(knit_chan *ch, const void *item)
{
    item_copy(item_at(ch, count_of(ch)), item, ch->item_size);
    atomic_store_explicit(&ch->count, count_of(ch) + 1, memory_order_relaxed);
}

static inline void buffer_get(knit_chan *ch, void *ret_item)
{
    if (ret_item)
        item_copy(ret_item, item_at(ch, 0), ch->item_size);
    if (++ch->first == ch->capacity)
        ch->first = 0;
    atomic_store_explicit(&ch->count, count_of(ch) - 1, memory_order_relaxed);
}

/* Pop the first waiter of a queue whose wait is ours to decide; its item is moved by the caller,
 * under the same lock. NULL: nobody. *ret_ready: it must be readied after unlocking. */
static inline struct node *claim_first(struct knit__list *queue, uint32_t reason,
                                       struct knit__task **ret_ready)
{
    while (!knit__list_empty(queue)) {
        struct node *n = KNIT__CONTAINER(queue->next, struct node, link);
        struct knit__task *t = n->task;
        enum knit__claim claim = knit__wait_claim(t, reason);

        knit__list_remove(&n->link);
        if (claim == KNIT__CLAIM_LOST)
            continue;
        *ret_ready = claim == KNIT__CLAIM_PARKED ? t : NULL;
        return n;
    }
    return NULL;
}

/* ---- one attempt; lock held ---- */

/* 0, -EPIPE, -EAGAIN. *ret_ready: to be readied after unlocking. */
static int send_locked(knit_chan *ch, const void *item, struct knit__task **ret_ready)
{
    struct node *receiver;

    if (ch->closed)
        return -EPIPE;
    receiver = claim_first(&ch->receivers, WOKE_DONE, ret_ready);
    if (receiver) {
        if (receiver->slot)
            item_copy(receiver->slot, item, ch->item_size);
        return 0;
    }
    if (count_of(ch) == ch->capacity)
        return -EAGAIN;
    buffer_put(ch, item);
    return 0;
}

static int recv_locked(knit_chan *ch, void *ret_item, struct knit__task **ret_ready)
{
    struct node *sender;

    if (count_of(ch) > 0) {
        buffer_get(ch, ret_item);
        sender = claim_first(&ch->senders, WOKE_DONE, ret_ready);
        if (sender)
            buffer_put(ch, sender->slot);
        return 0;
    }
    sender = claim_first(&ch->senders, WOKE_DONE, ret_ready);
    if (sender) {
        if (ret_item)
            item_copy(ret_item, sender->slot, ch->item_size);
        return 0;
    }
    return ch->closed ? -EPIPE : -EAGAIN;
}

/* ---- waiting ---- */

/* Wait in a queue; the lock is held and released. */
static int wait_in(knit_chan *ch, struct knit__list *queue, struct knit__task *t, void *slot,
                   int64_t deadline)
{
    struct node node = {.task = t, .slot = slot};
    uint32_t word;

    knit__wait_arm(t, t->run->ctx != NULL);
    knit__list_append(queue, &node.link);
    knit__unlock(&ch->lock);

    word = knit__wait_for(t, deadline, true);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&ch->lock); /* finish: past every claimer that may still be inside */
        knit__list_remove(&node.link);
        knit__unlock(&ch->lock);
    }
    switch (knit__wait_reason(word)) {
    case WOKE_DONE: return 0;
    case WOKE_CLOSED: return -EPIPE;
    default: return knit__wait_result(t, word);
    }
}

static int send_or_recv(knit_chan *ch, void *item, int64_t deadline, bool send)
{
    struct knit__task *t = knit__task_self(), *ready = NULL;
    int r;

    if (KNIT__UNLIKELY(!t))
        return -ENOMEM;
    r = knit__wait_begin(t);
    if (r < 0)
        return r;
    knit__lock(&ch->lock);
    r = send ? send_locked(ch, item, &ready) : recv_locked(ch, item, &ready);
    if (r == -EAGAIN) {
        if (deadline != KNIT__NEVER && deadline <= knit__clock_now())
            r = -ETIMEDOUT;
        else
            return wait_in(ch, send ? &ch->senders : &ch->receivers, t, item, deadline);
    }
    knit__unlock(&ch->lock);
    if (ready)
        knit__ready(ready);
    return r;
}

static bool bad_item(const knit_chan *ch, const void *item)
{
    return !ch || (!item && ch->item_size != 0);
}

int knit_chan_send_until(knit_chan *ch, const void *item, knit_time deadline)
{
    if (bad_item(ch, item))
        return -EINVAL;
    return send_or_recv(ch, (void *)(uintptr_t)item, deadline, true);
}

int knit_chan_send(knit_chan *ch, const void *item)
{
    return knit_chan_send_until(ch, item, KNIT__NEVER);
}

int knit_chan_recv_until(knit_chan *ch, void *ret_item, knit_time deadline)
{
    if (!ch)
        return -EINVAL;
    return send_or_recv(ch, ret_item, deadline, false);
}

int knit_chan_recv(knit_chan *ch, void *ret_item)
{
    return knit_chan_recv_until(ch, ret_item, KNIT__NEVER);
}

int knit_chan_try_send(knit_chan *ch, const void *item)
{
    struct knit__task *ready = NULL;
    int r;

    if (bad_item(ch, item))
        return -EINVAL;
    knit__lock(&ch->lock);
    r = send_locked(ch, item, &ready);
    knit__unlock(&ch->lock);
    if (ready)
        knit__ready(ready);
    return r;
}

int knit_chan_try_recv(knit_chan *ch, void *ret_item)
{
    struct knit__task *ready = NULL;
    int r;

    if (!ch)
        return -EINVAL;
    knit__lock(&ch->lock);
    r = recv_locked(ch, ret_item, &ready);
    knit__unlock(&ch->lock);
    if (ready)
        knit__ready(ready);
    return r;
}

static void wake_all_locked(struct knit__list *queue, struct knit__batch *batch)
{
    struct knit__task *ready = NULL;

    while (claim_first(queue, WOKE_CLOSED, &ready)) {
        if (ready)
            knit__batch_add(batch, ready);
    }
}

int knit_chan_close(knit_chan *ch)
{
    struct knit__batch batch = {0};

    if (!ch)
        return -EINVAL;
    knit__lock(&ch->lock);
    if (ch->closed) {
        knit__unlock(&ch->lock);
        return -EPIPE;
    }
    ch->closed = true;
    wake_all_locked(&ch->receivers, &batch);
    wake_all_locked(&ch->senders, &batch);
    knit__unlock(&ch->lock);
    knit__ready_batch(&batch);
    return 0;
}
