/* Threads where we do not look: settling, and the watcher. The essay is in sim.h. */
#include "sim.h"

#include "../../base/assert.h"
#include "../linux/host.h"

enum {
    PATIENT_ROUNDS = 64,
    SHORT_NS = 20 * 1000,
    WATCH_NS = 200 * 1000,
    CLOSE_NS = 30 * 1000, /* between looks at a holder that did nothing since the last one */
    RUNAWAY_NS = 1000 * 1000 * 1000, /* of processor time: a busy machine is no reason */
    STUCK_NS = 1000 * 1000 * 1000,   /* all outside in futex(2), nobody inside can run */
};

#define SILENT_NS ((int64_t)10 * 1000 * 1000 * 1000) /* and nothing at the descriptors */

static bool is_known(int tid)
{
    if (tid == knit__sim.watcher)
        return true;
    for (uint32_t i = 0; i < knit__sim.ignored_count; i++)
        if (knit__sim.ignored[i] == tid)
            return true;
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (m->tid == tid)
            return true;
    return false;
}

static uint32_t count_known(void)
{
    uint32_t n = (knit__sim.watcher != 0) + knit__sim.ignored_count;

    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        n++;
    return n;
}

/* Threads that have appeared become members. */
static void find_new(void)
{
    int tids[KNIT__SIM_MAX_THREADS];
    uint32_t n = knit__host_threads(tids, KNIT__SIM_MAX_THREADS);

    for (uint32_t i = 0; i < n; i++)
        if (!is_known(tids[i]))
            knit__sim_add(tids[i]);
}

static bool is_outside(const struct knit__sim_member *m)
{
    return m->state == KNIT__SIM_OUTSIDE || m->state == KNIT__SIM_ENDING;
}

/* Look at everybody outside. True: somebody is on the way, wait for it; or has ended since the last
 * look, which may have woken who was looked at before. */
static bool look_outside(uint32_t *ret_asleep)
{
    uint32_t threads = knit__host_thread_count();
    struct knit__sim_member *next;
    bool running = false;

    if (threads != 0 && threads != count_known())
        find_new();
    *ret_asleep = 0;
    for (struct knit__sim_member *m = knit__sim.members; m; m = next) {
        next = m->next;
        if (!is_outside(m) || m->runaway)
            continue;
        switch (knit__host_thread_state(m->tid)) {
        case KNIT__HOST_GONE:
            knit__sim_remove(m);
            running = true;
            break;
        case KNIT__HOST_RUNNING: running = true; break;
        default: ++*ret_asleep; break;
        }
    }
    return running;
}

/* Who has arrived takes part. Newcomers get their numbers by age: the order of their arrival is not
 * ours to decide. */
static void admit(void)
{
    int tids[KNIT__SIM_MAX_THREADS];
    struct knit__sim_member *m;
    bool newcomers = false;
    uint32_t n;

    for (m = knit__sim.members; m; m = m->next) {
        newcomers |= m->newcomer;
        if (m->state == KNIT__SIM_ARRIVED)
            m->state = KNIT__SIM_READY;
    }
    if (!newcomers)
        return;
    n = knit__host_threads(tids, KNIT__SIM_MAX_THREADS);
    for (uint32_t i = 0; i < n; i++) {
        for (m = knit__sim.members; m && (!m->newcomer || m->tid != tids[i]);)
            m = m->next;
        if (m)
            knit__sim_number(m);
    }
}

static void give_up_on_runners(void)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (is_outside(m) && !m->runaway && knit__host_thread_state(m->tid) == KNIT__HOST_RUNNING)
            m->runaway = true;
    knit__sim_warn("a thread computes for long without a call; this run may not replay");
}

/* One look is enough when nobody was running: only the holder could have woken a sleeper, before.
 * Else two in a row without runners, as they may have woken each other. */
void knit__sim_settle(void)
{
    int64_t began = 0;
    uint32_t asleep, calm = 0, rounds = 0;

    for (;;) {
        if (!look_outside(&asleep)) {
            if (calm++ > 0 || rounds == 0 || asleep < 2)
                break;
            continue;
        }
        calm = 0;
        knit__sim_unlock();
        if (rounds++ < PATIENT_ROUNDS)
            knit__host_yield();
        else
            knit__host_pause(SHORT_NS);
        if (began == 0)
            began = knit__host_cpu();
        knit__sim_lock();
        if (knit__host_cpu() - began > RUNAWAY_NS) {
            give_up_on_runners();
            break;
        }
    }
    admit();
}

/* ---- the watcher ---- */

static struct {
    uint64_t steps;
    struct knit__sim_member *holder;
    bool asleep;   /* at the last look */
    int64_t since; /* the same holder, without a step: processor time */
    int64_t idle_since;
    uint64_t idle_steps; /* how many there were then */
} seen;

