/* Select: wait for the first of several things: sends and receives on channels, the end of
 * contexts, points in time.
 *
 *     int item;
 *     knit_case cases[] = {
 *         knit_case_recv(jobs, &item),
 *         knit_case_done(stop),
 *         knit_case_after(KNIT_SECOND),
 *     };
 *     switch (knit_select(cases, 3)) {
 *     case 0: return cases[0].result == 0 ? work_on(item) : 0;  (-EPIPE: jobs is closed)
 *     case 1: return 0;
 *     case 2: return report_idle();
 *     default: return knit_canceled() ? -ECANCELED : -ENOMEM;
 *     }
 *
 * An array of cases may be used again. Its fields are the caller's to change between two calls: a
 * case whose ch or ctx is NULL, and a case of all zeroes, never happens. */
#ifndef KNIT_SELECT_H
#define KNIT_SELECT_H

#include "chan.h"
#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KNIT_CASE_NEVER = 0,
    KNIT_CASE_SEND = 1, /* ch, item */
    KNIT_CASE_RECV = 2, /* ch, ret_item */
    KNIT_CASE_DONE = 3, /* ctx */
    KNIT_CASE_AT = 4,   /* when */
};

typedef struct knit_case {
    int kind;         /* KNIT_CASE_... */
    int result;       /* written when this is the case that happened */
    knit_chan *ch;    /* borrowed, as all pointers here, during the call */
    knit_ctx *ctx;    /* */
    const void *item; /* to be sent */
    void *ret_item;   /* where to put what is received; NULL throws it away */
    knit_time when;
} knit_case;

/* The most cases of one select. */
#define KNIT_SELECT_MAX 65535

/* Make a case: send *item; receive into ret_item; wait until ctx has ended; until a time; until d
 * from now. These are values: nothing happens before the select.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: kept in the case; used while a select with this case runs.
 * Threads:  any task, any thread. */
static inline knit_case knit_case_send(knit_chan *ch, const void *item)
{
    knit_case c = {KNIT_CASE_SEND, 0, ch, NULL, item, NULL, 0};
    return c;
}

static inline knit_case knit_case_recv(knit_chan *ch, void *ret_item)
{
    knit_case c = {KNIT_CASE_RECV, 0, ch, NULL, NULL, ret_item, 0};
    return c;
}

static inline knit_case knit_case_done(knit_ctx *ctx)
{
    knit_case c = {KNIT_CASE_DONE, 0, NULL, ctx, NULL, NULL, 0};
    return c;
}

static inline knit_case knit_case_at(knit_time when)
{
    knit_case c = {KNIT_CASE_AT, 0, NULL, NULL, NULL, NULL, when};
    return c;
}

static inline knit_case knit_case_after(knit_duration d)
{
    knit_time now = knit_now();
    return knit_case_at(d >= KNIT_FOREVER - now ? KNIT_FOREVER : now + d);
}

/* Wait until one of the n cases can happen, and let it happen. Returns its index.
 *
 * Exactly one case happens: of all others nothing is sent, received or changed. If several can, one
 * of them is taken at random, all with the same chance. cases[index].result says how it went:
 *   send   0 sent; -EPIPE the channel is closed.
 *   recv   0 received; -EPIPE the channel is closed and drained (*ret_item is untouched).
 *   done   what ended the context: -ECANCELED or -ETIMEDOUT.
 *   at     0.
 * A closed channel can always happen, as in Go: set its ch to NULL to go on without it. One channel
 * may stand in several cases, to send and to receive: a select never sends to itself. With no case
 * that can ever happen (n is 0, all are NULL) it waits for the end of its context.
 *
 * The try form returns -EAGAIN instead of waiting. The until form returns -ETIMEDOUT when no case
 * could happen before the deadline; one that has passed still lets a case happen that can at once.
 *
 * Parks:    yes, unless a case can happen at once; the try form never.
 * Cancel:   -ECANCELED (-ETIMEDOUT for a deadline) when the ambient context ends first, and at once
 *           when it has ended already; then no case has happened. The try form does not look at it.
 * Errors:   -EAGAIN (try); -ETIMEDOUT; -ECANCELED; -EINVAL (cases NULL with n > 0, n above
 *           KNIT_SELECT_MAX, a kind that is none, a send with item NULL and an item size > 0);
 *           -ENOMEM (more than 16 cases, or a time whose timer cannot be stored). Then no case has
 *           happened.
 * Pointers: cases borrowed, and what they point to.
 * Threads:  any task, any thread. */
KNIT_API int knit_select(knit_case *cases, size_t n);
KNIT_API int knit_try_select(knit_case *cases, size_t n);
KNIT_API int knit_select_until(knit_case *cases, size_t n, knit_time deadline);

#ifdef __cplusplus
}
#endif
#endif
