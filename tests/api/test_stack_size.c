/* Stacks of other sizes than the usual one: for a group, for the program. */
#include "dive.h"
#include "knittest.h"

#include <stdatomic.h>
#include <stdlib.h>

#define KIB ((size_t)1024)

typedef struct deep {
    knit_errgroup group; /* first */
    kt_gate gate;
    size_t stack;
    int bytes;
    atomic_int ran, parked, deferred;
} deep;

static void deep_init(deep *d, size_t stack, unsigned flags)
{
    *d = (deep){.stack = stack, .bytes = (int)(stack / 4 * 3), .gate = kt_gate_new()};
    knit_errgroup_options options = {.stack = stack, .flags = flags};
    CHECK_INT(knit_errgroup_init(&d->group, &options), 0);
}

static int go_deep(void *arg)
{
    deep *d = arg;
    CHECK_INT(dive(d->bytes), 0);
    (void)knit_yield();
    CHECK_INT(dive(d->bytes), 0);
    atomic_fetch_add(&d->ran, 1);
    return 0;
}

/* Whoever waits, a task on a usual stack among them, does not run them on its own. */
static void a_group_has_the_stacks_it_asks_for(void)
{
    static const size_t sizes[] = {128 * KIB, 1024 * KIB, 4096 * KIB, 100 * KIB};
    for (int i = 0; i < 4; i++) {
        deep d;
        deep_init(&d, sizes[i], 0);
        for (int k = 0; k < 20; k++)
            CHECK_INT(knit_errgroup_go(&d.group, go_deep, &d), 0);
        CHECK_INT(knit_errgroup_wait(&d.group), 0);
        CHECK_INT(atomic_load(&d.ran), 20);
        kt_gate_free(d.gate);
    }
}

static int park_deep(void *arg)
{
    deep *d = arg;
    atomic_fetch_add(&d->parked, 1);
    CHECK_INT(kt_gate_wait(d->gate), 0);
    CHECK_INT(dive(d->bytes), 0);
    atomic_fetch_add(&d->ran, 1);
    return 0;
}

static void many_of_them_can_be_parked(void)
{
    enum { PARKED = 60 };
    deep d;
    deep_init(&d, 512 * KIB, 0);
    for (int k = 0; k < PARKED; k++)
        CHECK_INT(knit_errgroup_go(&d.group, park_deep, &d), 0);
    kt_until(atomic_load(&d.parked) == PARKED);
    kt_gate_open(d.gate);
    CHECK_INT(knit_errgroup_wait(&d.group), 0);
    CHECK_INT(atomic_load(&d.ran), PARKED);
    kt_gate_free(d.gate);
}

static uint64_t stacks_made(void)
{
    knit_runtime_counts counts;
    CHECK_INT(knit_runtime_stats(&counts), 0);
    return counts.stacks;
}

/* 20,000 tasks, at most 16 at once. */
static void they_are_used_again(void)
{
    deep d;
    deep_init(&d, 256 * KIB, 0);
    d.bytes = 1024;
    CHECK_INT(knit_errgroup_set_limit(&d.group, 16), 0);
    uint64_t made = stacks_made();
    for (int k = kt_count(20000); k > 0; k--)
        CHECK_INT(knit_errgroup_go(&d.group, go_deep, &d), 0);
    CHECK_INT(knit_errgroup_wait(&d.group), 0);
    CHECK(stacks_made() - made < 600); /* two slabs at most are begun */
    kt_gate_free(d.gate);
}

