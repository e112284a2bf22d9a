/* pingpong with Boost.Fiber: two fibers, two unbuffered channels. ns per round trip. */
#include "../lib/fiber.hpp"

static double play(long rounds, long)
{
    using channel = boost::fibers::unbuffered_channel<int64_t>;
    channel there;
    channel back;
    const int64_t start = bench_now();
    boost::fibers::fiber echo([&] {
        int64_t ball = 0;
        for (long i = 0; i < rounds; i++) {
            there.pop(ball);
            back.push(ball);
        }
    });
    boost::fibers::fiber serve([&] {
        int64_t ball = 0;
        for (int64_t i = 0; i < rounds; i++) {
            there.push(i);
            back.pop(ball);
            bench_check(ball != i, "wrong item");
        }
    });
    echo.join();
    serve.join();
    return double(bench_now() - start) / double(rounds);
}

int main(int argc, char **argv)
{
    return fiber_main(argc, argv, play, 0);
}
