/* Parallel loops.
 *
 * ESSAY: sharing a loop
 *
 * A loop is one structure on its caller's stack and a group whose tasks, the *runners*, take indices
 * from it until there are none. Nothing is allocated for it but what the group needs.
 *
 * Taking. The indices from `next` on are nobody's; a runner takes a *chunk* of them by one
 * compare-and-swap. Chunks get smaller towards the end, never more than the rest divided by twice
 * the number of runners (guided self-scheduling: Polychronopoulos and Kuck, 1987), and they are
 * bounded by time: a runner calls the bodies of its chunk in *blocks*, reads the clock after each,
 * and lets a block grow until it takes some microseconds. So tiny bodies cost a clock and a
 * compare-and-swap per thousands, and the first bodies of a runner, and long ones, come one by one.
 *
 * Sharing the rest. What a runner has taken may turn out long. When `next` has come to the end, a
 * runner that has more than a block before it puts the half of it into `spare`, unless something
 * is there, for whoever looks next, and starts one more runner if fewer run than may. That is lazy
 * splitting (Tzannes et al., "Lazy binary-splitting", PPoPP 2010): a range is split only where a
 * sign says that others have nothing to do, here that nobody has taken the last half.
 *
 * Starting. A runner starts the next one when it begins, up to the loop's width. The record lies in
 * its worker's ring: a worker that is free steals it; one whose body waits goes on with it; and if
 * the loop is over first it is one empty call. So nobody need know in advance whether bodies
 * compute or wait. A sleeping worker is woken when the rest of the loop, at the pace so far, is
 * worth it. A runner that computes gives way to what else is queued once in a while.
 *
 * Bodies run in a run of their own on top of the runner's (knit__run_nested), one a chunk: an exit
 * or a panic in a body comes back to the runner, which counts it as that body's end and goes on
 * behind it. So failures are told to the group here, with the index of the body.
 *
 * Who may fail to find work that is there: a runner that ends looks at `next` and `spare`, then
 * counts itself out of `running`; a half put into `spare` in between is seen by the one that put it,
 * which takes it back at the end of its chunk at the latest. Nothing is lost, some may run later. */
#include "../sched/idle.h"
#include "../sched/pace.h"
#include "../sched/ready.h"
#include "group.h"

#include <knit/foreach.h>
#include <knit/runtime.h>
#include <limits.h>

enum {
    BLOCK_US = 4,        /* a block grows until it takes so long */
    LONG_BLOCK_US = 32,  /* and shrinks when it takes longer than this */
    BLOCKS = 16,         /* in a chunk */
    CALLS_MAX = 1024,    /* bodies in a block: they may get longer all of a sudden */
    WAKE_WORTH_US = 100, /* as for a queue: sched/worker.c */
    GIVE_WAY_US = 1000,
};

struct range {
    size_t begin, end;
};

struct runner;

struct loop {
    /* set at birth */
    int (*call)(struct runner *r); /* the bodies of its block; which of the functions says it */
    union {
        knit_index_fn *index_fn;
        knit_range_fn *range_fn;
        knit_element_fn *element_fn;
        knit_map_fn *map_fn;
    };
    void *arg;
    char *array, *slots;
    size_t size, slot_size;
    size_t begin, end;
    size_t chunk;     /* 0: adapts */
    size_t block_max; /* of adapting blocks */
    uint32_t width;   /* the most runners */
    int *codes;
    const knit_site *site;
    knit_errgroup group;
    size_t failed_at; /* written by the one whose failure was the first */
    /* any thread, atomic */
    KNIT__ALIGN_LINE _Atomic size_t next; /* apart: this line is read at every block's end */
    KNIT__ALIGN_LINE _Atomic size_t done;
    _Atomic uint32_t running; /* runners started and not ended */
    _Atomic bool has_spare;   /* written under the lock */
    struct knit__lock lock;   /* channel's rank; spare */
    struct range spare;
};

/* A task that works at a loop; on its stack. */
struct runner {
    struct loop *loop;
    size_t at, end;          /* its chunk: the index whose body runs, or comes next */
    size_t counted;          /* indices of it below this are done with */
    size_t block_end, block; /* the block that runs; how long the next one should be */
    size_t done;             /* indices whose bodies returned 0 */
    uint64_t began, took;    /* ticks: the block that runs; the one before */
    size_t took_for;         /* so many indices */
    uint64_t gave_way;       /* ticks */
    bool stopped;            /* the context has ended */
};

static uint64_t ticks_of(uint64_t us)
{
    return us * knit__sched.ticks_per_us;
}

