/* Panics that are caught: the tests of conc's WaitGroup (CWG-n) and of its package panics (CP-n). What
 * is a Catcher there is a group with KNIT_ERRGROUP_PANIC_ERROR here, and its Repanic the flag
 * KNIT_ERRGROUP_PANIC_WAITER; who waits for such a group is seen from a group around it. */
#include "bodies.h"

#include <string.h>

enum { KEEP = KNIT_ERRGROUP_KEEP_GOING, CATCH = KEEP | KNIT_ERRGROUP_PANIC_ERROR };

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int super_bad(void *arg)
{
    (void)arg;
    knit_panic("super bad thing");
}

static int fail_in_io(void *arg)
{
    (void)arg;
    return -EIO;
}

/* fn in a group of its own; what came of it is in g. */
static int try_call(knit_errgroup *g, knit_fn *fn, void *arg)
{
    init_group(g, 0, CATCH, NULL);
    CHECK_INT(knit_errgroup_go(g, fn, arg), 0);
    return knit_errgroup_wait(g);
}

static void check_caught(const knit_errgroup *g, const char *text)
{
    knit_error_record record;
    CHECK_INT(knit_errgroup_error(g, 0, &record), 0);
    CHECK_INT(record.code, KNIT_PANICKED);
    CHECK_HAS(record.text, text);
}

/* ---- the group ------------------------------------------------------------------------------- */

static void cwg_1_zero_and_init_make_a_group(void)
{
    knit_errgroup zero = {0}, made;
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&zero), 0);
    CHECK_INT(knit_errgroup_wait(&made), 0);
}

/* So many of each kind in one group, mixed. */
typedef struct mixture {
    int panics, no_ops, counting;
    atomic_int ran;
} mixture;

static void start_all(knit_errgroup *g, mixture *m)
{
    for (int i = 0; i < m->panics || i < m->no_ops || i < m->counting; i++) {
        if (i < m->counting)
            CHECK_INT(knit_errgroup_go(g, count_up, &m->ran), 0);
        if (i < m->panics)
            CHECK_INT(knit_errgroup_go(g, super_bad, NULL), 0);
        if (i < m->no_ops)
            CHECK_INT(knit_errgroup_go(g, do_nothing, NULL), 0);
    }
}

static int wait_for_mixture(void *arg)
{
    knit_errgroup g;
    init_group(&g, 0, KEEP | KNIT_ERRGROUP_PANIC_WAITER, NULL);
    start_all(&g, arg);
    (void)knit_errgroup_wait(&g);
    return -EPROTO; /* not reached */
}

static void check_wait_panics(mixture *m)
{
    knit_errgroup g;
    CHECK_INT(try_call(&g, wait_for_mixture, m), KNIT_PANICKED);
    check_caught(&g, "super bad thing");
    CHECK_INT(m->ran, m->counting);
}

static void cwg_3_a_panic_reaches_the_waiter(void)
{
    check_wait_panics(&(mixture){.panics = 1});
}

static void cwg_4_one_of_two_panics_reaches_the_waiter(void)
{
    check_wait_panics(&(mixture){.panics = 2});
}

static void cwg_5_successes_do_not_cover_a_panic(void)
{
    check_wait_panics(&(mixture){.panics = 1, .no_ops = 10});
}

static void cwg_6_the_others_run(void)
{
    check_wait_panics(&(mixture){.panics = 1, .counting = 2});
}

static void check_wait_catches(mixture *m)
{
    knit_errgroup g;
    init_group(&g, 0, CATCH, NULL);
    start_all(&g, m);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    check_caught(&g, "super bad thing");
    CHECK_INT(m->ran, m->counting);
    CHECK_INT(counts_of(&g).failed, m->panics);
}

static void cwg_7_a_panic_is_caught_by_the_wait(void)
{
    check_wait_catches(&(mixture){.panics = 1});
}

static void cwg_8_of_two_panics_both_are_caught(void)
{
    check_wait_catches(&(mixture){.panics = 2});
}

static void cwg_9_the_others_run_when_the_wait_catches(void)
{
    check_wait_catches(&(mixture){.panics = 1, .counting = 2});
}

