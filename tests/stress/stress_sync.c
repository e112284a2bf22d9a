/* Everything a task can wait for in the sync family, at once: tasks and plain threads do random
 * operations on a few shared objects, some of them impatient. Prints its seed.
 *
 *     stress_sync [thousands of operations per member]
 *
 * What is checked: mutual exclusion, the counts of readers and of a semaphore, that everybody ends,
 * and that all is free afterwards. */
#include "crowd.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 3, CAPACITY = 5, MEMBERS = 24 };

typedef struct world {
    knit_mutex mutexes[OBJECTS];
    long guarded[OBJECTS], locked[OBJECTS]; /* its mutex */
    knit_rwlock rwlocks[OBJECTS];
    atomic_int inside[OBJECTS]; /* readers, 1000 for a writer */
    knit_semaphore semaphores[OBJECTS];
    atomic_int taken[OBJECTS];
    knit_mutex turn_mutex;
    knit_cond turn_cond;
    long turn; /* turn_mutex */
    knit_waitgroup working;
    knit_singleflight flight;
    atomic_long flights;
} world;

typedef struct member {
    world *world;
    uint64_t seed;
    int rounds;
} member;

static world shared;
static int rounds = 300;

static knit_time soon(kt_rng *rng)
{
    return kt_below(rng, 4) == 0 ? KNIT_FOREVER : knit_now() + kt_below(rng, 60) * 1000;
}

static bool got(int r)
{
    CHECK(r == 0 || r == -ETIMEDOUT || r == -EAGAIN);
    return r == 0;
}

static void linger(kt_rng *rng)
{
    unsigned dice = kt_below(rng, 64);
    if (dice == 0)
        (void)knit_sleep(kt_below(rng, 30) * 1000);
    else if (dice < 8)
        (void)knit_yield();
}

static void use_mutex(world *w, kt_rng *rng)
{
    unsigned i = kt_below(rng, OBJECTS), how = kt_below(rng, 4);
    if (!got(how == 0   ? knit_mutex_try_lock(&w->mutexes[i])
             : how == 1 ? knit_mutex_lock_until(&w->mutexes[i], soon(rng))
                        : knit_mutex_lock(&w->mutexes[i])))
        return;
    CHECK_INT(w->locked[i]++, 0);
    w->guarded[i]++;
    linger(rng);
    w->locked[i]--;
    CHECK_INT(knit_mutex_unlock(&w->mutexes[i]), 0);
}

static void use_rwlock(world *w, kt_rng *rng)
{
    unsigned i = kt_below(rng, OBJECTS);
    bool write = kt_below(rng, 4) == 0;
    knit_time when = soon(rng);
    int one = write ? 1000 : 1;
    if (!got(write ? knit_rwlock_write_until(&w->rwlocks[i], when)
                   : knit_rwlock_read_until(&w->rwlocks[i], when)))
        return;
    int was = atomic_fetch_add(&w->inside[i], one);
    CHECK(write ? was == 0 : was < 1000);
    linger(rng);
    atomic_fetch_sub(&w->inside[i], one);
    CHECK_INT(write ? knit_rwlock_write_unlock(&w->rwlocks[i])
                    : knit_rwlock_read_unlock(&w->rwlocks[i]),
              0);
}

static void use_semaphore(world *w, kt_rng *rng)
{
    unsigned i = kt_below(rng, OBJECTS);
    int n = (int)kt_below(rng, CAPACITY + 1);
    if (!got(kt_below(rng, 4) == 0 ? knit_semaphore_try_acquire(&w->semaphores[i], n)
                                   : knit_semaphore_acquire_until(&w->semaphores[i], n, soon(rng))))
        return;
    CHECK(atomic_fetch_add(&w->taken[i], n) + n <= CAPACITY);
    linger(rng);
    atomic_fetch_sub(&w->taken[i], n);
    CHECK_INT(knit_semaphore_release(&w->semaphores[i], n), 0);
}

/* Everybody moves the turn on and wakes; nobody waits for ever. */
static void use_cond(world *w, kt_rng *rng)
{
    CHECK_INT(knit_mutex_lock(&w->turn_mutex), 0);
    long turn = ++w->turn;
    if (kt_below(rng, 2) == 0)
        CHECK_INT(knit_cond_signal(&w->turn_cond), 0);
    else
        CHECK_INT(knit_cond_broadcast(&w->turn_cond), 0);
    if (kt_below(rng, 4) == 0) {
        knit_time when = knit_now() + kt_below(rng, 60) * 1000;
        while (w->turn == turn) {
            if (!got(knit_cond_wait_until(&w->turn_cond, &w->turn_mutex, when)))
                break;
        }
    }
    CHECK_INT(knit_mutex_unlock(&w->turn_mutex), 0);
}

static int fly(void *arg, void **ret_value)
{
    atomic_fetch_add(&shared.flights, 1);
    (void)knit_yield();
    *ret_value = arg;
    return 0;
}

static void use_flight(world *w, kt_rng *rng)
{
    static char keys[4][2] = {"a", "b", "c", "d"};
    char *key = keys[kt_below(rng, 4)];
    knit_singleflight_result result = {0};
    CHECK_INT(knit_singleflight_do(&w->flight, key, fly, key, &result), 0);
    CHECK(result.value == key);
    if (kt_below(rng, 8) == 0)
        CHECK_INT(knit_singleflight_forget(&w->flight, key), 0);
}

static int work(void *arg)
{
    static void (*const uses[])(world *, kt_rng *) = {use_mutex, use_rwlock, use_semaphore,
                                                      use_cond, use_flight};
    member *m = arg;
    kt_rng rng = {m->seed};
    for (int i = 0; i < m->rounds; i++)
        uses[kt_below(&rng, 5)](m->world, &rng);
    return knit_waitgroup_done(&m->world->working);
}

static void everybody_gets_through(void)
{
    static member members[MEMBERS];
    world *w = &shared;
    crowd c = {0};
    uint64_t seed = kt_seed();
    memset(w, 0, sizeof *w);
    CHECK_INT(knit_waitgroup_add(&w->working, MEMBERS), 0);
    for (int i = 0; i < OBJECTS; i++)
        CHECK_INT(knit_semaphore_init(&w->semaphores[i], CAPACITY), 0);
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (member){w, seed + (uint64_t)i, kt_count(rounds)};
        if (i % 4 == 3)
            crowd_go(&c, work, &members[i]);
        else
            crowd_task(&c, work, &members[i]);
    }
    CHECK_INT(knit_waitgroup_wait(&w->working), 0);
    crowd_join(&c);
    for (int i = 0; i < OBJECTS; i++) {
        CHECK_INT(knit_mutex_try_lock(&w->mutexes[i]), 0);
        CHECK_INT(knit_rwlock_try_write(&w->rwlocks[i]), 0);
        CHECK_INT(knit_semaphore_try_acquire(&w->semaphores[i], CAPACITY), 0);
    }
}

static const knittest tests[] = {
    BOTH(everybody_gets_through),
};

int main(int argc, char **argv)
{
    if (argc > 1 && atoi(argv[1]) > 0)
        rounds = atoi(argv[1]) * 1000;
    return knittest_main(1, argv, tests, sizeof tests / sizeof tests[0]);
}
