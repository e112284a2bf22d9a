/* The monitor: a thread that looks at the workers once a millisecond while any of them runs, and
 * wakes a sleeping one when it sees queued work or late timers behind a busy one. It is the safety
 * net under throttled wake-ups (idle.h), and notices who does not get on (handoff.h). It slows down
 * to one look in 2 ms while all get on, to one in 4 ms when nothing is queued, and stops altogether
 * when no worker runs: then it sleeps too, until one of them leaves its sleep, or a timer of one in
 * a marked call is due. Only while somebody blocks without having said so it goes on, with one look
 * in 64 ms.
 *
 * A look costs some loads per worker and a read of its thread's clock (0.4 us); the kernel's
 * opinion (some us) is asked only when the clock stood still: since the last look, or, of a worker
 * with a queue, for some time since. If then it only waits for a processor the next look comes
 * after 250 us.
 *
 * Going to sleep for good: state = ASLEEP, then look once more whether all workers sleep or are away;
 * a worker that leaves its sleep, is started or comes back is uncounted first, then looks at the
 * state. All seq_cst (Dekker). Between the last look and ASLEEP a worker may have come and gone again,
 * which the count does not show: so what waits is looked at once more, too. It was there before its
 * worker was counted, and whatever comes later comes from one who wakes us. */
#include "guest.h"
#include "handoff.h"
#include "nudge.h"
#include "poller.h"
#include "ready.h"
#include "timer.h"

#include <errno.h>

enum {
    PERIOD_NS = 1000 * 1000,
    HEALTHY_PERIOD_NS = 2 * 1000 * 1000,
    QUIET_PERIOD_NS = 4 * 1000 * 1000,
    IDLE_PERIOD_NS = 2 * 1000 * 1000,
    QUIET_AFTER = 16,    /* looks without anything queued */
    HEALTHY_AFTER = 256, /* looks without anybody who did not get on */
    IDLE_LOOKS = 12,     /* looks with nobody running before the long sleep */
    NOTICED_PERIOD_NS = 64 * 1000 * 1000,
    LATE_NS = 500 * 1000,
    SUSPECT_NS = 125 * 1000,   /* the clock of one with a queue stood still for so long */
    SOON_NS = 250 * 1000,      /* until the second look at somebody who may have blocked */
    LEAST_NS = 200 * 1000,     /* the shortest time that tells anything about a clock */
    LONG_NS = 3 * 1000 * 1000, /* so long may a task compute */
    MOST_DOUBLINGS = 12,
    UNPOLLED_US = 1500, /* nobody looked at the descriptors for so long: all compute */
};

enum { AWAKE, ASLEEP };

static struct {
    struct knit__lock lock; /* started, thread */
    bool started;
    struct knit__os_thread thread;
    _Atomic uint32_t state;
    _Atomic uint32_t word; /* futex: changes to interrupt the sleep */
    _Atomic bool stop;
} mon;

/* Work that waits behind a busy worker. */
static bool backlog_of(struct knit__worker *w, int64_t now)
{
    int64_t tolerance = knit__away(w) != KNIT__AWAY_NO ? 0 : LATE_NS;

    return knit__has_queued(w) || knit__timer_next(w) < now - tolerance;
}

static uint64_t progress_of(const struct knit__worker *w)
{
    return atomic_load_explicit(&w->tick_seen, memory_order_relaxed) +
           atomic_load_explicit(&w->parks, memory_order_relaxed);
}

/* What one look finds. */
struct look {
    int64_t now;
    uint32_t noticed;   /* away without having said so */
    uint32_t computing; /* of them */
    bool queued;
    bool suspect; /* somebody may have blocked: look again soon */
    bool stuck;   /* somebody with a queue did not get on since the last look */
};

/* How long a task may compute before the next worker takes over: see handoff.h. */
static int64_t long_for(const struct look *l)
{
    uint32_t doublings = l->computing / knit__sched.count;

    return (int64_t)LONG_NS << (doublings < MOST_DOUBLINGS ? doublings : MOST_DOUBLINGS);
}

/* w's clock stood still and the kernel had it asleep, after we saw this progress. */
static void notice_blocked(struct look *l, struct knit__worker *w, uint64_t progress)
{
    if (progress_of(w) == progress)
        l->noticed += knit__away_notice(w, KNIT__AWAY_BLOCKED);
}

