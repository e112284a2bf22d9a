/* Groups of tasks that begin later.
 *
 * A task that is to begin later is a plan in the agenda (agenda.h) and a child of the group, counted
 * from the start: so the group cannot be done before it, and what wait, cancel and the counts say of
 * children holds for it.
 *
 *     plan --- its time comes ---> a starter takes it ---> runs as a task ---> ended
 *          \-- the group ended --> dropped: skipped
 *
 * Starters. When the first plan is due, a starter is handed to the scheduler: a task that takes the
 * first plan when it begins, hands over the next starter if another plan is due, and becomes the
 * plan's task. So plans begin in the order of the agenda, in whatever order the scheduler runs what
 * it has, and a burst spreads over the workers one after the other. A starter is a child of its own
 * until it takes a plan. It may never begin (no memory for a stack: then the group has an error), so
 * nothing relies on it: while one is on its way the timer is set to GUARD from then (patrol_locked).
 *
 * What holds whenever the lock is free: if there is a plan, the timer is armed no later than its time
 * (GUARD from now if a starter is on its way), or it has fired and its callback will come to the lock.
 * Everybody who changes something makes that true again (settle_timer_locked) before unlocking: it is
 * a matter of state, no signal can be lost.
 *
 * The end. Who cancels drops the plans (drop_all), under the lock; who schedules looks under the lock
 * whether the group has ended: one sees the other. A group that is ended by a failure or from above
 * has nobody to do so: whoever waits does, by a function its context calls.
 *
 * Life: the struct is the caller's and goes when wait returns, that is, when no child is counted. A
 * plan's count, or a starter's, keeps it for who takes it; the timer's callback counts itself as a
 * child when it is pinned. Whoever empties the agenda disarms the timer before a count can go.
 *
 * Lock: of the group, rank of a channel. A timer heap's lock is taken under it. */
#include "agenda.h"
#include "extra.h"

#include "../sched/idle.h"
#include "../sched/timer.h"

#include <errno.h>
#include <knit/schedgroup.h>
#include <stdlib.h>
#include <string.h>

static const int64_t GUARD = 100 * KNIT_MILLISECOND;
/* So many plans due in a row are worth waking another worker for. */
enum { BURST = 32 };

struct sched {
    struct knit__group group; /* first */
    /* lock */
    struct knit__lock lock;
    bool starting;  /* a starter is on its way */
    bool armed;     /* the timer is in a heap, or fired and its callback not yet in the lock */
    unsigned burst; /* starters one after the other, up to BURST */
    int64_t armed_at;
    int64_t starting_since;
    struct knit__agenda agenda;
    struct knit__timer timer;
};

_Static_assert(sizeof(struct sched) <= sizeof(knit_schedgroup), "the public type is storage");

/* What is left to be done after unlocking. */
struct todo {
    bool start;                  /* hand over a starter: it is counted */
    struct knit__plan first;     /* for its name */
    int failed;                  /* these cannot be started: why */
    struct knit__agenda dropped; /* with `failed` */
};

static struct sched *sched_of(knit_schedgroup *s)
{
    return (struct sched *)(void *)s;
}

static knit_errgroup *errgroup_of(struct sched *s)
{
    return (knit_errgroup *)(void *)&s->group;
}

/* One more child that is no submission; there is one at least. */
static void count_helper(struct sched *s)
{
    /* relaxed: a count that is there keeps the group */
    atomic_fetch_add_explicit(&s->group.scope.left, KNIT__LEFT_CHILD, memory_order_relaxed);
}

/* ---- the timer; lock held ---- */

static bool pin(struct knit__timer *timer);
static void fire(struct knit__timer *timer);

static void disarm_locked(struct sched *s)
{
    if (s->armed && knit__timer_disarm(&s->timer))
        s->armed = false;
    /* else it has been pinned: the callback will find what it finds */
}

/* No later than `at`. An error leaves it disarmed. */
static int arm_locked(struct sched *s, int64_t at)
{
    int r;

    if (at == KNIT__NEVER || (s->armed && s->armed_at <= at))
        return 0;
    disarm_locked(s);
    if (s->armed)
        return 0; /* its callback is on its way */
    s->timer.pin = pin;
    s->timer.fire = fire;
    r = knit__timer_arm(&s->timer, at);
    s->armed = r == 0;
    s->armed_at = at;
    return r;
}

static void take_all_locked(struct sched *s, struct knit__agenda *ret_agenda)
{
    *ret_agenda = s->agenda;
    s->agenda = (struct knit__agenda){0};
    disarm_locked(s);
}

