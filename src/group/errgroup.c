/* The public face of the group: start, wait, cancel, close.
 *
 * Starting, in this order: admission if there is a limit; count the child (before it can exist);
 * look at the flags again, since a close sets its flag and then looks at the count (seq_cst on both
 * sides: one of them sees the other); hand the record to the scheduler. On the stack of its owner,
 * with nothing special about the group, that is a few plain stores: knit_errgroup_go_at. */
#include "group.h"

#include "../base/assert.h"
#include "../sched/pace.h"
#include "handle.h"
#include "limit.h"
#include "panic.h"
#include "policy.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- members ---- */

bool knit__group_is_member(const struct knit__group *g, const struct knit__task *t)
{
    for (const struct knit__run *run = t->run; run; run = run->up) {
        for (const struct knit__group *at = run->rec.group; at; at = knit__group_up(at)) {
            if (at == g)
                return true;
        }
    }
    return false;
}

/* ---- starting ---- */

static bool usable(const struct knit__group *g)
{
    return knit__group_valid(g) && !(knit__group_flags(g) & GROUP_BAD);
}

bool knit__group_usable(const struct knit__group *g)
{
    return g && usable(g);
}

int knit_errgroup_init(knit_errgroup *group, const knit_errgroup_options *options)
{
    static const knit_errgroup_options defaults;
    struct knit__group *g = knit__group_of(group);
    const knit_errgroup_options *o = options ? options : &defaults;
    uint32_t stack = knit__stack_class_wanted(o->stack);
    uint32_t flags = GROUP_INITED | stack << KNIT__SCOPE_STACK_SHIFT;

    if (!g || o->timeout < 0 || (o->flags & ~(unsigned)KNIT_ERRGROUP_FLAGS) != 0 ||
        (o->stack > 0 && stack == 0) || (o->policy && !knit__policy_valid(o->policy)))
        return -EINVAL;
    memset(group, 0, sizeof *group);
    if (o->flags & KNIT_ERRGROUP_KEEP_GOING)
        flags |= GROUP_KEEP_GOING;
    if (o->flags & KNIT_ERRGROUP_LATE_OK)
        flags |= GROUP_LATE_OK;
    if (o->flags & KNIT_ERRGROUP_PANIC_ERROR)
        flags |= GROUP_PANIC_ERROR;
    if (o->flags & KNIT_ERRGROUP_PANIC_WAITER)
        flags |= GROUP_PANIC_WAITER;
    if (o->flags & KNIT_ERRGROUP_STOP)
        flags |= GROUP_STOP;
    if (o->limit > 0)
        flags |= GROUP_LIMITED;
    if (o->policy) {
        flags |= GROUP_POLICY | KNIT__SCOPE_SHARED | KNIT__SCOPE_FOLDED | KNIT__SCOPE_SLOW_GO;
        g->scope.rules = o->policy;
    }
    g->limit = o->limit > 0 ? o->limit : 0;
    g->keep = o->keep_errors;
    g->name = o->name;
    if (o->ctx) {
        g->scope.cancel = knit__ctx_private(o->ctx);
        flags |= GROUP_PARENT;
    }
    if (o->timeout > 0) {
        int64_t now = knit__clock_now();

        g->deadline = o->timeout >= KNIT__NEVER - now ? 0 : now + o->timeout;
    }
    atomic_store_explicit(&g->scope.flags, flags, memory_order_relaxed);
    return 0;
}

/* The group takes no task: count the refusal. */
static int refuse(struct knit__group *g, int r)
{
    if (r == -ECANCELED || r == -ETIMEDOUT) {
        knit__extra_count_outside(g, KNIT__COUNT_REFUSED);
    }
    return r;
}

int knit__group_ended(const struct knit__group *g)
{
    int err = knit__ctx_ended(knit__group_ctx(g));

    if (err == 0 && (knit__group_flags(g) & (GROUP_CANCELED | GROUP_CLOSED)))
        err = -ECANCELED;
    return err;
}

