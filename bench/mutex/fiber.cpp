/* mutex with Boost.Fiber: 100 fibers, SIZE pairs each on one boost::fibers::mutex. ns per pair. */
#include "../lib/fiber.hpp"

#include <boost/fiber/mutex.hpp>
#include <vector>

static const int tasks = 100;

static double play(long rounds)
{
    boost::fibers::mutex m;
    std::vector<boost::fibers::fiber> fibers;
    long counter = 0;
    const int64_t start = bench_now();
    for (int i = 0; i < tasks; i++)
        fibers.emplace_back([&] {
            for (long k = 0; k < rounds; k++) {
                m.lock();
                counter++;
                m.unlock();
            }
        });
    for (auto &fiber : fibers)
        fiber.join();
    const int64_t took = bench_now() - start;
    bench_check(counter != rounds * tasks, "count");
    return double(took) / double(rounds * tasks);
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    fiber_run(args.threads, [&] {
        play(args.size / 10 + 1);
        printf("%.3f\n", play(args.size));
    });
    return 0;
}
