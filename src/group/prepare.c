/* Preparing a group at its first use, and settling it when no task is left. What that means is in
 * group.h; the race between an owner that prepares without a lock and everybody else is the same as
 * with the plain counter (sched/scope.h). */
#include "extra.h"
#include "policy.h"

#include <errno.h>

static int make_own_ctx(struct knit__group *g, struct knit__run *run)
{
    bool given = (knit__group_flags(g) & GROUP_PARENT) != 0;
    knit_ctx *parent = knit__ctx_public(given ? g->scope.cancel : run->ctx), *ctx;
    int r;

    r = knit__ctx_for_group(parent, g->deadline ? g->deadline : KNIT__NEVER, g->name, &ctx);
    if (r < 0)
        return r;
    g->scope.cancel = knit__ctx_private(ctx);
    if (knit__group_flags(g) & (GROUP_CANCELED | GROUP_CLOSED))
        knit_ctx_cancel(ctx, knit__group_first_error(g)); /* the cancel came before the context */
    return 0;
}

/* Take the context the tasks will run under. The owner, or with the lock on a shared group. */
static int take_ctx(struct knit__group *g, struct knit__task *t, bool ours)
{
    struct knit__run *run = t->run;
    int r = 0;

    if (knit__group_flags(g) & GROUP_INITED) {
        r = make_own_ctx(g, run);
    } else if (run->ctx == NULL || (ours && run->ctx == knit__run_base_ctx(run))) {
        g->scope.cancel = run->ctx; /* outlives the group, or never ends */
    } else {
        g->scope.cancel = run->ctx;
        knit_ctx_ref(knit__ctx_public(run->ctx));
        knit__group_set(g, GROUP_CTX_REF);
    }
    if (r == 0)
        knit__group_set_up(g, ours ? run->rec.group : NULL);
    return r;
}

static int prepare_shared(struct knit__group *g, struct knit__task *t)
{
    int r = 0;

    knit__lock(&g->scope.lock);
    knit__group_share_locked(g, t);
    /* the owner may be in the middle of it; it does not wait for us then */
    while (atomic_load_explicit(&g->scope.claimed, memory_order_seq_cst) != 0)
        knit__os_yield();
    if (!knit__group_is_prepared(g)) {
        r = take_ctx(g, t, false);
        if (r == 0)
            atomic_store_explicit(&g->scope.prepared,
                                  knit__group_is_watched(g) ? GROUP_WATCHED : GROUP_PREPARED,
                                  memory_order_release);
    }
    knit__unlock(&g->scope.lock);
    return r;
}

/* Owner: 0, an error, or 1: the group is shared, prepare it as such. */
static KNIT__NOINLINE int prepare_own(struct knit__group *g, struct knit__task *t)
{
    int r;

    if (!knit__group_claim(g))
        return 1;
    r = take_ctx(g, t, true);
    if (r == 0)
        atomic_store_explicit(&g->scope.prepared, GROUP_PREPARED, memory_order_release);
    knit__group_unclaim(g);
    return r;
}

int knit__group_prepare(struct knit__group *g, struct knit__task *t, bool ours)
{
    int r = 1;

    if (KNIT__LIKELY(knit__group_is_prepared(g)))
        return 0;
    if (ours && !(knit__group_flags(g) & KNIT__SCOPE_SHARED))
        r = prepare_own(g, t);
    return r == 1 ? prepare_shared(g, t) : r;
}

/* Decide what a wait that found no task left returns (see the header) and keep it; locked. */
static void settle_outcome(struct knit__group *g)
{
    uint32_t flags = knit__group_flags(g);
    bool all_ran = (flags & GROUP_NOT_ALL) == 0;
    int err = knit__ctx_ended(knit__group_ctx(g));

    if (err == 0 || (flags & GROUP_CLOSED))
        return;
    if (all_ran && (err != -ETIMEDOUT || (flags & GROUP_LATE_OK)))
        return;
    knit__group_set_error(g, err);
}

