/* The ordered stream.
 *
 * Submissions are entries in one list, in order, under one lock. The tasks of the stream's group are
 * *runners*: each takes the first entry that nobody has taken, calls its function, and when the head
 * of the list has ended makes the calls that are due, unless another runner is at that. So a stream
 * needs no task of its own, what was submitted first starts first, and a runner lasts for many
 * entries. A runner that was started but has not begun is `coming`: there is one at a time, and it
 * starts the next when it takes an entry and others are left. Its record waits in a worker's ring,
 * from where it goes to a worker that is free, or to this one when a function waits.
 *
 * Functions and calls run in runs of their own on top of a runner's: an exit or a panic in one is
 * its result.
 *
 * Room. `outstanding` counts what has not been followed by its call; a caller that waits is handed
 * its place (sync/waitq.h). Callers are let in when half of the window is free, or when there is
 * nothing left to take: letting them in one by one would make each of them park for each place.
 *
 * The end. When the stream has failed or was cancelled, runners stop, and entries nobody has taken
 * stay in the list: they are freed by who waits for the stream. `broken`: no more calls, no more
 * submissions.
 *
 * Lock rank: channel. */
#include "group.h"

#include "../sched/pace.h"
#include "../sync/waitq.h"

#include <errno.h>
#include <knit/stream.h>
#include <limits.h>
#include <stdlib.h>

enum { WINDOW_DEFAULT = 64, WINDOW_MAX = 1 << 30 };
enum { WOKE_ROOM = KNIT__WOKE_SOURCE, WOKE_ENDED };

struct entry {
    struct entry *next;
    struct stream *stream;
    knit_fn *fn;
    knit_stream_fn *then;
    void *arg;
    const knit_site *site;
    uint32_t index; /* of its submission */
    int result;     /* when done */
    bool done;
};

struct stream {
    knit_errgroup group; /* first */
    /* set by init */
    uint32_t limit, window; /* 0: the defaults */
    /* lock: the rest */
    struct knit__lock lock;
    uint32_t outstanding; /* and places handed to callers who have not submitted yet */
    uint32_t running;     /* runners, the coming one included */
    uint32_t submitted;
    uint32_t n_free;
    bool coming, calling, broken;
    struct entry *first, *last;
    struct entry *untaken; /* the first one nobody has taken */
    struct entry *free;
    struct knit__waitq callers;
};

_Static_assert(sizeof(struct stream) <= sizeof(knit_stream), "the public type is storage");

static struct stream *private_of(knit_stream *s)
{
    return (struct stream *)(void *)s;
}

static struct knit__group *group_of(struct stream *s)
{
    return knit__group_of(&s->group);
}

static bool keeps_going(struct stream *s)
{
    return (knit__group_flags(group_of(s)) & GROUP_KEEP_GOING) != 0;
}

static uint32_t window_of(const struct stream *s)
{
    return s->window > 0 ? s->window : WINDOW_DEFAULT;
}

static uint32_t limit_of(const struct stream *s)
{
    return s->limit > 0 ? s->limit : window_of(s);
}

/* ---- entries ---- */

/* One to fill in, or NULL: no memory. The lock is held, and released while memory is allocated. */
static struct entry *entry_get_locked(struct stream *s)
{
    struct entry *e = s->free;

    if (KNIT__LIKELY(e != NULL)) {
        s->free = e->next;
        s->n_free--;
        return e;
    }
    knit__unlock(&s->lock);
    e = malloc(sizeof *e);
    knit__lock(&s->lock);
    return e;
}

/* Returns it if it is to be freed after unlocking. */
static struct entry *entry_put_locked(struct stream *s, struct entry *e)
{
    if (s->n_free >= window_of(s))
        return e;
    e->next = s->free;
    s->free = e;
    s->n_free++;
    return NULL;
}

static void free_list(struct entry *e)
{
    while (e) {
        struct entry *next = e->next;

        free(e);
        e = next;
    }
}

static void append_locked(struct stream *s, struct entry *e)
{
    e->next = NULL;
    e->index = s->submitted++;
    if (s->last)
        s->last->next = e;
    else
        s->first = e;
    s->last = e;
    if (!s->untaken)
        s->untaken = e;
}

