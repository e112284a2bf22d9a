/* The common half of waiting: context check, timer, park, and what it all means as a result. */
#include "wait.h"

#include "../sched/timer.h"

#include <errno.h>

static KNIT__NOINLINE void park_with_timer(struct knit__task *t, int64_t deadline)
{
    struct knit__timer timer = {.task = t};
    bool armed = knit__timer_arm(&timer, deadline) == 0;

    if (!armed)
        knit__wait_claim(t, KNIT__WOKE_NOMEM);
    knit__park(t, KNIT__NEVER);
    if (armed &&
        knit__wait_reason(atomic_load_explicit(&t->wait, memory_order_acquire)) != KNIT__WOKE_TIMER)
        knit__timer_disarm(&timer);
}

uint32_t knit__wait_for(struct knit__task *t, int64_t deadline, bool cancelable)
{
    struct knit__cancel *ctx = t->run->ctx;
    uint32_t word;

    /* seq_cst: after the store in knit__wait_arm, against the canceller's store of err */
    if (cancelable && ctx && atomic_load_explicit(&ctx->err, memory_order_seq_cst) != 0)
        knit__wait_claim(t, KNIT__WOKE_CTX);
    if (KNIT__UNLIKELY(deadline != KNIT__NEVER) && !t->is_thread)
        park_with_timer(t, deadline);
    else
        knit__park(t, deadline);
    word = atomic_load_explicit(&t->wait, memory_order_acquire);
    atomic_store_explicit(&t->wait, KNIT__WAIT_IDLE, memory_order_relaxed);
    return word;
}

uint32_t knit__wait_locked(struct knit__task *t, _Atomic uint32_t *held, int64_t deadline)
{
    uint32_t word;

    if (t->is_thread || KNIT__UNLIKELY(deadline != KNIT__NEVER)) {
        knit__wait_arm(t, t->run->ctx != NULL);
        atomic_store_explicit(held, 0, memory_order_release);
        KNIT__POINT();
        return knit__wait_for(t, deadline, true);
    }
    knit__park_locked(t, held, t->run->ctx);
    word = atomic_load_explicit(&t->wait, memory_order_acquire);
    atomic_store_explicit(&t->wait, KNIT__WAIT_IDLE, memory_order_relaxed);
    return word;
}

int knit__wait_result(const struct knit__task *t, uint32_t word)
{
    switch (knit__wait_reason(word)) {
    case KNIT__WOKE_CTX: return knit__ctx_ended(t->run->ctx);
    case KNIT__WOKE_TIMER: return -ETIMEDOUT;
    default: return -ENOMEM;
    }
}
