/* spawn_thread: as spawn, but the parent is a plain thread, main. ns per task. */
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

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse_knit(argc, argv);
    spawn_round(args.size);
    const int64_t start = bench_now();
    spawn_round(args.size);
    printf("%.3f\n", (double)(bench_now() - start) / (double)args.size);
    return 0;
}
