/* stream with oneTBB's parallel_pipeline: a serial input filter, a parallel one, a serial one in
 * order, 64 tokens. Its filters are no tasks that could fail or be waited for. ns per item. */
#include "../lib/bench.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

static void stream_round(long n)
{
    long next = 0;
    long calls = 0;
    const auto in = tbb::make_filter<void, long>(
        tbb::filter_mode::serial_in_order, [&](tbb::flow_control &control) {
            if (next == n)
                control.stop();
            return next++;
        });
    const auto work =
        tbb::make_filter<long, long>(tbb::filter_mode::parallel, [](long i) { return i; });
    const auto out = tbb::make_filter<long, void>(tbb::filter_mode::serial_in_order, [&](long i) {
        bench_check(i != calls, "the order of the calls");
        calls++;
    });
    tbb::parallel_pipeline(64, in & work & out);
    bench_check(calls != n, "the number of calls");
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    arena.execute([&] {
        stream_round(args.size);
        const int64_t start = bench_now();
        stream_round(args.size);
        printf("%.3f\n", double(bench_now() - start) / double(args.size));
    });
    return 0;
}
