/* Going away and coming back. The essay is in handoff.h. */
#include "handoff.h"

#include "guest.h"
#include "pace.h"
#include "poller.h"
#include "ready.h"
#include "timer.h"

bool knit__has_queued(struct knit__worker *w)
{
    return knit__ring_len(&w->ring) + knit__ready_count(w) +
               atomic_load_explicit(&w->inbox_count, memory_order_seq_cst) !=
           0;
}

bool knit__stranded(void)
{
    uint32_t n = knit__workers_live();

    for (uint32_t i = 0; i < n; i++) {
        struct knit__worker *v = knit__sched.workers[i];

        if ((knit__away(v) != KNIT__AWAY_NO ||
             !atomic_load_explicit(&v->thread_ready, memory_order_seq_cst)) &&
            knit__has_queued(v))
            return true;
    }
    return false;
}

bool knit__work_for_anybody(void)
{
    return knit__inject_pending() || knit__guests_pending() || knit__stranded();
}

/* One who ran is away, and counted: somebody else may run, if there is anything to do. True: somebody
 * was woken. */
static bool give_way(struct knit__worker *w)
{
    return (knit__has_queued(w) || knit__inject_pending() || knit__guests_pending() ||
            knit__poller_unattended()) &&
           knit__idle_notify();
}

void knit__away_enter(struct knit__worker *w, const knit_site *site)
{
    knit__flush_ended(w);
    w->sample_began = 0; /* not the length of a run */
    knit__pace_enter_call(w);
    knit__site_count(site, KNIT__SITE_CALL);
    /* seq_cst: away is set before; see "nothing is forgotten". It does not sleep, so no lock. Who was
     * noticed before is counted, but may have queued something since. */
    if (atomic_exchange_explicit(&w->away, KNIT__AWAY_MARKED, memory_order_seq_cst) ==
        KNIT__AWAY_NO)
        atomic_fetch_add_explicit(&knit__vacant, 1, memory_order_seq_cst);
    if (give_way(w))
        knit__site_count(site, KNIT__SITE_HANDOFF);
    if (knit__timer_next(w) != KNIT__NEVER)
        knit__sysmon_cover();
}

void knit__away_leave(struct knit__worker *w)
{
    if (atomic_load_explicit(&w->away, memory_order_relaxed) == KNIT__AWAY_NO ||
        atomic_exchange_explicit(&w->away, KNIT__AWAY_NO, memory_order_seq_cst) == KNIT__AWAY_NO)
        return;
    knit__pace_leave_call(w);
    atomic_fetch_sub_explicit(&knit__vacant, 1, memory_order_seq_cst);
    knit__sysmon_wake(); /* it went to sleep when all were away: see sysmon.c */
}

void knit__away_queued(void)
{
    /* seq_cst, and written: a searcher ends its search, then reads this, then the queues. It sees what
     * was queued, or we see that there is none any more. */
    atomic_fetch_add_explicit(&knit__vacant, 0, memory_order_seq_cst);
    knit__idle_notify();
}

bool knit__away_notice(struct knit__worker *w, enum knit__away why)
{
    const knit_site *site = knit__site_of_stuck(w);

    if (!knit__idle_mark_away(w, why))
        return false;
    knit__site_count(site, why == KNIT__AWAY_BLOCKED ? KNIT__SITE_BLOCKED : KNIT__SITE_COMPUTED);
    if (give_way(w))
        knit__site_count(site, KNIT__SITE_HANDOFF);
    return true;
}

/* ---- stepping aside ---- */

/* The newest records of the ring, up to a chunk, to the inject queue. */
static bool give_records(struct knit__worker *w)
{
    while (knit__ring_len(&w->ring) > 0) {
        struct knit__chunk *c = knit__chunk_get();
        const struct knit__rec *rec;

        if (!c)
            return false;
        c->begin = c->end = KNIT__CHUNK_CAPACITY;
        while (c->begin > 0 && (rec = knit__ring_pop(&w->ring)) != NULL)
            c->recs[--c->begin] = *rec;
        if (c->begin == c->end) { /* a thief is at it */
            knit__chunk_put(c);
            return true;
        }
        knit__inject_chunk(c);
    }
    return true;
}

static void give_tasks(struct knit__worker *w)
{
    struct knit__worker *to = knit__sched.workers[w->index % knit__sched.count];
    struct knit__ready *q = &w->ready;
    struct knit__batch b;

    if (!knit__bias_enter(&q->bias))
        return; /* a thief is at it */
    b = (struct knit__batch){.first = q->first, .last = q->last, .count = knit__ready_count(w)};
    q->first = q->last = NULL;
    atomic_store_explicit(&q->count, 0, memory_order_relaxed);
    knit__bias_leave(&q->bias);
    if (b.count == 0)
        return;
    knit__inbox_push(to, &b);
    if (!knit__idle_wake_worker(to))
        knit__idle_notify();
}

bool knit__give_all_away(struct knit__worker *w)
{
    knit__flush_ended(w); /* may make a waiter ready */
    knit__inbox_take(w, w);
    if (!give_records(w))
        return false;
    give_tasks(w);
    return true;
}
