/* The doors of the simulated world: starting it, its clock, its futexes, its threads. */
#define _GNU_SOURCE
#include "sim.h"

#include "../../base/assert.h"
#include "../fiber.h"
#include "../linux/host.h"
#include "../simulated.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool knit__simulated;
void (*knit__sim_report)(void);

static struct {
    uint64_t seed;
    bool seeded, hooks;
} world;

uint64_t knit__sim_seed(void)
{
    return world.seed;
}

/* The seed that the environment names, if it names one. */
static bool read_seed(void)
{
    const char *value = getenv("KNIT_SIM");
    uint64_t seed;
    char *end;

    if (!value || !*value || *value == '-')
        return false;
    errno = 0;
    seed = strtoull(value, &end, 0);
    if (errno != 0 || *end != 0)
        return false;
    world.seed = seed;
    return true;
}

/* When the library is loaded, so that the answer never changes. */
__attribute__((constructor)) static void look_at_environment(void)
{
    const char *value = getenv("KNIT_SIM");
    int saved = errno;

    if (!value || !*value)
        return;
    knit__simulated = true;
    if (strcmp(value, "random") == 0) {
        world.seed = ((uint64_t)knit__host_now() * 0x9E3779B97F4A7C15u) >> 40;
        knit__sim_print_seed();
    } else if (!read_seed()) {
        knit__simulated = false;
        knit__sim_warn("KNIT_SIM is not usable: a number, or the word random");
    }
    errno = saved;
}

/* ---- forks: the child is a world of its own, in which only the caller lives ---- */

static void before_fork(void)
{
    knit__sim_lock();
}

static void after_fork_parent(void)
{
    knit__sim_unlock();
}

static void after_fork_child(void)
{
    atomic_store_explicit(&knit__sim.lock, 0, memory_order_relaxed);
    knit__sim_forget_self();
    knit__sim.started = knit__sim.granting = knit__sim.ending = false;
    knit__sim.holder = NULL;
    knit__sim.watcher = 0;
    knit__sim.poll_word = NULL;
}

/* ThreadSanitizer has a thread of its own, which must not count; the first thread never is. */
static void find_first_threads(int self)
{
    int tids[KNIT__SIM_MAX_THREADS];
    uint32_t n = knit__host_threads(tids, KNIT__SIM_MAX_THREADS);

    knit__sim.ignored_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (tids[i] == self || tids[i] == knit__sim.watcher)
            continue;
#if defined(KNIT__TSAN)
        if (tids[i] != knit__host_process() && knit__sim.ignored_count < KNIT__SIM_MAX_IGNORED) {
            knit__sim.ignored[knit__sim.ignored_count++] = tids[i];
            continue;
        }
#endif
        knit__sim_add(tids[i]);
    }
}

/* The caller is the first member, and holds the baton. */
void knit__sim_begin(void)
{
    static const uint32_t masks[] = {1, 3, 7, 7, 15, 15, 31, 63};
    int tid = knit__host_tid();
    struct knit__sim_member *self;

    knit__sim.started = true;
    if (!world.seeded) {
        int saved = errno;

        world.seeded = true;
        (void)read_seed(); /* again: a program may fork first, and name each child a seed */
        errno = saved;
        knit__sim.random = world.seed;
        knit__sim.clock = (int64_t)1000000 * 1000000000;
        knit__sim.switch_mask = masks[knit__sim_random() % 8];
        knit__sim_trace_start();
    }
    knit__sim.next_index = 0;
    self = knit__sim_add(tid);
    knit__sim_number(self);
    self->state = KNIT__SIM_RUNNING;
    knit__sim.holder = self;
    if (!world.hooks) {
        world.hooks = true;
        pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    }
    knit__host_gather();
    knit__sim_watch_start();
    find_first_threads(tid); /* now: a sanitizer starts its own with our first */
}

/* ---- the clock ---- */

/* A loop that spins has fewer points between two yields. */
enum { SPIN_POINTS = 24 };

enum { TICKS_NS = 1000 };