static int add_one(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int start_children(void *arg)
{
    deep *d = arg, inner;
    knit_errgroup plain = {0};
    atomic_int ran = 0;
    for (int k = 0; k < 30; k++)
        CHECK_INT(knit_errgroup_go(&plain, add_one, &ran), 0);
    deep_init(&inner, d->stack / 2, 0);
    for (int k = 0; k < 3; k++)
        CHECK_INT(knit_errgroup_go(&inner.group, go_deep, &inner), 0);
    CHECK_INT(knit_errgroup_go(&d->group, go_deep, d), 0);
    CHECK_INT(knit_errgroup_wait(&plain), 0);
    CHECK_INT(atomic_load(&ran), 30);
    CHECK_INT(knit_errgroup_wait(&inner.group), 0);
    CHECK_INT(atomic_load(&inner.ran), 3);
    kt_gate_free(inner.gate);
    atomic_fetch_add(&d->ran, 1);
    return 0;
}

static void groups_of_all_kinds_nest(void)
{
    deep d;
    deep_init(&d, 1024 * KIB, 0);
    for (int k = 0; k < 10; k++)
        CHECK_INT(knit_errgroup_go(&d.group, start_children, &d), 0);
    CHECK_INT(knit_errgroup_wait(&d.group), 0);
    CHECK_INT(atomic_load(&d.ran), 20);
    kt_gate_free(d.gate);
}

/* ---- ends of all kinds ------------------------------------------------------------------------- */

static void note_call(void *arg)
{
    deep *d = arg;
    atomic_fetch_add(&d->deferred, 1);
}

static int exit_deep(void *arg)
{
    deep *d = arg;
    CHECK_INT(knit_defer(note_call, d), 0);
    CHECK_INT(dive(d->bytes), 0);
    return knit_task_exit(0);
}

static int panic_deep(void *arg)
{
    deep *d = arg;
    CHECK_INT(knit_defer(note_call, d), 0);
    CHECK_INT(dive(d->bytes), 0);
    knit_panic("deep down");
}

static void they_may_exit_and_panic(void)
{
    deep d;
    deep_init(&d, 256 * KIB, KNIT_ERRGROUP_PANIC_ERROR | KNIT_ERRGROUP_KEEP_GOING);
    for (int k = 0; k < 40; k++)
        CHECK_INT(knit_errgroup_go(&d.group, k % 2 ? exit_deep : panic_deep, &d), 0);
    CHECK_INT(knit_errgroup_wait(&d.group), KNIT_PANICKED);
    CHECK_INT(atomic_load(&d.deferred), 40);
    kt_gate_free(d.gate);
}

static void a_cancelled_group_skips_them(void)
{
    deep d;
    knit_errgroup_counts counts;
    deep_init(&d, 256 * KIB, 0);
    CHECK_INT(knit_errgroup_set_limit(&d.group, 0), 0);
    knit_errgroup_cancel(&d.group, -EIO);
    CHECK_INT(knit_errgroup_go(&d.group, go_deep, &d), -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&d.group), -EIO);
    CHECK_INT(knit_errgroup_stats(&d.group, &counts), 0);
    CHECK_INT(counts.skipped, 1);
    CHECK_INT(atomic_load(&d.ran), 0);
    kt_gate_free(d.gate);
}

static int pin_and_go_deep(void *arg)
{
    CHECK_INT(knit_task_pin(), 0);
    return go_deep(arg);
}

static void handles_and_pins_go_with_them(void)
{
    deep d;
    knit_task *task = NULL;
    deep_init(&d, 256 * KIB, 0);
    CHECK_INT(knit_errgroup_go_task(&d.group, go_deep, &d, &task), 0);
    CHECK_INT(knit_task_wait(task, NULL), 0);
    knit_task_unref(task);
    CHECK_INT(knit_errgroup_go(&d.group, pin_and_go_deep, &d), 0);
    CHECK_INT(knit_errgroup_wait(&d.group), 0);
    CHECK_INT(atomic_load(&d.ran), 2);
    kt_gate_free(d.gate);
}

/* ---- the program's size ------------------------------------------------------------------------ */

static void a_program_sets_the_usual_size(void)
{
    deep d = {.bytes = 700 * 1024};
    CHECK_INT(unsetenv("KNIT_STACK"), 0);
    CHECK_INT(knit_stack_set_size(0), -EINVAL);
    CHECK_INT(knit_stack_set_size(65 * 1024 * KIB), -EINVAL);
    CHECK_INT(knit_stack_set_size(900 * KIB), 0);
    CHECK_INT(knit_errgroup_go(&d.group, go_deep, &d), 0);
    CHECK_INT(knit_errgroup_wait(&d.group), 0);
    CHECK_INT(knit_stack_set_size(64 * KIB), -EBUSY);
}

/* As the usual size is larger, nothing is to be done. */
static void a_size_below_the_usual_one_is_the_usual_one(void)
{
    deep d;
    knit_errgroup g;
    CHECK_INT(setenv("KNIT_STACK", "1m", 1), 0);
    CHECK_INT(knit_stack_set_size(16 * KIB), 0); /* the environment decides */
    deep_init(&d, 32 * KIB, 0);
    d.bytes = 700 * 1024;
    CHECK_INT(knit_errgroup_go(&d.group, go_deep, &d), 0);
    CHECK_INT(knit_errgroup_wait(&d.group), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.stack = 65 * 1024 * KIB}), -EINVAL);
    kt_gate_free(d.gate);
}

static const knittest tests[] = {
    BOTH(a_group_has_the_stacks_it_asks_for),
    BOTH(many_of_them_can_be_parked),
    BOTH(they_are_used_again),
    BOTH(groups_of_all_kinds_nest),
    BOTH(they_may_exit_and_panic),
    BOTH(a_cancelled_group_skips_them),
    BOTH(handles_and_pins_go_with_them),
    COLD(a_program_sets_the_usual_size),
    COLD(a_size_below_the_usual_one_is_the_usual_one),
};
KNITTEST_MAIN(tests)
