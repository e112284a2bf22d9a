/* Stealing: half of another worker's queue, when it is worth the barrier.
 *
 * The heavy barrier costs the thief up to 10 us and the victim half of that. So a queue is robbed
 * only if its estimated work (length x the victim's average run) is a multiple of it, or if the
 * victim has not begun anything new for a while: then its average says nothing about what it runs
 * now. The searcher looks again and again, which is how it notices. */
#include "../base/assert.h"
#include "../plat/relax.h"
#include "guest.h"
#include "handoff.h"
#include "pace.h"
#include "ready.h"

enum {
    WORTH_US = 20,  /* estimated work that pays for a theft */
    STUCK_US = 5,   /* a victim that began nothing for so long is in a long run */
    READY_MAX = 64, /* ready tasks taken at once */
};

/* Records to the own ring, so that the oldest is popped first. */
static void adopt(struct knit__worker *w, const struct knit__rec *recs, uint32_t n)
{
    while (n > 0) {
        struct knit__rec *slot = knit__ring_slot(&w->ring);

        knit__assert(slot != NULL); /* a worker that searches has an empty ring */
        *slot = recs[--n];
        knit__ring_push(&w->ring);
    }
}

static bool steal_records(struct knit__worker *w, struct knit__worker *victim)
{
    struct knit__rec recs[KNIT__RING_BATCH];
    uint32_t n = knit__ring_steal(&victim->ring, recs, KNIT__RING_BATCH);

    adopt(w, recs, n);
    return n > 0;
}

/* The front half of the victim's ready queue. */
static bool steal_ready(struct knit__worker *w, struct knit__worker *victim)
{
    struct knit__ready *q = &victim->ready;
    struct knit__batch loot = {0};
    uint32_t n;

    if (!knit__bias_take(&q->bias))
        return false;
    n = (knit__ready_count(victim) + 1) / 2;
    if (n > READY_MAX)
        n = READY_MAX;
    while (loot.count < n && q->first) {
        struct knit__task *t = q->first;

        q->first = t->next;
        knit__batch_add(&loot, t);
    }
    atomic_store_explicit(&q->count, knit__ready_count(victim) - loot.count, memory_order_relaxed);
    knit__bias_give_back(&q->bias);
    if (loot.count == 0)
        return false;
    knit__ready_push_batch(w, &loot);
    return true;
}

/* The victim this searcher watches is still in the same run, with something queued behind it. */
static bool watch_holds(const struct knit__worker *w)
{
    const struct knit__worker *v = w->watched;

    return v && w->watched_tick == atomic_load_explicit(&v->tick_seen, memory_order_relaxed) &&
           knit__ring_len(&v->ring) + knit__ready_count(v) > 0;
}

/* Its queues are not run by itself: nothing to wait for (handoff.h). */
static bool is_stranded(const struct knit__worker *v)
{
    return knit__away(v) != KNIT__AWAY_NO ||
           !atomic_load_explicit(&v->thread_ready, memory_order_relaxed);
}

static bool take(struct knit__worker *w, struct knit__worker *victim, uint32_t records,
                 uint32_t ready)
{
    if ((records == 0 || !steal_records(w, victim)) && (ready == 0 || !steal_ready(w, victim)))
        return false;
    atomic_store_explicit(&w->steals, atomic_load_explicit(&w->steals, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return true;
}

static bool steal_from(struct knit__worker *w, struct knit__worker *victim)
{
    uint64_t us = knit__sched.ticks_per_us, now, work;
    uint32_t tick = atomic_load_explicit(&victim->tick_seen, memory_order_relaxed);
    uint32_t records = knit__ring_len(&victim->ring);
    bool away = is_stranded(victim), tasks = away || !knit__sched.migrate;
    uint32_t ready = tasks ? knit__ready_count(victim) : 0;

    if (tasks && knit__inbox_take(w, victim))
        return true; /* others put it there, so it is not hot */
    if (records + ready == 0)
        return false;
    if (away)
        return take(w, victim, records, ready);
    now = knit__ticks();
    work = knit__pace_work(victim, records, ready);
    if (work < WORTH_US * us) {
        if (w->watched != victim && watch_holds(w))
            return false; /* one at a time, or none is ever old enough */
        if (w->watched != victim || w->watched_tick != tick) {
            w->watched = victim;
            w->watched_tick = tick;
            w->watched_since = now;
            return false;
        }
        if (now - w->watched_since < STUCK_US * us)
            return false;
    }
    return take(w, victim, records, ready);
}

bool knit__steal(struct knit__worker *w)
{
    uint32_t n = knit__workers_live(), first;

    w->random = w->random * 1664525u + 1013904223u;
    first = w->random >> 16;
    for (uint32_t i = 0; i < n; i++) {
        struct knit__worker *victim = knit__sched.workers[(first + i) % n];

        if (victim != w && steal_from(w, victim))
            return true;
    }
    return false;
}

bool knit__steal_stranded(struct knit__worker *w)
{
    uint32_t n = knit__workers_live();

    if (knit__ring_room(&w->ring) < KNIT__RING_BATCH)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        struct knit__worker *victim = knit__sched.workers[i];

        if (victim != w && is_stranded(victim) && steal_from(w, victim))
            return true;
    }
    return false;
}
