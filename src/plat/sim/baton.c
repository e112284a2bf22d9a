/* Who holds the baton, and to whom it goes. The essay is in sim.h. */
#include "sim.h"

#include "../../base/assert.h"
#include "../linux/host.h"
#include "../simulated.h"

enum {
    LOOK_AT_POLL = 8, /* moves of the baton for a look at the descriptors */
    POOL = 32,
    FRUITLESS_YIELDS = 32,
    /* turns in which a thread that only watches others moves the clock: some dozens of looks until
     * it has seen all there is to see */
    BACKGROUND_TURNS = 64,
};

/* Centuries ahead: the clock never jumps there, where adding to it would overflow. */
#define NEVER_FROM (INT64_MAX / 2)

struct knit__sim knit__sim;

static _Thread_local struct knit__sim_member *self_here __attribute__((tls_model("initial-exec")));
static struct knit__sim_member *spare; /* ended, to be used again */

/* ---- the lock: who waits for it must not look asleep (settling), so it never sleeps ---- */

void knit__sim_lock(void)
{
    while (atomic_exchange_explicit(&knit__sim.lock, 1, memory_order_acquire) != 0)
        knit__host_yield();
}

void knit__sim_unlock(void)
{
    atomic_store_explicit(&knit__sim.lock, 0, memory_order_release);
}

/* splitmix64 (Steele, Lea, Flood 2014), its upper half */
uint32_t knit__sim_random(void)
{
    uint64_t z = (knit__sim.random += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

/* ---- members ---- */

/* Not from malloc: this runs in places where it must not fail, or be seen to allocate. */
static struct knit__sim_member *member_new(void)
{
    struct knit__sim_member *m = spare;

    if (!m) {
        m = knit__vm_map(POOL * sizeof *m);
        if (!m)
            knit__bug("no memory for the simulation");
        for (int i = 0; i < POOL; i++) {
            m[i].next = spare;
            spare = &m[i];
        }
        m = spare;
    }
    spare = m->next;
    *m = (struct knit__sim_member){0};
    return m;
}

struct knit__sim_member *knit__sim_add(int tid)
{
    struct knit__sim_member *m = member_new(), **last = &knit__sim.members;

    m->tid = tid;
    m->state = KNIT__SIM_OUTSIDE;
    m->newcomer = true;
    m->deadline = m->hint = KNIT__NEVER;
    while (*last)
        last = &(*last)->next;
    *last = m;
    return m;
}

void knit__sim_number(struct knit__sim_member *m)
{
    struct knit__sim_member **at = &knit__sim.members;

    m->index = knit__sim.next_index++;
    m->newcomer = false;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    m->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = m;
}

void knit__sim_remove(struct knit__sim_member *m)
{
    struct knit__sim_member **at = &knit__sim.members;

    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    m->next = spare;
    spare = m;
}

void knit__sim_forget_self(void)
{
    while (knit__sim.members)
        knit__sim_remove(knit__sim.members);
    self_here = NULL;
}

void knit__sim_set_self(struct knit__sim_member *self)
{
    self_here = self;
}

struct knit__sim_member *knit__sim_find(int tid)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (m->tid == tid)
            return m;
    return NULL;
}

/* ---- who runs next ---- */

static void wake_due(void)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (m->state == KNIT__SIM_WAITING && m->deadline <= knit__sim.clock)
            m->state = KNIT__SIM_READY;
}

static struct knit__sim_member *poller(void)
{
    struct knit__sim_member *m = knit__sim.poll_word ? knit__sim.members : NULL;

    while (m && (m->state != KNIT__SIM_WAITING || m->word != knit__sim.poll_word))
        m = m->next;
    return m;
}

bool knit__sim_polling(void)
{
    return poller() != NULL;
}

/* Whoever waits for descriptors learns that one is ready. */
static void wake_poller(void)
{
    struct knit__sim_member *m = poller();

    if (m && knit__host_poll_ready(knit__sim.poll_set)) {
        m->state = KNIT__SIM_READY;
        m->word = NULL;
    }
}

static uint32_t count_ready(bool only_yielding)
{
    uint32_t n = 0;

    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        n += m->state == KNIT__SIM_READY && (!only_yielding || m->yielding);
    return n;
}

/* What m, which sleeps, sleeps for. A thread in the background that looked in vain for long is taken
 * at its word: at what it sees to, not at when it looks next. Else a worker asleep outside, of which
 * we cannot know that it has nothing to do, would let the clock walk a year in milliseconds. */
static int64_t due(const struct knit__sim_member *m)
{
    bool patient = m->background && knit__sim.background >= BACKGROUND_TURNS;

    return patient && m->hint > m->deadline ? m->hint : m->deadline;
}

/* The clock jumps to the earliest deadline; false: there is none. */
static bool jump(void)
{
    int64_t earliest = KNIT__NEVER;

    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (m->state == KNIT__SIM_WAITING && due(m) < earliest)
            earliest = due(m);
    if (earliest > NEVER_FROM)
        return false;
    if (earliest > knit__sim.clock)
        knit__sim.clock = earliest;
    wake_due();
    return true;
}

/* All who can run spin: what they wait for is the earliest of what the others sleep for, or of what
 * they see to themselves. */
static void jump_for_spinners(void)
{
    int64_t earliest = KNIT__NEVER;

    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next) {
        int64_t next = m->state == KNIT__SIM_WAITING && !m->background ? m->deadline : m->hint;

        if (!m->background) /* it says so anew before each sleep */
            m->hint = KNIT__NEVER;
        if (next < earliest)
            earliest = next;
    }
    if (earliest <= NEVER_FROM && earliest > knit__sim.clock)
        knit__sim.clock = earliest;
    wake_due();
    wake_poller();
}

