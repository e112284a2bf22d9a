/* Sampling run times, and what follows from them. The idea is in pace.h. */
#include "pace.h"

#include "handoff.h"
#include "ready.h"

enum {
    WAKE_WORTH_US = 100, /* about five times what waking a thread costs both sides */
    BACKLOG_EVERY = 256,
    BACKLOG_PAUSE_US = 500,
    LONG_US = 2,    /* if runs take longer, all are timed */
    TELLING_US = 5, /* one that long says something by itself */
    LONGEST_S = 1,  /* what is longer counts as that */
};

static void set_average(struct knit__pace *p, uint64_t average)
{
    uint64_t worth = WAKE_WORTH_US * knit__sched.ticks_per_us * 16 / (average + 1) + 1;

    atomic_store_explicit(&p->average, average, memory_order_relaxed);
    p->usual = worth < KNIT__THROTTLE_AT ? (uint32_t)worth : KNIT__THROTTLE_AT;
    if (p->wake_at != 0)
        p->wake_at = p->usual;
}

void knit__pace_enter_call(struct knit__worker *w)
{
    w->runs.wake_at = w->slices.wake_at = 0;
}

void knit__pace_leave_call(struct knit__worker *w)
{
    w->runs.wake_at = w->runs.usual;
    w->slices.wake_at = w->slices.usual;
}

void knit__pace_start(struct knit__worker *w)
{
    w->sample_in = w->inline_in = 1;
    w->check_in = BACKLOG_EVERY;
    set_average(&w->runs, 16 * knit__sched.ticks_per_us);
    set_average(&w->slices, 16 * knit__sched.ticks_per_us);
    knit__pace_leave_call(w);
}

/* In how many runs to time the next one, after one that took so long on average. */
static uint32_t next_in(uint64_t ticks)
{
    return ticks > LONG_US * knit__sched.ticks_per_us ? 1 : KNIT__SAMPLE_EVERY;
}

static void learn(struct knit__pace *p, uint64_t took)
{
    uint64_t longest = (uint64_t)LONGEST_S * 1000000 * knit__sched.ticks_per_us;
    uint64_t average = atomic_load_explicit(&p->average, memory_order_relaxed);

    set_average(p, average + (took < longest ? took : longest) - average / 16);
}

void knit__pace_end(struct knit__worker *w)
{
    uint64_t took = knit__ticks() - w->sample_began;

    w->sample_began = 0;
    learn(w->sampled, took);
    w->sample_in = next_in(atomic_load_explicit(&w->sampled->average, memory_order_relaxed) / 16);
}

/* Wake somebody. The time that takes is not the length of what runs. */
static void notify(struct knit__worker *w, uint64_t now)
{
    if (knit__idle_notify() && w->sample_began != 0)
        w->sample_began += knit__ticks() - now;
}

/* What waits behind it is likely of its kind, whatever ran before: the average alone would take some
 * dozen of them to notice. Short ones do not count: the first after a sleep runs from cold caches. */
void knit__pace_inline(struct knit__worker *w, uint64_t took)
{
    uint64_t us = knit__sched.ticks_per_us;

    learn(&w->runs, took);
    w->inline_in = next_in(took);
    if (took >= TELLING_US * us && took * knit__ring_len(&w->ring) >= WAKE_WORTH_US * us &&
        knit__idle_can_wake())
        notify(w, knit__ticks());
}

void knit__notify_backlog(struct knit__worker *w)
{
    uint64_t us = knit__sched.ticks_per_us, now;

    w->check_in = BACKLOG_EVERY;
    if (KNIT__UNLIKELY(knit__away(w) == KNIT__AWAY_MARKED)) {
        knit__away_queued();
        return;
    }
    if (!knit__idle_can_wake())
        return;
    now = knit__ticks();
    /* by estimated work: at once; by number of spawns: rarely, it may be in vain */
    if (knit__pace_work(w, knit__ring_len(&w->ring), knit__ready_count(w)) < WAKE_WORTH_US * us &&
        now - w->last_backlog < BACKLOG_PAUSE_US * us)
        return;
    w->last_backlog = now;
    notify(w, now);
}
