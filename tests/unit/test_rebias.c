/* The leaning lock: nobody loses an increment, whoever owns the bias, and the bias comes and goes. */
#include "core/rebias.h"

#include "knittest.h"

#include <string.h>

enum { USERS = 3, ENOUGH = 1000 /* entries that earn the first bias */ };

struct shared {
    struct knit__rebias lock;
    uint64_t count;          /* the lock's: no atomic, so that TSan and arithmetic both check it */
    uint64_t twice;          /* 2 * count, but inside */
    _Atomic uint64_t biased; /* entries by bias */
};

struct user {
    struct shared *s;
    uint64_t entries;
};

static bool enter_once(struct shared *s, const void *self)
{
    bool by_bias;

    knit__rebias_lock(&s->lock, self);
    by_bias = s->lock.by_bias;
    CHECK_INT(s->twice, 2 * s->count);
    s->count++;
    s->twice += 2;
    knit__rebias_unlock(&s->lock);
    return by_bias;
}

/* Phases of being alone, as far as the schedule gives them. */
static void user(void *arg)
{
    struct user *u = arg;

    for (uint64_t i = 0; i < u->entries; i++) {
        if (enter_once(u->s, u))
            atomic_fetch_add_explicit(&u->s->biased, 1, memory_order_relaxed);
    }
}

static void users_together(bool fence)
{
    struct shared s = {0};
    struct user users[USERS];
    kt_thread *thread[USERS];
    uint64_t entries = (uint64_t)kt_count(300000);

    knit__barrier_start(fence);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){&s, entries};
        thread[i] = kt_thread_start(user, &users[i]);
    }
    for (int i = 0; i < USERS; i++)
        kt_thread_join(thread[i]);
    CHECK_INT(s.count, USERS * entries);
    CHECK(!fence || atomic_load(&s.biased) == 0);
}

static void no_entry_is_lost(void)
{
    users_together(false);
}

/* A former owner that looked long ago must not disturb the next one. */
static void the_next_owner_waits_for_the_former(void)
{
    struct shared s = {0};
    int a, b;

    knit__barrier_start(false);
    if (!knit__asymmetric)
        return;
    for (int i = 0; i < ENOUGH; i++)
        enter_once(&s, &a);
    CHECK(enter_once(&s, &a));
    for (int i = 0; i < 8 * ENOUGH; i++)
        CHECK(!enter_once(&s, &b)); /* a may be on its way in, and believe that it owns it */
    CHECK(!enter_once(&s, &a));
    for (int i = 0; i < 8 * ENOUGH; i++)
        enter_once(&s, &b);
    CHECK(enter_once(&s, &b));
}

static void without_the_barrier_nobody_gets_the_bias(void)
{
    users_together(true);
}

/* One after the other, so that it is known who owns it. */
static void it_is_earned_and_lost_and_costs_more_each_time(void)
{
    struct shared s = {0};
    int a, b;
    uint32_t wanted = 0;

    knit__barrier_start(false);
    if (!knit__asymmetric)
        return;
    for (int i = 0; i < ENOUGH; i++)
        enter_once(&s, &a);
    CHECK(enter_once(&s, &a));
    for (int i = 0; i < 3; i++) {
        CHECK(!enter_once(&s, &b)); /* takes it back */
        CHECK(!enter_once(&s, &a));
        CHECK(s.lock.wanted > wanted);
        wanted = s.lock.wanted;
        for (uint32_t k = 0; k <= wanted; k++)
            enter_once(&s, &a);
        CHECK(enter_once(&s, &a));
    }
}

static void nobody_in_particular_never_owns_it(void)
{
    struct shared s = {0};

    knit__barrier_start(false);
    for (int i = 0; i < ENOUGH; i++)
        CHECK(!enter_once(&s, NULL));
}

static const knittest tests[] = {
    THREAD(no_entry_is_lost),
    THREAD(without_the_barrier_nobody_gets_the_bias),
    THREAD(it_is_earned_and_lost_and_costs_more_each_time),
    THREAD(the_next_owner_waits_for_the_former),
    THREAD(nobody_in_particular_never_owns_it),
};
KNITTEST_MAIN(tests)
