/* limit with oneTBB: a task_group and a count of what runs; at the limit the caller waits for the
 * group, which makes it run what is queued (a TBB task must not block). ns per task. */
#include "../lib/bench.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>

static void limit_round(long n)
{
    std::atomic<int> running(0);
    tbb::task_group g;
    for (long i = 0; i < n; i++) {
        while (running.load(std::memory_order_acquire) >= 4)
            g.wait();
        running.fetch_add(1, std::memory_order_relaxed);
        g.run([&running] { running.fetch_sub(1, std::memory_order_release); });
    }
    g.wait();
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    arena.execute([&] {
        limit_round(args.size);
        const int64_t start = bench_now();
        limit_round(args.size);
        printf("%.3f\n", double(bench_now() - start) / double(args.size));
    });
    return 0;
}