/* A worker that is awake, and as far as we know runs something. */
static void inspect(struct look *l, struct knit__worker *w, bool backlog)
{
    struct knit__watch *watch = &w->watch;
    uint64_t progress = progress_of(w);
    int64_t passed = l->now - watch->at, cpu, used;

    if (passed < LEAST_NS)
        return; /* too early to tell: the last look stands */
    cpu = knit__os_meter_cpu(&w->meter);
    used = cpu - watch->cpu;
    watch->cpu = cpu;
    watch->at = l->now;
    if (progress != watch->seen || watch->since == 0) {
        bool ran = watch->since != 0;

        watch->seen = progress;
        watch->since = l->now;
        if (!backlog || passed - used < SUSPECT_NS)
            return;
        /* a worker with a queue runs all the time, unless it just began to block */
        if (ran && knit__os_meter_waits(&w->meter))
            notice_blocked(l, w, progress);
        else
            l->suspect = true;
        return;
    }
    l->stuck |= backlog;
    if (used < passed / 4 && knit__os_meter_waits(&w->meter)) {
        notice_blocked(l, w, progress);
    } else if (backlog && l->now - watch->since >= long_for(l)) {
        l->noticed += knit__away_notice(w, KNIT__AWAY_COMPUTING);
        l->computing++;
    } else if (used < passed - passed / 8) {
        l->suspect |= passed > PERIOD_NS / 2; /* once at a time: it may only be preempted */
    }
}

static bool is_up(const struct knit__worker *w)
{
    return !atomic_load_explicit(&w->asleep, memory_order_relaxed) &&
           atomic_load_explicit(&w->meter.tid, memory_order_acquire) != 0;
}

static struct look look(void)
{
    struct look l = {.now = knit__clock_now()};
    uint32_t n = knit__workers_live();

    l.queued = knit__inject_pending() || knit__guests_pending();
    for (uint32_t i = 0; i < n; i++) {
        uint32_t away = knit__away(knit__sched.workers[i]);

        l.noticed += away > KNIT__AWAY_MARKED;
        l.computing += away == KNIT__AWAY_COMPUTING;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct knit__worker *w = knit__sched.workers[i];
        bool backlog = backlog_of(w, l.now);

        l.queued |= backlog;
        if (knit__away(w) != KNIT__AWAY_NO || !is_up(w))
            w->watch.since = 0;
        else if (knit__sched.limit > 1 && (!knit__simulated || knit__os_meter_waits(&w->meter)))
            inspect(&l, w, backlog || knit__inject_pending() || knit__guests_pending());
    }
    (void)knit__poll(UNPOLLED_US * knit__sched.ticks_per_us);
    if (l.queued || knit__poller_unattended()) /* after the poll: poller.h */
        knit__idle_notify();
    return l;
}

/* The first timer that no sleeping or running worker looks after. */
static int64_t next_stranded_timer(void)
{
    int64_t first = KNIT__NEVER;
    uint32_t n = knit__workers_live();

    for (uint32_t i = 0; i < n; i++) {
        struct knit__worker *w = knit__sched.workers[i];

        if (knit__away(w) != KNIT__AWAY_NO && knit__timer_next(w) < first)
            first = knit__timer_next(w);
    }
    return first;
}

/* When to look again although nobody runs. */
static int64_t look_again_at(const struct look *l)
{
    int64_t retry = knit__idle_retry_at(),
            at = l->noticed > 0 ? l->now + NOTICED_PERIOD_NS : KNIT__NEVER;

    return retry > l->now && retry < at ? retry : at;
}

/* To the simulated world, which passes over looks that find nothing: what we see to. */
static void hint(int64_t next)
{
    int64_t retry;

    if (KNIT__LIKELY(!knit__simulated))
        return;
    retry = knit__idle_retry_at();
    knit__sim_hint(retry != 0 && retry < next ? retry : next);
}

/* Something waits, or a timer is late, and somebody was found for it. */
static bool somebody_was_woken(bool late)
{
    return (late || knit__work_for_anybody()) && knit__idle_notify();
}

/* Until somebody runs, or the word changes, or it is time for another look. False: it did not sleep. It
 * does not wake, over and over, for a timer that is late if nobody can be found for it: who comes back
 * wakes it. */
