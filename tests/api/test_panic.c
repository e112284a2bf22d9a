/* knit_panic where the group contains it: the group fails, or the waiter panics in turn. */
#include "knittest.h"

#include <stdatomic.h>

static void count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

__attribute__((noinline)) static void panic_below(int depth)
{
    if (depth > 3)
        return;
    if (depth > 0)
        panic_below(depth - 1);
    knit_panic("shard %d is %s", 7, "gone");
}

static int panic_after_defer(void *arg)
{
    if (arg)
        CHECK_INT(knit_defer(count_up, arg), 0);
    panic_below(3);
    return 0;
}

static int wait_for_cancel(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static void group_with(knit_errgroup *g, unsigned flags)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.flags = flags, .name = "shards"}), 0);
}

/* XEG-H1, XEG-H2 (as an error): the text and the calls are in the record; the rest is cancelled. */
static void a_contained_panic_is_the_failure_of_its_task(void)
{
    for (int i = 0; i < kt_count(50); i++) {
        atomic_int deferred = 0;
        knit_error_record rec;
        knit_errgroup_counts counts;
        knit_errgroup g;
        group_with(&g, KNIT_ERRGROUP_PANIC_ERROR);
        CHECK_INT(knit_errgroup_go(&g, wait_for_cancel, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, panic_after_defer, &deferred), 0);
        CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
        CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
        CHECK_INT(rec.code, KNIT_PANICKED);
        CHECK_HAS(rec.text, "shard 7 is gone");
        CHECK_HAS(rec.task, "panic_after_defer");
        CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
        CHECK_INT(counts.failed, 1);
        CHECK_INT(deferred, 1);
    }
}

static int add_one(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static void a_group_that_keeps_going_runs_the_others(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    group_with(&g, KNIT_ERRGROUP_PANIC_ERROR | KNIT_ERRGROUP_KEEP_GOING);
    CHECK_INT(knit_errgroup_go(&g, add_one, &ran), 0);
    CHECK_INT(knit_errgroup_go(&g, panic_after_defer, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, add_one, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(ran, 2);
}

/* The waiter panics, here in a task whose group contains it. */
static int wait_for_panicking_group(void *arg)
{
    knit_errgroup g;
    group_with(&g, KNIT_ERRGROUP_PANIC_WAITER);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, add_one, arg), 0);
    (void)knit_errgroup_go(&g, panic_after_defer, NULL); /* -ECANCELED cannot be: nothing failed */
    (void)knit_errgroup_wait(&g);
    return -EPROTO; /* not reached */
}

static void a_panic_is_raised_again_in_the_waiter(void)
{
    for (int i = 0; i < kt_count(50); i++) {
        atomic_int ran = 0;
        knit_error_record rec;
        knit_errgroup g;
        group_with(&g, KNIT_ERRGROUP_PANIC_ERROR);
        CHECK_INT(knit_errgroup_go(&g, wait_for_panicking_group, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
        CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
        CHECK_HAS(rec.text, "shard 7 is gone");
        CHECK_HAS(rec.task, "wait_for_panicking_group");
    }
}

static int succeed_in_strict_group(void *arg)
{
    knit_errgroup g;
    group_with(&g, KNIT_ERRGROUP_PANIC_WAITER);
    CHECK_INT(knit_errgroup_go(&g, add_one, arg), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
    return 0;
}

static void without_a_panic_the_waiter_returns(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, succeed_in_strict_group, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void panic_in_defer(void *arg)
{
    (void)arg;
    knit_panic("while cleaning up");
}

static int defer_a_panic(void *arg)
{
    CHECK_INT(knit_defer(count_up, arg), 0);
    CHECK_INT(knit_defer(panic_in_defer, NULL), 0);
    CHECK_INT(knit_defer(count_up, arg), 0);
    return 0;
}

static void a_panic_in_a_deferred_call_lets_the_others_be_made(void)
{
    atomic_int deferred = 0;
    knit_error_record rec;
    knit_errgroup g;
    group_with(&g, KNIT_ERRGROUP_PANIC_ERROR);
    CHECK_INT(knit_errgroup_go(&g, defer_a_panic, &deferred), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(deferred, 2);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, "while cleaning up");
}

static const knittest tests[] = {
    BOTH(a_contained_panic_is_the_failure_of_its_task),
    BOTH(a_group_that_keeps_going_runs_the_others),
    BOTH(a_panic_is_raised_again_in_the_waiter),
    BOTH(without_a_panic_the_waiter_returns),
    BOTH(a_panic_in_a_deferred_call_lets_the_others_be_made),
};

KNITTEST_MAIN(tests)
