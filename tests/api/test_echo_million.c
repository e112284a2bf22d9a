/* The cause, never the echo: of groups in which one task fails and all others end with the echo of
 * that, every single one returns the cause.
 *
 * KNIT_ECHO_GROUPS or the first argument gives the number of groups (default 20,000; the stress run
 * takes 1,000,000). */
#include "knittest.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { ECHOES = 6 };

static int groups_wanted = 20000;

static int echo_by_sleep(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static int echo_by_receive(void *arg)
{
    return knit_chan_recv(arg, NULL);
}

static int echo_by_yield(void *arg)
{
    (void)arg;
    int r;
    do {
        r = knit_yield();
    } while (r == 0);
    return r;
}

static int echo_by_context(void *arg)
{
    (void)arg;
    return knit_ctx_wait(knit_ctx_current());
}

static int fail(void *arg)
{
    return *(int *)arg;
}

/* One group: the failing task is the `place`-th of seven. Returns 1 when the cause came out. */
static int run_group(knit_chan *never, int place, int code)
{
    static knit_fn *const echoes[] = {echo_by_sleep, echo_by_receive, echo_by_yield,
                                      echo_by_context};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i <= ECHOES; i++) {
        if (i == place)
            CHECK_INT(knit_errgroup_go_copy(&g, fail, &code, sizeof code), 0);
        else /* may be refused: the failing task may be through by now */
            (void)knit_errgroup_go(&g, echoes[(i + place) % 4], never);
    }
    int r = knit_errgroup_wait(&g);
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.failed, 1);
    CHECK_INT(counts.echoes + counts.skipped, ECHOES);
    return r == code;
}

static void every_group_returns_the_cause(void)
{
    knit_chan *never;
    CHECK_INT(knit_chan_new(0, 0, &never), 0);
    int n = kt_count(groups_wanted), causes = 0;
    for (int i = 0; i < n; i++)
        causes += run_group(never, i % (ECHOES + 1), -1000 - i % 1000);
    char words[64];
    snprintf(words, sizeof words, "the cause in %d of %d groups", causes, n);
    fprintf(stderr, "# %s\n", words);
    kt_note(words);
    CHECK_INT(causes, n);
    knit_chan_unref(never);
}

static const knittest tests[] = {
    BOTH(every_group_returns_the_cause),
};

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : getenv("KNIT_ECHO_GROUPS");
    if (wanted && atoi(wanted) > 0) {
        groups_wanted = atoi(wanted);
        setenv("KNIT_TEST_SECONDS", "3600", 0);
    }
    return knittest_main(1, argv, tests, sizeof tests / sizeof tests[0]);
}
