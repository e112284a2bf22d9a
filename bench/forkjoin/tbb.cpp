/* forkjoin with oneTBB: a task_group in every call. ns per spawn. */
#include "../lib/bench.h"
#include "fib.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

static long fib(long n)
{
    if (n < 2)
        return n;
    long a;
    tbb::task_group g;
    g.run([&a, n] { a = fib(n - 1); });
    const long b = fib(n - 2);
    g.wait();
    return a + b;
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    arena.execute([&] {
        fib(args.size - 3);
        const int64_t start = bench_now();
        const long result = fib(args.size);
        const int64_t took = bench_now() - start;
        bench_check(result != fib_result(args.size), "wrong result");
        printf("%.3f\n", double(took) / fib_spawns(args.size));
    });
    return 0;
}
