/* Wait group, tasks and plain threads mixed. WG-n: Go's sync/waitgroup_test.go; WG-5 and WG-6 are of
 * WaitGroup.Go, which is knit_errgroup_go here (test_errgroup.c, test_panic_stop.c). FB-n:
 * facebookarchive/errgroup. */
#include "crowd.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct shared {
    knit_waitgroup one, two;
    atomic_int reported, waiting;
    int rounds;
    long x[2];
} shared;

/* ---- WG-1 ------------------------------------------------------------------------------------ */

static int done_then_wait(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_waitgroup_done(&s->one), 0);
    CHECK_INT(knit_waitgroup_wait(&s->two), 0);
    atomic_fetch_add(&s->reported, 1);
    return 0;
}

static void wg1_waiters_are_released_at_zero(void)
{
    shared s = {0}; /* the same groups in all rounds */
    for (int round = 0; round < kt_some(8); round++) {
        crowd c = {0};
        atomic_store(&s.reported, 0);
        CHECK_INT(knit_waitgroup_add(&s.one, 16), 0);
        CHECK_INT(knit_waitgroup_add(&s.two, 16), 0);
        for (int i = 0; i < 16; i++)
            crowd_go(&c, done_then_wait, &s);
        CHECK_INT(knit_waitgroup_wait(&s.one), 0);
        for (int i = 0; i < 16; i++) {
            CHECK_INT(atomic_load(&s.reported), 0);
            CHECK_INT(knit_waitgroup_done(&s.two), 0);
        }
        crowd_join(&c);
        CHECK_INT(atomic_load(&s.reported), 16);
    }
}

/* ---- WG-2, misuse ------------------------------------------------------------------------------ */

static void wg2_a_negative_count_is_an_error_and_harms_nothing(void)
{
    knit_waitgroup wg = {0};
    CHECK_INT(knit_waitgroup_add(&wg, 1), 0);
    CHECK_INT(knit_waitgroup_done(&wg), 0);
    CHECK_INT(knit_waitgroup_done(&wg), -ERANGE);
    CHECK_INT(knit_waitgroup_add(&wg, -5), -ERANGE);
    CHECK_INT(knit_waitgroup_add(&wg, INT_MIN), -ERANGE);
    CHECK_INT(knit_waitgroup_pending(&wg), 0);
    CHECK_INT(knit_waitgroup_wait(&wg), 0);
    CHECK_INT(knit_waitgroup_add(&wg, INT_MAX), 0);
    CHECK_INT(knit_waitgroup_add(&wg, 1), -EOVERFLOW);
    CHECK_INT(knit_waitgroup_pending(&wg), INT_MAX);
    CHECK_INT(knit_waitgroup_fini(&wg), -EBUSY);
    CHECK_INT(knit_waitgroup_add(&wg, -INT_MAX), 0);
    CHECK_INT(knit_waitgroup_fini(&wg), 0);
}

static void null_is_an_error(void)
{
    int code;
    CHECK_INT(knit_waitgroup_add(NULL, 1), -EINVAL);
    CHECK_INT(knit_waitgroup_done(NULL), -EINVAL);
    CHECK_INT(knit_waitgroup_error(NULL, -EIO), -EINVAL);
    CHECK_INT(knit_waitgroup_wait(NULL), -EINVAL);
    CHECK_INT(knit_waitgroup_wait_until(NULL, 0), -EINVAL);
    CHECK_INT(knit_waitgroup_wait_nocancel(NULL), -EINVAL);
    CHECK_INT(knit_waitgroup_errors(NULL, &code, 1), -EINVAL);
    CHECK_INT(knit_waitgroup_format(NULL, NULL, 0), -EINVAL);
    CHECK_INT(knit_waitgroup_pending(NULL), 0);
    CHECK_INT(knit_waitgroup_fini(NULL), 0);
}

/* ---- WG-3, memory -------------------------------------------------------------------------------- */

static int add_to_first(void *arg)
{
    shared *s = arg;
    s->x[0]++;
    return knit_waitgroup_done(&s->one);
}

static int add_to_second(void *arg)
{
    shared *s = arg;
    s->x[1]++;
    return knit_waitgroup_done(&s->one);
}

