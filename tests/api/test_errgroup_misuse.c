/* Errgroups: what a caller did wrong is answered with a code, never with a crash or a hang. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

static int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

static void null_is_refused_everywhere(void)
{
    int value = 0;
    char text[4];
    knit_errgroup g = {0};
    knit_error_record record;
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_init(NULL, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_go(NULL, count_up, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_go(&g, NULL, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_try_go(NULL, count_up, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_try_go(&g, NULL, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_go_copy(NULL, count_up, &value, sizeof value), -EINVAL);
    CHECK_INT(knit_errgroup_go_copy(&g, NULL, &value, sizeof value), -EINVAL);
    CHECK_INT(knit_errgroup_go_copy(&g, count_up, NULL, sizeof value), -EINVAL);
    CHECK_INT(knit_errgroup_try_go_copy(&g, count_up, NULL, sizeof value), -EINVAL);
    CHECK_INT(knit_errgroup_set_limit(NULL, 1), -EINVAL);
    knit_errgroup_cancel(NULL, -EIO);
    CHECK_INT(knit_errgroup_wait(NULL), -EINVAL);
    CHECK_INT(knit_errgroup_wait_until(NULL, 0), -EINVAL);
    CHECK_INT(knit_errgroup_close(NULL), -EINVAL);
    CHECK(knit_errgroup_ctx(NULL) == NULL);
    CHECK_INT(knit_errgroup_error(NULL, 0, &record), -EINVAL);
    CHECK_INT(knit_errgroup_error(&g, 0, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_format(NULL, text, sizeof text), -EINVAL);
    CHECK_INT(knit_errgroup_format(&g, NULL, sizeof text), -EINVAL);
    CHECK_INT(knit_errgroup_stats(NULL, &counts), -EINVAL);
    CHECK_INT(knit_errgroup_stats(&g, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(counts_of(&g).submitted, 0); /* what was refused is no submission */
}

static void bad_options_are_refused(void)
{
    knit_errgroup g;
    knit_errgroup_options options = {.flags = 1u << 31};
    CHECK_INT(knit_errgroup_init(&g, &options), -EINVAL);
    options.flags = 0;
    options.timeout = -1;
    CHECK_INT(knit_errgroup_init(&g, &options), -EINVAL);
    options.timeout = INT64_MIN;
    CHECK_INT(knit_errgroup_init(&g, &options), -EINVAL);
}

static void storage_that_is_no_group_is_refused(void)
{
    static const int patterns[] = {0xA5, 0x5A, 0xFF, 0x11};
    atomic_int ran = 0;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        knit_errgroup g;
        knit_errgroup_counts counts;
        memset(&g, patterns[i], sizeof g);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -EINVAL);
        CHECK_INT(knit_errgroup_try_go(&g, count_up, &ran), -EINVAL);
        CHECK_INT(knit_errgroup_go_copy(&g, count_up, &value, sizeof value), -EINVAL);
        CHECK_INT(knit_errgroup_set_limit(&g, 1), -EINVAL);
        knit_errgroup_cancel(&g, -EIO);
        CHECK_INT(knit_errgroup_wait(&g), -EINVAL);
        CHECK_INT(knit_errgroup_wait_until(&g, 0), -EINVAL);
        CHECK_INT(knit_errgroup_close(&g), -EINVAL);
        CHECK_INT(knit_errgroup_stats(&g, &counts), -EINVAL);
        CHECK_INT(knit_errgroup_format(&g, NULL, 0), -EINVAL);
        CHECK(knit_errgroup_ctx(&g) == NULL);
    }
    CHECK_INT(ran, 0);
}

/* ---- a member that waits for its own group --------------------------------------------------- */

static int wait_for_own_group(void *arg)
{
    knit_errgroup *g = arg;
    int w = knit_errgroup_wait(g);
    int u = knit_errgroup_wait_until(g, KNIT_FOREVER);
    int c = knit_errgroup_close(g);
    return w == -EDEADLK && u == -EDEADLK && c == -EDEADLK ? knit_sleep(0) : -EPROTO;
}

static void wait_and_close_by_a_member_are_refused(void)
{
    atomic_int ran = 0;
    knit_errgroup made, zero = {0};
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    CHECK_INT(knit_errgroup_go(&made, wait_for_own_group, &made), 0);
    CHECK_INT(knit_errgroup_go(&zero, wait_for_own_group, &zero), 0);
    CHECK_INT(knit_errgroup_wait(&made), 0);
    CHECK_INT(knit_errgroup_wait(&zero), 0);
    CHECK_INT(knit_errgroup_go(&made, count_up, &ran), 0); /* nothing was closed */
    CHECK_INT(knit_errgroup_go(&zero, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&made), 0);
    CHECK_INT(knit_errgroup_wait(&zero), 0);
    CHECK_INT(ran, 2);
}

