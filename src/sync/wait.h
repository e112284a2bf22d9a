/* What every waiting call has in common: the context, the deadline, the park. The protocol itself
 * is the essay in sched/park.h. A wait goes
 *
 *     r = knit__wait_begin(t);              the context lives, and watches this task
 *     lock the source; nothing there?
 *     knit__wait_arm(t, true); link a node; unlock
 *     word = knit__wait_for(t, deadline, true);
 *     finish: knit__wait_claimed_parked(word, source)? the node is unlinked: else lock, unlink
 *     return knit__wait_result(t, word);    where the source did not decide
 */
#ifndef KNIT_SYNC_WAIT_H
#define KNIT_SYNC_WAIT_H

#include "../sched/park.h"

#include "ctx.h"

/* 0, or the error of the ambient context that has ended. */
static inline int knit__wait_begin(struct knit__task *t)
{
    struct knit__cancel *ctx = t->run->ctx;

    if (KNIT__LIKELY(t->watcher == ctx &&
                     (ctx == NULL || atomic_load_explicit(&ctx->err, memory_order_relaxed) == 0)))
        return 0;
    return knit__ctx_watch(t, ctx);
}

/* Park until claimed, by the source, the deadline, or (cancelable) the context. Returns the state
 * word of the wait. */
uint32_t knit__wait_for(struct knit__task *t, int64_t deadline, bool cancelable);

/* The same in one step for a wait for a single source: t is linked there and not armed; the source's
 * lock is held and released (held: the word that a store of 0 unlocks). Cancelable whenever there
 * is an ambient context. */
uint32_t knit__wait_locked(struct knit__task *t, _Atomic uint32_t *held, int64_t deadline);

static inline uint32_t knit__wait_reason(uint32_t word)
{
    return word >> KNIT__WAIT_REASON_SHIFT;
}

/* The source itself claimed a task that was fully parked: it has unlinked the node. */
static inline bool knit__wait_unlinked(uint32_t word)
{
    return knit__wait_reason(word) >= KNIT__WOKE_SOURCE && (word & KNIT__WAIT_WAS_PARKED) != 0;
}

/* The result of a wait that its source did not decide. */
int knit__wait_result(const struct knit__task *t, uint32_t word);

#endif