static struct knit__group *group_of(struct loop *l)
{
    return knit__group_of(&l->group);
}

static bool any_left(const struct loop *l)
{
    return atomic_load_explicit(&l->next, memory_order_relaxed) < l->end;
}

/* ---- calling the bodies of a block ---- */

/* Each stores which index it is at before the call, which may not come back. */
static int call_index(struct runner *r)
{
    knit_index_fn *fn = r->loop->index_fn;
    void *arg = r->loop->arg;
    int code = 0;

    for (size_t i = r->at, end = r->block_end; i < end && code == 0; i++) {
        r->at = i;
        code = fn(i, arg);
    }
    return code;
}

static int call_range(struct runner *r)
{
    return r->loop->range_fn(r->at, r->block_end, r->loop->arg);
}

static int call_element(struct runner *r)
{
    const struct loop *l = r->loop;
    knit_element_fn *fn = l->element_fn;
    size_t size = l->size;
    char *element = l->array + r->at * size;
    void *arg = l->arg;
    int code = 0;

    for (size_t i = r->at, end = r->block_end; i < end && code == 0; i++, element += size) {
        r->at = i;
        code = fn(element, i, arg);
    }
    return code;
}

static int call_map(struct runner *r)
{
    const struct loop *l = r->loop;
    int code = 0;

    for (size_t i = r->at, end = r->block_end; i < end && code == 0; i++) {
        r->at = i;
        code = l->map_fn(l->array + i * l->size, l->slots + i * l->slot_size, i, l->arg);
    }
    return code;
}

/* ---- accounts ---- */

static void keep_codes(const struct loop *l, size_t begin, size_t end, int code)
{
    if (KNIT__LIKELY(l->codes == NULL))
        return;
    for (size_t i = begin; i < end; i++)
        l->codes[i - l->begin] = code;
}

/* The indices up to `end` have had their bodies called, with this result. */
static void count_up_to(struct runner *r, size_t end, int code)
{
    keep_codes(r->loop, r->counted, end, code);
    if (code == 0)
        r->done += end - r->counted;
    r->counted = end;
}

/* The body at r->at has ended its run: with an error, or by an exit. */
static void body_ended(struct runner *r, struct knit__run *run, int code)
{
    size_t at = r->at;

    count_up_to(r, at, 0);
    r->at = r->loop->call == call_range ? r->block_end : at + 1;
    count_up_to(r, r->at, code);
    run->rec.index = (uint32_t)at;
    knit__group_task_ended(run, code, false);
    if (run->rec.flags & KNIT__REC_FIRST)
        r->loop->failed_at = at;
}

/* ---- taking and sharing ---- */

static bool has_spare(const struct loop *l)
{
    return atomic_load_explicit(&l->has_spare, memory_order_relaxed);
}

static void set_chunk(struct runner *r, size_t begin, size_t end)
{
    r->at = r->counted = begin;
    r->end = end;
}

static bool take_spare(struct runner *r)
{
    struct loop *l = r->loop;
    bool taken = false;

    if (!has_spare(l))
        return false;
    knit__lock(&l->lock);
    if (has_spare(l)) {
        set_chunk(r, l->spare.begin, l->spare.end);
        atomic_store_explicit(&l->has_spare, false, memory_order_relaxed);
        taken = true;
    }
    knit__unlock(&l->lock);
    return taken;
}

static size_t chunk_size(const struct runner *r, size_t rest)
{
    const struct loop *l = r->loop;
    size_t share = rest / 2 / l->width, n = r->block * BLOCKS;

    if (l->chunk != 0)
        return l->chunk < rest ? l->chunk : rest;
    if (share < n)
        n = share;
    return r->block == 1 || n == 0 ? 1 : n;
}

/* Take a chunk: false, there is none. */
static bool take(struct runner *r)
{
    struct loop *l = r->loop;
    /* relaxed: an index is a number; what bodies see was there before their task was started */
    size_t at = atomic_load_explicit(&l->next, memory_order_relaxed), n;

    do {
        if (at >= l->end)
            return take_spare(r);
        n = chunk_size(r, l->end - at);
        KNIT__POINT();
    } while (!atomic_compare_exchange_weak_explicit(&l->next, &at, at + n, memory_order_relaxed,
                                                    memory_order_relaxed));
    set_chunk(r, at, at + n);
    return true;
}

static int run_loop(void *loop);

