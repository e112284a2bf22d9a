/* knit_waterfall. The ID is that of Hunch's own test. */
#include "knittest.h"

static int add(void *arg, void *value)
{
    *(int *)value += *(const int *)arg;
    return 0;
}

static int sleep_and_add(void *arg, void *value)
{
    int r = knit_sleep(KNIT_MILLISECOND);

    return r < 0 ? r : add(arg, value);
}

static int fail(void *arg, void *value)
{
    (void)value;
    return knit_error(*(const int *)arg, "this step");
}

static int cancel(void *arg, void *value)
{
    (void)value;
    knit_ctx_cancel(arg, 0);
    return 0;
}

/* HU-12 */
static void each_step_gets_what_the_former_left(void)
{
    int one = 1, value = 0;
    const knit_step steps[] = {{sleep_and_add, &one}, {sleep_and_add, &one}, {sleep_and_add, &one}};

    CHECK_INT(knit_waterfall(steps, 3, &value), 0);
    CHECK_INT(value, 3);
}

static void the_first_failure_stops(void)
{
    int one = 1, error = -EIO, positive = 7, value = 0;
    const knit_step steps[] = {{add, &one}, {fail, &error}, {add, &one}};
    const knit_step others[] = {{fail, &positive}, {add, &one}};

    CHECK_INT(knit_waterfall(steps, 3, &value), -EIO);
    CHECK_INT(value, 1);
    CHECK_INT(knit_waterfall(others, 2, &value), 7);
    CHECK_INT(value, 1);
}

/* Hunch crashes. */
static void no_steps_are_a_success(void)
{
    int value = 5;

    CHECK_INT(knit_waterfall(NULL, 0, &value), 0);
    CHECK_INT(value, 5);
}

static void a_step_that_makes_no_sense_is_found_before_the_first_is_called(void)
{
    int one = 1, value = 0;
    const knit_step steps[] = {{add, &one}, {NULL, NULL}};

    CHECK_INT(knit_waterfall(steps, 2, &value), -EINVAL);
    CHECK_INT(knit_waterfall(NULL, 1, &value), -EINVAL);
    CHECK_INT(value, 0);
}

static void no_step_begins_under_an_ended_context(void)
{
    int one = 1, value = 0;
    knit_ctx_scope scope;
    knit_ctx *ctx;

    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    const knit_step steps[] = {{add, &one}, {cancel, ctx}, {add, &one}};

    knit_ctx_enter(ctx, &scope);
    CHECK_INT(knit_waterfall(steps, 3, &value), -ECANCELED);
    knit_ctx_leave(&scope);
    CHECK_INT(value, 1);
    knit_ctx_unref(ctx);
}

static int run_failing(void *arg)
{
    const knit_step steps[] = {{fail, arg}};

    return knit_waterfall(steps, 1, NULL);
}

static void the_text_of_the_failed_step_is_the_tasks(void)
{
    knit_errgroup g = {0};
    knit_error_record rec;
    int error = -EIO;

    CHECK_INT(knit_errgroup_go(&g, run_failing, &error), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, "this step");
    CHECK_INT(knit_errgroup_close(&g), -EIO);
}

static const knittest tests[] = {
    BOTH(each_step_gets_what_the_former_left),
    BOTH(the_first_failure_stops),
    BOTH(no_steps_are_a_success),
    BOTH(a_step_that_makes_no_sense_is_found_before_the_first_is_called),
    BOTH(no_step_begins_under_an_ended_context),
    BOTH(the_text_of_the_failed_step_is_the_tasks),
};
KNITTEST_MAIN(tests)
