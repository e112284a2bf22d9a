/* wake with OpenMP: the other threads wait in the barrier of the parallel region. Problem and
 * output as knit.c. */
#include "../lib/bench.h"

#include <omp.h>

static double burst(long steps, int n)
{
    usleep(1000);
    const int64_t start = bench_now();
#pragma omp taskgroup
    for (int i = 0; i < n; i++) {
#pragma omp task firstprivate(steps)
        bench_spin(steps);
    }
    return (double)(bench_now() - start);
}

static double one_by_one(long steps, int n)
{
    usleep(1000);
    const int64_t start = bench_now();
    for (int i = 0; i < n; i++)
        bench_spin(steps);
    return (double)(bench_now() - start);
}

static double speed_up(int64_t ns, int n, long rounds, double *serial, double *parallel)
{
    const long steps = bench_spin_steps(ns);
    for (long i = 0; i < rounds; i++) {
        serial[i] = one_by_one(steps, n);
        parallel[i] = burst(steps, n);
    }
    return bench_median(serial, (size_t)rounds) / bench_median(parallel, (size_t)rounds);
}

static void measure(long rounds)
{
    double *took = (double *)calloc((size_t)rounds, sizeof *took);
    double *serial = (double *)calloc((size_t)rounds, sizeof *serial);
    if (!took || !serial)
        bench_die("no memory", rounds);
    for (long i = 0; i < 10; i++)
        burst(0, 64);
    for (long i = 0; i < rounds; i++)
        took[i] = burst(0, 64);
    const double ns = bench_median(took, (size_t)rounds);
    const double x16 = speed_up(10000, 16, rounds, serial, took);
    const double x4 = speed_up(100000, 4, rounds, serial, took);
    printf("%.0f x16=%.3f x4=%.3f\n", ns, x16, x4);
    free(took);
    free(serial);
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    omp_set_dynamic(0);
    omp_set_num_threads(args.threads);
#pragma omp parallel
#pragma omp single
    measure(args.size);
    return 0;
}
