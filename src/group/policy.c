/* Events, verdicts, services. See policy.h. */
#include "policy.h"

#include "extra.h"

#include <errno.h>
#include <stdlib.h>

/* ---- ready-made joins ---- */

int knit_join_too_few(const knit_join *join, const knit_join_event *e)
{
    (void)join;
    return e->last_error < 0 ? e->last_error : e->last_error > 0 ? -ECHILD : -ENODATA;
}

int knit_join_all(const knit_join *join, const knit_join_event *e)
{
    return e->outcome == KNIT_OUTCOME_FAILURE ? knit_join_too_few(join, e) : KNIT_JOIN_GO_ON;
}

int knit_join_take(const knit_join *join, const knit_join_event *e)
{
    if (e->succeeded >= join->n)
        return KNIT_JOIN_ENOUGH;
    if (!e->waited || e->succeeded + e->open >= join->n)
        return KNIT_JOIN_GO_ON;
    if (e->outcome == KNIT_OUTCOME_ECHO || e->outcome == KNIT_OUTCOME_SKIPPED)
        return e->result; /* the context ended: that is why */
    return knit_join_too_few(join, e);
}

int knit_join_until(const knit_join *join, const knit_join_event *e)
{
    return join->until && join->until(join->state, e) ? KNIT_JOIN_ENOUGH : KNIT_JOIN_GO_ON;
}

/* ---- state ---- */

bool knit__policy_valid(const knit_policy *p)
{
    return p->overflow <= KNIT_OVERFLOW_INLINE && p->interval >= 0 && p->progress_every >= 0 &&
           (p->burst == 0 || p->interval <= INT64_MAX / 4 / p->burst);
}

struct knit__state *knit__state_of(const struct knit__group *g)
{
    const struct knit__extra *x = knit__extra_of(g);

    return x ? x->state : NULL;
}

struct knit__state *knit__state_get_locked(struct knit__group *g)
{
    struct knit__extra *x = knit__extra_get(g);

    if (!x || x->state)
        return x ? x->state : NULL;
    x->state = calloc(1, sizeof *x->state);
    if (!x->state)
        return NULL;
    knit__group_set(g, GROUP_STATE);
    if (knit__group_is_prepared(g)) /* shared: under this lock */
        atomic_store_explicit(&g->scope.prepared, GROUP_WATCHED, memory_order_release);
    return x->state;
}

struct knit__state *knit__services_get_locked(struct knit__group *g)
{
    struct knit__state *st = knit__state_get_locked(g);

    if (st && !st->service_ctx && knit_ctx_with_cancel(knit_ctx_background(), &st->service_ctx) < 0)
        return NULL;
    return st;
}

bool knit__state_in_use(struct knit__state *st)
{
    bool used;

    knit__lock(&st->lock);
    used = st->seen.open != 0;
    knit__unlock(&st->lock);
    return used;
}

void knit__state_free(struct knit__state *st)
{
    if (!st)
        return;
    knit_ctx_unref(st->service_ctx);
    free(st);
}

/* ---- verdicts ---- */

static const knit_join *join_of(const struct knit__group *g)
{
    const knit_policy *p = knit__group_policy(g);

    return p ? p->join : NULL;
}

/* Ask one of the join's functions, unless all is decided: a close is a decision, too. state lock
 * held. */
static int ask_locked(const struct knit__group *g, struct knit__state *st,
                      int (*fn)(const knit_join *, const knit_join_event *))
{
    int verdict = KNIT_JOIN_GO_ON;

    if (fn && !st->decided && !(knit__group_flags(g) & GROUP_CLOSED))
        verdict = fn(join_of(g), &st->seen);
    st->decided |= verdict != KNIT_JOIN_GO_ON;
    return verdict;
}

/* Stored, then the rest is cancelled. By who keeps the group alive, without locks. */
static void carry_out(struct knit__group *g, int verdict)
{
    if (verdict == KNIT_JOIN_GO_ON)
        return;
    if (verdict > 0)
        knit__group_set(g, GROUP_DECIDED);
    else
        knit__group_set_error(g, verdict);
    knit__group_end(g, verdict > 0 ? -ECANCELED : verdict, false);
}

/* ---- events ---- */

int knit__policy_add(struct knit__group *g)
{
    const knit_join *join = join_of(g);
    struct knit__state *st;
    int r = 0;

    knit__lock(&g->scope.lock);
    st = knit__state_get_locked(g);
    if (st) {
        knit__lock(&st->lock);
        if (join && join->on_add && !st->decided)
            r = join->on_add(join, &st->seen);
        if (r >= 0)
            st->seen.open++;
        knit__unlock(&st->lock);
    }
    knit__unlock(&g->scope.lock);
    return !st ? -ENOMEM : r < 0 ? r : 0;
}

void knit__policy_refused(struct knit__group *g)
{
    const knit_join *join = join_of(g);
    struct knit__state *st;
    int verdict = KNIT_JOIN_GO_ON;

    knit__lock(&g->scope.lock);
    st = knit__state_of(g); /* what was added keeps it */
    knit__lock(&st->lock);
    st->seen.open--;
    if (join && st->seen.waited)
        verdict = ask_locked(g, st, join->on_wait);
    knit__unlock(&st->lock);
    knit__unlock(&g->scope.lock);
    carry_out(g, verdict); /* the caller of go keeps the group */
}

