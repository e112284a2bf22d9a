/* yield: two tasks per worker thread yield, SIZE yields in all. ns per yield (elapsed time). */
#include "../lib/bench_knit.h"

static int yielder(void *arg)
{
    const long *times = arg;
    for (long i = 0; i < *times; i++)
        bench_check(knit_yield(), "yield");
    return 0;
}

static double yield_round(long yields, long tasks)
{
    long each = yields / tasks;
    const int64_t start = bench_now();
    knit_errgroup g = {0};
    for (long i = 0; i < tasks; i++)
        bench_check(knit_errgroup_go(&g, yielder, &each), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(bench_now() - start) / (double)(each * tasks);
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    const long tasks = 2L * args->threads;
    yield_round(args->size / 10 + tasks, tasks);
    printf("%.3f\n", yield_round(args->size, tasks));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
