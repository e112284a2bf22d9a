/* spawn_thread with libuv: SIZE no-op requests to its thread pool, then the loop until all are
 * done. ns per request. */
#include "../lib/bench.h"

#include <uv.h>

static void no_op(uv_work_t *request)
{
    (void)request;
}

static void spawn_round(uv_work_t *requests, long n)
{
    uv_loop_t *loop = uv_default_loop();
    for (long i = 0; i < n; i++)
        bench_check(uv_queue_work(loop, &requests[i], no_op, NULL), "uv_queue_work");
    bench_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    bench_check(setenv("UV_THREADPOOL_SIZE", argv[1], 1), "setenv");
    uv_work_t *requests = calloc((size_t)args.size, sizeof *requests);
    if (!requests)
        bench_die("no memory", args.size);
    spawn_round(requests, args.size);
    const int64_t start = bench_now();
    spawn_round(requests, args.size);
    printf("%.3f\n", (double)(bench_now() - start) / (double)args.size);
    free(requests);
    return 0;
}
