/* Singleflight: calls on their way, by key.
 *
 *     QUEUED -> RUNNING -> DONE         do_chan: a task of a group will run it
 *     QUEUED -> DONE                    the group ended first, or took no task
 *               RUNNING -> DONE         do: the caller runs it
 *
 * A call is in the table from its start until it is forgotten or done, whichever is first; callers
 * that found it hold a reference. Unlinking looks at `mapped`, not at the key: a forgotten call that
 * ends leaves the newer one of its key alone (golang/go#31420). The end of a call, in one critical
 * section: state, table, followers (waitq.h); the channels are served after it.
 *
 * A task of a group may be skipped, and then nobody tells its starter. So a queued call watches the
 * group's context (and holds a reference for that): when it ends, the call ends, unless it is
 * RUNNING already. A task that begins all the same must not touch the dead call: it carries the
 * call's number, and looks for it in the list of the queued.
 *
 * An fn that ends its task instead of returning (knit_task_exit, a contained knit_panic) is done all
 * the same: a guard (sync/life.h) ends the call with an error for all who follow.
 *
 * Lock: sf->lock, rank channel. */
#include "../sync/life.h"
#include "../sync/waitq.h"

#include <errno.h>
#include <knit/singleflight.h>
#include <stdlib.h>
#include <string.h>

enum { WOKE_DONE = KNIT__WOKE_SOURCE, BUCKETS = 32, QUEUES = 8 };
enum { QUEUED, RUNNING, DONE };

struct subscriber {
    struct subscriber *next;
    knit_chan *ch;
};

struct call {
    struct call *next;  /* in its bucket, while mapped */
    struct call *qnext; /* in a list of the queued, while QUEUED */
    uint64_t hash, number;
    struct flight *flight;
    knit_value_fn *fn;
    void *arg;
    _Atomic uint32_t refs;
    _Atomic bool claimed; /* do_chan: whether it runs or is abandoned has been decided */
    int state;
    bool mapped, shared;
    bool canceled; /* its leader's own cancel: no answer for others */
    int error;
    void *value;
    const struct knit__task *runner; /* of do */
    struct knit__waitq followers;
    struct subscriber *subscribers;
    knit_ctx_after_handle group_end; /* do_chan */
    struct knit__defer guard;        /* of the leader's run, while it calls fn */
    char key[];
};

struct flight {
    struct knit__lock lock; /* the rest */
    uint32_t unused;
    uint64_t numbers;
    struct call *buckets[BUCKETS];
    struct call *queued[QUEUES];
};

_Static_assert(sizeof(struct flight) <= sizeof(knit_singleflight), "it is the storage");

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash_of(const char *key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return h;
}

/* ---- the table; lock held ---- */

static struct call *find(const struct flight *f, const char *key, uint64_t hash)
{
    struct call *c = f->buckets[hash % BUCKETS];

    while (c && (c->hash != hash || strcmp(c->key, key) != 0))
        c = c->next;
    return c;
}

static void map(struct flight *f, struct call *c)
{
    struct call **bucket = &f->buckets[c->hash % BUCKETS];

    c->number = ++f->numbers;
    c->next = *bucket;
    c->mapped = true;
    *bucket = c;
}

static void unmap(struct flight *f, struct call *c)
{
    struct call **at = &f->buckets[c->hash % BUCKETS];

    if (!c->mapped)
        return;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->mapped = false;
}

static void enqueue(struct flight *f, struct call *c)
{
    struct call **queue = &f->queued[c->number % QUEUES];

    c->qnext = *queue;
    *queue = c;
}

/* The queued call of that number; NULL: it has ended. */
static struct call *find_queued(const struct flight *f, uint64_t number)
{
    struct call *c = f->queued[number % QUEUES];

    while (c && c->number != number)
        c = c->qnext;
    return c;
}

/* The same, now out of the list. */
static struct call *dequeue(struct flight *f, uint64_t number)
{
    struct call **at = &f->queued[number % QUEUES], *c;

    while (*at && (*at)->number != number)
        at = &(*at)->qnext;
    c = *at;
    if (c)
        *at = c->qnext;
    return c;
}

/* True: it was the last reference; free it after unlocking. */
static bool drop(struct call *c)
{
    return atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1;
}

static void put(struct call *c)
{
    if (drop(c))
        free(c);
}

/* Whether the caller decides what becomes of a queued call. Decided in the call, not in the flight:
 * who comes second touches the flight no more, which may be gone once the result has arrived. */
static bool claim(struct call *c)
{
    return !atomic_exchange_explicit(&c->claimed, true, memory_order_acq_rel);
}

/* ---- a call's life ---- */

static struct call *call_new(struct flight *f, const char *key, uint64_t hash, knit_value_fn *fn,
                             void *arg)
{
    size_t length = strlen(key) + 1;
    struct call *c = malloc(sizeof *c + length);

    if (!c)
        return NULL;
    *c = (struct call){.hash = hash, .flight = f, .fn = fn, .arg = arg, .refs = 1};
    memcpy(c->key, key, length);
    return c;
}

