/* Loops under a context that ends. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdint.h>

static int never(size_t index, void *arg)
{
    (void)index, (void)arg;
    CHECK(false);
    return 0;
}

struct canceled {
    knit_ctx *ctx;
    atomic_int called; /* others may have taken lower indices, and see the end before they begin */
};

static int cancel_at_ten(size_t index, void *arg)
{
    struct canceled *c = arg;
    atomic_fetch_add(&c->called, 1);
    if (index == 10)
        knit_ctx_cancel(c->ctx, -EIO);
    return 0;
}

static void the_end_of_the_context_is_noticed_between_bodies(void)
{
    struct canceled c = {0};
    knit_for_each_report report;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &c.ctx), 0);
    CHECK_INT(knit_ctx_enter(c.ctx, &scope), 0);
    CHECK_INT(
        knit_for_each(0, SIZE_MAX, cancel_at_ten, &c, &(knit_for_each_options){.report = &report}),
        -ECANCELED);
    CHECK_INT(report.failed, 0);
    CHECK_INT(report.done, c.called);
    CHECK_INT(knit_for_each(0, 9, never, NULL, NULL), -ECANCELED);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    CHECK_INT(knit_for_each(0, 9, never, NULL, &(knit_for_each_options){.ctx = c.ctx}), -ECANCELED);
    knit_ctx_unref(c.ctx);
}

static int sleep_long(size_t index, void *arg)
{
    (void)index, (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static void a_loop_can_have_a_timeout(void)
{
    knit_for_each_options options = {.timeout = KNIT_MILLISECOND, .limit = 3};
    CHECK_INT(knit_for_each(0, 10, sleep_long, NULL, &options), -ETIMEDOUT);
}

static const knittest tests[] = {
    BOTH(the_end_of_the_context_is_noticed_between_bodies),
    BOTH(a_loop_can_have_a_timeout),
};
KNITTEST_MAIN(tests)