/* Count one more child and tell its index. 0; 1: count again as a member of a shared scope. */
static inline bool count_private(struct knit__group *g, uint32_t *ret_index)
{
    uint64_t plain = atomic_load_explicit(&g->scope.plain, memory_order_relaxed);

    *ret_index = (uint32_t)(plain >> 32);
    return knit__scope_store_plain(&g->scope, plain + ((uint64_t)1 << 32));
}

static void count_child(struct knit__group *g, bool ours, uint32_t *ret_index)
{
    if (ours && !(knit__group_flags(g) & KNIT__SCOPE_SHARED) && count_private(g, ret_index))
        return;
    *ret_index = knit__scope_enter_shared(&g->scope);
}

/* Start rec as a child that has been counted: what the group is, it stays as long as we look. A
 * failure is the group's; go returns it, too. */
static int start(struct knit__group *g, struct knit__task *t, struct knit__rec *rec, bool ours)
{
    int r = knit__group_prepare(g, t, ours); /* again, if a wait ended meanwhile */

    if (r == 0) {
        r = rec->flags & KNIT__RUN_ANYWAY ? 0 : knit__group_ended(g);
        if (r < 0) {
            knit__group_settle(g, rec, 0);
            return r;
        }
        r = knit__submit(rec);
    }
    if (r < 0)
        knit__group_settle(g, rec, r);
    return r;
}

/* A go that failed before it counted: the group must not look successful. */
static int fail_unstarted(struct knit__group *g, int r)
{
    if (knit__group_set_error(g, r)) {
        knit__extra_count_outside(g, KNIT__COUNT_FAILED);
        knit__group_first_failed(g, r);
    }
    return r;
}

/* Somebody else has prepared the owner's group: say whose it is. */
static void adopt_prepared(struct knit__group *g, struct knit__task *t)
{
    if (knit__group_up(g) || !t->run->rec.group || knit__group_is_member(g, t))
        return;
    knit__lock(&g->scope.lock);
    if (knit__group_is_prepared(g))
        knit__group_set_up(g, t->run->rec.group);
    knit__unlock(&g->scope.lock);
}

/* The policy hears of the task before it is asked for a place. */
static int admit_by_policy(struct knit__group *g, struct knit__task *t, struct knit__rec *rec,
                           bool try)
{
    const knit_policy *p = knit__group_policy(g);
    int r;

    if (!p || (!p->join && !p->progress))
        return knit__group_admit(g, t, rec, try);
    r = knit__policy_add(g);
    if (r < 0)
        return r;
    rec->flags |= KNIT__REC_TOLD;
    r = knit__group_admit(g, t, rec, try);
    if (r < 0 || r == KNIT__DROPPED)
        knit__policy_refused(g);
    return r;
}

/* All that comes before starting: a knit__admission, or why not. */
static int admit(struct knit__group *g, struct knit__task *t, struct knit__rec *rec, bool ours,
                 bool try)
{
    bool anyway = (rec->flags & KNIT__RUN_ANYWAY) != 0;
    int r;

    if (!anyway && (knit__group_flags(g) & (GROUP_CANCELED | GROUP_CLOSED)))
        return refuse(g, -ECANCELED);
    r = knit__group_prepare(g, t, ours);
    if (r < 0)
        return fail_unstarted(g, r);
    if (ours)
        adopt_prepared(g, t);
    if (!(knit__group_flags(g) & (GROUP_LIMITED | GROUP_POLICY)) && !(rec->flags & KNIT__REC_JOB)) {
        count_child(g, ours, &rec->index);
        return KNIT__ADMITTED;
    }
    r = admit_by_policy(g, t, rec, try);
    if (r == KNIT__DROPPED)
        knit__extra_count_outside(g, KNIT__COUNT_DROPPED);
    return r == -ENOMEM ? fail_unstarted(g, r) : r < 0 ? refuse(g, r) : r;
}

/* By policy the caller runs the task itself, as a child like any other. */
static void run_inline(struct knit__group *g, struct knit__task *t, const struct knit__rec *rec)
{
    knit__run_inline(t, rec);
    knit__scope_subtract(&g->scope, 1);
}

