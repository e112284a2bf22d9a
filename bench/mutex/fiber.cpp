/* mutex with Boost.Fiber: EXTRA fibers, SIZE pairs each on one boost::fibers::mutex. ns per pair. */
#include "../lib/fiber.hpp"

#include <boost/fiber/mutex.hpp>
#include <vector>

static double play(long rounds, long tasks)
{
    boost::fibers::mutex m;
    std::vector<boost::fibers::fiber> fibers;
    long counter = 0;
    const int64_t start = bench_now();
    for (long i = 0; i < tasks; i++)
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
    return fiber_main(argc, argv, play, 100);
}