/* The head's call has been made; as entry_put_locked. */
static struct entry *retire_head_locked(struct stream *s)
{
    struct entry *e = s->first;

    s->first = e->next;
    if (!s->first)
        s->last = NULL;
    s->outstanding--;
    return entry_put_locked(s, e);
}

/* ---- room ---- */

/* Let callers in, if it is time. */
static void admit_locked(struct stream *s, struct knit__batch *ready)
{
    uint32_t window = window_of(s);

    if (knit__waitq_empty(&s->callers) || (s->untaken && s->outstanding > window / 2))
        return;
    while (s->outstanding < window && s->callers.first) {
        if (knit__waitq_claim(&s->callers, s->callers.first, WOKE_ROOM, ready))
            s->outstanding++;
    }
}

/* Nobody is let in any more: those who wait are told. */
static void break_locked(struct stream *s, struct knit__batch *ready)
{
    s->broken = true;
    knit__waitq_wake_all(&s->callers, WOKE_ENDED, ready);
}

/* A place for one more is counted, if there is one. */
static bool take_room_locked(struct stream *s)
{
    if (s->outstanding >= window_of(s) || !knit__waitq_empty(&s->callers))
        return false;
    s->outstanding++;
    return true;
}

/* Wait in the queue for a place, armed by the caller; ctx: that of the stream's group. */
static int wait_in_line(struct stream *s, struct knit__waiter *w, knit_ctx *ctx)
{
    struct knit__alarm alarm = {.task = w->task, .reason = WOKE_ENDED};
    struct knit__batch ready = {0};
    uint32_t word;

    knit__alarm_set(&alarm, ctx); /* it may end without the stream being told */
    word = knit__waitq_sleep(w, KNIT__NEVER, true);
    knit__alarm_clear(&alarm);
    if (!knit__wait_unlinked(word) || knit__wait_reason(word) != WOKE_ROOM) {
        knit__lock(&s->lock);
        knit__waitq_remove(&s->callers, w);
        admit_locked(s, &ready);
        knit__unlock(&s->lock);
        knit__waitq_ready(&ready);
    }
    switch (knit__wait_reason(word)) {
    case WOKE_ROOM: return 0;
    case WOKE_ENDED: return knit_ctx_err(ctx) != 0 ? knit_ctx_err(ctx) : -ECANCELED;
    default: return knit__wait_result(w->task, word);
    }
}

/* Wait for a place, which is then counted. */
static KNIT__NOINLINE int wait_for_room(struct stream *s, struct knit__task *t)
{
    struct knit__group *g = group_of(s);
    struct knit__waiter w = {0};
    bool wait;
    knit_ctx *ctx;
    int r;

    knit__lock(&g->scope.lock); /* before the stream's */
    ctx = knit_ctx_ref(knit__ctx_public(knit__group_ctx(g)));
    knit__unlock(&g->scope.lock);

    knit__lock(&s->lock);
    r = s->broken ? -ECANCELED : knit__group_ended(g);
    wait = r == 0 && !take_room_locked(s);
    if (wait)
        knit__waitq_add(&s->callers, &w, t, true);
    knit__unlock(&s->lock);
    if (wait)
        r = wait_in_line(s, &w, ctx);
    knit_ctx_unref(ctx);
    return r;
}

/* ---- runners ---- */

static int run_stream(void *stream);

/* One more runner is wanted, and now counted: it must be started after unlocking. */
static bool want_runner_locked(struct stream *s)
{
    if (!s->untaken || s->coming || s->running >= limit_of(s))
        return false;
    s->coming = true;
    s->running++;
    return true;
}

/* 0, or the stream has ended. */
static int start_runner(struct stream *s, const knit_site *site)
{
    int r = knit_errgroup_go_at(&s->group, run_stream, s, site);
    struct knit__worker *w = knit__worker_self();
    struct knit__batch ready = {0};

    if (r == 0 && w && w->runs.wake_at <= 1)
        knit__notify_backlog(w); /* what runs here is long as a rule */
    if (r == 0)
        return 0;
    knit__lock(&s->lock);
    break_locked(s, &ready); /* nobody may come for what is in the list */
    s->coming = false;
    s->running--;
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
    knit_errgroup_cancel(&s->group, r);
    return r;
}

