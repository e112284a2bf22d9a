/* Who asks for places: new tasks, and jobs that have given theirs back. See limit.h. */
#include "limit.h"

#include "../sync/wait.h"
#include "places.h"

#include <errno.h>

/* ---- admission ---- */

/* Count rec as a child if there is room and nobody waits for it; the scope is shared. No lock. */
static bool take_place(struct knit__group *g, struct knit__rec *rec)
{
    int64_t limit = knit__limit_of(g),
            left = atomic_load_explicit(&g->scope.left, memory_order_relaxed);

    do {
        if ((left & KNIT__LEFT_ROOM) || knit__left_open(left) >= limit)
            return false;
        /* seq_cst: as in knit__scope_enter_shared */
    } while (!atomic_compare_exchange_weak_explicit(&g->scope.left, &left,
                                                    left + KNIT__LEFT_SUBMITTED + KNIT__LEFT_CHILD,
                                                    memory_order_seq_cst, memory_order_relaxed));
    rec->index = knit__left_high(left);
    return true;
}

/* What is asked, and by whom. */
struct asking {
    struct knit__group *g;
    struct knit__task *t;
    struct knit__rec *rec;
    struct knit__job *job;
    const knit_policy *policy;
    bool try, member;
    unsigned overflow;
};

static bool may_wait(const struct asking *a)
{
    return !a->try && !a->member && a->overflow == KNIT_OVERFLOW_WAIT;
}

/* Into the queue; lock held. */
static int queue_locked(const struct asking *a, struct knit__extra *x, struct knit__handed *h)
{
    struct knit__rec *copy = knit__queue_put(&x->queue, a->rec, knit__rec_level(a->rec));

    if (!copy)
        return -ENOMEM;
    copy->index = knit__scope_enter_shared(&a->g->scope);
    x->placeless++;
    knit__usher_see_locked(a->g, x, h);
    return KNIT__QUEUED;
}

/* A child without places, for the caller to start. */
static int placeless_locked(const struct asking *a, struct knit__extra *x)
{
    a->rec->index = knit__scope_enter_shared(&a->g->scope);
    x->placeless++;
    if (a->job)
        a->job->placeless = true;
    else
        a->rec->flags |= KNIT__REC_PLACELESS;
    return 0;
}

/* There is no room: what becomes of the task, but for waiting. */
static int overflow_locked(const struct asking *a, struct knit__extra *x, struct knit__handed *h)
{
    if (a->try)
        return -EAGAIN;
    if (a->policy && knit__queue_count(&x->queue) < a->policy->queue)
        return queue_locked(a, x, h);
    switch (a->overflow) {
    case KNIT_OVERFLOW_REJECT: return -EAGAIN;
    case KNIT_OVERFLOW_DROP: return KNIT__DROPPED;
    case KNIT_OVERFLOW_INLINE:
        if (knit__may_run_on_top(a->t, &a->g->scope)) {
            placeless_locked(a, x);
            if (a->job)
                a->job->bare = true;
            return KNIT__INLINE;
        }
        break;
    default: break;
    }
    return queue_locked(a, x, h);
}

static int take_locked(const struct asking *a, struct knit__extra *x)
{
    a->rec->index = knit__count_child_locked(a->g);
    knit__hold_locked(a->g, x, a->rec);
    return KNIT__ADMITTED;
}

/* The lock is held and released. x: may be NULL for a try. */
static int admit_locked(const struct asking *a, struct knit__extra *x)
{
    uint32_t weight = knit__rec_weight(a->rec);
    struct knit__handed h;
    int r;

    knit__handed_init(&h);
    if (knit__announce_locked(a->g, x, weight, &h))
        r = take_locked(a, x);
    else if (may_wait(a) && !(a->policy && knit__queue_count(&x->queue) < a->policy->queue))
        return knit__line_wait(a->g, &x->callers, a->t, a->rec, &h);
    else
        r = overflow_locked(a, x, &h);
    knit__room_clear_locked(a->g);
    knit__unlock(&a->g->scope.lock);
    knit__usher_start(a->g, &h);
    return r;
}

/* What the group needs for this task, made before anything is decided. *ret_r: set on failure. */
static struct knit__extra *needs_locked(const struct asking *a, int *ret_r)
{
    struct knit__extra *x;

    if (a->try && !a->job && !a->policy)
        return knit__extra_of(a->g);
    x = knit__extra_get(a->g);
    if (!x || (a->policy && !knit__state_get_locked(a->g)))
        *ret_r = -ENOMEM;
    return x;
}

/* A service, a task that cleans up, one that begins later: it starts at once, without a place. */
static int admit_placeless(const struct asking *a)
{
    bool anyway = (a->job->options.flags & KNIT_TASK_RUN_ANYWAY) != 0;
    struct knit__group *g = a->g;
    struct knit__state *st = NULL;
    struct knit__extra *x;
    int r = 0;

    knit__lock(&g->scope.lock);
    knit__group_share_locked(g, a->t);
    if (!anyway)
        r = knit__group_ended(g);
    else if ((knit__group_flags(g) & GROUP_CLOSED) && !a->member)
        r = -ECANCELED;
    x = r == 0 ? knit__extra_get(g) : NULL;
    if (x && (a->job->options.flags & KNIT_TASK_SERVICE))
        st = knit__services_get_locked(g);
    if (r == 0 && (!x || ((a->job->options.flags & KNIT_TASK_SERVICE) && !st)))
        r = -ENOMEM;
    if (r == 0) {
        placeless_locked(a, x);
        a->job->service = st != NULL;
    }
    if (r == 0 && st) {
        knit__room_set_locked(g); /* to see the end of the last task that is none */
        st->services++;
    }
    knit__unlock(&g->scope.lock);
    return r;
}

