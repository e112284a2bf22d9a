/* The worker's loop: find something to run, run it, and nothing else.
 *
 * The loop runs on stacks from the cache; the thread's own stack is only used to start and to end.
 * Invariant: while anything runs on a worker, its cache holds at least one stack, so that parking
 * never needs memory. It is established before a record is run (a loop that cannot get a spare
 * stack fails the record instead), kept by resuming (the loop's own stack goes to the cache) and by
 * switching from task to task. */
#include "../base/assert.h"
#include "../plat/relax.h"
#include "census.h"
#include "guest.h"
#include "handoff.h"
#include "overflow.h"
#include "pace.h"
#include "poller.h"
#include "ready.h"
#include "timer.h"

#include <errno.h>
#include <stdlib.h>

enum {
    READY_EVERY = 16,  /* records run before a ready task has its turn */
    DRAIN = 128,       /* the same, after a task that starts many short ones was made to yield */
    LOOK_EVERY = 8,    /* turns between looks at inject, inbox and timers */
    OLDEST_EVERY = 64, /* turns until the oldest record is preferred to the newest */
    SEARCH_US = 50,
    POLL_SEARCHING_US = 10, /* between looks at the descriptors: of a searcher, */
    POLL_BUSY_US = 100,     /* of one who runs tasks */
};

/* In place of an error that lets a run fail: measure its stack. */
enum { MEASURED = 1 };