/* A function or a call of the stream, as a run of its own; its failure is the group's. */
static int call(struct stream *s, struct entry *e, knit_fn *fn, void *arg)
{
    struct knit__run run; /* set is what a run needs */
    int r;

    run.rec = (struct knit__rec){fn, arg, group_of(s), e->site, e->index, 0};
    r = knit__run_nested(knit__task_self(), &run);
    if (r != 0 || run.rec.flags != 0)
        knit__group_task_ended(&run, r, false);
    return r;
}

static int call_then(void *entry)
{
    struct entry *e = entry;

    return e->then(e->arg, e->result);
}

/* Make the calls that are due; by one runner at a time. The lock is held, and released meanwhile. */
static void make_calls_locked(struct stream *s)
{
    struct entry *e, *spent;

    if (s->calling)
        return; /* that runner looks again */
    s->calling = true;
    while (!s->broken && (e = s->first) != NULL && e->done) {
        struct knit__batch ready = {0};
        bool goes_on = e->result == 0 || keeps_going(s);

        knit__unlock(&s->lock);
        if (goes_on && e->then)
            goes_on = call(s, e, call_then, e) == 0 || keeps_going(s);
        knit__lock(&s->lock);
        s->broken |= !goes_on;
        spent = retire_head_locked(s);
        admit_locked(s, &ready);
        if (spent || ready.first || ready.apart) {
            knit__unlock(&s->lock);
            free(spent);
            knit__waitq_ready(&ready);
            knit__lock(&s->lock);
        }
    }
    s->calling = false;
}

/* The next entry, or NULL: the caller is a runner no more. The lock is held, and released. */
static struct entry *take_locked(struct stream *s, bool ended)
{
    struct entry *e = ended || s->broken ? NULL : s->untaken;
    struct knit__batch ready = {0};
    bool more = false;

    if (e) {
        s->untaken = e->next;
        more = want_runner_locked(s);
    } else {
        s->running--;
    }
    if (ended) /* not all ends are ends of the context */
        knit__waitq_wake_all(&s->callers, WOKE_ENDED, &ready);
    admit_locked(s, &ready);
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
    if (more)
        (void)start_runner(s, e->site); /* a failure is the group's */
    return e;
}

/* A runner. */
static int run_stream(void *stream)
{
    struct stream *s = stream;
    int ended = knit__group_ended(group_of(s));
    struct entry *e;
    bool left;

    knit__lock(&s->lock);
    s->coming = false;
    while ((e = take_locked(s, ended != 0)) != NULL) {
        int r = call(s, e, e->fn, e->arg);

        knit__lock(&s->lock);
        e->result = r;
        e->done = true;
        make_calls_locked(s);
        ended = knit__group_ended(group_of(s));
    }
    knit__lock(&s->lock);
    left = s->untaken != NULL;
    knit__unlock(&s->lock);
    return left ? ended : 0;
}

/* ---- the callers' side ---- */

/* A {0} stream becomes one without options. */
static void ensure_init_locked(struct stream *s)
{
    if (KNIT__UNLIKELY((knit__group_flags(group_of(s)) & GROUP_INITED) == 0))
        knit__group_set(group_of(s), GROUP_INITED); /* all that init does to zeroes */
}

int knit_stream_init(knit_stream *public, const knit_stream_options *options)
{
    static const knit_stream_options defaults;
    const knit_stream_options *o = options ? options : &defaults;
    struct stream *s = private_of(public);
    knit_errgroup_options group = {
        .name = o->name, .flags = o->flags, .ctx = o->ctx, .timeout = o->timeout};
    uint32_t window = o->window < WINDOW_MAX ? o->window : WINDOW_MAX;

    if (!s)
        return -EINVAL;
    *s = (struct stream){.limit = o->limit > 0 ? (uint32_t)o->limit : 0};
    s->window = window > 0 ? window : s->limit < WINDOW_MAX / 2 ? 2 * s->limit : WINDOW_MAX;
    return knit_errgroup_init(&s->group, &group);
}

