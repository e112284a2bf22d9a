/* What all fiber.cpp programs share: run a body on THREADS threads of Boost.Fiber.
 *
 * One thread: the default round robin scheduler. More: its work stealing scheduler, which spins
 * when idle (its default, and the faster setting). */
#ifndef BENCH_FIBER_HPP
#define BENCH_FIBER_HPP

#include "bench.h"

#include <boost/fiber/all.hpp>

#include <mutex>
#include <thread>
#include <vector>

template <typename Body> void fiber_run(int threads, Body body)
{
    if (threads == 1) {
        body();
        return;
    }
    boost::fibers::mutex lock;
    boost::fibers::condition_variable_any ended;
    bool done = false;
    const auto count = static_cast<std::uint32_t>(threads);
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) {
        others.emplace_back([&] {
            boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(count);
            std::unique_lock<boost::fibers::mutex> held(lock);
            ended.wait(held, [&] { return done; });
        });
    }
    boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(count);
    body();
    {
        std::unique_lock<boost::fibers::mutex> held(lock);
        done = true;
    }
    ended.notify_all();
    for (auto &thread : others)
        thread.join();
}

/* All of main: play, first untimed with a tenth of the size. */
template <typename Play> int fiber_main(int argc, char **argv, Play play, long default_extra)
{
    bench_args args = bench_parse(argc, argv);
    if (args.extra < 1)
        args.extra = default_extra;
    fiber_run(args.threads, [&] {
        play(args.size / 10 + (args.extra > 0 ? args.extra : 1), args.extra);
        printf("%.3f\n", play(args.size, args.extra));
    });
    return 0;
}

#endif