/* The group is not prepared any more: what the context knew for it. */
static void take_back_options(struct knit__group *g, const struct knit__cancel *cancel,
                              uint32_t flags)
{
    const knit_ctx *ctx = (const knit_ctx *)(const void *)cancel;
    bool own = (flags & GROUP_INITED) != 0;

    g->name = own ? knit__ctx_name(ctx) : NULL;
    g->scope.cancel =
        own && (flags & GROUP_PARENT) ? knit__ctx_private(knit__ctx_parent(ctx)) : NULL;
}

/* No task is left: give the context back, so that a group that is only waited for leaks nothing.
 * The next use prepares anew. Returns what is to be dropped after unlocking. */
static struct knit__cancel *release_ctx_locked(struct knit__group *g)
{
    uint32_t flags = knit__group_flags(g), prepared;
    struct knit__cancel *ctx = NULL;

    if (knit__scope_counts(&g->scope).pending != 0 || g->scope.waiters)
        return NULL;
    prepared = atomic_load_explicit(&g->scope.prepared, memory_order_relaxed);
    if (prepared == GROUP_NEW)
        knit__extra_release(
            g); /* a go that counts itself now prepares first, and that takes the lock */
    if (prepared == GROUP_NEW)
        return NULL;
    if (flags & (GROUP_INITED | GROUP_CTX_REF))
        ctx = g->scope.cancel;
    /* seq_cst: unprepared before the second look at the count, against a go that counts itself and
     * then looks whether it is prepared */
    atomic_store_explicit(&g->scope.prepared, GROUP_NEW, memory_order_seq_cst);
    atomic_fetch_add_explicit(&g->scope.left, 0, memory_order_seq_cst);
    if (knit__scope_counts(&g->scope).pending != 0) {
        atomic_store_explicit(&g->scope.prepared, (uint16_t)prepared, memory_order_seq_cst);
        return NULL;
    }
    knit__extra_release(g);
    take_back_options(g, ctx, flags);
    atomic_fetch_and_explicit(&g->scope.flags, ~(uint32_t)GROUP_CTX_REF, memory_order_seq_cst);
    return ctx;
}

/* Unprepared for a moment, as above: who counts itself now comes to the lock first. */
static void release_extra_locked(struct knit__group *g)
{
    uint32_t prepared = atomic_load_explicit(&g->scope.prepared, memory_order_relaxed);

    atomic_store_explicit(&g->scope.prepared, GROUP_NEW, memory_order_seq_cst);
    atomic_fetch_add_explicit(&g->scope.left, 0, memory_order_seq_cst);
    if (knit__scope_counts(&g->scope).pending == 0)
        knit__extra_release(g);
    atomic_store_explicit(&g->scope.prepared, (uint16_t)prepared, memory_order_seq_cst);
}

void knit__group_turned_away(struct knit__group *g, bool ours)
{
    uint32_t flags = knit__group_flags(g);

    /* who waited for room has shared it, or is its owner; else somebody may be counting in plain */
    if (!(flags & GROUP_EXTRA) || !(ours || (flags & KNIT__SCOPE_FOLDED)))
        return;
    if (knit__group_is_watched(g))
        return; /* what was seen of its tasks is for a wait to judge */
    knit__lock(&g->scope.lock);
    if (knit__scope_counts(&g->scope).pending == 0 && !g->scope.waiters)
        release_extra_locked(g);
    knit__unlock(&g->scope.lock);
}

void knit__group_release_ctx(struct knit__group *g, bool settle)
{
    struct knit__cancel *ctx;

    knit__lock(&g->scope.lock);
    if (settle && !knit__policy_settle_locked(g) && knit__group_first_error(g) == 0)
        settle_outcome(g);
    ctx = release_ctx_locked(g);
    knit__unlock(&g->scope.lock);
    if (ctx)
        knit_ctx_unref(knit__ctx_public(ctx));
}