static int wait_from_nested_group(void *arg)
{
    knit_errgroup inner = {0};
    int r = knit_errgroup_go(&inner, wait_for_own_group, arg);
    int w = knit_errgroup_wait(&inner);
    return r ? r : w;
}

static int wait_from_deeper(void *arg)
{
    knit_errgroup inner;
    int r = knit_errgroup_init(&inner, NULL);
    if (r == 0)
        r = knit_errgroup_go(&inner, wait_from_nested_group, arg);
    int w = knit_errgroup_wait(&inner);
    return r ? r : w;
}

static void wait_and_close_from_a_nested_group_are_refused(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_from_nested_group, &g), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_from_deeper, &g), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int cancel_own_group(void *arg)
{
    knit_errgroup_cancel(arg, -EXDEV);
    return knit_sleep(KNIT_FOREVER);
}

static void a_member_may_cancel_its_group(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, cancel_own_group, &g), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(counts_of(&g).echoes, 1);
}

/* ---- a closed group -------------------------------------------------------------------------- */

static void a_closed_group_takes_no_more(void)
{
    atomic_int ran = 0;
    int value = 0;
    knit_errgroup made, zero = {0}, *groups[] = {&made, &zero};
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    for (int i = 0; i < 2; i++) {
        knit_errgroup *g = groups[i];
        CHECK_INT(knit_errgroup_close(g), 0);
        CHECK_INT(knit_errgroup_go(g, count_up, &ran), -ECANCELED);
        CHECK_INT(knit_errgroup_try_go(g, count_up, &ran), -ECANCELED);
        CHECK_INT(knit_errgroup_go_copy(g, count_up, &value, sizeof value), -ECANCELED);
        CHECK_INT(knit_errgroup_try_go_copy(g, count_up, &value, sizeof value), -ECANCELED);
        CHECK_INT(knit_errgroup_wait(g), 0);
        CHECK_INT(counts_of(g).skipped, 4);
        CHECK_INT(counts_of(g).submitted, 4);
        knit_errgroup_cancel(g, -EIO);
        CHECK_INT(knit_errgroup_wait(g), 0); /* it had ended before */
        CHECK_INT(knit_errgroup_close(g), 0);
    }
    CHECK_INT(ran, 0);
}

typedef struct late {
    knit_errgroup *g;
    atomic_int *ran;
    atomic_int started;
    int result;
} late;

static int go_while_closing(void *arg)
{
    late *l = arg;
    l->started = 1;
    (void)knit_ctx_wait(knit_ctx_current());
    l->result = knit_errgroup_go(l->g, count_up, l->ran);
    return 0;
}

static void a_member_cannot_add_to_a_group_that_closes(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    late l = {.g = &g, .ran = &ran, .result = 1};
    CHECK_INT(knit_errgroup_go(&g, go_while_closing, &l), 0);
    kt_until(l.started);
    CHECK_INT(knit_errgroup_close(&g), 0);
    CHECK_INT(l.result, -ECANCELED);
    CHECK_INT(ran, 0);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void runtime_stats_refuse_null_and_count(void)
{
    atomic_int ran = 0;
    knit_runtime_counts before, after;
    CHECK_INT(knit_runtime_stats(NULL), -EINVAL);
    CHECK_INT(knit_runtime_stats(&before), 0);
    knit_errgroup g = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    /* A moment's view: the workers' own counts may lag. */
    do {
        CHECK_INT(knit_runtime_stats(&after), 0);
        (void)knit_yield();
    } while (after.tasks_run < before.tasks_run + 100);
    CHECK(after.stacks >= after.stacks_in_use);
    CHECK(knit_workers() >= 1);
}

static void stats_before_the_first_use_are_zero(void)
{
    knit_runtime_counts counts;
    memset(&counts, 0xA5, sizeof counts);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    CHECK_INT(counts.tasks_run, 0);
    CHECK_INT(counts.parks, 0);
    CHECK_INT(counts.stacks, 0);
    CHECK_INT(counts.stacks_in_use, 0);
}

static const knittest tests[] = {
    COLD(stats_before_the_first_use_are_zero),
    BOTH(null_is_refused_everywhere),
    BOTH(bad_options_are_refused),
    BOTH(storage_that_is_no_group_is_refused),
    BOTH(wait_and_close_by_a_member_are_refused),
    BOTH(wait_and_close_from_a_nested_group_are_refused),
    BOTH(a_member_may_cancel_its_group),
    BOTH(a_closed_group_takes_no_more),
    BOTH(a_member_cannot_add_to_a_group_that_closes),
    BOTH(runtime_stats_refuse_null_and_count),
};
KNITTEST_MAIN(tests)