static void serve(struct subscriber *s, const knit_singleflight_result *result)
{
    struct subscriber *next;

    for (; s; s = next) {
        next = s->next;
        knit_chan_try_send(s->ch, result); /* the only item of a channel with room for one */
        knit_chan_unref(s->ch);
        free(s);
    }
}

/* The call has its result. Drops the leader's reference; *ret_result may be NULL. */
static void finish(struct call *c, int error, void *value, bool canceled,
                   knit_singleflight_result *ret_result)
{
    struct flight *f = c->flight;
    struct knit__batch batch = {0};
    struct subscriber *subscribers;
    knit_singleflight_result result;
    bool last;

    knit__lock(&f->lock);
    unmap(f, c);
    c->state = DONE;
    c->error = error;
    c->value = value;
    c->canceled = canceled;
    result = (knit_singleflight_result){value, error, c->shared};
    subscribers = c->subscribers;
    c->subscribers = NULL;
    knit__waitq_wake_all(&c->followers, WOKE_DONE, &batch);
    last = drop(c);
    knit__unlock(&f->lock);
    knit__waitq_ready(&batch);
    serve(subscribers, &result);
    if (last)
        free(c);
    if (ret_result)
        *ret_result = result;
}

/* fn has ended its task: that is no result, but no reason to run another one's fn. */
static void left(void *arg)
{
    finish(arg, knit__life_exit_error(knit__task_self()), NULL, false, NULL);
}

static int guard(struct call *c, struct knit__task *t)
{
    c->guard = (struct knit__defer){.fn = left, .arg = c};
    return knit__life_guard(t, &c->guard);
}

/* Run fn here, guarded; the call is RUNNING and the reference the caller's. */
static int lead(struct call *c, struct knit__task *t, knit_singleflight_result *ret_result)
{
    void *value = NULL;
    int error = c->fn(c->arg, &value);
    bool canceled = (error == -ECANCELED || error == -ETIMEDOUT) && knit_canceled();

    knit__life_unguard(t, &c->guard);
    finish(c, error, value, canceled, ret_result);
    return error;
}

/* ---- do ---- */

/* Follow a call until it is done; the lock is held and released, a reference taken and dropped.
 * *ret_again: the leader was cancelled, we were not; there is no result. */
static int follow(struct call *c, struct knit__task *t, knit_singleflight_result *ret_result,
                  bool *ret_again)
{
    struct flight *f = c->flight;
    struct knit__waiter w = {0};
    uint32_t word;
    bool last;
    int r;

    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    c->shared = true;
    knit__waitq_add(&c->followers, &w, t, true);
    knit__unlock(&f->lock);
    word = knit__waitq_sleep(&w, KNIT__NEVER, true);
    knit__lock(&f->lock);
    knit__waitq_remove(&c->followers, &w);
    if (knit__wait_reason(word) != WOKE_DONE) {
        r = knit__wait_result(t, word);
    } else {
        r = c->error;
        *ret_again = c->canceled;
        if (!c->canceled && ret_result)
            *ret_result = (knit_singleflight_result){c->value, c->error, 1};
    }
    last = drop(c);
    knit__unlock(&f->lock);
    if (last)
        free(c);
    return r;
}

/* The lock is held, a call of this key is there. Released. *ret_again: look for it once more. */
static int join(struct call *c, struct knit__task *t, knit_singleflight_result *ret_result,
                bool *ret_again)
{
    struct flight *f = c->flight;
    int r;

    if (c->runner == t) {
        knit__unlock(&f->lock);
        return -EDEADLK;
    }
    if (t->watcher == t->run->ctx && knit__ctx_ended(t->run->ctx) == 0)
        return follow(c, t, ret_result, ret_again);
    knit__unlock(&f->lock); /* watching takes the context's lock, which comes before ours */
    r = knit__wait_begin(t);
    *ret_again = r == 0;
    return r;
}

/* A call for the caller to lead, guarded: 0, or -ENOMEM. */
static int prepare_to_lead(struct call *fresh, struct knit__task *t, struct call **ret_call)
{
    if (!fresh)
        return -ENOMEM;
    if (guard(fresh, t) < 0) {
        free(fresh);
        return -ENOMEM;
    }
    *ret_call = fresh;
    return 0;
}

int knit_singleflight_do(knit_singleflight *sf, const char *key, knit_value_fn *fn, void *arg,
                         knit_singleflight_result *ret_result)
{
    struct flight *f = (struct flight *)(void *)sf;
    struct call *c, *mine = NULL;
    struct knit__task *t;
    uint64_t hash;
    bool again;
    int r;

    if (!sf || !key || !fn)
        return -EINVAL;
    t = knit__task_self();
    if (!t)
        return -ENOMEM;
    hash = hash_of(key);
    do {
        again = false;
        knit__lock(&f->lock);
        c = find(f, key, hash);
        if (c) {
            r = join(c, t, ret_result, &again);
        } else if (mine) {
            map(f, mine);
            mine->state = RUNNING;
            mine->runner = t;
            knit__unlock(&f->lock);
            return lead(mine, t, ret_result);
        } else {
            knit__unlock(&f->lock);
            r = prepare_to_lead(call_new(f, key, hash, fn, arg), t, &mine);
            again = r == 0;
        }
    } while (again);
    if (mine)
        knit__life_unguard(t, &mine->guard);
    free(mine);
    return r;
}