knit_errgroup *knit_stream_group(knit_stream *public)
{
    struct stream *s = private_of(public);

    if (!s)
        return NULL;
    knit__lock(&s->lock);
    ensure_init_locked(s);
    knit__unlock(&s->lock);
    return &s->group;
}

/* Put a submission into the list and see that a runner comes. The lock is held, and released. */
static int submit_locked(struct stream *s, const struct entry *filled)
{
    struct entry *e = entry_get_locked(s);
    int r = !e ? -ENOMEM : s->broken ? -ECANCELED : 0;
    struct knit__batch ready = {0};
    bool start = false;

    if (r == 0) {
        *e = *filled;
        append_locked(s, e);
        start = want_runner_locked(s);
        e = NULL;
    } else {
        s->outstanding--;
        break_locked(s, &ready);
    }
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
    free(e);
    if (r == -ENOMEM)
        (void)knit__group_fail(group_of(s), r);
    return start ? start_runner(s, filled->site) : r;
}

int knit_stream_go_at(knit_stream *public, knit_fn *fn, knit_stream_fn *then, void *arg,
                      const knit_site *site)
{
    struct stream *s = private_of(public);
    struct knit__task *t = knit__task_self();
    const struct entry e = {.fn = fn, .then = then, .arg = arg, .site = site};
    bool member;
    int r;

    if (!s || !fn || !knit__group_usable(group_of(s)))
        return -EINVAL;
    if (!t)
        return knit__group_fail(knit__group_of(knit_stream_group(public)), -ENOMEM);
    member = knit__group_is_member(group_of(s), t);
    r = member ? 0 : knit__wait_begin(t);
    if (r < 0)
        return r;
    knit__lock(&s->lock);
    ensure_init_locked(s);
    r = s->broken ? -ECANCELED : knit__group_ended(group_of(s));
    if (r < 0) {
        knit__unlock(&s->lock);
        return r;
    }
    if (member) {
        s->outstanding++;
    } else if (!take_room_locked(s)) {
        knit__unlock(&s->lock);
        r = wait_for_room(s, t);
        if (r < 0)
            return r;
        knit__lock(&s->lock);
    }
    return submit_locked(s, &e);
}

/* No task is left: free what none will take any more. */
static void tidy(struct stream *s)
{
    struct entry *dropped = NULL, *spare;
    struct knit__batch ready = {0};

    knit__lock(&s->lock);
    if (s->broken || knit__group_ended(group_of(s)) != 0) {
        break_locked(s, &ready);
        dropped = s->first;
        for (struct entry *e = dropped; e; e = e->next)
            s->outstanding--;
        s->first = s->last = s->untaken = NULL;
        s->running = 0; /* those that were skipped */
        s->coming = false;
    }
    spare = s->free;
    s->free = NULL;
    s->n_free = 0;
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
    free_list(dropped);
    free_list(spare);
}

static int wait_for_all(knit_stream *public, bool close)
{
    struct stream *s = private_of(public);
    struct knit__task *t = knit__task_self();
    struct knit__group *g;

    if (!s || !knit__group_usable(group_of(s)))
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    g = knit__group_of(knit_stream_group(public));
    if (knit__group_is_member(g, t))
        return -EDEADLK;
    if (close) {
        knit__group_set(g, GROUP_CLOSED | KNIT__SCOPE_SLOW_GO);
        knit__group_end(g, -ECANCELED, false);
    }
    knit__scope_join(t, &g->scope, KNIT__NEVER, NULL); /* cannot fail: no deadline, no context */
    tidy(s);                                           /* before a panic that is raised again */
    return close ? knit_errgroup_close(&s->group) : knit_errgroup_wait(&s->group);
}

int knit_stream_wait(knit_stream *s)
{
    return wait_for_all(s, false);
}

int knit_stream_close(knit_stream *s)
{
    return wait_for_all(s, true);
}
