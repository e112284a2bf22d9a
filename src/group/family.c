/* gather, all, race, take, last.
 *
 * The last three are a group with a join each. What the joins write they write one end after the
 * other, so the fronts need no locks.
 *
 * gather and all need no order among the ends, and so none of a join's locks: their tasks cost what
 * those of any group cost. all is what a group does by itself. In gather a success is what nobody
 * needs to be told: the results are 0 from the beginning, and each call that ends otherwise, on the
 * way that every failure takes (end.c), writes its own. */
#include "group.h"

#include <errno.h>
#include <knit/family.h>
#include <string.h>

/* What take and last collect. */
struct front {
    size_t *indexes; /* of successes, in the order they ended; NULL: not wanted */
    size_t room;     /* for so many: the last ones are there, around the end */
    size_t count;    /* so many came */
};

static void collect(struct front *f, const knit_join_event *e)
{
    if (e->outcome != KNIT_OUTCOME_SUCCESS)
        return;
    if (f->indexes)
        f->indexes[f->count % f->room] = e->index;
    f->count++;
}

static int done_take(const knit_join *join, const knit_join_event *e)
{
    collect(join->state, e);
    return knit_join_take(join, e);
}

static int done_all(const knit_join *join, const knit_join_event *e)
{
    collect(join->state, e);
    return knit_join_all(join, e);
}

/* Overflow policies that refuse calls would leave holes in the numbers of the submissions. */
static bool policy_fits(const knit_policy *p)
{
    return !p ||
           (!p->join && p->overflow != KNIT_OVERFLOW_REJECT && p->overflow != KNIT_OVERFLOW_DROP);
}

static bool fits(const knit_call *calls, size_t n, const knit_errgroup_options *o)
{
    if ((!calls && n > 0) || (o && !policy_fits(o->policy)))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!calls[i].fn)
            return false;
    }
    return true;
}

/* A group for the calls, with these flags and this join (NULL: none). 0 or -EINVAL. */
static int init(knit_errgroup *g, const knit_call *calls, size_t n,
                const knit_errgroup_options *options, unsigned flags, const knit_join *join,
                knit_policy *policy)
{
    static const knit_errgroup_options none;
    knit_errgroup_options o = options ? *options : none;

    if (!fits(calls, n, options))
        return -EINVAL;
    if (o.flags & ~(unsigned)KNIT_ERRGROUP_FLAGS)
        return -EINVAL;
    o.flags = (o.flags & ~(unsigned)(KNIT_ERRGROUP_KEEP_GOING | KNIT_ERRGROUP_STOP)) | flags;
    if (join) {
        *policy = o.policy ? *o.policy : (knit_policy){0};
        policy->join = join;
        o.policy = policy;
    }
    return knit_errgroup_init(g, &o);
}

/* Start the calls and wait for them. Returns what the wait returned; *ret_refused: 0, or why not all
 * were started. */
static int run(knit_errgroup *g, const knit_call *calls, size_t n, int *ret_refused)
{
    int r, refused = 0;

    for (size_t i = 0; i < n && refused >= 0; i++)
        refused = knit_errgroup_go(g, calls[i].fn, calls[i].arg);
    r = knit_errgroup_wait(g);
    (void)knit_errgroup_close(g); /* losers that were told have been waited for: nothing is left */
    *ret_refused = refused;
    return r;
}

/* ---- gather ---- */

struct gathering {
    knit_errgroup group;   /* first */
    int *results;          /* by index; NULL: not wanted */
    _Atomic size_t failed; /* of those that were counted as children */
};

/* The waiter sees this: the end of the child is still to be counted. */
void knit__gather_ended(struct knit__group *g, uint32_t index, int r, bool skipped)
{
    struct gathering *gathering = (struct gathering *)(void *)g;

    if (skipped && r == 0)
        r = knit__group_ended(g) < 0 ? knit__group_ended(g) : -ECANCELED;
    if (gathering->results)
        gathering->results[index] = r;
    atomic_fetch_add_explicit(&gathering->failed, 1, memory_order_relaxed);
}

int knit_gather(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                int *ret_results)
{
    struct gathering gathering = {.results = ret_results};
    struct knit__group *g = knit__group_of(&gathering.group);
    size_t counted, failed;
    int refused;

    if (init(&gathering.group, calls, n, options, KNIT_ERRGROUP_KEEP_GOING, NULL, NULL) < 0)
        return -EINVAL;
    knit__group_set(g, GROUP_GATHER);
    if (ret_results && n > 0)
        memset(ret_results, 0, n * sizeof *ret_results);
    (void)run(&gathering.group, calls, n, &refused);
    counted = knit__scope_counts(&g->scope).submitted;
    for (size_t i = counted; ret_results && i < n; i++)
        ret_results[i] = refused;
    failed = n - counted + atomic_load_explicit(&gathering.failed, memory_order_relaxed);
    return failed > INT32_MAX ? INT32_MAX : (int)failed;
}

/* ---- all, take, race, last ---- */

int knit_all(const knit_call *calls, size_t n, const knit_errgroup_options *options)
{
    knit_errgroup g;
    int refused, r;

    if (init(&g, calls, n, options, 0, NULL, NULL) < 0)
        return -EINVAL;
    r = run(&g, calls, n, &refused);
    return r > 0 ? -ECHILD : r;
}

/* The first or the last k successes: k, or why not. */
static int some(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                struct front *front, const knit_join *join)
{
    knit_policy policy;
    knit_errgroup g;
    int refused, r;

    if (init(&g, calls, n, options, 0, join, &policy) < 0)
        return -EINVAL;
    r = run(&g, calls, n, &refused);
    /* take judges when no more is started: too few, without a failure, since the context ended */
    if (r == -ENODATA && refused < 0 && join->on_wait)
        return refused;
    if (r != 0)
        return r;
    return front->room > INT32_MAX ? INT32_MAX : (int)front->room;
}

int knit_take(const knit_call *calls, size_t n, const knit_errgroup_options *options, size_t k,
              size_t *ret_indexes)
{
    struct front front = {.indexes = ret_indexes, .room = k < n ? k : n};
    const knit_join join = {.on_wait = knit_join_take,
                            .on_done = done_take,
                            .result = knit_join_take,
                            .state = &front,
                            .n = front.room};

    return front.room == 0 ? 0 : some(calls, n, options, &front, &join);
}

int knit_race(const knit_call *calls, size_t n, const knit_errgroup_options *options,
              size_t *ret_winner)
{
    size_t winner = 0;
    int r = n == 0 ? -ENODATA : knit_take(calls, n, options, 1, &winner);

    if (r == 1 && ret_winner)
        *ret_winner = winner;
    return r == 1 ? 0 : r;
}

static void reverse(size_t *at, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        size_t kept = at[i];

        at[i] = at[n - 1 - i];
        at[n - 1 - i] = kept;
    }
}

int knit_last(const knit_call *calls, size_t n, const knit_errgroup_options *options, size_t k,
              size_t *ret_indexes)
{
    struct front front = {.indexes = k > 0 ? ret_indexes : NULL, .room = k < n ? k : n};
    const knit_join join = {.on_done = done_all, .state = &front};
    int r = some(calls, n, options, &front, &join);

    if (r < 0 || !front.indexes || front.room == 0)
        return r;
    /* the oldest is where the next would have come: turn the ring there */
    reverse(ret_indexes, n % front.room);
    reverse(ret_indexes + n % front.room, front.room - n % front.room);
    reverse(ret_indexes, front.room);
    return r;
}
