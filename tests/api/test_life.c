/* How a task ends: deferred calls, exit from any depth, task-local values. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- deferred calls --------------------------------------------------------------------------- */

/* What happened, a letter each. One task writes. */
typedef struct trace {
    char text[32];
    int n;
} trace;

typedef struct step {
    trace *t;
    char letter;
} step;

static void note(trace *t, char letter)
{
    t->text[t->n++] = letter;
    CHECK(t->n < (int)sizeof t->text);
}

static void note_step(void *arg)
{
    step *s = arg;
    note(s->t, s->letter);
}

static void note_a(void *t)
{
    note(t, 'a');
}

static void note_b(void *t)
{
    note(t, 'b');
}

static void note_c(void *t)
{
    note(t, 'c');
}

static void defer_abc(trace *t)
{
    CHECK_INT(knit_defer(note_a, t), 0);
    CHECK_INT(knit_defer(note_b, t), 0);
    CHECK_INT(knit_defer(note_c, t), 0);
}

static int return_with_defers(void *arg)
{
    defer_abc(arg);
    note(arg, '.');
    return 0;
}

/* Run one task in a group of its own. */
static int run_one(knit_fn *fn, void *arg)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, fn, arg), 0);
    return knit_errgroup_wait(&g);
}

static void deferred_calls_are_made_newest_first(void)
{
    trace t = {{0}, 0};
    CHECK_INT(run_one(return_with_defers, &t), 0);
    CHECK_HAS(t.text, ".cba");
}

static int fail_with_defers(void *arg)
{
    defer_abc(arg);
    return knit_error(-EIO, "as planned");
}

static void deferred_calls_are_made_when_the_task_fails(void)
{
    trace t = {{0}, 0};
    knit_error_record rec;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, fail_with_defers, &t), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, "as planned");
    CHECK_HAS(t.text, "cba");
}

static void defer_more(void *arg)
{
    note(arg, 'm');
    CHECK_INT(knit_defer(note_b, arg), 0);
}

static int defer_that_defers(void *arg)
{
    CHECK_INT(knit_defer(note_a, arg), 0);
    CHECK_INT(knit_defer(defer_more, arg), 0);
    return 0;
}

static void a_deferred_call_may_defer(void)
{
    trace t = {{0}, 0};
    CHECK_INT(run_one(defer_that_defers, &t), 0);
    CHECK_HAS(t.text, "mba");
}

static void sleep_in_defer(void *arg)
{
    CHECK_INT(knit_sleep(100 * KNIT_MICROSECOND), 0);
    CHECK_INT(knit_yield(), 0);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int sleep_until_cancelled(void *arg)
{
    CHECK_INT(knit_defer(sleep_in_defer, arg), 0);
    return knit_sleep(KNIT_FOREVER);
}

static void deferred_calls_can_wait_though_the_task_was_cancelled(void)
{
    atomic_int slept = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_until_cancelled, &slept), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_yield(), 0);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(slept, counts.echoes);
    CHECK_INT(counts.echoes + counts.skipped, 20);
}

static int defer_badly(void *arg)
{
    (void)arg;
    CHECK_INT(knit_defer(NULL, NULL), -EINVAL);
    return 0;
}

static void misuse_of_defer_is_told(void)
{
    CHECK_INT(run_one(defer_badly, NULL), 0);
    CHECK_INT(knit_defer(NULL, NULL), -EINVAL);
}

static void a_thread_cannot_defer_or_exit(void)
{
    trace t = {{0}, 0};
    CHECK_INT(knit_defer(note_a, &t), -EPERM);
    CHECK_INT(knit_task_exit(3), -EPERM);
    CHECK_INT(t.n, 0);
}

/* ---- exit ------------------------------------------------------------------------------------- */

/* Deep, with something of every kind in its frames. */
static int exit_below(int depth, int result)
{
    volatile char frame[64];
    memset((void *)(uintptr_t)frame, depth, sizeof frame);
    if (depth == 0)
        return knit_task_exit(result);
    int r = exit_below(depth - 1, result);
    CHECK(frame[0] == depth); /* never reached in a task */
    return r + 1;
}

typedef struct exiting {
    trace t;
    int result;
    bool park;
} exiting;

static int exit_deep(void *arg)
{
    exiting *e = arg;
    defer_abc(&e->t);
    if (e->park)
        CHECK_INT(knit_yield(), 0);
    exit_below(20, e->result);
    note(&e->t, '!');
    return -EPROTO;
}

/* XEG-H3; x/sync today: "counted as finished with nil error"; here with any result. */
static void exit_ends_the_task_from_any_depth(void)
{
    for (int i = 0; i < kt_count(200); i++) {
        exiting e = {.result = i % 3 == 0 ? 0 : -i, .park = i & 1};
        CHECK_INT(run_one(exit_deep, &e), e.result);
        CHECK(strcmp(e.t.text, "cba") == 0);
    }
}