/* Time passes by looking at it: loops that wait for a moment get there. */
static int64_t tick(void)
{
    knit__sim.clock += 50 + (int64_t)(knit__sim_random() & 255);
    return knit__sim.clock;
}

/* A look at the clock and a point in the code are no progress: loops that spin have them too. */
static void choose_idly(struct knit__sim_member *self)
{
    uint32_t yields = knit__sim.yields;
    bool yielding = self->yielding;

    knit__sim_choose(self);
    self->yielding = yielding;
    knit__sim.yields = yields;
}

int64_t knit__sim_clock(void)
{
    struct knit__sim_member *self = knit__sim_enter();
    int64_t now;

    choose_idly(self);
    now = tick();
    knit__sim_leave(self);
    return now;
}

uint64_t knit__sim_ticks(void)
{
    struct knit__sim_member *self = knit__sim_enter();
    uint64_t now;

    knit__sim.clock += TICKS_NS; /* who measures a span, or spins for one */
    now = (uint64_t)tick();
    knit__sim_leave(self);
    return now;
}

/* ---- points ---- */

void knit__sim_yield(void)
{
    struct knit__sim_member *self = knit__sim_enter();

    tick();
    knit__sim_choose_other(self);
    knit__sim_leave(self);
}

static void get_on(struct knit__sim_member *self)
{
    self->yielding = false;
    knit__sim.yields = 0;
}

void knit__sim_point(void)
{
    struct knit__sim_member *self = knit__sim_enter();

    if (self->yielding && ++self->points == SPIN_POINTS)
        get_on(self);
    choose_idly(self);
    knit__sim_leave(self);
}

void knit__sim_progress(void)
{
    struct knit__sim_member *self = knit__sim_enter();

    get_on(self);
    knit__sim_leave(self);
}

void knit__sim_hint(int64_t deadline)
{
    struct knit__sim_member *self = knit__sim_enter();

    self->hint = deadline;
    knit__sim_leave(self);
}

void knit__sim_background(void)
{
    struct knit__sim_member *self = knit__sim_enter();

    self->background = true;
    knit__sim_leave(self);
}

/* ---- what others do ---- */

bool knit__sim_asleep(int tid)
{
    struct knit__sim_member *self = knit__sim_enter(), *m = knit__sim_find(tid);
    bool asleep = m && m->state == KNIT__SIM_OUTSIDE && !m->runaway;

    knit__sim_leave(self);
    return asleep;
}

int64_t knit__sim_cpu(int tid)
{
    struct knit__sim_member *self = knit__sim_enter(), *m = knit__sim_find(tid);
    bool outside = m && m->state == KNIT__SIM_OUTSIDE;
    int64_t used = outside ? m->left_at : knit__sim.clock;

    knit__sim_leave(self);
    return used;
}

/* ---- futexes ---- */

static void wait_locked(struct knit__sim_member *self, const _Atomic uint32_t *word, uint32_t value,
                        int64_t deadline)
{
    knit__sim_choose(self);
    if (atomic_load_explicit(word, memory_order_seq_cst) != value || deadline <= knit__sim.clock ||
        knit__sim_random() % 64 == 0)
        return; /* the last: it may return at any time, so it does */
    self->state = KNIT__SIM_WAITING;
    self->word = word;
    self->deadline = deadline;
    knit__sim_trace(self, 'w', deadline);
    knit__sim_pass(self);
    self->word = NULL;
    self->deadline = KNIT__NEVER;
}

/* No point: who wakes goes on. */
static void ready_waiters(struct knit__sim_member *self, const _Atomic uint32_t *word, int n)
{
    int woken = 0;

    for (struct knit__sim_member *m = knit__sim.members; m && woken < n; m = m->next) {
        if (m->state == KNIT__SIM_WAITING && m->word == word) {
            m->state = KNIT__SIM_READY;
            m->word = NULL;
            woken++;
        }
    }
    knit__sim_trace(self, 'k', woken);
}

void knit__sim_futex_wait(const _Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    int saved = errno;
    struct knit__sim_member *self = knit__sim_enter();

    wait_locked(self, word, value, deadline);
    knit__sim_leave(self);
    errno = saved;
}

