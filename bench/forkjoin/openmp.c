/* forkjoin with OpenMP: a task and a taskwait in every call. ns per spawn. */
#include "../lib/bench.h"
#include "fib.h"

#include <omp.h>

static long fib(long n)
{
    if (n < 2)
        return n;
    long a;
#pragma omp task shared(a)
    a = fib(n - 1);
    const long b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    omp_set_dynamic(0);
    omp_set_num_threads(args.threads);
#pragma omp parallel
#pragma omp single
    {
        fib(args.size - 3);
        const int64_t start = bench_now();
        const long result = fib(args.size);
        const int64_t took = bench_now() - start;
        bench_check(result != fib_result(args.size), "wrong result");
        printf("%.3f\n", (double)took / fib_spawns(args.size));
    }
    return 0;
}
