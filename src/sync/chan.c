/* Channels: making them, sending and receiving one item, closing. What a channel is, and one attempt
 * under its lock, is in chan.h; waiting for one of several channels in select.c.
 *
 * Lock rank: channel. Wakes are collected under the lock and done after it. */
#include "chan.h"

#include "../sched/worker.h"

#include <stdlib.h>

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

size_t knit_chan_len(const knit_chan *ch)
{
    return ch ? knit__chan_count(ch) : 0;
}

size_t knit_chan_cap(const knit_chan *ch)
{
    return ch ? ch->capacity : 0;
}

/* ---- waiting ---- */

/* Wait in a queue; the lock is held and released. */
static int wait_in(knit_chan *ch, struct knit__chan_queue *queue, struct knit__task *t, void *slot,
                   int64_t deadline)
{
    struct knit__chan_node node = {.task = t, .slot = slot, .reason = KNIT__WOKE_SOURCE};
    uint32_t word;

    knit__chan_append(queue, &node);
    word = knit__wait_locked(t, knit__rebias_word(&ch->lock), deadline);
    if (!knit__wait_unlinked(word)) {
        knit__chan_lock(ch); /* finish: past every claimer that may still be inside */
        knit__chan_remove(queue, &node);
        knit__chan_unlock(ch);
    }
    switch (knit__wait_reason(word)) {
    case KNIT__WOKE_SOURCE + KNIT__CHAN_DONE: return 0;
    case KNIT__WOKE_SOURCE + KNIT__CHAN_CLOSED: return -EPIPE;
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
    knit__chan_lock(ch);
    r = send ? knit__chan_send_locked(ch, item, &ready) : knit__chan_recv_locked(ch, item, &ready);
    if (r == -EAGAIN) {
        if (deadline != KNIT__NEVER && deadline <= knit__clock_now())
            r = -ETIMEDOUT;
        else
            return wait_in(ch, send ? &ch->senders : &ch->receivers, t, item, deadline);
    }
    knit__chan_unlock(ch);
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
    knit__chan_lock(ch);
    r = knit__chan_send_locked(ch, item, &ready);
    knit__chan_unlock(ch);
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
    knit__chan_lock(ch);
    r = knit__chan_recv_locked(ch, ret_item, &ready);
    knit__chan_unlock(ch);
    if (ready)
        knit__ready(ready);
    return r;
}

static void wake_all_locked(struct knit__chan_queue *queue, struct knit__batch *batch)
{
    struct knit__task *ready = NULL;

    while (knit__chan_claim(queue, KNIT__CHAN_CLOSED, &ready)) {
        if (ready)
            knit__batch_add(batch, ready);
    }
}

int knit_chan_close(knit_chan *ch)
{
    struct knit__batch batch = {0};

    if (!ch)
        return -EINVAL;
    knit__chan_lock(ch);
    if (knit__chan_closed(ch)) {
        knit__chan_unlock(ch);
        return -EPIPE;
    }
    atomic_store_explicit(&ch->closed, true, memory_order_relaxed);
    wake_all_locked(&ch->receivers, &batch);
    wake_all_locked(&ch->senders, &batch);
    knit__chan_unlock(ch);
    knit__ready_batch(&batch);
    return 0;
}
