/* Contexts, as the other floors see them. */
#ifndef KNIT_SYNC_CTX_H
#define KNIT_SYNC_CTX_H

#include "../sched/task.h"

#include <knit/ctx.h>

/* The error of a context that may have ended; NULL: 0. */
static inline int knit__ctx_ended(const struct knit__cancel *ctx)
{
    return ctx ? atomic_load_explicit(&ctx->err, memory_order_acquire) : 0;
}

/* Make ctx watch t, and no other context (NULL: none). 0, or the error of ctx, which then does not. */
int knit__ctx_watch(struct knit__task *t, struct knit__cancel *ctx);
/* No context watches t any more. */
void knit__ctx_unwatch(struct knit__task *t);

/* Leave what the innermost run has entered, down to this one (NULL: all). The scopes' frames are
 * still there. */
void knit__ctx_leave_down_to(struct knit__task *t, const void *entered);

/* knit_ctx_after with a handle that is given to fn: fn may free it, and nobody waits for fn. The
 * handle must live until fn runs or take_back returned true: fn then is not called. */
void knit__ctx_after_given(knit_ctx *ctx, knit_ctx_after_fn *fn, void *arg,
                           knit_ctx_after_handle *handle);
bool knit__ctx_after_take_back(knit_ctx_after_handle *handle);

/* Wakes a waiting task when a context it does not run under ends: set between arming and
 * waiting, cleared before the wait's frame is left (which waits for a call in progress). */
struct knit__alarm {
    struct knit__task *task;
    uint32_t reason;
    knit_ctx_after_handle handle;
};
void knit__alarm_set(struct knit__alarm *alarm, knit_ctx *ctx);
void knit__alarm_clear(struct knit__alarm *alarm);

/* A context for a group: named, kept while it lives. deadline: KNIT__NEVER, or when it ends. */
int knit__ctx_for_group(knit_ctx *parent, int64_t deadline, const char *name, knit_ctx **ret_ctx);
const char *knit__ctx_name(const knit_ctx *ctx);
knit_ctx *knit__ctx_parent(const knit_ctx *ctx);

/* The public view: NULL stands for the background context inside. */
static inline knit_ctx *knit__ctx_public(struct knit__cancel *ctx)
{
    return ctx ? (knit_ctx *)(void *)ctx : knit_ctx_background();
}
struct knit__cancel *knit__ctx_private(knit_ctx *ctx);

#endif
