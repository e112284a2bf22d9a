/* yield with Boost.Fiber: two fibers per thread, SIZE yields in all. ns per yield. */
#include "../lib/fiber.hpp"

static double yield_round(long yields, long fibers)
{
    const long each = yields / fibers;
    std::vector<boost::fibers::fiber> all;
    const int64_t start = bench_now();
    for (long i = 0; i < fibers; i++) {
        all.emplace_back([each] {
            for (long k = 0; k < each; k++)
                boost::this_fiber::yield();
        });
    }
    for (auto &fiber : all)
        fiber.join();
    return double(bench_now() - start) / double(each * fibers);
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    const long fibers = 2L * args.threads;
    fiber_run(args.threads, [&] {
        yield_round(args.size / 10 + fibers, fibers);
        printf("%.3f\n", yield_round(args.size, fibers));
    });
    return 0;
}