/* Make what must hold hold again. */
static void settle_timer_locked(struct sched *s, int64_t now, struct todo *todo)
{
    int64_t next = knit__agenda_next(&s->agenda);
    int r;

    if (s->agenda.count == 0) {
        disarm_locked(s);
        return;
    }
    if (next <= now && !s->starting) {
        s->starting = true;
        s->starting_since = now;
        count_helper(s);
        todo->start = true;
        todo->first = s->agenda.plans[0];
    }
    if (!s->starting && s->armed_at < next)
        disarm_locked(s); /* what is left of a GUARD would wake us for nothing */
    r = arm_locked(s, s->starting ? s->starting_since + GUARD : next);
    if (r < 0) {
        todo->failed = r;
        take_all_locked(s, &todo->dropped);
    }
}

/* ---- dropping plans ---- */

static struct knit__rec rec_of(struct sched *s, const struct knit__plan *p)
{
    return (struct knit__rec){p->fn, p->arg, &s->group, p->site, p->index, p->flags};
}

/* End children that never begin: with r, or (0) skipped. s may go with the last of them. */
static void settle_plans(struct sched *s, struct knit__agenda *agenda, int r)
{
    while (agenda->count > 0) {
        struct knit__rec rec = rec_of(s, &agenda->plans[--agenda->count]);

        knit__group_settle(&s->group, &rec, r);
    }
    knit__agenda_fini(agenda);
}

/* The group has ended: skip all plans. */
static void drop_all(struct sched *s)
{
    struct knit__agenda dropped;
    bool starting;

    knit__lock(&s->lock);
    starting = s->starting && s->agenda.count > 0;
    s->starting = false;
    take_all_locked(s, &dropped);
    knit__unlock(&s->lock);
    if (starting) {
        /* that starter will be skipped, or finds nothing, and counts as this plan */
        struct knit__plan *p = &dropped.plans[--dropped.count];

        if (p->flags & KNIT__REC_COPY)
            free(p->arg);
        knit__scope_subtract(&s->group.scope, 1);
    }
    settle_plans(s, &dropped, 0);
}

/* ---- starting plans ---- */

static int start_first(void *arg);

static void carry_out(struct sched *s, struct todo *todo)
{
    struct knit__rec rec = {start_first, s, &s->group, todo->first.site, todo->first.index, 0};
    int r;

    settle_plans(s, &todo->dropped, todo->failed);
    if (!todo->start)
        return;
    r = knit__submit(&rec);
    if (r < 0)
        knit__group_settle(&s->group, &rec, r); /* the timer will try again */
}

/* The running starter becomes the task of this plan. */
static int become(struct knit__run *run, const struct knit__plan *p)
{
    run->rec.fn = p->fn;
    run->rec.arg = p->arg;
    run->rec.site = p->site;
    run->rec.index = p->index;
    run->rec.flags |= p->flags;
    return p->fn(p->arg);
}

/* A starter. */
static int start_first(void *arg)
{
    struct sched *s = arg;
    struct knit__run *run = knit__task_self()->run;
    struct knit__plan plan = {0};
    struct todo todo = {0};
    int64_t now = knit__clock_now();
    bool notify;

    knit__lock(&s->lock);
    s->starting = false;
    if (knit__agenda_next(&s->agenda) <= now)
        plan = knit__agenda_take(&s->agenda);
    settle_timer_locked(s, now, &todo);
    s->burst = todo.start ? (s->burst + 1) % BURST : 0;
    notify = todo.start && s->burst == 0;
    knit__unlock(&s->lock);

    carry_out(s, &todo);
    if (notify)
        knit__idle_notify();
    if (!plan.fn) {
        if (knit__group_ended(&s->group) != 0)
            run->rec.flags |= KNIT__REC_SKIPPED; /* see drop_all */
        return 0;
    }
    knit__scope_subtract(&s->group.scope, 1); /* two children are one from here */
    return become(run, &plan);
}

/* Under the heap's lock. There is a plan, or who took the last one is about to disarm the timer. */
static bool pin(struct knit__timer *timer)
{
    count_helper(KNIT__CONTAINER(timer, struct sched, timer));
    return true;
}

/* GUARD has passed since the last starter. Without an error it must still be waiting for its turn;
 * else it may have failed: try another (one too many does no harm). If no stack is to be had the
 * plans cannot begin: better to fail than to wait for memory for ever. */