static inline void bump(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- running ---- */

void knit__leave_blocking(struct knit__task *t, const struct knit__run *run)
{
    if (KNIT__LIKELY(t->blocking != run))
        return;
    t->blocking = NULL;
    t->blocking_depth = 0;
    knit__away_leave(knit__worker_self());
}

/* What a run that has returned r has left to be done: returns its result. */
static int wind_up(struct knit__task *t, struct knit__run *run, int r)
{
    knit__leave_blocking(t, run); /* it forgot to */
    if (knit__run_touched(run) && run->life)
        r = knit__upcalls.finish(run, r);
    if (t->watcher)
        knit__upcalls.unwatch(t);
    return r;
}

/* The rare rest of an end: an error, something to release, a limit. */
static KNIT__NOINLINE void end_slow(struct knit__task *t, struct knit__run *run, int r,
                                    bool skipped)
{
    if (skipped && r == 0 && (run->rec.flags & KNIT__RUN_ANYWAY)) {
        skipped = false; /* here, so that it costs the others nothing */
        r = run->up ? knit__call_caught(&run->caught, run->rec.fn, run->rec.arg)
                    : run->rec.fn(run->rec.arg);
    }
    r = wind_up(t, run, r);
    knit__upcalls.ended(run, r, skipped);
}

static bool is_skipped(const struct knit__run *run)
{
    const struct knit__scope *s = run->rec.group;

    return (atomic_load_explicit(&s->flags, memory_order_acquire) & KNIT__SCOPE_SKIP) != 0 ||
           (run->ctx && atomic_load_explicit(&run->ctx->err, memory_order_relaxed) != 0);
}

static KNIT__NOINLINE void resume(struct knit__worker *w, struct knit__task *self,
                                  struct knit__task *next);

/* A run of the loop on t that is about to begin, on a stack of the class it wants: 0, it has it.
 * -ENOMEM. Else this does not return: the run begins there, and the loop ends here. */
static int move_to_larger(struct knit__task *t, const struct knit__run *run)
{
    const struct knit__scope *s = run->rec.group;
    uint32_t cls = knit__scope_stack(atomic_load_explicit(&s->flags, memory_order_relaxed));
    struct knit__worker *w = knit__worker_self();
    struct knit__task *large;

    if (cls <= knit__stack_class_of(&t->stack))
        return 0;
    large = (struct knit__task *)knit__stack_get(cls);
    if (!large)
        return -ENOMEM;
    bump(&w->tasks_run, t->ran);
    t->ran = 0;
    t->run = NULL;
    w->handed = run->rec;
    w->start = KNIT__START_HANDED;
    large->run = NULL;
    knit__fiber_prepare(&large->fiber);
    resume(w, t, large);
    __builtin_unreachable();
}

static int call(struct knit__run *run, bool up)
{
    return up ? knit__call_caught(&run->caught, run->rec.fn, run->rec.arg)
              : run->rec.fn(run->rec.arg);
}

static int call_measured(struct knit__task *t, struct knit__run *run, bool up)
{
    struct knit__mark mark;
    int r;

    knit__census_begin(t, &mark);
    r = call(run, up);
    knit__census_end(t, run->rec.site);
    return r;
}

/* A run that is perhaps not to be run, or not here, or to be measured. */
static KNIT__NOINLINE bool run_closely(struct knit__task *t, struct knit__run *run, int fail,
                                       bool up)
{
    bool skipped = is_skipped(run);
    int r = fail < 0 ? fail : 0;

    if (!skipped && r == 0 && !up)
        r = move_to_larger(t, run);
    if (!skipped && r == 0)
        r = fail == MEASURED ? call_measured(t, run, up) : call(run, up);
    if (skipped || ((uint32_t)r | (run->rec.flags & ~KNIT__RUN_PROMPT)) != 0)
        end_slow(t, run, r, skipped);
    return (run->rec.flags & KNIT__RUN_PROMPT) != 0;
}

/* Run one function on top of t's stack. fail: do not, settle it with this error; or MEASURED. up:
 * there is a run below, so that the stack must be unwound if this one exits. True: its end is to be
 * counted at once. */
static inline __attribute__((always_inline)) bool run_rec(struct knit__task *t,
                                                          const struct knit__rec *rec, int fail,
                                                          bool up)
{
    struct knit__run run;
    struct knit__scope *s = KNIT__LOAD(rec->group);
    bool prompt = false;
    int r;

    run.rec.fn = KNIT__LOAD(rec->fn);
    run.rec.arg = KNIT__LOAD(rec->arg);
    run.rec.group = s;
    run.rec.site = KNIT__LOAD(rec->site);
    run.rec.index = KNIT__LOAD(rec->index);
    run.rec.flags = KNIT__LOAD(rec->flags);
    run.up = t->run;
    run.ctx = s->cancel;
    t->run = &run;
    if (KNIT__UNLIKELY(
            fail != 0 ||
            (atomic_load_explicit(&s->flags, memory_order_acquire) &
             (KNIT__SCOPE_SKIP | KNIT__SCOPE_STACK)) != 0 ||
            (run.ctx && atomic_load_explicit(&run.ctx->err, memory_order_relaxed) != 0))) {
        prompt = run_closely(t, &run, fail, up);
        goto ended;
    }
    r = up ? knit__call_caught(&run.caught, run.rec.fn, run.rec.arg) : run.rec.fn(run.rec.arg);
    if (KNIT__UNLIKELY(((uint32_t)r | run.rec.flags) != 0)) {
        if (((uint32_t)r | (run.rec.flags & ~KNIT__RUN_PROMPT)) != 0)
            end_slow(t, &run, r, false);
        prompt = (run.rec.flags & KNIT__RUN_PROMPT) != 0;
    }
ended:
    t->run = run.up;
    return prompt;
}

static inline __attribute__((always_inline)) void run_on_top(struct knit__worker *w,
                                                             struct knit__task *t,
                                                             const struct knit__rec *rec, int fail)
{
    int saved = *w->errno_at;

    *w->errno_at = 0;
    (void)run_rec(t, rec, fail, true); /* the caller counts it at once */
    w = knit__worker_self();
    *w->errno_at = saved;
    bump(&w->tasks_run, 1);
}

static KNIT__COLD void run_on_top_timed(struct knit__worker *w, struct knit__task *t,
                                        const struct knit__rec *rec)
{
    uint64_t began = knit__ticks();
    uint32_t tick = w->tick;
    bool census = knit__census();

    w->inline_in = census ? 1 : KNIT__SAMPLE_EVERY;
    run_on_top(w, t, rec, census ? MEASURED : 0);
    if (!census && knit__worker_self() == w && w->tick == tick) /* it did not park */
        knit__pace_inline(w, knit__ticks() - began);
}

void knit__run_inline(struct knit__task *t, const struct knit__rec *rec)
{
    struct knit__worker *w = knit__worker_self();

    if (KNIT__UNLIKELY(--w->inline_in == 0))
        run_on_top_timed(w, t, rec);
    else
        run_on_top(w, t, rec, 0);
}

int knit__run_nested(struct knit__task *t, struct knit__run *run)
{
    const struct knit__scope *s = run->rec.group;
    int r;

    run->up = t->run;
    run->ctx = s->cancel;
    t->run = run;
    r = knit__call_caught(&run->caught, run->rec.fn, run->rec.arg);
    r = wind_up(t, run, r);
    t->run = run->up;
    return r;
}

/* A run from the loop has ended: count it. prompt: at once. */
static inline __attribute__((always_inline)) void count_end(struct knit__scope *s, bool prompt)
{
    struct knit__worker *w = knit__worker_self();

    if (KNIT__UNLIKELY(w->sample_began != 0))
        knit__pace_end(w);
    if (KNIT__UNLIKELY(w->ended_scope != s)) {
        knit__flush_ended(w);
        w->ended_scope = s;
    }
    w->ended_count++;
    if (KNIT__UNLIKELY(prompt))
        knit__flush_ended(w);
}

static inline __attribute__((always_inline)) void run_from_loop(struct knit__worker *w,
                                                                struct knit__task *t,
                                                                const struct knit__rec *rec,
                                                                int fail)
{
    struct knit__scope *s = rec->group;
    struct knit__rec copy;
    bool prompt;

    if (KNIT__UNLIKELY(w->ended_scope != s)) {
        copy = *rec; /* the flush may start a task, in the slot of this one */
        rec = &copy;
        knit__flush_ended(w);
    }
    knit__pace_begin(w, &w->runs);
    *w->errno_at = 0; /* a task begins with its own */
    prompt = run_rec(t, rec, fail, false);
    count_end(s, prompt);
}

/* See to the invariant that the cache holds a stack while anything runs: 0, MEASURED, or -ENOMEM.
 * What runs keeps it, so that one look before a few records is enough. */
static inline int ensure_spare_stack(struct knit__worker *w)
{
    int r = KNIT__LIKELY(knit__stack_count(&w->stacks) != 0) ? 0 : knit__stack_refill(&w->stacks);

    return knit__census() && r == 0 ? MEASURED : r;
}

/* Leave the loop on this stack for good: the stack goes to the cache, next goes on. */
static KNIT__NOINLINE void resume(struct knit__worker *w, struct knit__task *self,
                                  struct knit__task *next)
{
    knit__flush_ended(w);
    knit__overflow_check(self);
    knit__stack_put(&w->stacks, &self->stack);
    if (KNIT__UNLIKELY(knit__stack_count(&w->stacks) > KNIT__STACK_CACHE_MAX))
        knit__stack_spill(&w->stacks, false);
    w->task = next;
    knit__pace_begin(w, &w->slices);
    knit__fiber_switch(&self->fiber, &next->fiber, true);
    __builtin_unreachable();
}

/* Leave this stack for good, with whatever is on it, for a fresh loop on another one. */
static KNIT__NORETURN void leave_for_loop(struct knit__worker *w, struct knit__task *self)
{
    struct knit__task *fresh = (struct knit__task *)knit__stack_take(&w->stacks);

    fresh->run = NULL;
    knit__fiber_prepare(&fresh->fiber);
    if (knit__stack_class_of(&self->stack) == knit__stack_usual())
        resume(w, self, fresh);
    knit__flush_ended(w);
    knit__overflow_check(self);
    w->after = KNIT__AFTER_GIVE;
    w->after_task = self;
    w->task = fresh;
    knit__fiber_switch(&self->fiber, &fresh->fiber, true);
    __builtin_unreachable();
}

void knit__run_exit(struct knit__task *t, int r)
{
    struct knit__run *run = t->run;
    struct knit__scope *s = run->rec.group;
    struct knit__worker *w;

    if (run->up)
        knit__throw(&run->caught, r);
    /* Nothing below on this stack is needed: the loop has a fresh start elsewhere. */
    end_slow(t, run, r, false);
    if (KNIT__UNLIKELY(t->mark != NULL))
        knit__census_end(t, run->rec.site);
    t->run = NULL;
    count_end(s, (run->rec.flags & KNIT__RUN_PROMPT) != 0);
    w = knit__worker_self();
    bump(&w->tasks_run, t->ran + 1);
    t->ran = 0;
    leave_for_loop(w, t);
}

/* ---- finding ---- */

/* A whole chunk into the ring, so that others can steal of it; the oldest is popped first. */
static bool take_chunk(struct knit__worker *w)
{
    struct knit__chunk *c;
    uint32_t n;

    if (knit__ring_room(&w->ring) < KNIT__CHUNK_CAPACITY)
        return false;
    if (knit__guests_pending())
        knit__guests_collect();
    c = knit__inject_take();
    if (!c)
        return false;
    for (n = c->end; n > c->begin; n--) {
        struct knit__rec *slot = knit__ring_slot(&w->ring);

        knit__assert(slot != NULL); /* that much was free */
        *slot = c->recs[n - 1];
        knit__ring_push(&w->ring);
    }
    knit__chunk_put(c);
    return true;
}

static bool run_timers(struct knit__worker *w)
{
    return knit__timer_next(w) != KNIT__NEVER && knit__timers_run(w, knit__clock_now()) > 0;
}

/* Timers of the others: a worker that is stuck in a long run cannot fire its own. away: only of those
 * that are known not to get to them. */
static bool run_late_timers(struct knit__worker *w, bool away)
{
    int64_t now = 0;
    bool fired = false;

    for (uint32_t i = 0; i < knit__workers_live(); i++) {
        struct knit__worker *v = knit__sched.workers[i];

        if (v == w || knit__timer_next(v) == KNIT__NEVER ||
            (away && knit__away(v) == KNIT__AWAY_NO))
            continue;
        if (now == 0)
            now = knit__clock_now();
        fired |= knit__timers_run(v, now) > 0;
    }
    return fired;
}

/* What others left for us. */
static bool look_outside(struct knit__worker *w)
{
    bool found = knit__inbox_take(w, w);

    found |= take_chunk(w);
    if (found)
        w->dry_since = 0;
    return found;
}

/* Everything but the own ring and ready queue. True: look there again. */
static bool look_around(struct knit__worker *w)
{
    bool found = run_timers(w);

    return look_outside(w) || found;
}

/* As the searcher: try to steal until it succeeds or enough time has passed. That is counted from
 * when it ran dry of all but timers: who wakes for some every now and then has one look. */
static bool search(struct knit__worker *w)
{
    uint64_t us = knit__sched.ticks_per_us, until;

    if (w->dry_since == 0)
        w->dry_since = knit__ticks();
    until = w->dry_since + SEARCH_US * us;
    do {
        if (knit__steal(w)) {
            w->dry_since = 0;
            return true;
        }
        if (look_around(w) || run_late_timers(w, false) || knit__poll(POLL_SEARCHING_US * us))
            return true;
        if (atomic_load_explicit(&knit__sched.stop, memory_order_acquire))
            return false;
        for (uint64_t pause = knit__ticks() + us; knit__ticks() < pause;)
            knit__cpu_relax();
    } while (knit__ticks() < until);
    return false;
}

/* There is enough for one more. Stranded work above all: who went away while we searched has woken
 * nobody, and what we found is something else. */
static bool more_than_enough(struct knit__worker *w)
{
    return knit__ring_len(&w->ring) >= w->runs.wake_at ||
           knit__ready_count(w) >= w->slices.wake_at || knit__work_for_anybody();
}

/* Search while this worker is counted as a searcher; true: found something. */
static bool search_and_report(struct knit__worker *w)
{
    bool found = search(w);

    knit__idle_end_search(); /* seq_cst: before the look at what others did not wake anybody for */
    if (found && knit__idle_can_wake() && more_than_enough(w))
        knit__idle_notify();
    return found;
}

/* Leave the loop: the worker's thread ends on its own stack. */
static void end_worker(struct knit__worker *w, struct knit__task *self)
{
    knit__stack_put(&w->stacks, &self->stack);
    w->task = NULL;
    knit__fiber_switch(&self->fiber, &w->native, true);
    __builtin_unreachable();
}

/* Nothing to do: search, then sleep. Returns when there may be something; searching: the worker is
 * counted as a searcher already. */
static void idle(struct knit__worker *w, bool searching)
{
    knit__away_leave(w);
    searching = searching || (!knit__handoff_surplus(w) && knit__idle_begin_search());
    do {
        if (searching && search_and_report(w))
            return;
        searching = knit__idle_sleep(w);
        knit__pace_renew(w);
        if (searching)
            w->dry_since = 0; /* woken for something */
    } while (searching);
    if (w->retiring)
        end_worker(w, w->task);
}

/* Others may have run our tasks meanwhile; if there are too many of us, this one sleeps. */
static KNIT__COLD void step_aside(struct knit__worker *w)
{
    knit__away_leave(w);
    if (knit__handoff_surplus(w) && knit__give_all_away(w))
        idle(w, false);
}

/* Run records of the own ring, the newest first, a few at a time. Returns how many. */
static KNIT__NOINLINE uint32_t run_own(struct knit__worker *w, struct knit__task *self)
{
    int fail = ensure_spare_stack(w);
    uint32_t n, burst = w->burst != 0 ? w->burst : READY_EVERY;
    const struct knit__rec *rec;

    w->burst = 0;
    if (knit__ring_len(&w->ring) > 0)
        w->dry_since = 0;

    for (; burst > 0 && (rec = knit__ring_pop(&w->ring)) != NULL; burst--) {
        run_from_loop(w, self, rec, fail);
        self->ran++; /* not in this frame: a run may leave the stack for good */
        w = knit__worker_self();
        if (KNIT__UNLIKELY(fail < 0))
            break; /* the next one gets another try */
    }
    n = self->ran;
    self->ran = 0;
    bump(&w->tasks_run, n);
    if (KNIT__UNLIKELY(knit__simulated) && n > 0)
        knit__sim_progress();
    return n;
}

/* The rare part of a turn: look everywhere, prefer what would starve. */
static KNIT__NOINLINE void look_everywhere(struct knit__worker *w, struct knit__task *self)
{
    struct knit__rec oldest;

    KNIT__POINT_ALWAYS();
    if (KNIT__UNLIKELY(knit__handoff_due(w)))
        step_aside(w);
    look_around(w);
    (void)knit__poll(POLL_BUSY_US * knit__sched.ticks_per_us);
    if (KNIT__UNLIKELY(atomic_load_explicit(&knit__sched.stop, memory_order_acquire)))
        end_worker(w, self);
    if (w->turn % OLDEST_EVERY != 0)
        return;
    run_late_timers(w, true); /* who never runs dry does not search */
    if (KNIT__UNLIKELY(knit__stranded()))
        knit__steal_stranded(w);
    /* so that none waits for ever below newer ones */
    if (knit__ring_pop_oldest(&w->ring, &oldest)) {
        run_from_loop(w, self, &oldest, ensure_spare_stack(w));
        bump(&knit__worker_self()->tasks_run, 1);
    }
}

/* Pinned tasks and others in turn. */
static inline struct knit__task *next_ready(struct knit__worker *w)
{
    bool pinned = KNIT__UNLIKELY(knit__pinned_any(w, memory_order_relaxed));
    struct knit__task *t = pinned && w->turn % 2 != 0 ? knit__pinned_pop(w) : NULL;

    if (!t)
        t = knit__ready_pop(w);
    if (pinned && !t)
        t = knit__pinned_pop(w);
    return t;
}

/* One turn of the loop: some records, then one ready task. */
static void turn(struct knit__worker *w, struct knit__task *self)
{
    struct knit__task *t;
    uint32_t ran;

    if (KNIT__UNLIKELY(++w->turn % LOOK_EVERY == 0)) {
        look_everywhere(w, self);
        w = knit__worker_self();
    }
    ran = run_own(w, self);
    w = knit__worker_self();
    t = next_ready(w);
    if (t)
        resume(w, self, t);
    if (ran > 0)
        return;
    if (w->ended_count != 0) {
        knit__flush_ended(w); /* may make a waiter ready */
        return;
    }
    if (look_around(w) || knit__poll(0))
        return;
    if (atomic_load_explicit(&knit__sched.stop, memory_order_acquire))
        end_worker(w, self);
    idle(w, false);
}

/* This stack is for one run. */
static KNIT__NORETURN void run_handed(struct knit__worker *w, struct knit__task *self)
{
    struct knit__rec rec = w->handed;

    run_from_loop(w, self, &rec, knit__census() ? MEASURED : 0);
    w = knit__worker_self();
    bump(&w->tasks_run, 1);
    leave_for_loop(w, self);
}

void knit__stack_main(void)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__task *self = w->task;

    knit__fiber_entered(&self->fiber, w->native_entered ? NULL : &w->native);
    w->native_entered = true;
    knit__after_switch(w);
    if (KNIT__UNLIKELY(w->start != KNIT__START_LOOP)) {
        bool handed = w->start == KNIT__START_HANDED;

        w->start = KNIT__START_LOOP;
        if (handed)
            run_handed(w, self);
        idle(w, true);
    }
    for (;;)
        turn(knit__worker_self(), self); /* the thread may change in every turn */
}

