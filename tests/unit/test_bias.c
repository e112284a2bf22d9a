/* The biased lock: owner and others never at the same time, and neither loses an increment. */
#include "core/bias.h"

#include "knittest.h"

#include <sched.h>
#include <string.h>

enum { OTHERS = 2 };

struct shared {
    struct knit__bias bias;
    uint64_t count; /* the lock's: no atomic, so that TSan and arithmetic both check it */
    uint64_t twice; /* 2 * count, but inside */
    atomic_bool over;
    _Atomic uint64_t by_others;
};

static void increment(struct shared *s)
{
    CHECK_INT(s->twice, 2 * s->count);
    s->count++;
    s->twice += 2;
}

static void other(void *arg)
{
    struct shared *s = arg;
    while (!atomic_load_explicit(&s->over, memory_order_acquire)) {
        if (!knit__bias_take(&s->bias)) {
            sched_yield(); /* not knit_yield: it would start the runtime */
            continue;
        }
        increment(s);
        knit__bias_give_back(&s->bias);
        atomic_fetch_add_explicit(&s->by_others, 1, memory_order_relaxed);
    }
}

static void owner_against_others(bool fence)
{
    struct shared s = {0};
    kt_thread *thread[OTHERS];
    uint64_t wanted = (uint64_t)kt_count(3000), done = 0;
    knit__barrier_start(fence);
    for (int i = 0; i < OTHERS; i++)
        thread[i] = kt_thread_start(other, &s);
    while (done < 100 * wanted ||
           atomic_load_explicit(&s.by_others, memory_order_relaxed) < wanted) {
        if (!knit__bias_enter(&s.bias))
            continue;
        increment(&s);
        knit__bias_leave(&s.bias);
        done++;
    }
    atomic_store_explicit(&s.over, true, memory_order_release);
    for (int i = 0; i < OTHERS; i++)
        kt_thread_join(thread[i]);
    CHECK_INT(s.count, done + atomic_load(&s.by_others));
    CHECK_INT(s.twice, 2 * s.count);
}

static void no_increment_is_lost(void)
{
    owner_against_others(false);
}

static void no_increment_is_lost_with_fences(void)
{
    owner_against_others(true);
}

static void an_owner_that_is_shut_out_does_not_wait(void)
{
    struct knit__bias b = {0};
    knit__barrier_start(false);
    CHECK(knit__bias_take(&b));
    CHECK(!knit__bias_enter(&b));
    CHECK_INT(atomic_load(&b.busy), 0);
    knit__bias_give_back(&b);
    CHECK(knit__bias_enter(&b));
    knit__bias_leave(&b);
}

static void others_give_up_on_an_owner_that_does_not_get_on(void)
{
    struct knit__bias b = {0};
    knit__barrier_start(false);
    CHECK(knit__bias_enter(&b));
    CHECK(!knit__bias_take(&b));
    knit__bias_leave(&b);
    CHECK(knit__bias_enter(&b)); /* the one that gave up left nothing behind */
    knit__bias_leave(&b);
    CHECK(knit__bias_take(&b));
    CHECK(!knit__bias_take(&b));
    knit__bias_give_back(&b);
}

static const knittest tests[] = {
    COLD(an_owner_that_is_shut_out_does_not_wait),
    COLD(others_give_up_on_an_owner_that_does_not_get_on),
    COLD(no_increment_is_lost),
    COLD(no_increment_is_lost_with_fences),
};
KNITTEST_MAIN(tests)
