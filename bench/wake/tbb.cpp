/* wake with oneTBB. Problem and output as knit.c. */
#include "../lib/bench.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <vector>

template <typename Task> static double burst(Task task, int n)
{
    usleep(1000);
    const int64_t start = bench_now();
    tbb::task_group g;
    for (int i = 0; i < n; i++)
        g.run(task);
    g.wait();
    return double(bench_now() - start);
}

template <typename Task> static double one_by_one(Task task, int n)
{
    usleep(1000);
    const int64_t start = bench_now();
    for (int i = 0; i < n; i++)
        task();
    return double(bench_now() - start);
}

static double speed_up(int64_t ns, int n, long rounds)
{
    const long steps = bench_spin_steps(ns);
    const auto compute = [steps] { bench_spin(steps); };
    std::vector<double> serial;
    std::vector<double> parallel;
    for (long i = 0; i < rounds; i++) {
        serial.push_back(one_by_one(compute, n));
        parallel.push_back(burst(compute, n));
    }
    return bench_median(serial.data(), serial.size()) /
           bench_median(parallel.data(), parallel.size());
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    arena.execute([&] {
        const auto no_op = [] {};
        std::vector<double> took;
        for (int i = 0; i < 10; i++)
            burst(no_op, 64);
        for (long i = 0; i < args.size; i++)
            took.push_back(burst(no_op, 64));
        const double ns = bench_median(took.data(), took.size());
        const double x16 = speed_up(10000, 16, args.size);
        const double x4 = speed_up(100000, 4, args.size);
        printf("%.0f x16=%.3f x4=%.3f\n", ns, x16, x4);
    });
    return 0;
}
