/* finished: SIZE no-op tasks go through one group that nobody waits for meanwhile, at most 64 at once.
 * By how many kB the resident memory grew after the first tenth of them; must be nothing.
 * size  bytes of a group */
#include "../lib/bench_knit.h"

enum { LIMIT = 64 };

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static void go_some(knit_errgroup *g, long n)
{
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(g, no_op, NULL), "go");
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    knit_errgroup g;
    bench_check(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = LIMIT}), "init");
    go_some(&g, args->size / 10);
    const int64_t early = bench_rss();
    go_some(&g, args->size - args->size / 10);
    const int64_t late = bench_rss();
    bench_check(knit_errgroup_wait(&g), "wait");
    printf("%.1f size=%zu\n", (double)(late - early) / 1000, sizeof g);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
