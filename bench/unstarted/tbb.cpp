/* unstarted with oneTBB: SIZE deferred tasks of a task_group. Bytes of resident memory per task;
 * then all are run. */
#include "../lib/bench.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <vector>

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    arena.execute([&] {
        tbb::task_group g;
        std::atomic<long> ran(0);
        std::vector<tbb::task_handle> queue;
        const int64_t before = bench_rss();
        queue.reserve(static_cast<std::size_t>(args.size));
        for (long i = 0; i < args.size; i++)
            queue.push_back(g.defer([&ran] { ran++; }));
        const double bytes = double(bench_rss() - before) / double(args.size);
        for (auto &task : queue)
            g.run(std::move(task));
        g.wait();
        bench_check(ran != args.size, "tasks lost");
        printf("%.2f\n", bytes);
    });
    return 0;
}