static struct knit__os_thread watcher;
static _Atomic bool watch_stop;

static bool all_in_futex(void)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (is_outside(m) && knit__host_thread_state(m->tid) != KNIT__HOST_FUTEX)
            return false;
    return true;
}

/* Nobody inside can run; whether somebody outside comes back shows. The lock is held before, not
 * after. */
static void look_at_idle(void)
{
    int64_t now = knit__host_now();
    struct knit__sim_member *next;

    if (knit__sim.granting) {
        knit__sim_unlock();
        return;
    }
    next = knit__sim_next();
    if (next) {
        knit__sim_give(next);
        return;
    }
    if (seen.idle_since == 0 || seen.idle_steps != knit__sim.steps || !all_in_futex()) {
        seen.idle_since = now;
        seen.idle_steps = knit__sim.steps;
    } else if (now - seen.idle_since > (knit__sim_polling() ? SILENT_NS : STUCK_NS)) {
        knit__sim_deadlock();
    }
    knit__sim_unlock();
}

/* The lock goes with the baton. */
static void take_from(struct knit__sim_member *m, bool gone, bool runaway)
{
    m->state = KNIT__SIM_OUTSIDE;
    m->left_at = knit__sim.clock;
    m->runaway = runaway;
    knit__sim_trace(m, gone ? 'e' : 'o', 0);
    if (gone)
        knit__sim_remove(m);
    knit__sim_grant();
}

/* It sleeps. Somebody outside who runs may be about to wake it: how long that takes must not decide who
 * gets the baton. */
static bool sleeps_for_good(bool long_ago)
{
    uint32_t others;

    if (!look_outside(&others))
        return true;
    if (long_ago)
        give_up_on_runners();
    return false;
}

/* The holder is outside and did nothing since the last look: why? */
static void look_closely(struct knit__sim_member *m)
{
    enum knit__host_state state = knit__host_thread_state(m->tid);
    bool running = state == KNIT__HOST_RUNNING, long_ago, runaway, asleep;

    long_ago = knit__host_cpu() - seen.since > RUNAWAY_NS;
    runaway = running && long_ago;
    asleep = !running && state != KNIT__HOST_GONE && sleeps_for_good(long_ago);
    if (runaway)
        knit__sim_warn("a thread computes for long without a call; this run may not replay");
    if (state == KNIT__HOST_GONE || runaway || (asleep && seen.asleep)) {
        take_from(m, state == KNIT__HOST_GONE, runaway);
    } else {
        seen.asleep = asleep;
        knit__sim_unlock();
    }
}

/* Asking the kernel costs some us, so only about who seems to hang. True: it does. The lock is held
 * before, not after. */
static bool look_at_holder(struct knit__sim_member *m)
{
    if (seen.holder != m || seen.steps != knit__sim.steps) {
        seen.holder = m;
        seen.steps = knit__sim.steps;
        seen.since = knit__host_cpu();
        seen.asleep = false;
    } else if (!m->inside) {
        look_closely(m);
        return true;
    }
    knit__sim_unlock();
    return false;
}

static void *watch(void *unused)
{
    (void)unused;
    knit__os_thread_name("knit-sim");
    knit__host_own_files();
    atomic_store_explicit(&knit__sim.watcher_tid, (uint32_t)knit__host_tid(), memory_order_release);
    knit__host_futex_wake(&knit__sim.watcher_tid, 1);
    while (!atomic_load_explicit(&watch_stop, memory_order_acquire)) {
        bool close = false;

        knit__sim_lock();
        if (knit__sim.holder)
            close = look_at_holder(knit__sim.holder);
        else
            look_at_idle();
        knit__host_pause(close ? CLOSE_NS : WATCH_NS);
    }
    return NULL;
}

/* The lock is held; the watcher does not need it to tell its id. */
void knit__sim_watch_start(void)
{
    seen.holder = NULL;
    seen.idle_since = 0;
    atomic_store_explicit(&knit__sim.watcher_tid, 0, memory_order_relaxed);
    atomic_store_explicit(&watch_stop, false, memory_order_relaxed);
    if (knit__host_thread_start(&watcher, watch, NULL) < 0)
        knit__bug("the simulation cannot start its watcher");
    while (atomic_load_explicit(&knit__sim.watcher_tid, memory_order_acquire) == 0)
        knit__host_futex_wait(&knit__sim.watcher_tid, 0, KNIT__NEVER);
    knit__sim.watcher = (int)atomic_load_explicit(&knit__sim.watcher_tid, memory_order_relaxed);
}

/* At exit: tools that look at the end of a process should find nothing of ours still running. */
void knit__sim_watch_stop(void)
{
    if (knit__sim.watcher == 0)
        return;
    atomic_store_explicit(&watch_stop, true, memory_order_release);
    knit__host_thread_join(&watcher);
    knit__sim.watcher = 0;
}
