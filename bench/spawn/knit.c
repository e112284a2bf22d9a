/* spawn: SIZE no-op tasks in one group, then wait; the parent is a task. ns per task. */
#include "../lib/bench_knit.h"

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static void spawn_round(long n)
{
    knit_errgroup g = {0};
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(&g, no_op, NULL), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    spawn_round(args->size);
    const int64_t start = bench_now();
    spawn_round(args->size);
    const int64_t took = bench_now() - start;
    printf("%.3f peak=%.1f\n", (double)took / (double)args->size, bench_peak_mb());
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