/* ---- the catcher ----------------------------------------------------------------------------- */

static int panic_with_code(void *arg)
{
    knit_panic("it failed: %s", knit_strerror(*(int *)arg));
}

/* An error that was panicked with is a text: its code is not kept. CP-8 is the same by Try. */
static void cp_1_cp_8_the_text_says_what_and_where(void)
{
    int code = -ENOENT;
    knit_errgroup g;
    knit_error_record record;
    CHECK_INT(try_call(&g, panic_with_code, &code), KNIT_PANICKED);
    check_caught(&g, "it failed: No such file or directory");
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.task, "fn"); /* as it stands in the call of go: see try_call */
    CHECK_HAS(record.file, "test_catch.c");
    CHECK(record.line > 0);
}

static void cp_2_a_panic_is_no_other_error(void)
{
    knit_errgroup g;
    knit_error_record record;
    CHECK_INT(try_call(&g, super_bad, NULL), KNIT_PANICKED);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_INT(record.causes, 0);
    CHECK_INT(try_call(&g, fail_in_io, NULL), -EIO); /* and no other error a panic */
    CHECK(-EIO != KNIT_PANICKED);
}

static int wait_for(void *arg)
{
    return knit_errgroup_wait(arg);
}

static void cp_3_every_wait_panics_again(void)
{
    knit_errgroup g, around;
    init_group(&g, 0, KEEP | KNIT_ERRGROUP_PANIC_WAITER, NULL);
    CHECK_INT(knit_errgroup_go(&g, super_bad, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(try_call(&around, wait_for, &g), KNIT_PANICKED);
        check_caught(&around, "super bad thing");
    }
}

static void cp_4_without_a_panic_the_wait_is_silent(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    init_group(&g, 0, KEEP | KNIT_ERRGROUP_PANIC_WAITER, NULL);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
}

static int panic_if_50(void *arg)
{
    int i = *(int *)arg;
    if (i == 50)
        knit_panic("%d", i);
    return 0;
}

static void cp_5_one_of_a_hundred_is_caught(void)
{
    knit_errgroup g;
    init_group(&g, 0, CATCH, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go_copy(&g, panic_if_50, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    check_caught(&g, "50");
    CHECK_INT(counts_of(&g).failed, 1);
    CHECK_INT(counts_of(&g).done, 99);
}

static void cp_6_cp_9_no_panic_no_error(void)
{
    knit_errgroup g;
    knit_error_record record;
    CHECK_INT(try_call(&g, do_nothing, NULL), 0);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), -ENOENT);
}

static void cp_7_a_panic_is_an_error_with_a_text(void)
{
    char text[300];
    knit_errgroup g;
    CHECK_INT(try_call(&g, super_bad, NULL), KNIT_PANICKED);
    CHECK(strlen(knit_strerror(KNIT_PANICKED)) > 0);
    CHECK(knit_errgroup_format(&g, text, sizeof text) > 0);
    CHECK_HAS(text, "super bad thing");
}

static const knittest tests[] = {
    BOTH(cwg_1_zero_and_init_make_a_group),
    BOTH(cwg_3_a_panic_reaches_the_waiter),
    BOTH(cwg_4_one_of_two_panics_reaches_the_waiter),
    BOTH(cwg_5_successes_do_not_cover_a_panic),
    BOTH(cwg_6_the_others_run),
    BOTH(cwg_7_a_panic_is_caught_by_the_wait),
    BOTH(cwg_8_of_two_panics_both_are_caught),
    BOTH(cwg_9_the_others_run_when_the_wait_catches),
    BOTH(cp_1_cp_8_the_text_says_what_and_where),
    BOTH(cp_2_a_panic_is_no_other_error),
    BOTH(cp_3_every_wait_panics_again),
    BOTH(cp_4_without_a_panic_the_wait_is_silent),
    BOTH(cp_5_one_of_a_hundred_is_caught),
    BOTH(cp_6_cp_9_no_panic_no_error),
    BOTH(cp_7_a_panic_is_an_error_with_a_text),
};

KNITTEST_MAIN(tests)
