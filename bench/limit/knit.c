/* limit: SIZE no-op tasks in one group of which at most 4 run at once; the parent is a task, not a
 * member of the group, so it waits for room. ns per task. */
#include "../lib/bench_knit.h"

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static void limit_round(long n)
{
    knit_errgroup g = {0};
    bench_check(knit_errgroup_set_limit(&g, 4), "set_limit");
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(&g, no_op, NULL), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    limit_round(args->size);
    const int64_t start = bench_now();
    limit_round(args->size);
    printf("%.3f\n", (double)(bench_now() - start) / (double)args->size);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