static void wg3_what_was_done_before_done_is_seen(void)
{
    for (int i = kt_count(1000); i > 0; i--) {
        shared s = {0};
        knit_errgroup g = {0};
        CHECK_INT(knit_waitgroup_add(&s.one, 1), 0);
        CHECK_INT(knit_errgroup_go(&g, add_to_first, &s), 0);
        CHECK_INT(knit_waitgroup_add(&s.one, 1), 0);
        CHECK_INT(knit_errgroup_go(&g, add_to_second, &s), 0);
        CHECK_INT(knit_waitgroup_wait(&s.one), 0);
        CHECK_INT(s.x[0] + s.x[1], 2);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
}

static void wg_4_it_may_lie_anywhere_in_a_struct(void)
{
    struct {
        char before;
        knit_waitgroup wg;
        char after;
    } s = {0};
    CHECK_INT(knit_waitgroup_add(&s.wg, 1), 0);
    CHECK_INT(knit_waitgroup_done(&s.wg), 0);
    CHECK_INT(knit_waitgroup_wait(&s.wg), 0);
    CHECK_INT(s.before + s.after, 0);
}

/* The waiter owns the memory and frees it at once, while the last done returns. */
static int free_after_wait(void *arg)
{
    knit_waitgroup *wg = arg;
    CHECK_INT(knit_waitgroup_wait_nocancel(wg), 0);
    memset(wg, 0xff, sizeof *wg);
    free(wg);
    return 0;
}

static int just_done(void *arg)
{
    return knit_waitgroup_done(arg);
}

static void the_waiter_may_free_it(void)
{
    for (int i = kt_count(200); i > 0; i--) {
        knit_waitgroup *wg = calloc(1, sizeof *wg);
        crowd c = {0};
        CHECK(wg);
        CHECK_INT(knit_waitgroup_add(wg, 3), 0);
        for (int k = 0; k < 3; k++)
            crowd_task(&c, just_done, wg);
        CHECK_INT(free_after_wait(wg), 0);
        crowd_join(&c);
    }
}

/* ---- giving up --------------------------------------------------------------------------------- */

static int expect_canceled(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->waiting, 1);
    CHECK_INT(knit_waitgroup_wait(&s->one), -ECANCELED);
    CHECK_INT(knit_waitgroup_wait(&s->one), -ECANCELED);
    return 0;
}

static int wait_to_the_end(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->waiting, 1);
    CHECK_INT(knit_waitgroup_wait_nocancel(&s->one), 0);
    CHECK_INT(knit_waitgroup_wait(&s->one), 0); /* 0: does not wait */
    atomic_fetch_add(&s->reported, 1);
    return 0;
}

/* sync.WaitGroup has no bounded wait: a waiter left behind in it makes the next use a panic. */
static void an_abandoned_wait_leaves_no_trace(void)
{
    shared s = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_waitgroup_add(&s.one, 2), 0);
    CHECK_INT(knit_waitgroup_wait_until(&s.one, 0), -ETIMEDOUT);
    CHECK_INT(knit_waitgroup_wait_until(&s.one, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_go(&g, expect_canceled, &s), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_to_the_end, &s), 0);
    kt_until(atomic_load(&s.waiting) == 2);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_waitgroup_done(&s.one), 0);
    CHECK_INT(atomic_load(&s.reported), 0);
    /* the cancelled one must be gone before the count is 0, or it would see that */
    knit_errgroup_counts counts = {0};
    kt_until((knit_errgroup_stats(&g, &counts), counts.pending == 1));
    CHECK_INT(knit_waitgroup_done(&s.one), 0);
    (void)knit_errgroup_wait(&g);
    CHECK_INT(atomic_load(&s.reported), 1);
    CHECK_INT(knit_waitgroup_add(&s.one, 1), 0);
    CHECK_INT(knit_waitgroup_done(&s.one), 0);
    CHECK_INT(knit_waitgroup_wait(&s.one), 0);
}

/* ---- FB-n ------------------------------------------------------------------------------------ */

static void expect_text(const knit_waitgroup *wg, const char *want)
{
    char text[200];
    CHECK_INT(knit_waitgroup_format(wg, text, sizeof text), strlen(want));
    CHECK_INT(strcmp(text, want), 0);
}

static void fb_1_without_errors_the_wait_gives_0(void)
{
    knit_waitgroup wg = {0};
    int codes[1] = {0};
    CHECK_INT(knit_waitgroup_wait(&wg), 0);
    expect_text(&wg, "");
    CHECK_INT(knit_waitgroup_errors(&wg, codes, 1), 0);
}

static void fb_2_one_error_is_itself(void)
{
    knit_waitgroup wg = {0};
    CHECK_INT(knit_waitgroup_error(&wg, -ENOENT), 0);
    CHECK_INT(knit_waitgroup_wait(&wg), -ENOENT);
    expect_text(&wg, "No such file or directory");
    CHECK_INT(knit_waitgroup_fini(&wg), 0);
}