static void count_locked(knit_join_event *e, uint32_t index, int r, int outcome)
{
    e->index = index;
    e->result = r;
    e->outcome = outcome;
    e->open--;
    switch (outcome) {
    case KNIT_OUTCOME_SUCCESS: e->succeeded++; break;
    case KNIT_OUTCOME_FAILURE: e->failed++, e->last_error = r; break;
    case KNIT_OUTCOME_ECHO: e->echoes++; break;
    default: e->skipped++; break;
    }
}

/* Tell how far it is, if it is time (at the end: always). state lock held. */
static void report_progress_locked(const struct knit__group *g, struct knit__state *st, bool end)
{
    const knit_policy *p = knit__group_policy(g);
    knit_errgroup_counts counts;
    int64_t now;

    if (!p || !p->progress)
        return;
    now = knit__clock_now();
    if (!end && st->progress_at != 0 && now - st->progress_at < p->progress_every)
        return;
    st->progress_at = now;
    knit__group_count(g, knit__extra_of(g), &counts);
    p->progress(p->progress_arg, &counts);
}

void knit__policy_ended(struct knit__group *g, const struct knit__run *run, int r, int outcome)
{
    struct knit__state *st = knit__state_of(g);
    const knit_join *join = join_of(g);
    int verdict = KNIT_JOIN_GO_ON;

    if (outcome == KNIT_OUTCOME_SKIPPED && r == 0)
        r = knit__group_ended(g) < 0 ? knit__group_ended(g) : -ECANCELED;
    knit__lock(&st->lock);
    count_locked(&st->seen, run->rec.index, r, outcome);
    if (join)
        verdict = ask_locked(g, st, join->on_done);
    report_progress_locked(g, st, false);
    knit__unlock(&st->lock);
    carry_out(g, verdict);
}

/* Nothing was ever submitted: there is no state, and there are no counts. */
static int wait_for_nothing(struct knit__group *g, const knit_join *join)
{
    const knit_join_event nothing = {.waited = 1};
    int verdict = KNIT_JOIN_GO_ON;

    if (!join || knit__scope_counts(&g->scope).submitted != 0 || knit__group_ended(g) < 0 ||
        knit__group_first_error(g) != 0)
        return KNIT_JOIN_GO_ON;
    if (join->on_wait)
        verdict = join->on_wait(join, &nothing);
    if (verdict == KNIT_JOIN_GO_ON && join->result)
        verdict = join->result(join, &nothing);
    return verdict;
}

knit_ctx *knit__services_to_end_locked(const struct knit__group *g, const struct knit__state *st)
{
    uint32_t left;

    if (st->services == 0 || !st->waited)
        return NULL;
    left = knit__scope_counts(&g->scope).pending - (knit__usher_there(st) ? 1 : 0);
    return left == st->services ? knit_ctx_ref(st->service_ctx) : NULL;
}

void knit__policy_waited(struct knit__group *g)
{
    const knit_join *join = join_of(g);
    knit_ctx *services = NULL;
    struct knit__state *st;
    int verdict;

    knit__lock(&g->scope.lock);
    st = knit__state_of(g);
    if (!st) {
        verdict = wait_for_nothing(g, join);
    } else {
        st->waited = true;
        services = knit__services_to_end_locked(g, st);
        knit__lock(&st->lock);
        st->seen.waited = 1;
        verdict = join ? ask_locked(g, st, join->on_wait) : KNIT_JOIN_GO_ON;
        knit__unlock(&st->lock);
    }
    knit__unlock(&g->scope.lock);
    knit_ctx_cancel(services, 0);
    knit_ctx_unref(services);
    carry_out(g, verdict);
}

/* What the join says of a group in which nothing is left. */
static int last_word_locked(struct knit__group *g, struct knit__state *st, const knit_join *join)
{
    uint32_t flags = knit__group_flags(g);
    int err = knit__ctx_ended(knit__group_ctx(g));
    bool all_ran = (flags & GROUP_NOT_ALL) == 0;

    if (err == -ETIMEDOUT && !(all_ran && (flags & GROUP_LATE_OK)))
        return join->on_timeout ? ask_locked(g, st, join->on_timeout) : err;
    if (err != 0 && !all_ran)
        return err;
    return ask_locked(g, st, join->result);
}

bool knit__policy_settle_locked(struct knit__group *g)
{
    struct knit__state *st = knit__state_of(g);
    const knit_join *join = join_of(g);
    bool decided = (knit__group_flags(g) & GROUP_DECIDED) != 0;
    int r;

    if (!st || !st->waited || knit__scope_counts(&g->scope).pending != 0)
        return decided;
    knit__lock(&st->lock);
    report_progress_locked(g, st, true);
    if (join && !decided && !st->decided && knit__group_first_error(g) == 0 &&
        !(knit__group_flags(g) & GROUP_CLOSED)) {
        r = last_word_locked(g, st, join);
        if (r < 0)
            knit__group_set_error(g, r);
        st->decided = decided = true;
    }
    knit__unlock(&st->lock);
    return decided;
}