static struct knit__sim_member *pick(uint32_t ready)
{
    uint32_t k = (uint32_t)((uint64_t)knit__sim_random() * ready >> 32);

    for (struct knit__sim_member *m = knit__sim.members;; m = m->next)
        if (m->state == KNIT__SIM_READY && k-- == 0)
            return m;
}

void knit__sim_give(struct knit__sim_member *m)
{
    knit__sim.holder = m;
    m->state = KNIT__SIM_RUNNING;
    knit__sim.background = m->background ? knit__sim.background + 1 : 0;
    knit__sim.switches++;
    knit__sim_trace(m, 's', knit__sim.clock);
    atomic_store_explicit(&m->go, 1, memory_order_release);
    knit__host_futex_wake(&m->go, 1);
}

static bool anybody_outside(void)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (m->state == KNIT__SIM_OUTSIDE || m->state == KNIT__SIM_ENDING)
            return true;
    return false;
}

struct knit__sim_member *knit__sim_next(void)
{
    uint32_t ready;

    knit__sim.holder = NULL;
    knit__sim.granting = true;
    knit__sim_settle();
    wake_due();
    ready = count_ready(false);
    if (ready == 0) {
        wake_poller();
        ready = count_ready(false);
    }
    if (ready == 0 && jump())
        ready = count_ready(false);
    knit__sim.granting = false;
    if (ready > 0)
        return pick(ready);
    if (!anybody_outside() && !poller())
        knit__sim_deadlock();
    return NULL; /* the watcher goes on trying */
}

bool knit__sim_grant(void)
{
    struct knit__sim_member *m = knit__sim_next();

    if (m)
        knit__sim_give(m);
    else
        knit__sim_unlock();
    return m != NULL;
}

/* The lock is not held before, but is afterwards: it comes with the baton. */
static void await_baton(struct knit__sim_member *self)
{
    while (atomic_load_explicit(&self->go, memory_order_acquire) == 0)
        knit__host_futex_wait(&self->go, 0, KNIT__NEVER);
    atomic_store_explicit(&self->go, 0, memory_order_relaxed);
    if (knit__sim.ending) { /* who gave it may still free memory: that comes first, always */
        knit__sim.ending = false;
        knit__sim_settle();
    }
}

void knit__sim_pass(struct knit__sim_member *self)
{
    knit__sim_grant();
    await_baton(self);
}

void knit__sim_await(struct knit__sim_member *self)
{
    await_baton(self);
    self->inside = false;
    knit__sim_unlock();
}

/* ---- calls ---- */

struct knit__sim_member *knit__sim_enter(void)
{
    struct knit__sim_member *self = self_here;

    knit__sim_lock();
    if (!knit__sim.started)
        knit__sim_begin();
    if (!self) {
        int tid = knit__host_tid();

        self = knit__sim_find(tid);
        if (!self)
            self = knit__sim_add(tid);
        self_here = self;
        knit__sim_follow_self();
    }
    if (self->state != KNIT__SIM_RUNNING) {
        self->state = KNIT__SIM_ARRIVED;
        self->runaway = false;
        self->inside = true;
        if (!knit__sim.holder && !knit__sim.granting)
            knit__sim_grant();
        else
            knit__sim_unlock();
        await_baton(self);
    }
    self->inside = true;
    return self;
}

void knit__sim_leave(struct knit__sim_member *self)
{
    self->inside = false;
    knit__sim_unlock();
}

/* The baton goes to one of the others that are ready. */
static void hand_on(struct knit__sim_member *self, uint32_t others)
{
    struct knit__sim_member *next = pick(others);

    self->state = KNIT__SIM_READY;
    knit__sim_give(next);
    await_baton(self);
}

/* Were there threads outside when the world was last settled? Who has arrived since counts: when it
 * did is not the seed's choice. For the same reason a newcomer does not count that has called already. */
static bool anybody_was_outside(void)
{
    for (struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        if (!m->newcomer && (m->state == KNIT__SIM_OUTSIDE || m->state == KNIT__SIM_ARRIVED ||
                             m->state == KNIT__SIM_ENDING))
            return true;
    return false;
}

/* Threads outside may have been woken by this one: they run beside it for as short as can be. Else
 * there can only be new ones, and a look now and then will do. */
static void settle_if(bool now_and_then)
{
    bool now = now_and_then && knit__sim_random() % 4 == 0;

    if (now || anybody_was_outside())
        knit__sim_settle();
}

void knit__sim_choose(struct knit__sim_member *self)
{
    uint32_t others;
    bool moves;

    knit__sim.steps++;
    knit__sim.yields = 0;
    self->yielding = false;
    moves = (knit__sim_random() & knit__sim.switch_mask) == 0;
    settle_if(moves);
    if (!moves)
        return;
    if (knit__sim.poll_word && knit__sim_random() % LOOK_AT_POLL == 0)
        wake_poller();
    wake_due();
    others = count_ready(false);
    if (others > 0)
        hand_on(self, others);
}

/* As above, but staying is the last resort; and when all who can run do nothing but yield, what
 * they wait for takes time: then it passes at once. */
void knit__sim_choose_other(struct knit__sim_member *self)
{
    uint32_t others;

    knit__sim.steps++;
    self->yielding = true;
    self->points = 0;
    settle_if(true);
    wake_due();
    others = count_ready(false);
    if (++knit__sim.yields > FRUITLESS_YIELDS * (others + 1) && others == count_ready(true)) {
        knit__sim.yields = 0;
        jump_for_spinners();
        others = count_ready(false);
    }
    if (others > 0)
        hand_on(self, others);
}
