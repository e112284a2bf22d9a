/* cancel with Boost.Fiber: it has no cancellation, so the SIZE sleepers wait on a condition
 * variable with a deadline in an hour, and the one that fails notifies all. Microseconds from the
 * failure until all have ended; the median of five rounds. */
#include "../lib/fiber.hpp"

#include <atomic>
#include <chrono>

static double cancel_round(long n)
{
    boost::fibers::mutex lock;
    boost::fibers::condition_variable wake;
    bool canceled = false;
    std::atomic<long> asleep(0);
    int64_t failed_at = 0;
    std::vector<boost::fibers::fiber> all;
    all.reserve(static_cast<std::size_t>(n) + 1);
    for (long i = 0; i < n; i++) {
        all.emplace_back(std::allocator_arg, boost::fibers::fixedsize_stack(16384), [&] {
            std::unique_lock<boost::fibers::mutex> held(lock);
            asleep++;
            wake.wait_for(held, std::chrono::hours(1), [&] { return canceled; });
        });
    }
    while (asleep < n)
        boost::this_fiber::yield();
    boost::this_fiber::sleep_for(std::chrono::milliseconds(10));
    all.emplace_back([&] {
        failed_at = bench_now();
        {
            std::unique_lock<boost::fibers::mutex> held(lock);
            canceled = true;
        }
        wake.notify_all();
    });
    for (auto &fiber : all)
        fiber.join();
    return double(bench_now() - failed_at) / 1000;
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    fiber_run(args.threads, [&] {
        double took[5];
        cancel_round(args.size);
        for (double &us : took)
            us = cancel_round(args.size);
        printf("%.1f\n", bench_median(took, 5));
    });
    return 0;
}
