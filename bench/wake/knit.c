/* wake: small bursts while the other workers sleep; before each the parent sleeps 1 ms. Medians of
 * SIZE rounds.
 *
 * value  ns for a burst of 64 no-op tasks, spawned and waited for
 * x16    speed-up of 16 tasks of 10 us over calling them one after the other
 * x4     the same for 4 tasks of 100 us */
#include "../lib/bench_knit.h"

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static int compute(void *arg)
{
    const long *steps = arg;
    bench_spin(*steps);
    return 0;
}

static double burst(knit_fn *fn, long *steps, int n)
{
    bench_check(knit_sleep(KNIT_MILLISECOND), "sleep");
    const int64_t start = bench_now();
    knit_errgroup g = {0};
    for (int i = 0; i < n; i++)
        bench_check(knit_errgroup_go(&g, fn, steps), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(bench_now() - start);
}

static double one_by_one(long *steps, int n)
{
    bench_check(knit_sleep(KNIT_MILLISECOND), "sleep");
    const int64_t start = bench_now();
    for (int i = 0; i < n; i++)
        bench_check(compute(steps), "compute");
    return (double)(bench_now() - start);
}

static double speed_up(int64_t ns, int n, long rounds, double *serial, double *parallel)
{
    long steps = bench_spin_steps(ns);
    for (long i = 0; i < rounds; i++) {
        serial[i] = one_by_one(&steps, n);
        parallel[i] = burst(compute, &steps, n);
    }
    return bench_median(serial, (size_t)rounds) / bench_median(parallel, (size_t)rounds);
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    const long rounds = args->size;
    double *took = calloc((size_t)rounds, sizeof *took);
    double *serial = calloc((size_t)rounds, sizeof *serial);
    if (!took || !serial)
        return -ENOMEM;
    for (long i = 0; i < 10; i++)
        burst(no_op, NULL, 64);
    for (long i = 0; i < rounds; i++)
        took[i] = burst(no_op, NULL, 64);
    const double ns = bench_median(took, (size_t)rounds);
    const double x16 = speed_up(10000, 16, rounds, serial, took);
    const double x4 = speed_up(100000, 4, rounds, serial, took);
    printf("%.0f x16=%.3f x4=%.3f\n", ns, x16, x4);
    free(took);
    free(serial);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