/* Everything but the fast path. */
static KNIT__NOINLINE int go_slow(struct knit__group *g, struct knit__rec *rec, bool try)
{
    struct knit__task *t = knit__task_self();
    bool ours = false, fresh = !knit__group_is_prepared(g);
    int r;

    if (!t) {
        r = fail_unstarted(g, -ENOMEM);
    } else {
        ours = knit__scope_is_ours(t, &g->scope);
        r = admit(g, t, rec, ours, try);
    }
    if (r == KNIT__ADMITTED)
        r = start(g, t, rec, ours);
    else if (r == KNIT__INLINE)
        run_inline(g, t, rec);
    else if (r < 0 || r == KNIT__DROPPED)
        knit__rec_release(rec, r, true); /* nobody will run it */
    if (r < 0 && fresh)
        knit__group_release_ctx(
            g, true); /* perhaps nobody will wait for a group that has started nothing */
    else if (r < 0)
        knit__group_turned_away(g, ours);
    return r < 0 ? r : r == KNIT__DROPPED ? KNIT_DROPPED : 0;
}

/* The ring filled up, or it is time to look whether others should be woken. */
static KNIT__COLD int after_push(struct knit__worker *w, uint32_t length)
{
    knit__notify_backlog(w);
    if (length > KNIT__THROTTLE_AT)
        knit__throttle(w);
    return 0;
}

/* What go_fast cannot do. */
static KNIT__NOINLINE int go_checked(struct knit__group *g, knit_fn *fn, void *arg,
                                     const knit_site *site, uint32_t rec_flags, bool try)
{
    struct knit__rec rec = {fn, arg, g, site, 0, rec_flags};

    if (!g || !fn || !usable(g))
        return -EINVAL;
    return go_slow(g, &rec, try);
}

/* The commonest first use: nothing special about the group, and a context that outlives it. */
static inline bool prepare_fast(struct knit__group *g, const struct knit__task *t)
{
    const struct knit__run *run = t->run;

    if (KNIT__LIKELY(atomic_load_explicit(&g->scope.prepared, memory_order_relaxed) ==
                     GROUP_PREPARED))
        return true;
    if (run->ctx != knit__run_base_ctx(run) || knit__group_flags(g) != 0 || !knit__group_claim(g))
        return false;
    g->scope.cancel = run->ctx;
    knit__group_set_up(g, run->rec.group);
    atomic_store_explicit(&g->scope.prepared, GROUP_PREPARED, memory_order_release);
    knit__group_unclaim(g);
    return true;
}

/* The group became shared while push counted the child. */
static KNIT__COLD int push_raced(struct knit__group *g, knit_fn *fn, void *arg,
                                 const knit_site *site, uint32_t rec_flags, bool try)
{
    uint64_t plain = atomic_load_explicit(&g->scope.plain, memory_order_relaxed);
    struct knit__rec rec = {fn, arg, g, site, (uint32_t)(plain >> 32) - 1, rec_flags};

    if (knit__scope_fold_missed(&g->scope, plain))
        return go_slow(g, &rec, try); /* it is not counted */
    return start(g, knit__task_self(), &rec, true);
}

/* The owner's own stack, nothing that needs a closer look: count and hand over the record. Calls
 * nothing but in its last step, so that no register needs to be saved. */
static inline __attribute__((always_inline)) int push(struct knit__worker *w, struct knit__group *g,
                                                      knit_fn *fn, void *arg, const knit_site *site,
                                                      uint32_t rec_flags, bool try)
{
    uint64_t plain = atomic_load_explicit(&g->scope.plain, memory_order_relaxed);
    struct knit__rec *slot = knit__ring_slot(&w->ring);
    uint32_t length;

    if (KNIT__UNLIKELY(!slot))
        return go_checked(g, fn, arg, site, rec_flags, try);
    if (KNIT__UNLIKELY(!knit__scope_try_plain(&g->scope, plain + ((uint64_t)1 << 32))))
        return push_raced(g, fn, arg, site, rec_flags, try);
    *slot = (struct knit__rec){fn, arg, g, site, (uint32_t)(plain >> 32), rec_flags};
    knit__ring_push(&w->ring);
    length = knit__ring_len(&w->ring);
    if (KNIT__UNLIKELY(--w->check_in == 0 || length > w->runs.wake_at))
        return after_push(w, length);
    return 0;
}

