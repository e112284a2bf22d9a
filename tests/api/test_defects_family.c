/* What goes wrong with the fronts of the ancestors (gollback, Hunch, conc) and is not looked at where
 * ours are tested. docs/defects.md says which library each test is about. */
#include "bodies.h"

static int exit_with(void *arg)
{
    return knit_task_exit(*(int *)arg);
}

static int wait_for_the_end(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

/* gollback.Race does not count a call that exits: if all others fail, it hangs. */
static void a_call_that_exits_loses_a_race(void)
{
    int io = -EIO, no_entry = -ENOENT;
    const knit_call calls[] = {{exit_with, &io}, {exit_with, &no_entry}};
    size_t winner = 9;
    int r = knit_race(calls, 2, NULL, &winner);
    CHECK(r == -EIO || r == -ENOENT);
    CHECK_INT(winner, 9);
}

static void a_call_that_exits_wins_a_race(void)
{
    int fine = 0;
    const knit_call calls[] = {{wait_for_the_end, NULL}, {exit_with, &fine}};
    size_t winner = 9;
    CHECK_INT(knit_race(calls, 2, &(knit_errgroup_options){.limit = 2}, &winner), 0);
    CHECK_INT(winner, 1);
}

/* Hunch's All, Take and Last wait for ever for an executable that exits. */
static void a_call_that_exits_has_ended_for_all_take_and_last(void)
{
    int fine = 0, io = -EIO;
    const knit_call succeed[] = {{exit_with, &fine}, {exit_with, &fine}};
    const knit_call fail[] = {{exit_with, &io}, {exit_with, &io}};
    size_t indexes[2];
    CHECK_INT(knit_all(succeed, 2, NULL), 0);
    CHECK_INT(knit_all(fail, 2, NULL), -EIO);
    CHECK_INT(knit_take(succeed, 2, NULL, 2, indexes), 2);
    CHECK_INT(indexes[0] + indexes[1], 1);
    CHECK_INT(knit_take(fail, 2, NULL, 1, indexes), -EIO);
    CHECK_INT(knit_last(succeed, 2, NULL, 1, indexes), 1);
    CHECK_INT(knit_last(fail, 2, NULL, 1, indexes), -EIO);
}

/* Hunch's Waterfall returns at the end of its context, while its step runs on. */
typedef struct brook {
    kt_gate in_step;
    knit_ctx *ctx;
    int left, further;
} brook;

static int first_step(void *arg, void *value)
{
    brook *b = value;
    (void)arg;
    kt_gate_open(b->in_step);
    int r = knit_sleep(KNIT_FOREVER);
    b->left = 1;
    return r == -ECANCELED ? 0 : r; /* what it was told does not stop the waterfall: its end does */
}

static int second_step(void *arg, void *value)
{
    (void)arg;
    ((brook *)value)->further = 1;
    return 0;
}

static int cancel_in_step(void *arg)
{
    brook *b = arg;
    int r = kt_gate_wait(b->in_step);
    knit_ctx_cancel(b->ctx, 0);
    return r;
}

static void a_waterfall_is_over_when_it_returns(void)
{
    const knit_step steps[] = {{first_step, NULL}, {second_step, NULL}};
    brook b = {.in_step = kt_gate_new()};
    knit_errgroup g = {0};
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &b.ctx), 0);
    CHECK_INT(knit_errgroup_go(&g, cancel_in_step, &b), 0);
    knit_ctx_enter(b.ctx, &scope);
    CHECK_INT(knit_waterfall(steps, 2, &b), -ECANCELED);
    CHECK_INT(b.left, 1);
    CHECK_INT(b.further, 0);
    knit_ctx_leave(&scope);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_ctx_unref(b.ctx);
    kt_gate_free(b.in_step);
}

static int open_gate(void *arg)
{
    kt_gate_open(*(kt_gate *)arg);
    return 0;
}

/* Two of conc's pools that were derived from one share its limit: a task of one that waits for a
 * task of the other waits for ever (conc#78). */
static void groups_of_the_same_options_have_a_limit_each(void)
{
    const knit_errgroup_options options = {.limit = 1};
    kt_gate gate = kt_gate_new();
    knit_errgroup a, b;
    CHECK_INT(knit_errgroup_init(&a, &options), 0);
    CHECK_INT(knit_errgroup_init(&b, &options), 0);
    CHECK_INT(knit_errgroup_go(&a, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go(&b, open_gate, &gate), 0);
    CHECK_INT(knit_errgroup_wait(&b), 0);
    CHECK_INT(knit_errgroup_wait(&a), 0);
    kt_gate_free(gate);
}

/* A ContextPool of conc whose context has ended before still runs all (3 of 3), and its wait says
 * nil. */
static void nothing_runs_under_a_parent_that_has_ended(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    knit_ctx *ctx;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.ctx = ctx}), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(ran, 0);
    knit_ctx_unref(ctx);
}

/* A ContextPool of conc hands out a context that has ended when it is used again after a wait. */
static int is_alive(void *arg)
{
    (void)arg;
    return knit_ctx_err(knit_ctx_current());
}

static void the_context_of_a_group_that_is_used_again_is_alive(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int round = 0; round < 3; round++) {
        CHECK_INT(knit_errgroup_go(&g, is_alive, NULL), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
}

static const knittest tests[] = {
    BOTH(a_call_that_exits_loses_a_race),
    BOTH(a_call_that_exits_wins_a_race),
    BOTH(a_call_that_exits_has_ended_for_all_take_and_last),
    BOTH(a_waterfall_is_over_when_it_returns),
    BOTH(groups_of_the_same_options_have_a_limit_each),
    BOTH(nothing_runs_under_a_parent_that_has_ended),
    BOTH(the_context_of_a_group_that_is_used_again_is_alive),
};
KNITTEST_MAIN(tests)