static void patrol_locked(struct sched *s, int64_t now, struct todo *todo)
{
    struct knit__worker *w = knit__worker_self();

    if (!s->starting || now - s->starting_since < GUARD)
        return;
    s->starting_since = now;
    if (knit__group_first_error(&s->group) == 0)
        return;
    s->starting = false;
    if (knit__stack_count(&w->stacks) == 0 && knit__stack_refill(&w->stacks) < 0) {
        todo->failed = -ENOMEM;
        take_all_locked(s, &todo->dropped);
    }
}

/* By a worker's loop. */
static void fire(struct knit__timer *timer)
{
    struct sched *s = KNIT__CONTAINER(timer, struct sched, timer);
    struct todo todo = {0};
    int64_t now = knit__clock_now();

    knit__lock(&s->lock);
    s->armed = false;
    patrol_locked(s, now, &todo);
    settle_timer_locked(s, now, &todo);
    knit__unlock(&s->lock);
    carry_out(s, &todo);
    if (knit__group_ended(&s->group) != 0)
        drop_all(s);
    knit__scope_subtract(&s->group.scope, 1); /* the last touch */
}

/* ---- scheduling ---- */

/* The group gets a context of its own even if it is {0}: something must tell of its end. Before
 * anything else is done with it. */
static void claim_ctx(struct knit__group *g)
{
    if (!(knit__group_flags(g) & GROUP_INITED))
        knit__group_set(g, GROUP_INITED | GROUP_KEEP_GOING);
}

static int prepare(struct sched *s, struct knit__task *t)
{
    struct knit__group *g = &s->group;

    claim_ctx(g);
    return knit__group_prepare(g, t, knit__scope_is_ours(t, &g->scope));
}

/* Count the plan as a child, from here on for others to see. */
static uint32_t count_plan(struct knit__group *g, const struct knit__task *t)
{
    if (!(knit__group_flags(g) & KNIT__SCOPE_SHARED)) {
        knit__lock(&g->scope.lock);
        knit__group_share_locked(g, t);
        knit__unlock(&g->scope.lock);
    }
    return knit__scope_enter_shared(&g->scope);
}

/* 0: it will begin. Else why not; it has not been added. */
static int add_plan(struct sched *s, const struct knit__plan *plan)
{
    struct todo todo = {0};
    int r;

    knit__lock(&s->lock);
    r = knit__group_ended(&s->group); /* under the lock: against drop_all */
    if (r == 0)
        r = knit__agenda_reserve(&s->agenda);
    if (r == 0 && !s->starting) {
        r = arm_locked(s, plan->when); /* even if it is due: the order is the agenda's */
        if (r < 0)
            settle_timer_locked(s, knit__clock_now(), &todo); /* it was armed for others */
    }
    if (r == 0)
        knit__agenda_add(&s->agenda, plan);
    knit__unlock(&s->lock);
    carry_out(s, &todo);
    return r;
}

/* It will never be a child: r says why. */
static int refuse(struct sched *s, const struct knit__plan *plan, int r)
{
    if (plan->flags & KNIT__REC_COPY)
        free(plan->arg);
    if (r != -ECANCELED)
        return knit__group_fail(&s->group, r);
    knit__extra_count_outside(&s->group, KNIT__COUNT_REFUSED);
    return r;
}

/* plan: all but its index. What it owns is given. */
static int schedule(struct sched *s, struct knit__plan *plan)
{
    struct knit__group *g = &s->group;
    struct knit__task *t = knit__task_self();
    struct knit__rec rec = rec_of(s, plan);
    int r;

    if (knit__group_flags(g) & (GROUP_CANCELED | GROUP_CLOSED))
        return refuse(s, plan, -ECANCELED);
    r = t ? prepare(s, t) : -ENOMEM;
    if (r < 0)
        return refuse(s, plan, r);
    rec.index = plan->index = count_plan(g, t);
    r = prepare(s, t); /* again, if a wait ended meanwhile */
    if (r == 0)
        r = add_plan(s, plan);
    if (r < 0)
        knit__group_settle(g, &rec, r == -ECANCELED || r == -ETIMEDOUT ? 0 : r);
    return r;
}

int knit_schedgroup_schedule_at(knit_schedgroup *sg, knit_time when, knit_fn *fn, void *arg,
                                const knit_site *site)
{
    struct sched *s = sched_of(sg);
    struct knit__plan plan = {.when = when, .fn = fn, .arg = arg, .site = site};

    if (!fn || !s || !knit__group_usable(&s->group))
        return -EINVAL;
    return schedule(s, &plan);
}