/* The same for a group with a limit, as long as there is room. */
static KNIT__NOINLINE int go_limited(struct knit__group *g, knit_fn *fn, void *arg,
                                     const knit_site *site, uint32_t rec_flags, bool try)
{
    uint64_t plain = atomic_load_explicit(&g->scope.plain, memory_order_relaxed);
    int64_t left = atomic_load_explicit(&g->scope.left, memory_order_relaxed);

    if ((knit__group_flags(g) & (KNIT__SCOPE_SLOW_GO | KNIT__SCOPE_SHARED)) != 0 ||
        (left & KNIT__LEFT_ROOM) != 0 ||
        knit__open(left, plain) >= atomic_load_explicit(&g->limit, memory_order_relaxed) ||
        knit__ctx_ended(g->scope.cancel) != 0)
        return go_checked(g, fn, arg, site, rec_flags, try);
    return push(knit__worker_self(), g, fn, arg, site, rec_flags | KNIT__RUN_PROMPT, try);
}

/* The fast path: a task starts a child in a group on its own stack. */
static inline __attribute__((always_inline)) int go(struct knit__group *g, knit_fn *fn, void *arg,
                                                    const knit_site *site, uint32_t rec_flags,
                                                    bool try)
{
    struct knit__worker *w = knit__worker_self();

    if (KNIT__UNLIKELY(!w || !g || !fn || !knit__scope_is_ours(w->task, &g->scope)) ||
        KNIT__UNLIKELY(!prepare_fast(g, w->task)))
        return go_checked(g, fn, arg, site, rec_flags, try);
    if (KNIT__UNLIKELY(knit__group_flags(g) &
                       (KNIT__SCOPE_SLOW_GO | KNIT__SCOPE_SHARED | GROUP_LIMITED)))
        return go_limited(g, fn, arg, site, rec_flags, try);
    if (KNIT__UNLIKELY(knit__ctx_ended(g->scope.cancel) != 0))
        return go_checked(g, fn, arg, site, rec_flags, try);
    return push(w, g, fn, arg, site, rec_flags, try);
}

int knit_errgroup_go_at(knit_errgroup *group, knit_fn *fn, void *arg, const knit_site *site)
{
    return go(knit__group_of(group), fn, arg, site, 0, false);
}

int knit_errgroup_try_go_at(knit_errgroup *group, knit_fn *fn, void *arg, const knit_site *site)
{
    return go(knit__group_of(group), fn, arg, site, 0, true);
}

static int go_copy(knit_errgroup *group, knit_fn *fn, const void *value, size_t size,
                   const knit_site *site, bool try)
{
    void *copy;

    if (!group || !fn || (!value && size > 0) || !usable(knit__group_of(group)))
        return -EINVAL;
    copy = malloc(size > 0 ? size : 1);
    if (!copy)
        return fail_unstarted(knit__group_of(group), -ENOMEM);
    if (size > 0)
        memcpy(copy, value, size);
    return go(knit__group_of(group), fn, copy, site, KNIT__REC_COPY, try);
}

int knit_errgroup_go_copy_at(knit_errgroup *group, knit_fn *fn, const void *value, size_t size,
                             const knit_site *site)
{
    return go_copy(group, fn, value, size, site, false);
}

int knit_errgroup_try_go_copy_at(knit_errgroup *group, knit_fn *fn, const void *value, size_t size,
                                 const knit_site *site)
{
    return go_copy(group, fn, value, size, site, true);
}

int knit__group_go(struct knit__group *g, knit_fn *fn, void *arg, const knit_site *site,
                   uint32_t rec_flags)
{
    return go_checked(g, fn, arg, site, rec_flags, false);
}

