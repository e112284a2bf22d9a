/* limit_queue: SIZE no-op tasks in one group, at most 4 at once, which a queue of 128 takes first:
 * the parent, a task, waits only when that is full. ns per task.
 * endless  the same with a queue without an end: the parent never waits
 * bytes    resident memory of each queued task, in a group that is paused, the first time */
#include "../lib/bench_knit.h"

enum { LIMIT = 4, QUEUE = 128 };

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static void start_all(knit_errgroup *g, int limit, const knit_policy *policy, long n)
{
    bench_check(knit_errgroup_init(g, &(knit_errgroup_options){.policy = policy}), "init");
    bench_check(knit_errgroup_set_limit(g, limit), "set_limit");
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(g, no_op, NULL), "go");
}

/* ns per task. */
static double queue_round(unsigned length, long n)
{
    const knit_policy policy = {.queue = length};
    knit_errgroup g;
    const int64_t start = bench_now();
    start_all(&g, LIMIT, &policy, n);
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(bench_now() - start) / (double)n;
}

static double bytes_of_queued(long n)
{
    const knit_policy policy = {.queue = KNIT_UNBOUNDED};
    knit_errgroup g;
    const int64_t before = bench_rss();
    start_all(&g, 0, &policy, n);
    const double bytes = (double)(bench_rss() - before) / (double)n;
    bench_check(knit_errgroup_set_limit(&g, LIMIT), "set_limit");
    bench_check(knit_errgroup_wait(&g), "wait");
    return bytes;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    const double bytes = bytes_of_queued(args->size);
    queue_round(QUEUE, args->size);
    const double bounded = queue_round(QUEUE, args->size);
    queue_round(KNIT_UNBOUNDED, args->size);
    const double endless = queue_round(KNIT_UNBOUNDED, args->size);
    printf("%.3f endless=%.3f bytes=%.2f\n", bounded, endless, bytes);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