static bool sleep_long(uint32_t word, const struct look *l)
{
    bool slept = false;

    (void)atomic_exchange_explicit(&mon.state, ASLEEP, memory_order_seq_cst);
    while (knit__idle_nobody_runs() &&
           atomic_load_explicit(&mon.word, memory_order_seq_cst) == word) {
        int64_t now = knit__clock_now(), timer = next_stranded_timer(), next;
        bool late = timer <= now;

        if (somebody_was_woken(late))
            break;
        if (late)
            timer = KNIT__NEVER;
        next = look_again_at(l);
        hint(timer);
        if (timer < next)
            next = timer;
        if (next <= now)
            break;
        knit__futex_wait(&mon.word, word, next);
        slept = true;
    }
    atomic_store_explicit(&mon.state, AWAKE, memory_order_seq_cst);
    return slept;
}

/* Looks since something was seen. */
struct calm {
    uint32_t quiet;   /* queued */
    uint32_t healthy; /* who did not get on */
    uint32_t idle;    /* running */
};

/* The pause after a look at running workers. With nothing queued nobody suffers from a stuck one; a
 * program in which nobody was stuck for long is likely to stay so. */
static int64_t pause_after(const struct look *l, struct calm *calm)
{
    calm->quiet = l->queued ? 0 : calm->quiet + 1;
    calm->healthy = l->noticed > 0 ? 0 : calm->healthy + 1;
    if (l->suspect)
        return SOON_NS;
    if (calm->quiet > QUIET_AFTER)
        return QUIET_PERIOD_NS;
    return calm->healthy > HEALTHY_AFTER && !l->stuck ? HEALTHY_PERIOD_NS : PERIOD_NS;
}

static void nap(uint32_t word, int64_t now, int64_t period)
{
    int64_t next = next_stranded_timer();

    hint(next);
    if (next > now + period || next <= now)
        next = now + period; /* what is due already was told to somebody */
    knit__futex_wait(&mon.word, word, next);
}

static void *monitor(void *unused)
{
    struct calm calm = {0};

    (void)unused;
    knit__os_thread_name("knit-monitor");
    if (knit__simulated)
        knit__sim_background();
    while (!atomic_load_explicit(&mon.stop, memory_order_acquire)) {
        uint32_t word = atomic_load_explicit(&mon.word, memory_order_seq_cst);
        bool nudging = knit__nudges_send();
        struct look l = look();

        if (!knit__idle_nobody_runs()) {
            calm.idle = 0;
            nap(word, l.now, nudging ? PERIOD_NS : pause_after(&l, &calm));
        } else if (nudging || calm.idle < IDLE_LOOKS) {
            calm.idle++;
            nap(word, l.now, calm.idle < 3 || nudging ? PERIOD_NS : IDLE_PERIOD_NS);
        } else {
            bool slept = sleep_long(word, &l);
            /* still nobody runs: not a reason to begin again */
            if (!slept || !knit__idle_nobody_runs())
                calm = (struct calm){0};
        }
    }
    return NULL;
}

int knit__sysmon_start(void)
{
    int r = 0;

    knit__lock(&mon.lock);
    if (atomic_load_explicit(&knit__sched.stop, memory_order_seq_cst)) {
        r = -ECANCELED; /* who stops it takes the lock after setting that: it would not see this one */
    } else if (!mon.started) {
        atomic_store_explicit(&mon.stop, false, memory_order_relaxed);
        atomic_store_explicit(&mon.state, AWAKE, memory_order_relaxed);
        r = knit__os_thread_start(&mon.thread, monitor, NULL);
        mon.started = r == 0; /* otherwise tried again with the next worker that starts */
    }
    knit__unlock(&mon.lock);
    return r;
}

void knit__sysmon_interrupt(void)
{
    atomic_fetch_add_explicit(&mon.word, 1, memory_order_seq_cst);
    knit__futex_wake(&mon.word, 1);
}

void knit__sysmon_wake(void)
{
    if (atomic_load_explicit(&mon.state, memory_order_seq_cst) == ASLEEP)
        knit__sysmon_interrupt();
}

void knit__sysmon_cover(void)
{
    knit__sysmon_start(); /* if it cannot be started a timer may be late */
    knit__sysmon_interrupt();
}

void knit__sysmon_stop(void)
{
    bool started;

    knit__lock(&mon.lock);
    started = mon.started;
    knit__unlock(&mon.lock);
    if (!started)
        return;
    atomic_store_explicit(&mon.stop, true, memory_order_release);
    knit__sysmon_interrupt();
    knit__os_thread_join(&mon.thread);
    mon.started = false;
}

void knit__sysmon_abandon(void)
{
    atomic_store_explicit(&mon.lock.word, 0, memory_order_relaxed);
    atomic_store_explicit(&mon.state, AWAKE, memory_order_relaxed);
    mon.started = false;
}