int knit__group_fail(struct knit__group *g, int r)
{
    return fail_unstarted(g, r);
}

/* ---- waiting ---- */

/* Several waiters may come here at once. */
static KNIT__NOINLINE int finish_wait_slow(struct knit__group *g, struct knit__task *t)
{
    int r;

    knit__group_release_ctx(g, true);
    knit__panic_again(g);
    r = knit__group_first_error(g);
    if (r != 0)
        knit__record_nest(t->run, g, r);
    return r;
}

static inline int finish_wait(struct knit__group *g, struct knit__task *t)
{
    if (KNIT__UNLIKELY(knit__group_first_error(g) != 0 || knit__group_flags(g) != 0 ||
                       g->scope.cancel != NULL || !knit__group_claim(g)))
        return finish_wait_slow(g, t); /* flags 0: private, and so ours */
    atomic_store_explicit(&g->scope.prepared, GROUP_NEW, memory_order_relaxed);
    knit__group_unclaim(g);
    return 0;
}

/* Wait for the children of a group that may hold back tasks in its queue: nobody would start them
 * once its context has ended, so skip them then. */
static void join_limited(struct knit__group *g, struct knit__task *t)
{
    knit_ctx *ctx;
    int r;

    knit__lock(&g->scope.lock);
    ctx = knit_ctx_ref(knit__ctx_public(knit__group_ctx(g)));
    knit__unlock(&g->scope.lock);
    r = knit__scope_join(t, &g->scope, KNIT__NEVER, knit__ctx_private(ctx));
    knit_ctx_unref(ctx);
    if (r != 0)
        knit__group_purge(g);
}

/* 0, or -EDEADLK, -EINVAL, -ENOMEM. */
static int wait_checks(const struct knit__group *g, struct knit__task **ret_task)
{
    if (!g || !usable(g))
        return -EINVAL;
    *ret_task = knit__task_self();
    if (!*ret_task)
        return -ENOMEM;
    return 0;
}

static void join_all(struct knit__group *g, struct knit__task *t)
{
    if (knit__group_flags(g) & (GROUP_LIMITED | GROUP_POLICY))
        join_limited(g, t);
    knit__scope_join(t, &g->scope, KNIT__NEVER, NULL); /* cannot fail: no deadline, no context */
}

/* Help is over and tasks are left, or may be. */
static KNIT__NOINLINE int wait_slow(struct knit__group *g, struct knit__task *t)
{
    if (knit__group_is_member(g, t))
        return -EDEADLK;
    join_all(g, t);
    return finish_wait(g, t);
}

static int wait_all(struct knit__group *g, struct knit__task *t)
{
    return knit__scope_help(t, &g->scope) ? finish_wait(g, t) : wait_slow(g, t);
}

static KNIT__NOINLINE int wait_checked(struct knit__group *g)
{
    struct knit__task *t;
    int r = wait_checks(g, &t);

    if (r < 0)
        return r;
    if (knit__group_is_watched(g) && !knit__group_is_member(g, t))
        knit__policy_waited(g); /* before it helps: what runs on top of it may wait for just that */
    return wait_all(g, t);
}

int knit_errgroup_wait(knit_errgroup *group)
{
    struct knit__group *g = knit__group_of(group);
    struct knit__worker *w = knit__worker_self();

    if (KNIT__UNLIKELY(!w || !g || !knit__scope_is_ours(w->task, &g->scope)) ||
        KNIT__UNLIKELY(atomic_load_explicit(&g->scope.prepared, memory_order_relaxed) !=
                       GROUP_PREPARED))
        return wait_checked(g);
    return wait_all(g, w->task);
}

int knit__group_await(struct knit__group *g)
{
    struct knit__task *t;
    int r = wait_checks(g, &t);

    if (r < 0)
        return r;
    if (knit__group_is_watched(g))
        knit__policy_waited(g);
    join_all(g, t);
    knit__group_release_ctx(g, true);
    return knit__group_first_error(g);
}

