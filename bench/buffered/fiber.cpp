/* buffered with Boost.Fiber: its buffered_channel of 128 places (it uses 127 of them). ns per
 * item. */
#include "../lib/fiber.hpp"

#include <atomic>

static double transfer(long items, long pairs)
{
    boost::fibers::buffered_channel<int64_t> channel(128);
    const long each = items / pairs;
    std::atomic<long> received(0);
    std::vector<boost::fibers::fiber> senders;
    std::vector<boost::fibers::fiber> receivers;
    const int64_t start = bench_now();
    for (long p = 0; p < pairs; p++) {
        receivers.emplace_back([&] {
            long count = 0;
            int64_t item = 0;
            while (channel.pop(item) == boost::fibers::channel_op_status::success)
                count++;
            received += count;
        });
        senders.emplace_back([&, each] {
            for (int64_t i = 0; i < each; i++)
                channel.push(i);
        });
    }
    for (auto &fiber : senders)
        fiber.join();
    channel.close();
    for (auto &fiber : receivers)
        fiber.join();
    const int64_t took = bench_now() - start;
    bench_check(received != each * pairs, "items lost");
    return double(took) / double(each * pairs);
}

int main(int argc, char **argv)
{
    return fiber_main(argc, argv, transfer, 1);
}