static bool holds_never(const struct knit__job *job)
{
    return job && (job->options.flags & (KNIT_TASK_SERVICE | KNIT_TASK_RUN_ANYWAY)) != 0;
}

static bool is_placeless(const struct knit__job *job)
{
    return holds_never(job) || (job && job->options.delay > 0);
}

int knit__group_admit(struct knit__group *g, struct knit__task *t, struct knit__rec *rec, bool try)
{
    struct asking a = {g, t, rec, knit__job_of(rec), knit__group_policy(g), try, false, 0};
    struct knit__extra *x;
    int r;

    rec->flags |= KNIT__RUN_PROMPT;
    if (!a.job && !a.policy && (knit__group_flags(g) & KNIT__SCOPE_FOLDED) && take_place(g, rec))
        return KNIT__ADMITTED;
    a.member = !try && knit__group_is_member(g, t);
    a.overflow = a.policy ? a.policy->overflow : KNIT_OVERFLOW_WAIT;
    if (a.overflow == KNIT_OVERFLOW_INLINE && t->is_thread)
        a.overflow = KNIT_OVERFLOW_WAIT;
    if (a.policy && a.policy->limiter && !holds_never(a.job) &&
        knit__rec_weight(rec) > knit_semaphore_capacity(a.policy->limiter))
        return -E2BIG;
    if (is_placeless(a.job))
        return admit_placeless(&a);
    if (may_wait(&a)) {
        r = knit__wait_begin(t);
        if (r < 0)
            return r;
    }
    knit__lock(&g->scope.lock);
    if (a.member || a.job || !knit__scope_is_ours(t, &g->scope))
        knit__group_share_locked(g, t);
    r = knit__group_ended(g);
    x = r == 0 ? needs_locked(&a, &r) : NULL;
    if (r == 0)
        return admit_locked(&a, x);
    knit__unlock(&g->scope.lock);
    return r;
}

/* ---- places of a job ---- */

/* To the limiter, by a child: so that none is on its way back when a wait returns. */
static void give_permits(const struct knit__group *g, uint32_t n)
{
    knit_semaphore *limiter = knit__limiter_of(g);

    if (limiter && n > 0)
        (void)knit_semaphore_release(limiter, n);
}

static void let_go_locked(struct knit__extra *x, struct knit__job *job)
{
    if (job->holds)
        x->heavy -= job->options.weight - 1;
    job->holds = false;
}

void knit__places_give(struct knit__group *g, struct knit__job *job)
{
    struct knit__extra *x;

    give_permits(g, job->holds ? job->options.weight : 0);
    knit__lock(&g->scope.lock);
    x = knit__extra_of(g); /* it is a child: the block is there */
    if (job->holds) {
        let_go_locked(x, job);
        job->placeless = true;
        x->placeless++;
    }
    knit__unlock(&g->scope.lock);
    knit__group_hand_out(g);
}

int knit__places_take(struct knit__group *g, struct knit__task *t)
{
    struct knit__rec *rec = &t->run->rec;
    struct knit__job *job = knit__job_of(rec);
    struct knit__handed h;
    struct knit__extra *x;
    int r = knit__wait_begin(t);

    if (r < 0)
        return r;
    knit__handed_init(&h);
    knit__lock(&g->scope.lock);
    x = knit__extra_of(g);
    r = knit__group_ended(g);
    if (r == 0 && !knit__announce_locked(g, x, job->options.weight, &h))
        return knit__line_wait(g, &x->back, t, rec, &h);
    if (r == 0) {
        job->placeless = false;
        x->placeless--;
        knit__hold_locked(g, x, rec);
    }
    knit__room_clear_locked(g);
    knit__unlock(&g->scope.lock);
    return r;
}

void knit__places_end(struct knit__group *g, struct knit__job *job)
{
    bool heavy = job->holds && job->options.weight > 1;
    struct knit__extra *x;

    if (!job->holds && !job->placeless)
        return; /* it never was a child */
    give_permits(g, job->holds ? job->options.weight : 0);
    knit__lock(&g->scope.lock);
    x = knit__extra_of(g);
    let_go_locked(x, job);
    if (job->placeless)
        x->placeless--;
    if (job->service)
        x->state->services--;
    knit__unlock(&g->scope.lock);
    if (heavy)
        knit__group_hand_out(g);
}

void knit__permit_end(struct knit__group *g)
{
    give_permits(g, 1);
}

void knit__placeless_end(struct knit__group *g)
{
    knit__lock(&g->scope.lock);
    knit__extra_of(g)->placeless--;
    knit__unlock(&g->scope.lock);
}