/* ---- do_chan ---- */

struct ticket {
    struct flight *flight;
    uint64_t number;
};

/* The group has ended, or took no task: no result. Runs under no lock, and does not wait. */
static void abandon(struct flight *f, uint64_t number, int error)
{
    struct call *c;

    knit__lock(&f->lock);
    c = dequeue(f, number);
    knit__unlock(&f->lock);
    if (c)
        finish(c, error, NULL, error == -ECANCELED || error == -ETIMEDOUT, NULL);
}

static void group_ended(void *arg)
{
    struct call *c = arg;

    if (claim(c))
        abandon(c->flight, c->number, -ECANCELED);
    put(c);
}

/* No need to watch the group any more; group_ended puts the reference unless this comes first. */
static void unwatch(struct call *c)
{
    if (knit__ctx_after_take_back(&c->group_end))
        put(c);
}

/* The task of a do_chan. */
static int lead_queued(void *arg)
{
    struct ticket *ticket = arg;
    struct knit__task *t = knit__task_self();
    struct flight *f = ticket->flight;
    struct call *c;

    knit__lock(&f->lock);
    c = find_queued(f, ticket->number);
    if (c && !claim(c))
        c = NULL; /* group_ended is about to end it */
    if (c) {
        dequeue(f, ticket->number);
        c->state = RUNNING;
    }
    knit__unlock(&f->lock);
    if (!c)
        return 0;
    unwatch(c);
    if (guard(c, t) < 0)
        finish(c, -ENOMEM, NULL, false, NULL);
    else
        (void)lead(c, t, NULL);
    return 0;
}

/* Give the queued call to the group, or end it. Uses up the references of the watch and of start. */
static int start(struct call *c, knit_errgroup *g, const struct ticket *ticket)
{
    knit_ctx *ctx = knit_errgroup_ctx(g);
    int r = -ENOMEM;

    if (!ctx) {
        if (claim(c))
            abandon(c->flight, ticket->number, r);
        put(c); /* no watch */
        put(c);
        return r;
    }
    knit__ctx_after_given(ctx, group_ended, c, &c->group_end);
    r = knit_errgroup_go_copy_at(g, lead_queued, ticket, sizeof *ticket, NULL);
    if (r < 0) {
        if (claim(c))
            abandon(c->flight, ticket->number, r);
        unwatch(c);
    }
    put(c);
    return r;
}

static void subscribe(struct call *c, struct subscriber *s, knit_chan *ch)
{
    *s = (struct subscriber){.next = c->subscribers, .ch = knit_chan_ref(ch)};
    c->subscribers = s;
}

/* Join the call of this key, or start one: 0, or *ret_ticket is filled and mine is used: 1. */
static int join_or_queue(struct flight *f, struct call *mine, struct subscriber *s, knit_chan *ch,
                         struct ticket *ret_ticket)
{
    struct call *c;

    knit__lock(&f->lock);
    c = find(f, mine->key, mine->hash);
    if (c) {
        c->shared = true;
        subscribe(c, s, ch);
        knit__unlock(&f->lock);
        return 0;
    }
    atomic_store_explicit(&mine->refs, 3,
                          memory_order_relaxed); /* the leader's, the watch's, start's */
    map(f, mine);
    enqueue(f, mine);
    subscribe(mine, s, ch);
    *ret_ticket = (struct ticket){f, mine->number};
    knit__unlock(&f->lock);
    return 1;
}

int knit_singleflight_do_chan(knit_singleflight *sf, knit_errgroup *g, const char *key,
                              knit_value_fn *fn, void *arg, knit_chan **ret_chan)
{
    struct flight *f = (struct flight *)(void *)sf;
    struct subscriber *s;
    struct ticket ticket;
    struct call *mine;
    knit_chan *ch;
    int r;

    if (!sf || !g || !key || !fn || !ret_chan)
        return -EINVAL;
    r = knit_chan_new(sizeof(knit_singleflight_result), 1, &ch);
    if (r < 0)
        return r;
    mine = call_new(f, key, hash_of(key), fn, arg);
    s = malloc(sizeof *s);
    if (!mine || !s) {
        free(mine);
        free(s);
        knit_chan_unref(ch);
        return -ENOMEM;
    }
    r = join_or_queue(f, mine, s, ch, &ticket);
    if (r == 0)
        free(mine);
    else
        r = start(mine, g, &ticket);
    if (r < 0)
        knit_chan_unref(ch);
    else
        *ret_chan = ch;
    return r;
}

int knit_singleflight_forget(knit_singleflight *sf, const char *key)
{
    struct flight *f = (struct flight *)(void *)sf;
    struct call *c;

    if (!sf || !key)
        return -EINVAL;
    knit__lock(&f->lock);
    c = find(f, key, hash_of(key));
    if (c)
        unmap(f, c);
    knit__unlock(&f->lock);
    return 0;
}
