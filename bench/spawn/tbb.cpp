/* spawn with oneTBB: SIZE no-op tasks in one task_group, run from inside an arena. ns per task. */
#include "../lib/bench.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

static void no_op()
{
}

static void spawn_round(long n)
{
    tbb::task_group g;
    for (long i = 0; i < n; i++)
        g.run(no_op);
    g.wait();
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    arena.execute([&] {
        spawn_round(args.size);
        const int64_t start = bench_now();
        spawn_round(args.size);
        const int64_t took = bench_now() - start;
        printf("%.3f peak=%.1f\n", double(took) / double(args.size), bench_peak_mb());
    });
    return 0;
}