static int defer_to_a_local(void *arg)
{
    step s = {arg, 'x'};
    CHECK_INT(knit_defer(note_step, &s), 0);
    return knit_task_exit(0); /* the frame is still there */
}

static void deferred_calls_of_an_exit_see_the_frames(void)
{
    trace t = {{0}, 0};
    CHECK_INT(run_one(defer_to_a_local, &t), 0);
    CHECK_HAS(t.text, "x");
}

static void exit_with_seven(void *arg)
{
    note(arg, 'e');
    knit_task_exit(7);
}

static int exit_then_exit_in_defer(void *arg)
{
    CHECK_INT(knit_defer(note_a, arg), 0);
    CHECK_INT(knit_defer(exit_with_seven, arg), 0);
    return knit_task_exit(5);
}

static int return_then_exit_in_defer(void *arg)
{
    CHECK_INT(knit_defer(note_a, arg), 0);
    CHECK_INT(knit_defer(exit_with_seven, arg), 0);
    return 0;
}

static void an_exit_in_a_deferred_call_ends_that_call(void)
{
    trace t = {{0}, 0}, u = {{0}, 0};
    CHECK_INT(run_one(exit_then_exit_in_defer, &t), 7);
    CHECK(strcmp(t.text, "ea") == 0);
    CHECK_INT(run_one(return_then_exit_in_defer, &u), 7);
    CHECK(strcmp(u.text, "ea") == 0);
}

static int exit_under_contexts(void *arg)
{
    knit_ctx *ctx[2];
    knit_ctx_scope scopes[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx[i]), 0);
        CHECK_INT(knit_ctx_enter(ctx[i], &scopes[i]), 0);
        knit_ctx_unref(ctx[i]); /* the scope's is the last one */
    }
    CHECK_INT(knit_sleep(1000), 0); /* the context watches */
    (void)arg;
    return knit_task_exit(0);
}

static void exit_leaves_the_contexts(void)
{
    for (int i = 0; i < 20; i++)
        CHECK_INT(run_one(exit_under_contexts, NULL), 0);
    CHECK_INT(knit_sleep(1000), 0);
}

static int count_and_exit(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_task_exit(0);
}

static int exit_among_children(void *arg)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, count_and_exit, arg), 0);
    CHECK_INT(knit_yield(), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, count_and_exit, arg), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0); /* some ran on top of this */
    return knit_task_exit(0);
}