void knit__sim_futex_wake(const _Atomic uint32_t *word, int n)
{
    int saved = errno;
    struct knit__sim_member *self = knit__sim_enter();

    ready_waiters(self, word, n);
    knit__sim_choose(self);
    knit__sim_leave(self);
    errno = saved;
}

/* ---- descriptors ---- */

void knit__sim_poll_begin(int set, const _Atomic uint32_t *word)
{
    struct knit__sim_member *self = knit__sim_enter();

    knit__sim.poll_set = set;
    knit__sim.poll_word = word;
    knit__sim_leave(self);
}

/* ---- threads that end ---- */

/* The last act of a thread: it needs the baton no more. The caller has it, and the lock. */
static void end_self(struct knit__sim_member *self)
{
    struct knit__sim_member *next;

    knit__sim_trace(self, 'e', 0);
    next = knit__sim_next();
    self->state = KNIT__SIM_ENDING; /* not before: nobody waits for itself to end */
    knit__sim.ending = true;
    knit__sim_set_self(NULL);
    if (next)
        knit__sim_give(next);
    else
        knit__sim_unlock();
}

/* Of threads of the program the destructor of a key tells. The other destructors may still call us,
 * so it asks for another round, until it must be among the last. If somebody calls even after that,
 * or the key could not be made, the watcher sees the thread end. */
static pthread_key_t end_key;
static bool end_key_made;

static void at_thread_end(void *rounds)
{
    uintptr_t n = (uintptr_t)rounds;

    if (n + 1 < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(end_key, (void *)(n + 1));
    else
        end_self(knit__sim_enter());
}

void knit__sim_follow_self(void)
{
    int saved = errno;

    if (!end_key_made)
        end_key_made = pthread_key_create(&end_key, at_thread_end) == 0;
    if (end_key_made)
        pthread_setspecific(end_key, (void *)1);
    errno = saved;
}

/* ---- threads of the library ---- */

static void *thread_main(void *member)
{
    struct knit__sim_member *self = member;
    void *result;

    knit__sim_set_self(self);
    self->tid = knit__host_tid();
    atomic_store_explicit(&self->arrived, 1, memory_order_release);
    knit__host_futex_wake(&self->arrived, 1);
    knit__sim_await(self);

    result = self->fn(self->arg);

    self = knit__sim_enter();
    atomic_store_explicit(&self->over, 1, memory_order_relaxed);
    ready_waiters(self, &self->over, INT32_MAX); /* it joins for real: no point from here on */
    end_self(self);
    return result;
}

int knit__sim_thread_start(struct knit__os_thread *thread, void *(*fn)(void *), void *arg)
{
    struct knit__sim_member *self = knit__sim_enter(), *m = knit__sim_add(0);
    int r;

    m->fn = fn;
    m->arg = arg;
    m->library = true;
    m->state = KNIT__SIM_READY;
    m->inside = true;
    r = knit__host_thread_start(thread, thread_main, m);
    if (r < 0) {
        knit__sim_remove(m);
    } else {
        m->handle = thread->handle;
        while (atomic_load_explicit(&m->arrived, memory_order_acquire) == 0)
            knit__host_futex_wait(&m->arrived, 0, KNIT__NEVER);
        knit__sim_number(m);
        knit__sim_trace(m, 'b', 0);
        knit__sim_choose(self);
    }
    knit__sim_leave(self);
    return r;
}

/* The member may be gone already: then so is the thread. */
static struct knit__sim_member *find_thread(unsigned long handle)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (m->library && m->handle == handle &&
            atomic_load_explicit(&m->over, memory_order_relaxed) == 0)
            return m;
    return NULL;
}

void knit__sim_thread_join(struct knit__os_thread *thread)
{
    struct knit__sim_member *self = knit__sim_enter(), *m;

    while ((m = find_thread(thread->handle)) != NULL)
        wait_locked(self, &m->over, 0, KNIT__NEVER);
    knit__host_thread_join(thread); /* on its last steps: it needs no baton, nor the lock */
    knit__sim_leave(self);
}
