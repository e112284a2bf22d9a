/* The gate of a group: how often its tasks start, and a limiter it shares with others.
 *
 * Rate: the generic cell rate algorithm (ITU-T I.371): one time instead of a bucket, when the next
 * start would be in step; `burst` starts may be ahead of it. Limiter: a semaphore; each child gives
 * back what it held before it leaves, so that all is back when a wait returns. */
#include "limit.h"

#include "policy.h"

#include <errno.h>
#include <knit/task.h>

static int64_t lead_of(const knit_policy *p)
{
    return p->burst > 1 ? (int64_t)(p->burst - 1) * p->interval : 0;
}

/* When the next task may start by the rate. */
static int64_t next_of(const knit_policy *p, const struct knit__state *st)
{
    return p->interval > 0 ? st->next_start - lead_of(p) : INT64_MIN;
}

bool knit__gate_pass_locked(const knit_policy *p, struct knit__state *st, uint32_t places)
{
    int64_t now = p->interval > 0 ? knit__clock_now() : 0;

    if (p->interval > 0 && next_of(p, st) > now)
        return false;
    if (p->limiter) {
        if (st->spare >= places)
            st->spare -= places;
        else if (knit_semaphore_try_acquire(p->limiter, places) < 0)
            return false;
    }
    if (p->interval > 0)
        st->next_start = (st->next_start > now ? st->next_start : now) + p->interval;
    return true;
}

void knit__gate_undo_locked(const knit_policy *p, struct knit__state *st, uint32_t places)
{
    if (p->interval > 0)
        st->next_start -= p->interval;
    if (p->limiter)
        st->spare += places;
}

/* ---- the usher ---- */

/* What it waits for next. */
struct errand {
    int64_t until; /* a time, or */
    int64_t need;  /* so many permits more */
};

/* The usher goes; returns the permits nobody took. lock held. */
static int64_t retire_locked(struct knit__state *st)
{
    int64_t spare = st->spare;

    knit__usher_set(st, false);
    st->errand = NULL;
    st->spare = 0;
    return spare;
}

/* The first in turn that fits; 0: nobody does, and the usher has ended. */
static uint32_t next_errand(struct knit__group *g, const knit_policy *p, struct errand *e)
{
    struct knit__state *st;
    uint32_t places;
    int64_t spare;

    knit__lock(&g->scope.lock);
    st = knit__state_of(g);
    places = knit__first_weight_locked(g);
    *e = (struct errand){.until = next_of(p, st), .need = (int64_t)places - st->spare};
    spare = places == 0 ? retire_locked(st) : 0;
    knit__unlock(&g->scope.lock);
    if (spare > 0)
        (void)knit_semaphore_release(p->limiter, spare);
    return places;
}

void knit__usher_ended(struct knit__group *g)
{
    int64_t spare;

    knit__lock(&g->scope.lock);
    spare = retire_locked(knit__state_of(g));
    knit__unlock(&g->scope.lock);
    if (spare > 0)
        (void)knit_semaphore_release(knit__limiter_of(g), spare);
}

static int get_permits(struct knit__group *g, const knit_policy *p, int64_t need)
{
    int r = knit_semaphore_acquire(p->limiter, need);

    if (r < 0)
        return r;
    knit__lock(&g->scope.lock);
    knit__state_of(g)->spare += need;
    knit__unlock(&g->scope.lock);
    return 0;
}

static int see_in(struct knit__group *g, const knit_policy *p)
{
    struct errand e;
    int r = 0;

    while (r == 0 && next_errand(g, p, &e) != 0) {
        if (e.until > knit__clock_now())
            r = knit_sleep_until(e.until);
        else if (p->limiter && e.need > 0)
            r = get_permits(g, p, e.need);
        if (r == 0)
            knit__group_hand_out(g);
    }
    return r;
}

/* Under a context of its own, so that it can be called back when nobody waits any more. */
static int see_in_until_dismissed(struct knit__group *g, bool *ret_dismissed)
{
    knit_ctx_scope scope;
    knit_ctx *ctx;
    int r = knit_ctx_with_cancel(knit_ctx_current(), &ctx);

    if (r < 0) {
        knit__usher_ended(g);
        return r;
    }
    knit__lock(&g->scope.lock);
    knit__state_of(g)->errand = ctx; /* until it retires */
    knit__unlock(&g->scope.lock);
    (void)knit_ctx_enter(ctx, &scope); /* cannot fail in a task */
    r = see_in(g, knit__group_policy(g));
    (void)knit_ctx_leave(&scope);
    *ret_dismissed = knit_ctx_err(ctx) != 0;
    if (r < 0)
        knit__usher_ended(g);
    knit_ctx_unref(ctx);
    return r;
}

static int run_usher(void *arg)
{
    struct knit__group *g = arg;
    bool dismissed = false;
    int r = see_in_until_dismissed(g, &dismissed);

    if (r == 0)
        return 0;
    /* Who waits at the gate would wait for ever, and an usher that came for them would not get
     * through either. For who came after a dismissal there is another one. */
    if (knit__ctx_ended(knit__group_ctx(g)))
        knit__group_purge(g);
    else if (!dismissed)
        knit__group_end(g, r, true);
    return 0;
}

struct knit__rec knit__usher_rec(struct knit__group *g)
{
    static const knit_site site = {__FILE__, "usher", __LINE__};

    return (struct knit__rec){
        run_usher, g, g, &site, 0, KNIT__RUN_PROMPT | KNIT__RUN_ANYWAY | KNIT__REC_PLACELESS};
}