static void a_waiter_survives_the_exit_of_what_it_ran(void)
{
    atomic_int n = 0;
    knit_errgroup g = {0};
    int rounds = kt_count(100);
    for (int i = 0; i < rounds; i++)
        CHECK_INT(knit_errgroup_go(&g, exit_among_children, &n), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(n, rounds * 20);
}

typedef struct tree {
    atomic_int *leaves;
    int depth;
} tree;

static int grow(void *arg)
{
    tree *t = arg, below = {t->leaves, t->depth - 1};
    knit_errgroup g = {0};
    if (t->depth == 0) {
        atomic_fetch_add(t->leaves, 1);
        return exit_below(3, 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, grow, &below), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    return t->depth % 2 ? exit_below(t->depth, 0) : 0;
}

static void exits_nest_in_a_tree_of_tasks(void)
{
    atomic_int leaves = 0;
    int depth = kt_scale() > 4 ? 6 : 10;
    tree t = {&leaves, depth};
    CHECK_INT(run_one(grow, &t), 0);
    CHECK_INT(leaves, 1 << depth);
}

static int exit_at_the_limit(void *arg)
{
    atomic_int *running = arg;
    CHECK(atomic_fetch_add(running, 1) < 2);
    CHECK_INT(knit_yield(), 0);
    atomic_fetch_sub(running, 1);
    return knit_task_exit(0);
}

static void an_exit_hands_its_place_on(void)
{
    atomic_int running = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_set_limit(&g, 2), 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(knit_errgroup_go(&g, exit_at_the_limit, &running), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int exit_from_blocking_body(void *arg)
{
    (void)arg;
    return knit_task_exit(4);
}

static int exit_from_blocking(void *arg)
{
    (void)knit_blocking(exit_from_blocking_body, arg);
    return -EPROTO;
}

static void an_exit_ends_a_blocking_region(void)
{
    for (int i = 0; i < 10; i++)
        CHECK_INT(run_one(exit_from_blocking, NULL), 4);
}

static int exit_with_copy(void *arg)
{
    return exit_below(2, *(int *)arg);
}

static void an_exit_frees_the_copied_argument(void)
{
    knit_errgroup g = {0};
    int value = 11;
    CHECK_INT(knit_errgroup_go_copy(&g, exit_with_copy, &value, sizeof value), 0);
    CHECK_INT(knit_errgroup_wait(&g), 11);
}

/* ---- task-local values ------------------------------------------------------------------------ */

static atomic_int destroyed;

static void count_destroyed(void *value)
{
    atomic_fetch_add(&destroyed, *(int *)value);
    free(value);
}

static knit_task_local plain_key, owned_key = {count_destroyed};

static int use_locals(void *arg)
{
    int *one = malloc(sizeof *one);
    CHECK(one != NULL);
    *one = 1;
    CHECK(knit_task_local_get(&plain_key) == NULL);
    CHECK(knit_task_local_get(&owned_key) == NULL); /* not inherited */
    CHECK_INT(knit_task_local_set(&plain_key, arg), 0);
    CHECK_INT(knit_task_local_set(&owned_key, one), 0);
    CHECK_INT(knit_yield(), 0);
    CHECK_INT(knit_sleep(1000), 0);
    CHECK(knit_task_local_get(&plain_key) == arg);
    CHECK(knit_task_local_get(&owned_key) == one);
    return 0;
}

static int use_locals_and_exit(void *arg)
{
    (void)use_locals(arg);
    return exit_below(2, 0);
}

static int use_locals_with_children(void *arg)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_task_local_set(&plain_key, &g), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, i % 2 ? use_locals : use_locals_and_exit, arg), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(knit_task_local_get(&plain_key) == &g);
    return 0;
}

static void values_belong_to_the_task_and_are_destroyed_with_it(void)
{
    int before = destroyed, x;
    CHECK_INT(run_one(use_locals_with_children, &x), 0);
    CHECK_INT(destroyed - before, 10);
}

static void read_in_defer(void *arg)
{
    CHECK(knit_task_local_get(&owned_key) != NULL); /* values outlive the deferred calls */
    *(bool *)arg = true;
}

static int defer_then_set(void *arg)
{
    CHECK_INT(knit_defer(read_in_defer, arg), 0);
    return use_locals(arg);
}

static void values_are_destroyed_after_the_deferred_calls(void)
{
    bool read = false;
    CHECK_INT(run_one(defer_then_set, &read), 0);
    CHECK(read);
}

static void thread_with_values(void *arg)
{
    int *five = malloc(sizeof *five);
    CHECK(five != NULL);
    *five = 5;
    CHECK(knit_task_local_get(&owned_key) == NULL);
    CHECK_INT(knit_task_local_set(&owned_key, five), 0);
    CHECK(knit_task_local_get(&owned_key) == five);
    (void)arg;
}

static void a_thread_has_values_until_it_ends(void)
{
    int before = destroyed;
    kt_thread_join(kt_thread_start(thread_with_values, NULL));
    CHECK_INT(destroyed - before, 5);
}

static void a_key_is_needed(void)
{
    CHECK_INT(knit_task_local_set(NULL, NULL), -EINVAL);
    CHECK(knit_task_local_get(NULL) == NULL);
}

/* ---- counted ----------------------------------------------------------------------------------- */

static int exit_or_return(void *arg)
{
    atomic_int *n = arg;
    return atomic_fetch_add(n, 1) % 3 == 0 ? knit_task_exit(0) : 0;
}

static uint64_t tasks_run(void)
{
    knit_runtime_counts counts;
    CHECK_INT(knit_runtime_stats(&counts), 0);
    return counts.tasks_run;
}

/* Also those that ran on the same stack before. The count comes a little later than the end, so no
 * task may have run before these. */
static void tasks_that_exit_are_counted_with_the_others(void)
{
    atomic_int n = 0;
    knit_errgroup g = {0};
    CHECK_INT(tasks_run(), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(knit_errgroup_go(&g, exit_or_return, &n), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_until(tasks_run() >= 1000);
    CHECK_INT(tasks_run(), 1000);
}

static const knittest tests[] = {
    BOTH(deferred_calls_are_made_newest_first),
    BOTH(deferred_calls_are_made_when_the_task_fails),
    BOTH(a_deferred_call_may_defer),
    BOTH(deferred_calls_can_wait_though_the_task_was_cancelled),
    BOTH(misuse_of_defer_is_told),
    THREAD(a_thread_cannot_defer_or_exit),
    BOTH(exit_ends_the_task_from_any_depth),
    BOTH(deferred_calls_of_an_exit_see_the_frames),
    BOTH(an_exit_in_a_deferred_call_ends_that_call),
    BOTH(exit_leaves_the_contexts),
    BOTH(a_waiter_survives_the_exit_of_what_it_ran),
    BOTH(exits_nest_in_a_tree_of_tasks),
    BOTH(an_exit_hands_its_place_on),
    BOTH(an_exit_ends_a_blocking_region),
    BOTH(an_exit_frees_the_copied_argument),
    BOTH(values_belong_to_the_task_and_are_destroyed_with_it),
    BOTH(values_are_destroyed_after_the_deferred_calls),
    BOTH(a_thread_has_values_until_it_ends),
    BOTH(a_key_is_needed),
    COLD(tasks_that_exit_are_counted_with_the_others),
};

KNITTEST_MAIN(tests)
