/* gather, all, race, take, last: a group with a join each. What the joins write they write one end
 * after the other, so the fronts need no locks. */
#include "group.h"

#include <errno.h>
#include <knit/family.h>

/* What a front collects. */
struct front {
    size_t *indexes; /* of successes, in the order they ended; NULL: not wanted */
    size_t room;     /* for so many: the last ones are there, around the end */
    size_t count;    /* so many came */
    int *results;    /* by index; NULL: not wanted */
};

static void collect(struct front *f, const knit_join_event *e)
{
    if (f->results)
        f->results[e->index] = e->result;
    if (e->outcome != KNIT_OUTCOME_SUCCESS)
        return;
    if (f->indexes)
        f->indexes[f->count % f->room] = e->index;
    f->count++;
}

static int done_settle(const knit_join *join, const knit_join_event *e)
{
    collect(join->state, e);
    return KNIT_JOIN_GO_ON;
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

/* Run the calls in a group with this join. Returns what its wait returned; *ret_started: so many
 * calls were started, *ret_refused: why not more. */
static int run(const knit_call *calls, size_t n, const knit_errgroup_options *options,
               unsigned flags, const knit_join *join, size_t *ret_started, int *ret_refused)
{
    static const knit_errgroup_options none;
    knit_errgroup_options o = options ? *options : none;
    knit_policy policy = {.join = join};
    knit_errgroup g;
    size_t i;
    int r;

    if (o.policy) {
        policy = *o.policy;
        policy.join = join;
    }
    o.policy = &policy;
    o.flags |= flags;
    if (!fits(calls, n, options) || knit_errgroup_init(&g, &o) < 0)
        return -EINVAL;
    for (i = 0; i < n; i++) {
        *ret_refused = knit_errgroup_go(&g, calls[i].fn, calls[i].arg);
        if (*ret_refused < 0)
            break;
    }
    *ret_started = i;
    r = knit_errgroup_wait(&g);
    (void)knit_errgroup_close(&g); /* losers that were told have been waited for: nothing is left */
    return r;
}

int knit_gather(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                int *ret_results)
{
    struct front front = {.results = ret_results};
    const knit_join join = {.on_done = done_settle, .state = &front};
    size_t started = SIZE_MAX;
    int refused = 0, r;

    r = run(calls, n, options, KNIT_ERRGROUP_KEEP_GOING, &join, &started, &refused);
    if (started == SIZE_MAX)
        return r;
    for (size_t i = started; ret_results && i < n; i++)
        ret_results[i] = refused;
    return n - front.count > INT32_MAX ? INT32_MAX : (int)(n - front.count);
}

int knit_all(const knit_call *calls, size_t n, const knit_errgroup_options *options)
{
    const knit_join join = KNIT_JOIN_ALL;
    size_t started;
    int refused;

    return run(calls, n, options, 0, &join, &started, &refused);
}

/* The first or the last k successes: k, or why not. */
static int some(const knit_call *calls, size_t n, const knit_errgroup_options *options,
                struct front *front, const knit_join *join)
{
    size_t started;
    int refused, r = run(calls, n, options, 0, join, &started, &refused);

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
