/* Waking a thread on another processor: it wakes there, and is free again after. */
#define _GNU_SOURCE
#include "plat/plat.h"

#include "knittest.h"

#include <sched.h>
#include <string.h>

struct sleeper {
    struct knit__os_meter meter;
    struct knit__os_place place;
    bool placed; /* handed over by the token */
    _Atomic uint32_t asleep, token;
    int woke_on;
    cpu_set_t before, after;
};

static void sleeper(void *arg)
{
    struct sleeper *s = arg;

    CHECK_INT(sched_getaffinity(0, sizeof s->before, &s->before), 0);
    knit__os_meter_begin(&s->meter);
    atomic_store_explicit(&s->asleep, 1, memory_order_release);
    while (atomic_load_explicit(&s->token, memory_order_acquire) == 0)
        knit__futex_wait(&s->token, 0, KNIT__NEVER);
    s->woke_on = sched_getcpu();
    if (s->placed)
        knit__os_place_anywhere(&s->place);
    CHECK_INT(sched_getaffinity(0, sizeof s->after, &s->after), 0);
}

/* The caller stays on one processor, or "another one" would mean nothing. */
static int stay(cpu_set_t *ret_before)
{
    int here = sched_getcpu();
    cpu_set_t only;

    CHECK_INT(sched_getaffinity(0, sizeof *ret_before, ret_before), 0);
    CPU_ZERO(&only);
    CPU_SET((size_t)here, &only);
    CHECK_INT(sched_setaffinity(0, sizeof only, &only), 0);
    return here;
}

static void a_placed_thread_wakes_elsewhere_and_is_free_after(void)
{
    for (int i = 0; i < kt_count(50); i++) {
        struct sleeper s = {0};
        kt_thread *thread = kt_thread_start(sleeper, &s);
        cpu_set_t before;
        int here;

        while (atomic_load_explicit(&s.asleep, memory_order_acquire) == 0)
            sched_yield();
        here = stay(&before);
        s.placed = knit__os_place_elsewhere(&s.meter, &s.place);
        CHECK_INT(s.placed, CPU_COUNT(&before) > 1);
        atomic_store_explicit(&s.token, 1, memory_order_release);
        knit__futex_wake(&s.token, 1);
        kt_thread_join(thread);
        CHECK_INT(sched_setaffinity(0, sizeof before, &before), 0);
        CHECK(!s.placed || s.woke_on != here);
        CHECK(CPU_EQUAL(&s.before, &s.after));
    }
}

static void a_thread_that_was_restricted_stays_so(void)
{
    struct knit__os_place place = {{0}};
    cpu_set_t before, restricted, after;

    stay(&before);
    CHECK_INT(sched_getaffinity(0, sizeof restricted, &restricted), 0);
    memcpy(&place, &restricted, sizeof restricted);
    knit__os_place_anywhere(&place);
    CHECK_INT(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&restricted, &after));
    memcpy(&place, &before, sizeof before);
    knit__os_place_anywhere(&place);
    CHECK_INT(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
}

static void a_thread_that_has_not_begun_is_left_alone(void)
{
    struct knit__os_meter none = {0};
    struct knit__os_place place;

    CHECK(!knit__os_place_elsewhere(&none, &place));
}

static const knittest tests[] = {
    THREAD(a_placed_thread_wakes_elsewhere_and_is_free_after),
    THREAD(a_thread_that_was_restricted_stays_so),
    THREAD(a_thread_that_has_not_begun_is_left_alone),
};
KNITTEST_MAIN(tests)
