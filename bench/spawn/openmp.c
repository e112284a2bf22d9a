/* spawn with OpenMP: SIZE no-op tasks in one taskgroup, made by one thread of the team. libgomp
 * runs them inline when it has one thread or enough of them queued. ns per task. */
#include "../lib/bench.h"

#include <omp.h>

__attribute__((noinline)) static int no_op(void *arg)
{
    __asm__ volatile("" : : "r"(arg));
    return 0;
}

static void spawn_round(long n)
{
#pragma omp taskgroup
    for (long i = 0; i < n; i++) {
#pragma omp task
        no_op(NULL);
    }
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    omp_set_dynamic(0);
    omp_set_num_threads(args.threads);
#pragma omp parallel
#pragma omp single
    {
        spawn_round(args.size);
        const int64_t start = bench_now();
        spawn_round(args.size);
        const int64_t took = bench_now() - start;
        printf("%.3f peak=%.1f\n", (double)took / (double)args.size, bench_peak_mb());
    }
    return 0;
}
