/* Many seeds of the simulated world in one go: --seeds FIRST COUNT.
 *
 * A seed is a child of this process, in which the library is loaded but was never called; so nothing
 * is paid for loading, and the addresses are the same each time. The child runs the tests that need
 * a process of their own in one each, then all others in itself, one after the other: the runtime
 * starts once, and each test meets what the last one left of it. Every seed runs twice; what the two
 * runs say, a hash of all their events included, must be equal.
 *
 * A seed that failed is run again with --seeds SEED 1. */
#include "runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_for_seeds(const knittest *t, const knittest_list *list)
{
    return knittest_wanted(t, list) && !(t->flags & KNITTEST_REAL);
}

static void run_alone(const knittest *t)
{
    knittest_say("# %s\n", t->name);
    int status = knittest_run_apart(t);
    if (status != 0 && status != KNITTEST_SKIP) {
        knittest_say("# ended with %d\n", status);
        exit(KNITTEST_FAIL);
    }
}

/* In a child: all with one seed. Does not return. */
static void run_all(const knittest_list *list, uint64_t seed)
{
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    setenv("KNIT_SIM", text, 1);
    setenv("KNIT_SIM_TRACE", "-", 1);
    for (size_t i = 0; i < list->n; i++) {
        if (is_for_seeds(&list->tests[i], list) && (list->tests[i].flags & KNITTEST_ALONE))
            run_alone(&list->tests[i]);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (is_for_seeds(&list->tests[i], list) && !(list->tests[i].flags & KNITTEST_ALONE)) {
            knittest_say("# %s\n", list->tests[i].name);
            knittest_run_here(&list->tests[i]);
        }
    }
    exit(0);
}

/* A run, and what it said. */
struct run {
    FILE *said;
    int status;
};

static void run_seed(const knittest_list *list, uint64_t seed, struct run *ret_run)
{
    ret_run->said = tmpfile();
    CHECK(ret_run->said);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setpgid(0, 0);
        CHECK(dup2(fileno(ret_run->said), STDOUT_FILENO) >= 0);
        CHECK(dup2(fileno(ret_run->said), STDERR_FILENO) >= 0);
        run_all(list, seed);
    }
    setpgid(pid, pid); /* both sides, whoever is first */
    ret_run->status = knittest_reap(pid);
    kill(-pid, SIGKILL); /* children that were left behind */
    rewind(ret_run->said);
}

static bool say_the_same(const struct run *a, const struct run *b)
{
    int x, y;

    do {
        x = getc(a->said);
        y = getc(b->said);
    } while (x == y && x != EOF);
    rewind(a->said);
    rewind(b->said);
    return x == y;
}

static void show(const struct run *run, const char *which)
{
    char line[4096];

    printf("# the %s run ended with %d:\n", which, run->status);
    while (fgets(line, sizeof line, run->said))
        fputs(line, stdout);
}

static bool check_seed(const knittest_list *list, uint64_t seed)
{
    struct run a, b;

    run_seed(list, seed, &a);
    run_seed(list, seed, &b);
    bool passed = a.status == 0 && b.status == 0, same = say_the_same(&a, &b);
    if (!passed || !same) {
        printf("%s: --seeds %llu 1\n", passed ? "NOT REPLAYED" : "FAILED",
               (unsigned long long)seed);
        show(&a, "first");
        if (!same)
            show(&b, "second");
        fflush(stdout);
    }
    fclose(a.said);
    fclose(b.said);
    return passed && same;
}

int knittest_seeds(const knittest_list *list, uint64_t first, uint64_t count)
{
    uint64_t passed = 0;

    if (!knit_simulated(NULL)) {
        knittest_say("--seeds needs KNIT_SIM in the environment (any seed)\n");
        return 2;
    }
    for (uint64_t i = 0; i < count; i++)
        passed += check_seed(list, first + i);
    printf("# %llu of %llu seeds passed, each twice with equal traces\n",
           (unsigned long long)passed, (unsigned long long)count);
    return passed == count ? 0 : 1;
}