int knit_schedgroup_schedule_copy_at(knit_schedgroup *sg, knit_time when, knit_fn *fn,
                                     const void *value, size_t size, const knit_site *site)
{
    struct sched *s = sched_of(sg);
    struct knit__plan plan = {.when = when, .fn = fn, .site = site, .flags = KNIT__REC_COPY};

    if (!fn || (!value && size > 0) || !s || !knit__group_usable(&s->group))
        return -EINVAL;
    plan.arg = malloc(size > 0 ? size : 1);
    if (!plan.arg)
        return knit__group_fail(&s->group, -ENOMEM);
    if (size > 0)
        memcpy(plan.arg, value, size);
    return schedule(s, &plan);
}

/* now + d, without overflow. */
static knit_time after(knit_duration d)
{
    int64_t now = knit__clock_now();

    if (d <= 0)
        return now;
    return d >= KNIT__NEVER - now ? KNIT__NEVER : now + d;
}

int knit_schedgroup_delay_at(knit_schedgroup *s, knit_duration delay, knit_fn *fn, void *arg,
                             const knit_site *site)
{
    return knit_schedgroup_schedule_at(s, after(delay), fn, arg, site);
}

int knit_schedgroup_delay_copy_at(knit_schedgroup *s, knit_duration delay, knit_fn *fn,
                                  const void *value, size_t size, const knit_site *site)
{
    return knit_schedgroup_schedule_copy_at(s, after(delay), fn, value, size, site);
}

/* ---- the rest of the public face ---- */

int knit_schedgroup_init(knit_schedgroup *sg, const knit_schedgroup_options *options)
{
    knit_errgroup_options o = {0};

    if (!sg)
        return -EINVAL;
    if (options)
        o = (knit_errgroup_options){.name = options->name,
                                    .flags = options->flags,
                                    .ctx = options->ctx,
                                    .timeout = options->timeout,
                                    .keep_errors = options->keep_errors};
    memset(sg, 0, sizeof *sg);
    return knit_errgroup_init(errgroup_of(sched_of(sg)), &o);
}

knit_errgroup *knit_schedgroup_errgroup(knit_schedgroup *sg)
{
    if (!sg)
        return NULL;
    claim_ctx(&sched_of(sg)->group);
    return errgroup_of(sched_of(sg));
}

void knit_schedgroup_cancel(knit_schedgroup *sg, int cause)
{
    struct sched *s = sched_of(sg);

    if (!s || !knit__group_usable(&s->group))
        return;
    knit_errgroup_cancel(errgroup_of(s), cause);
    drop_all(s);
}

static void group_ended(void *sched)
{
    drop_all(sched);
}

/* Wait in one of three ways; meanwhile the end of the group's context drops the plans. */
static int wait_with(struct sched *s, int (*wait)(knit_errgroup *g, knit_time deadline),
                     knit_time deadline)
{
    knit_ctx_after_handle end;
    struct knit__task *t = knit__task_self();
    knit_ctx *ctx;
    int r;

    if (!s || !knit__group_usable(&s->group))
        return -EINVAL;
    if (t)
        (void)prepare(s, t); /* if it fails there is no child, and no plan to drop */
    knit__lock(&s->group.scope.lock);
    ctx = knit_ctx_ref(knit__ctx_public(knit__group_ctx(&s->group)));
    knit__unlock(&s->group.scope.lock);
    knit_ctx_after(ctx, group_ended, s, &end);
    r = wait(errgroup_of(s), deadline);
    knit_ctx_after_stop(&end);
    knit_ctx_unref(ctx);

    knit__lock(&s->lock);
    if (s->agenda.count == 0)
        knit__agenda_fini(&s->agenda); /* the caller may forget the group now */
    knit__unlock(&s->lock);
    return r;
}

static int wait_plainly(knit_errgroup *g, knit_time deadline)
{
    (void)deadline;
    return knit_errgroup_wait(g);
}

static int close_it(knit_errgroup *g, knit_time deadline)
{
    (void)deadline;
    return knit_errgroup_close(g);
}

int knit_schedgroup_wait(knit_schedgroup *s)
{
    return wait_with(sched_of(s), wait_plainly, KNIT__NEVER);
}

int knit_schedgroup_wait_until(knit_schedgroup *s, knit_time deadline)
{
    return wait_with(sched_of(s), knit_errgroup_wait_until, deadline);
}

int knit_schedgroup_close(knit_schedgroup *s)
{
    return wait_with(sched_of(s), close_it, KNIT__NEVER);
}
