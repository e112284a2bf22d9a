/* The census of stacks: what tasks used, by where they were started. */
#include "dive.h"
#include "knittest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHALLOW = 4000, DEEP = 20000, NEAR = 2500 };

static int dive_to(void *arg)
{
    int bytes = *(int *)arg;
    CHECK_INT(dive(bytes), 0);
    (void)knit_yield();
    return 0;
}

static int dive_and_exit(void *arg)
{
    CHECK_INT(dive(*(int *)arg), 0);
    return knit_task_exit(0);
}

static const knit_site shallow_site = {__FILE__, "shallow", 1}, deep_site = {__FILE__, "deep", 2},
                       parent_site = {__FILE__, "parent", 3}, exit_site = {__FILE__, "exit", 4};

/* The use of what was started there; one with runs 0: none is known. */
static knit_stack_use use_of(const knit_site *site)
{
    static knit_stack_use uses[300];
    int n = knit_stack_census(uses, 300);
    CHECK(n >= 0 && n < 300);
    for (int i = 0; i < n; i++) {
        CHECK(i == 0 || uses[i].deepest <= uses[i - 1].deepest);
        if (strcmp(uses[i].task, site->what) == 0 && uses[i].line == site->line)
            return uses[i];
    }
    return (knit_stack_use){0};
}

static void check_near(size_t got, int want)
{
    if (SANITIZED)
        kt_skip("a sanitizer's frames are larger, or not on the stack");
    CHECK((long)got > want - NEAR && (long)got < want + NEAR);
}

static void run_one(knit_fn *fn, int bytes, const knit_site *site)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_at(&g, fn, &bytes, site), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void the_deepest_of_each_place_is_told(void)
{
    run_one(dive_to, DEEP, &shallow_site); /* before: not in it */
    CHECK_INT(use_of(&shallow_site).runs, 0);
    CHECK_INT(knit_stack_census_start(), 0);
    for (int i = 0; i < 50; i++) { /* on the same stacks, in turns */
        run_one(dive_to, DEEP, &deep_site);
        run_one(dive_to, SHALLOW, &shallow_site);
    }
    CHECK_INT(use_of(&shallow_site).runs, 50);
    CHECK_INT(use_of(&deep_site).runs, 50);
    CHECK_HAS(use_of(&deep_site).file, "test_stack_census.c");
    CHECK_INT(knit_stack_census(NULL, 0) >= 2, 1);
    CHECK_INT(knit_stack_census(NULL, 1), -EINVAL);
    check_near(use_of(&shallow_site).deepest, SHALLOW);
    check_near(use_of(&deep_site).deepest, DEEP);
}

/* First its own use, then the child's, then again its own. */
static int wait_for_a_deep_one(void *arg)
{
    run_one(dive_to, *(int *)arg, &deep_site);
    CHECK_INT(dive(SHALLOW), 0);
    return 0;
}

static int dive_then_wait(void *arg)
{
    CHECK_INT(dive(*(int *)arg), 0);
    run_one(dive_to, SHALLOW, &shallow_site);
    return 0;
}

static void what_runs_on_top_belongs_to_both(void)
{
    CHECK_INT(setenv("KNIT_WORKERS", "1", 1), 0);
    CHECK_INT(setenv("KNIT_SPARES", "0", 1), 0); /* nobody else runs the child while it is slow */
    CHECK_INT(knit_stack_census_start(), 0);
    run_one(wait_for_a_deep_one, DEEP, &parent_site);
    size_t above = use_of(&parent_site).deepest;
    CHECK(above > use_of(&deep_site).deepest);
    run_one(dive_then_wait, 2 * (int)DEEP, &exit_site); /* more than half is used: not on top */
    check_near(use_of(&exit_site).deepest, 2 * DEEP);
    check_near(above, DEEP);
    check_near(use_of(&shallow_site).deepest, SHALLOW);
}

static void those_that_exit_are_in_it(void)
{
    CHECK_INT(knit_stack_census_start(), 0);
    for (int i = 0; i < 20; i++)
        run_one(dive_and_exit, DEEP, &exit_site);
    CHECK_INT(use_of(&exit_site).runs, 20);
    run_one(dive_to, SHALLOW, &shallow_site);
    check_near(use_of(&exit_site).deepest, DEEP);
    check_near(use_of(&shallow_site).deepest, SHALLOW);
}

static void those_on_larger_stacks_are_in_it(void)
{
    int bytes = 700 * 1024;
    knit_errgroup g;
    CHECK_INT(knit_stack_census_start(), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.stack = 1024 * 1024}), 0);
    CHECK_INT(knit_errgroup_go_at(&g, dive_to, &bytes, &deep_site), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(use_of(&deep_site).runs, 1);
    check_near(use_of(&deep_site).deepest, bytes);
}

/* ---- at exit ----------------------------------------------------------------------------------- */

static int run_some(void *arg)
{
    CHECK_INT(dup2(*(int *)arg, STDERR_FILENO), STDERR_FILENO);
    run_one(dive_to, DEEP, &deep_site);
    return 0;
}

static void the_environment_has_it_printed(void)
{
    char said[4096];
    int fds[2];
    CHECK_INT(setenv("KNIT_STACK_CENSUS", "1", 1), 0);
    CHECK_INT(pipe(fds), 0);
    CHECK_INT(kt_child(run_some, &fds[1]), 0);
    CHECK_INT(close(fds[1]), 0);
    ssize_t n = read(fds[0], said, sizeof said - 1);
    CHECK(n > 0);
    said[n] = 0;
    CHECK_INT(close(fds[0]), 0);
    CHECK_HAS(said, "knit: stack census");
    CHECK_HAS(said, "1 run(s) of deep (");
    CHECK_HAS(said, "test_stack_census.c:2)");
}

static const knittest tests[] = {
    COLD(the_deepest_of_each_place_is_told), COLD(what_runs_on_top_belongs_to_both),
    COLD(those_that_exit_are_in_it),         COLD(those_on_larger_stacks_are_in_it),
    COLD(the_environment_has_it_printed),
};
KNITTEST_MAIN(tests)