int knit_errgroup_wait_until(knit_errgroup *group, knit_time deadline)
{
    struct knit__group *g = knit__group_of(group);
    struct knit__task *t;
    int r = wait_checks(g, &t);

    if (r < 0)
        return r;
    if (deadline == KNIT__NEVER && t->run->ctx == NULL)
        return wait_checked(g);
    if (knit__group_is_member(g, t))
        return -EDEADLK;
    if (knit__group_is_watched(g))
        knit__policy_waited(g);
    r = knit__scope_join(t, &g->scope, deadline, t->run->ctx);
    if (r == 0)
        return wait_all(g, t);
    return r;
}

void knit_errgroup_cancel(knit_errgroup *group, int cause)
{
    struct knit__group *g = knit__group_of(group);
    struct knit__task *t;

    if (wait_checks(g, &t) < 0)
        return;
    knit__group_end(g, cause, !(knit__group_flags(g) & GROUP_CLOSED));
}

int knit_errgroup_close(knit_errgroup *group)
{
    struct knit__group *g = knit__group_of(group);
    struct knit__task *t;
    int r = wait_checks(g, &t);

    if (r < 0)
        return r;
    if (knit__group_is_member(g, t))
        return -EDEADLK;
    knit__group_set(g, GROUP_CLOSED | KNIT__SCOPE_SLOW_GO);
    if (knit__group_is_watched(g))
        knit__policy_waited(g);
    knit__group_end(g, -ECANCELED, false);
    return wait_all(g, t);
}

/* ---- looking ---- */

knit_ctx *knit_errgroup_ctx(knit_errgroup *group)
{
    struct knit__group *g = knit__group_of(group);
    struct knit__task *t;

    if (!g || wait_checks(g, &t) < 0 ||
        knit__group_prepare(g, t, knit__scope_is_ours(t, &g->scope)) < 0)
        return NULL;
    return knit__ctx_public(g->scope.cancel);
}

void knit__group_count(const struct knit__group *g, const struct knit__extra *x,
                       knit_errgroup_counts *ret_counts)
{
    const struct knit__scope_counts scope = knit__scope_counts(&g->scope);
    size_t pending = scope.pending, submitted = scope.submitted;
    size_t ended = submitted > pending ? submitted - pending : 0, failed;
    uint32_t counts[KNIT__COUNTS];

    knit__extra_counts(g, counts);
    if (x && x->state && knit__usher_there(x->state) && pending > 0)
        pending--;
    failed =
        (size_t)counts[KNIT__COUNT_FAILED] + counts[KNIT__COUNT_ECHO] + counts[KNIT__COUNT_SKIPPED];
    *ret_counts = (knit_errgroup_counts){
        .submitted = submitted + counts[KNIT__COUNT_REFUSED],
        .pending = pending,
        .failed = counts[KNIT__COUNT_FAILED],
        .echoes = counts[KNIT__COUNT_ECHO],
        .skipped = (size_t)counts[KNIT__COUNT_SKIPPED] + counts[KNIT__COUNT_REFUSED],
        .running = pending,
        .done = ended > failed ? ended - failed : 0,
        .dropped = counts[KNIT__COUNT_DROPPED],
    };
    if (x)
        ret_counts->running -= knit__queue_count(&x->queue);
}

int knit_errgroup_stats(const knit_errgroup *group, knit_errgroup_counts *ret_counts)
{
    struct knit__group *g = knit__group_of(group);

    if (!g || !ret_counts || !knit__group_valid(g))
        return -EINVAL;
    knit__lock(&g->scope.lock); /* keeps the extra block */
    knit__group_count(g, knit__extra_of(g), ret_counts);
    knit__unlock(&g->scope.lock);
    return 0;
}

/* ---- KNIT_SCOPE ---- */

knit_errgroup knit__scope_enter(const knit_errgroup_options *options)
{
    knit_errgroup group = {{0}};

    if (knit_errgroup_init(&group, options) < 0)
        knit__group_set(knit__group_of(&group), GROUP_BAD | KNIT__SCOPE_SLOW_GO);
    return group;
}

void knit__scope_leave(knit_errgroup *group)
{
    knit_errgroup_close(group);
}
