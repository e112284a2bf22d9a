/* The monitor: a thread that looks at the workers once a millisecond while any of them runs, and
 * wakes a sleeping one when it sees queued work or late timers behind a busy one. It is the safety
 * net under throttled wake-ups (idle.h). It slows down when nothing happens, and stops altogether
 * when all workers sleep: then it sleeps too, until one of them leaves its sleep.
 *
 * Going to sleep for good: state = ASLEEP, then look once more whether all workers sleep; a worker
 * that leaves its sleep is uncounted first, then looks at the state. All seq_cst (Dekker). */
#include "guest.h"
#include "idle.h"
#include "ready.h"
#include "timer.h"

enum {
    PERIOD_NS = 1000 * 1000,
    QUIET_PERIOD_NS = 4 * 1000 * 1000,
    QUIET_AFTER = 16, /* looks without anything queued */
    IDLE_LOOKS = 6,   /* looks with all asleep, each twice as far off, before the long sleep */
    LATE_NS = 500 * 1000,
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
    return knit__ring_len(&w->ring) + knit__ready_count(w) +
                   atomic_load_explicit(&w->inbox_count, memory_order_relaxed) >
               0 ||
           knit__timer_next(w) < now - LATE_NS;
}

/* True: something was queued. */
static bool look(void)
{
    int64_t now = knit__clock_now();
    bool queued = knit__inject_pending() || knit__guests_pending();

    for (uint32_t i = 0; i < knit__sched.count && !queued; i++)
        queued = backlog_of(knit__sched.workers[i], now);
    if (queued)
        knit__idle_notify();
    return queued;
}

static bool all_asleep(void)
{
    return knit__idle_sleepers() == knit__sched.count;
}

static void sleep_long(uint32_t word)
{
    (void)atomic_exchange_explicit(&mon.state, ASLEEP, memory_order_seq_cst);
    while (all_asleep() && atomic_load_explicit(&mon.word, memory_order_seq_cst) == word)
        knit__futex_wait(&mon.word, word, KNIT__NEVER);
    atomic_store_explicit(&mon.state, AWAKE, memory_order_seq_cst);
}

static void *monitor(void *unused)
{
    uint32_t idle_looks = 0, quiet = 0;

    (void)unused;
    knit__os_thread_name("knit-monitor");
    while (!atomic_load_explicit(&mon.stop, memory_order_acquire)) {
        uint32_t word = atomic_load_explicit(&mon.word, memory_order_seq_cst);
        int64_t period = PERIOD_NS;

        if (all_asleep()) {
            if (idle_looks == IDLE_LOOKS) {
                look(); /* for once: nothing can be there */
                sleep_long(word);
                idle_looks = 0;
                continue;
            }
            period <<= idle_looks++;
        } else {
            idle_looks = 0;
            quiet = look() ? 0 : quiet + 1;
            if (quiet > QUIET_AFTER)
                period = QUIET_PERIOD_NS;
        }
        knit__futex_wait(&mon.word, word, knit__clock_now() + period);
    }
    return NULL;
}

int knit__sysmon_start(void)
{
    int r = 0;

    if (knit__sched.count == 1)
        return 0; /* nobody to wake */
    knit__lock(&mon.lock);
    if (!mon.started) {
        atomic_store_explicit(&mon.stop, false, memory_order_relaxed);
        atomic_store_explicit(&mon.state, AWAKE, memory_order_relaxed);
        r = knit__os_thread_start(&mon.thread, monitor, NULL);
        mon.started = r == 0; /* otherwise tried again with the next worker that starts */
    }
    knit__unlock(&mon.lock);
    return r;
}

static void interrupt(void)
{
    atomic_fetch_add_explicit(&mon.word, 1, memory_order_seq_cst);
    knit__futex_wake(&mon.word, 1);
}

void knit__sysmon_wake(void)
{
    if (atomic_load_explicit(&mon.state, memory_order_seq_cst) == ASLEEP)
        interrupt();
}

void knit__sysmon_stop(void)
{
    if (!mon.started)
        return;
    atomic_store_explicit(&mon.stop, true, memory_order_release);
    interrupt();
    knit__os_thread_join(&mon.thread);
    mon.started = false;
}

void knit__sysmon_abandon(void)
{
    atomic_store_explicit(&mon.lock.word, 0, memory_order_relaxed);
    atomic_store_explicit(&mon.state, AWAKE, memory_order_relaxed);
    mon.started = false;
}
