/* spawn with Boost.Fiber: SIZE no-op fibers, counted by hand as it has no group. Each is launched
 * with `dispatch` (run at once): `post` would keep SIZE stacks alive. ns per task. */
#include "../lib/fiber.hpp"

#include <atomic>

static void spawn_round(long n)
{
    std::atomic<long> left(n);
    for (long i = 0; i < n; i++) {
        boost::fibers::fiber(boost::fibers::launch::dispatch, [&left] {
            left.fetch_sub(1, std::memory_order_release);
        }).detach();
    }
    while (left.load(std::memory_order_acquire) > 0)
        boost::this_fiber::yield();
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    fiber_run(args.threads, [&] {
        spawn_round(args.size);
        const int64_t start = bench_now();
        spawn_round(args.size);
        const int64_t took = bench_now() - start;
        printf("%.3f peak=%.1f\n", double(took) / double(args.size), bench_peak_mb());
    });
    return 0;
}