/* One more runner, unless there are as many as may be: 0, or why it could not be started. */
static int start_runner(struct loop *l)
{
    uint32_t running = atomic_load_explicit(&l->running, memory_order_relaxed);
    struct knit__worker *w;
    int r;

    do {
        if (running >= l->width)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(&l->running, &running, running + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    r = knit_errgroup_go_at(&l->group, run_loop, l, l->site);
    if (r < 0)
        atomic_fetch_sub_explicit(&l->running, 1, memory_order_relaxed);
    w = knit__worker_self();
    if (r == 0 && w && w->runs.wake_at <= 1)
        knit__notify_backlog(w); /* what runs here is long as a rule */
    return r;
}

/* Give half of the rest away if others may have nothing to do. */
static void share_rest(struct runner *r)
{
    struct loop *l = r->loop;
    size_t half = (r->end - r->at) / 2;

    if (l->width == 1 || l->chunk != 0 || any_left(l))
        return;
    if (2 * half >= r->block && half > 0 && !has_spare(l)) {
        knit__lock(&l->lock);
        if (!has_spare(l)) {
            l->spare = (struct range){r->end - half, r->end};
            atomic_store_explicit(&l->has_spare, true, memory_order_relaxed);
            r->end -= half;
        }
        knit__unlock(&l->lock);
    }
    if (has_spare(l))
        (void)start_runner(l); /* a failure is the group's */
}

/* ---- a runner ---- */

/* The block has run: how long should the next one be? */
static void measure(struct runner *r, size_t n)
{
    const struct loop *l = r->loop;
    uint64_t now = knit__ticks();

    r->took = now - r->began;
    r->took_for = n;
    r->began = now;
    if (l->chunk != 0 && l->call == call_range)
        return; /* it is called with whole chunks */
    if (r->took > ticks_of(LONG_BLOCK_US)) {
        r->block = (size_t)(n * ticks_of(BLOCK_US) / r->took);
        if (r->block == 0)
            r->block = 1;
    } else if (r->took < ticks_of(BLOCK_US) && n == r->block && n <= l->block_max / 2) {
        r->block = 2 * n;
    }
}

/* As a run of its own: the bodies of the chunk from r->at on, until one fails. */
static int run_chunk(void *runner)
{
    struct runner *r = runner;
    struct loop *l = r->loop;
    int code;

    r->began = knit__ticks();
    while (r->at < r->end) {
        size_t begin = r->at, left = r->end - begin;

        if (knit__group_ended(group_of(l)) != 0) {
            r->stopped = true;
            return 0;
        }
        r->block_end = begin + (r->block < left ? r->block : left);
        code = l->call(r);
        if (code != 0)
            return code;
        r->at = r->block_end;
        count_up_to(r, r->at, 0);
        measure(r, r->at - begin);
        share_rest(r);
    }
    return 0;
}

static void work_off(struct runner *r)
{
    struct knit__task *t = knit__task_self();
    int code;

    do {
        struct knit__run run; /* set is what a run needs */

        run.rec = (struct knit__rec){run_chunk, r, group_of(r->loop), r->loop->site, 0, 0};
        code = knit__run_nested(t, &run);
        if (r->at < r->end && !r->stopped)
            body_ended(r, &run, code);
        else if (code != 0 || run.rec.flags != 0) /* what was deferred exited, or a text is left */
            knit__group_task_ended(&run, code, false);
    } while (r->at < r->end && !r->stopped);
}

/* Is the rest of the loop worth waking another worker? */
static void call_for_help(const struct runner *r)
{
    const struct loop *l = r->loop;
    size_t next = atomic_load_explicit(&l->next, memory_order_relaxed);

    if (l->width == 1 || next >= l->end || r->took_for == 0 || !knit__idle_can_wake() ||
        knit__ring_len(&knit__worker_self()->ring) == 0)
        return;
    if ((l->end - next) / r->took_for > ticks_of(WAKE_WORTH_US) / (r->took + 1))
        knit__idle_notify();
}

/* Let others run, if there are any, after a while. */
static void give_way(struct runner *r)
{
    struct knit__worker *w = knit__worker_self();
    uint64_t now = r->began; /* about */

    if (now - r->gave_way < ticks_of(GIVE_WAY_US))
        return;
    r->gave_way = now;
    if (knit__ring_len(&w->ring) + knit__ready_count(w) > 0)
        knit__yield_now(w);
}

/* A runner; its end. */
static int run_loop(void *loop)
{
    struct loop *l = loop;
    struct runner r = {.loop = l, .block = 1, .gave_way = knit__ticks()};
    bool more;

    if (l->chunk != 0 && l->call == call_range)
        r.block = l->chunk;
    more = take(&r);
    if (more && any_left(l))
        (void)start_runner(l); /* a failure is the group's */
    while (more) {
        work_off(&r);
        if (r.stopped)
            break;
        call_for_help(&r);
        give_way(&r);
        more = take(&r);
    }
    keep_codes(l, r.counted, r.end, -ECANCELED);
    atomic_fetch_add_explicit(&l->done, r.done, memory_order_relaxed);
    atomic_fetch_sub_explicit(&l->running, 1, memory_order_relaxed);
    return r.stopped ? knit__group_ended(group_of(l)) : 0;
}

/* ---- the callers' side ---- */

/* No runner is left: what the call returns; r: what the group says. */
static int settle(struct loop *l, const knit_for_each_options *o, int r)
{
    size_t done = atomic_load_explicit(&l->done, memory_order_relaxed);
    size_t next = atomic_load_explicit(&l->next, memory_order_relaxed);
    knit_errgroup_counts counts = {0};

    if (r == -ECANCELED && done == l->end - l->begin)
        r = 0; /* a runner did not begin, and was not needed */
    keep_codes(l, next, l->end, -ECANCELED);
    if (has_spare(l))
        keep_codes(l, l->spare.begin, l->spare.end, -ECANCELED);
    if (o->report) {
        if (r != 0)
            (void)knit_errgroup_stats(&l->group, &counts);
        *o->report = (knit_for_each_report){done, counts.failed, l->failed_at};
    }
    return r;
}

/* Width and group. */
static int prepare(struct loop *l, const knit_for_each_options *o)
{
    knit_errgroup_options group = {
        .name = o->name, .flags = o->flags, .ctx = o->ctx, .timeout = o->timeout};
    int r = knit_errgroup_init(&l->group, &group), width = o->limit;

    if (r == 0 && width == 0)
        width = r = knit_workers();
    if (r < 0)
        return r;
    if (width < 0 || l->end - l->begin < (size_t)width)
        width = l->end - l->begin < INT_MAX ? (int)(l->end - l->begin) : INT_MAX;
    l->width = (uint32_t)width;
    return l->begin == l->end ? 0 : start_runner(l);
}

static int run(struct loop *l, const knit_for_each_options *options)
{
    static const knit_for_each_options defaults;
    const knit_for_each_options *o = options ? options : &defaults;
    int r, waited;

    if (!l->index_fn || l->end < l->begin) /* of the union: any of them */
        return -EINVAL;
    l->chunk = o->chunk;
    l->block_max = l->call == call_range ? SIZE_MAX / BLOCKS : CALLS_MAX;
    l->codes = o->codes;
    l->failed_at = KNIT_NO_INDEX;
    atomic_store_explicit(&l->next, l->begin, memory_order_relaxed);
    r = prepare(l, o);
    if (r == -EINVAL)
        return r;
    waited = knit_errgroup_wait(&l->group);
    return settle(l, o, waited != 0 ? waited : r);
}

int knit_for_each_at(size_t begin, size_t end, knit_index_fn *fn, void *arg,
                     const knit_for_each_options *options, const knit_site *site)
{
    struct loop l = {
        .call = call_index, .index_fn = fn, .arg = arg, .begin = begin, .end = end, .site = site};

    return run(&l, options);
}

int knit_for_ranges_at(size_t begin, size_t end, knit_range_fn *fn, void *arg,
                       const knit_for_each_options *options, const knit_site *site)
{
    struct loop l = {
        .call = call_range, .range_fn = fn, .arg = arg, .begin = begin, .end = end, .site = site};

    return run(&l, options);
}

int knit_for_each_element_at(void *array, size_t n, size_t size, knit_element_fn *fn, void *arg,
                             const knit_for_each_options *options, const knit_site *site)
{
    struct loop l = {.call = call_element,
                     .element_fn = fn,
                     .arg = arg,
                     .array = array,
                     .size = size,
                     .end = n,
                     .site = site};

    if (!array && n > 0)
        return -EINVAL;
    return run(&l, options);
}

int knit_map_at(const void *array, size_t n, size_t size, knit_map_fn *fn, void *arg,
                void *ret_slots, size_t slot_size, const knit_for_each_options *options,
                const knit_site *site)
{
    struct loop l = {.call = call_map,
                     .map_fn = fn,
                     .arg = arg,
                     .array = (char *)(uintptr_t)array,
                     .slots = ret_slots,
                     .size = size,
                     .slot_size = slot_size,
                     .end = n,
                     .site = site};

    if ((!array || !ret_slots) && n > 0)
        return -EINVAL;
    return run(&l, options);
}
