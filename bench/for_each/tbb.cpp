/* for_each with oneTBB's parallel_for and its automatic partitioner. EXTRA 0: the body as a function
 * of an index; 1: as a function of a range. ns per body. */
#include "body.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

static void loop(const bench_args &args, unsigned char *a)
{
    if (args.extra == 0) {
        tbb::parallel_for(0L, args.size, [a](long i) { a[i] = body(i); });
        return;
    }
    tbb::parallel_for(tbb::blocked_range<long>(0, args.size),
                      [a](const tbb::blocked_range<long> &range) {
                          body_range(a, range.begin(), range.end());
                      });
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                static_cast<std::size_t>(args.threads));
    tbb::task_arena arena(args.threads);
    unsigned char *a = body_array(args.size);
    arena.execute([&] {
        loop(args, a);
        const int64_t start = bench_now();
        loop(args, a);
        const int64_t took = bench_now() - start;
        body_check(a, args.size);
        printf("%.4f\n", double(took) / double(args.size));
    });
    free(a);
    return 0;
}
