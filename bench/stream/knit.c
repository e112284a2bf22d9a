/* stream: SIZE no-op tasks with a call after each, in order; no limit but the window of 64. The
 * caller is a task, which waits for room. ns per task. */
#include "../lib/bench_knit.h"

static long calls;

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static int in_order(void *arg, int result)
{
    bench_check((long)(intptr_t)arg != calls, "the order of the calls");
    calls++;
    return result;
}

static void stream_round(long n)
{
    knit_stream s;
    calls = 0;
    bench_check(knit_stream_init(&s, NULL), "init");
    for (long i = 0; i < n; i++)
        bench_check(knit_stream_go(&s, no_op, in_order, (void *)(intptr_t)i), "go");
    bench_check(knit_stream_wait(&s), "wait");
    bench_check(calls != n, "the number of calls");
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    stream_round(args->size);
    const int64_t start = bench_now();
    stream_round(args->size);
    printf("%.3f\n", (double)(bench_now() - start) / (double)args->size);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
