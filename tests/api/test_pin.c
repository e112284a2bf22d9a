/* Tasks that stay on a thread. */
#include "knittest.h"

#include <stdatomic.h>

static _Thread_local char here;

/* Something that tells threads apart, asked anew each time. */
__attribute__((noinline)) static uintptr_t thread_now(void)
{
    uintptr_t address = (uintptr_t)&here;
    __asm__ volatile("" : "+r"(address)::"memory");
    return address;
}

/* Park in several ways; the thread must stay the same. */
static int stay(int rounds)
{
    uintptr_t home = thread_now();
    for (int i = 0; i < rounds; i++) {
        int r = i % 3 == 0 ? knit_sleep(20 * KNIT_MICROSECOND) : knit_yield();
        if (r < 0)
            return r;
        if (thread_now() != home)
            return knit_error(-EPROTO, "moved");
    }
    return 0;
}

static int stay_pinned(void *arg)
{
    (void)arg;
    CHECK_INT(knit_task_pin(), 0);
    int r = stay(30);
    CHECK_INT(knit_task_unpin(), 0);
    return r;
}

static int wander(void *arg)
{
    (void)arg;
    for (int i = 0; i < 30; i++)
        (void)knit_yield();
    return 0;
}

static void a_pinned_task_stays_on_its_thread(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < kt_count(100); i++)
        CHECK_INT(knit_errgroup_go(&g, i % 2 ? stay_pinned : wander, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

typedef struct pair {
    knit_chan *there, *back;
    int rounds;
} pair;

static int serve_pinned(void *arg)
{
    pair *p = arg;
    int n;
    CHECK_INT(knit_task_pin(), 0);
    uintptr_t home = thread_now();
    for (int i = 0; i < p->rounds; i++) {
        CHECK_INT(knit_chan_recv(p->there, &n), 0);
        CHECK(thread_now() == home);
        n++;
        CHECK_INT(knit_chan_send(p->back, &n), 0);
        CHECK(thread_now() == home);
    }
    return 0; /* its end unpins */
}

static void a_pinned_task_is_woken_by_others(void)
{
    pair p = {.rounds = kt_count(500)};
    knit_errgroup g = {0};
    CHECK_INT(knit_chan_new(sizeof(int), 0, &p.there), 0);
    CHECK_INT(knit_chan_new(sizeof(int), 0, &p.back), 0);
    CHECK_INT(knit_errgroup_go(&g, serve_pinned, &p), 0);
    for (int i = 0, n; i < p.rounds; i++) {
        CHECK_INT(knit_chan_send(p.there, &i), 0);
        CHECK_INT(knit_chan_recv(p.back, &n), 0);
        CHECK_INT(n, i + 1);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(p.there);
    knit_chan_unref(p.back);
}

static int pin_twice(void *arg)
{
    (void)arg;
    CHECK_INT(knit_task_unpin(), -EPERM);
    CHECK_INT(knit_task_pin(), 0);
    CHECK_INT(knit_task_pin(), 0);
    CHECK_INT(knit_task_unpin(), 0);
    CHECK_INT(stay(10), 0);
    CHECK_INT(knit_task_unpin(), 0);
    CHECK_INT(knit_task_unpin(), -EPERM);
    CHECK_INT(knit_task_pin(), 0);
    return knit_task_exit(stay(10));
}

static void pins_are_counted_and_end_with_the_task(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, pin_twice, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int pinned_parent(void *arg)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_task_pin(), 0);
    uintptr_t home = thread_now();
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_errgroup_go(&g, i % 2 ? stay_pinned : wander, arg), 0);
    int r = knit_errgroup_wait(&g);
    CHECK(thread_now() == home);
    return r;
}

static void a_pinned_task_may_wait_for_a_group(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < kt_some(20); i++)
        CHECK_INT(knit_errgroup_go(&g, pinned_parent, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int sleep_pinned(void *arg)
{
    CHECK_INT(knit_task_pin(), 0);
    uintptr_t home = thread_now();
    atomic_fetch_add((atomic_int *)arg, 1);
    int r = knit_sleep(KNIT_FOREVER);
    CHECK(thread_now() == home);
    return r;
}

static void cancel_wakes_pinned_tasks(void)
{
    atomic_int asleep = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_pinned, &asleep), 0);
    kt_until(asleep == 20);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
}

static int block_a_little(void *arg)
{
    (void)arg;
    return 0;
}

static int block_pinned(void *arg)
{
    CHECK_INT(knit_task_pin(), 0);
    uintptr_t home = thread_now();
    for (int i = 0; i < 5; i++) {
        CHECK_INT(knit_blocking(block_a_little, arg), 0);
        CHECK_INT(knit_yield(), 0);
        CHECK(thread_now() == home);
    }
    return 0;
}

static void pinned_tasks_may_block(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, i % 2 ? block_pinned : wander, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void a_thread_is_always_pinned(void)
{
    CHECK_INT(knit_task_pin(), 0);
    CHECK_INT(knit_task_unpin(), 0);
    CHECK_INT(knit_task_unpin(), 0);
}

static const knittest tests[] = {
    BOTH(a_pinned_task_stays_on_its_thread),
    BOTH(a_pinned_task_is_woken_by_others),
    BOTH(pins_are_counted_and_end_with_the_task),
    BOTH(a_pinned_task_may_wait_for_a_group),
    BOTH(cancel_wakes_pinned_tasks),
    BOTH(pinned_tasks_may_block),
    THREAD(a_thread_is_always_pinned),
};

KNITTEST_MAIN(tests)