void knit__throttle(struct knit__worker *w)
{
    if (!w->task->run->rec.group) /* a timer's callback in the loop */
        return;
    if (w->runs.wake_at == KNIT__THROTTLE_AT)
        w->burst = DRAIN; /* runs are short: take some off in one go */
    knit__yield_now(w);
}

int knit__submit(const struct knit__rec *rec)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__rec *slot;
    int r;

    if (!w)
        return knit__guest_submit(rec);
    slot = knit__ring_slot(&w->ring);
    if (KNIT__LIKELY(slot != NULL)) {
        *slot = *rec;
        knit__ring_push(&w->ring);
        if (KNIT__UNLIKELY(w->runs.wake_at == 0))
            knit__away_queued();
        return 0;
    }
    r = knit__inject_rec(rec);
    if (r == 0)
        knit__idle_notify();
    return r;
}

void *knit__worker_thread(void *worker)
{
    struct knit__worker *w = worker;
    struct knit__task *first;
    char fault_stack[KNIT__FAULT_STACK];

    knit__fault_stack(fault_stack, sizeof fault_stack);
    knit__os_thread_name("knit-worker");
    w->errno_at = &errno;
    knit__os_meter_begin(&w->meter);
    knit__tls_set_worker(w);
    knit__fiber_adopt(&w->native);
    w->native_entered = false;
    w->start = KNIT__START_NEWBORN;

    first = (struct knit__task *)knit__stack_take(&w->stacks);
    first->run = NULL;
    knit__fiber_prepare(&first->fiber);
    w->task = first;
    knit__fiber_switch(&w->native, &first->fiber, false);
    knit__fiber_after(&w->native);

    if (w->retiring)
        knit__stack_spill(&w->stacks, true);
    knit__fault_stack(NULL, 0); /* it lies in this frame */
    knit__tls_set_worker(NULL);
    atomic_store_explicit(&w->exited, 1, memory_order_release);
    knit__futex_wake(&w->exited, 1);
    return NULL;
}