static void fb_3_two_errors_are_joined(void)
{
    knit_waitgroup wg = {0};
    int codes[4] = {0};
    char text[8];
    CHECK_INT(knit_waitgroup_error(&wg, -ENOENT), 0);
    CHECK_INT(knit_waitgroup_error(&wg, -EIO), 0);
    CHECK_INT(knit_waitgroup_wait(&wg), -ENOENT);
    CHECK_INT(knit_waitgroup_wait(&wg), -ENOENT);
    expect_text(&wg, "multiple errors: No such file or directory | Input/output error");
    CHECK_INT(knit_waitgroup_format(&wg, text, sizeof text), 63);
    CHECK_INT(strcmp(text, "multipl"), 0);
    CHECK_INT(knit_waitgroup_errors(&wg, codes, 4), 2);
    CHECK_INT(codes[0], -ENOENT);
    CHECK_INT(codes[1], -EIO);
    CHECK_INT(codes[2], 0);
    CHECK_INT(knit_waitgroup_fini(&wg), 0);
    CHECK_INT(knit_waitgroup_wait(&wg), 0);
}

static void fb_4_fb_5_fb_6_what_is_no_error_is_refused(void)
{
    knit_waitgroup wg = {0};
    CHECK_INT(knit_waitgroup_error(&wg, 0), -EINVAL);
    CHECK_INT(knit_waitgroup_wait(&wg), 0);
    expect_text(&wg, "");
}

/* Lists of codes, 0 for a nil: refused, not stored. */
static void fb_8_successes_are_no_part_of_the_list(void)
{
    enum { A = -ENOENT, B = -EIO };
    static const struct {
        int n, list[3], want, first;
    } rows[] = {
        {0, {0}, 0, 0},       {1, {0}, 0, 0},       {2, {0, 0}, 0, 0}, {1, {A}, 1, A},
        {2, {A, 0}, 1, A},    {2, {0, B}, 1, B},    {2, {A, B}, 2, A}, {3, {0, A, B}, 2, A},
        {3, {A, 0, B}, 2, A}, {3, {A, B, 0}, 2, A},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        knit_waitgroup wg = {0};
        int codes[3] = {0};
        for (int k = 0; k < rows[i].n; k++)
            CHECK_INT(knit_waitgroup_error(&wg, rows[i].list[k]), rows[i].list[k] ? 0 : -EINVAL);
        CHECK_INT(knit_waitgroup_wait(&wg), rows[i].first);
        CHECK_INT(knit_waitgroup_errors(&wg, codes, 3), rows[i].want);
        CHECK_INT(codes[0], rows[i].first);
        CHECK_INT(codes[1], rows[i].want == 2 ? B : 0);
        CHECK_INT(knit_waitgroup_fini(&wg), 0);
    }
}

static int report(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++)
        CHECK_INT(knit_waitgroup_error(&s->one, -EIO), 0);
    return knit_waitgroup_done(&s->one);
}

static void fb_7_ten_add_and_report_and_none_is_lost(void)
{
    shared s = {.rounds = kt_count(100)};
    crowd c = {0};
    int *codes = malloc((size_t)s.rounds * 10 * sizeof *codes);
    CHECK(codes);
    CHECK_INT(knit_waitgroup_add(&s.one, 10), 0);
    for (int i = 0; i < 10; i++)
        crowd_go(&c, report, &s);
    CHECK_INT(knit_waitgroup_wait(&s.one), -EIO);
    crowd_join(&c);
    CHECK_INT(knit_waitgroup_errors(&s.one, codes, (size_t)s.rounds * 10), s.rounds * 10);
    for (int i = 0; i < s.rounds * 10; i++)
        CHECK_INT(codes[i], -EIO);
    free(codes);
    CHECK_INT(knit_waitgroup_fini(&s.one), 0);
}

static const knittest tests[] = {
    BOTH(wg1_waiters_are_released_at_zero),
    BOTH(wg2_a_negative_count_is_an_error_and_harms_nothing),
    BOTH(null_is_an_error),
    BOTH(wg3_what_was_done_before_done_is_seen),
    BOTH(wg_4_it_may_lie_anywhere_in_a_struct),
    BOTH(the_waiter_may_free_it),
    BOTH(an_abandoned_wait_leaves_no_trace),
    BOTH(fb_1_without_errors_the_wait_gives_0),
    BOTH(fb_2_one_error_is_itself),
    BOTH(fb_3_two_errors_are_joined),
    BOTH(fb_4_fb_5_fb_6_what_is_no_error_is_refused),
    BOTH(fb_8_successes_are_no_part_of_the_list),
    BOTH(fb_7_ten_add_and_report_and_none_is_lost),
};

KNITTEST_MAIN(tests)
