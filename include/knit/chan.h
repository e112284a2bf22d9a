/* Channels: typed by item size, FIFO, closable, between tasks and plain threads in any mixture. */
#ifndef KNIT_CHAN_H
#define KNIT_CHAN_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct knit_chan knit_chan;

/* Make a channel for items of item_size bytes (0 is allowed: a pure signal) with room for
 * `capacity` of them. Capacity 0 is a rendezvous: a send returns once a receiver has the item.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (ret_chan NULL, or the sizes overflow), -ENOMEM; then *ret_chan is untouched.
 * Pointers: *ret_chan returned with one reference: knit_chan_unref.
 * Threads:  any task, any thread. */
KNIT_API int knit_chan_new(size_t item_size, size_t capacity, knit_chan **ret_chan);

/* Send one item, waiting for room or (capacity 0) for a receiver.
 *
 * Copies the channel's item size from item. Each item is received at most once: if this returns 0
 * a receiver or the buffer has it; otherwise nobody does. Blocked senders are served first come,
 * first served.
 *
 * Parks:    yes, unless there is room or a receiver waits; the try form never.
 * Cancel:   -ECANCELED (-ETIMEDOUT for a deadline) when the ambient context ends first, and at once
 *           when it has ended already; then nothing was sent. The try form does not look at it.
 * Errors:   -EPIPE closed, also while waiting; -EAGAIN (try) it would have to wait; -ETIMEDOUT the
 *           deadline passed; -ECANCELED; -EINVAL (ch NULL, or item NULL with an item size > 0);
 *           -ENOMEM (a deadline whose timer cannot be stored).
 * Pointers: ch borrowed; item borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_chan_send(knit_chan *ch, const void *item);
KNIT_API int knit_chan_try_send(knit_chan *ch, const void *item);
KNIT_API int knit_chan_send_until(knit_chan *ch, const void *item, knit_time deadline);

/* Receive the oldest item into ret_item, waiting for one.
 *
 * A closed channel is first drained; what was in its buffer is still received. ret_item NULL
 * throws the item away.
 *
 * Parks:    yes, unless there is an item; the try form never.
 * Cancel:   -ECANCELED (-ETIMEDOUT for a deadline) when the ambient context ends first, and at once
 *           when it has ended already; then nothing was received. The try form does not look at it.
 * Errors:   -EPIPE closed and drained; -EAGAIN (try); -ETIMEDOUT; -ECANCELED; -EINVAL (ch NULL);
 *           -ENOMEM (a deadline whose timer cannot be stored). *ret_item is then untouched.
 * Pointers: ch borrowed; ret_item borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_chan_recv(knit_chan *ch, void *ret_item);
KNIT_API int knit_chan_try_recv(knit_chan *ch, void *ret_item);
KNIT_API int knit_chan_recv_until(knit_chan *ch, void *ret_item, knit_time deadline);

/* Close: no more sends. Waiting receivers and waiting senders return -EPIPE; items in the buffer
 * can still be received.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EPIPE closed already; -EINVAL (NULL).
 * Pointers: borrowed; closing drops no reference.
 * Threads:  any task, any thread. */
KNIT_API int knit_chan_close(knit_chan *ch);

/* Items in the buffer now, and its capacity. 0 for NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API size_t knit_chan_len(const knit_chan *ch);
KNIT_API size_t knit_chan_cap(const knit_chan *ch);

/* One more reference, and ch back; drop a reference (NULL: nothing). The last one frees the channel
 * and drops what is in its buffer; nobody may be waiting on it then.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API knit_chan *knit_chan_ref(knit_chan *ch);
KNIT_API void knit_chan_unref(knit_chan *ch);

#ifdef __cplusplus
}
#endif
#endif
