/* schedgroup: SIZE no-op tasks that begin at mixed times. ns per task from the first call until wait
 * returns, all of them due (times of the last second); the second of two rounds.
 * add    ns to schedule one of SIZE that are due in an hour
 * bytes  resident memory of each, waiting (the first time)
 * drop   ns to give each up: cancel, then wait */
#include "../lib/bench_knit.h"

#include <stdatomic.h>

enum { STRIDE = 7919 };

static atomic_long ran;

static int count(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
    return 0;
}

/* SIZE tasks at mixed times of the second from `begin` on. */
static void schedule_all(knit_schedgroup *s, knit_time begin, long n)
{
    for (long i = 0; i < n; i++)
        bench_check(
            knit_schedgroup_schedule(s, begin + i * STRIDE % n * (KNIT_SECOND / n), count, NULL),
            "schedule");
}

/* Until they have all run; ns each. */
static double run_round(long n)
{
    knit_schedgroup s;
    const int64_t start = bench_now();
    bench_check(knit_schedgroup_init(&s, NULL), "init");
    atomic_store(&ran, 0);
    schedule_all(&s, knit_now() - KNIT_SECOND, n);
    bench_check(knit_schedgroup_wait(&s), "wait");
    bench_check(atomic_load(&ran) != n, "not all ran");
    return (double)(bench_now() - start) / (double)n;
}

struct costs {
    double add, bytes, drop;
};

static struct costs drop_round(long n)
{
    knit_schedgroup s;
    struct costs costs;
    const int64_t rss = bench_rss(), start = bench_now();
    bench_check(knit_schedgroup_init(&s, NULL), "init");
    schedule_all(&s, knit_now() + 3600 * KNIT_SECOND, n);
    const int64_t added = bench_now();
    costs.bytes = (double)(bench_rss() - rss) / (double)n;
    const int64_t begin = bench_now();
    bench_check(knit_schedgroup_close(&s), "close");
    costs.drop = (double)(bench_now() - begin) / (double)n;
    costs.add = (double)(added - start) / (double)n;
    return costs;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    bench_check(args->size % STRIDE == 0, "SIZE and the stride have a common factor");
    const double bytes = drop_round(args->size).bytes;
    const struct costs costs = drop_round(args->size);
    run_round(args->size);
    printf("%.1f add=%.1f bytes=%.1f drop=%.1f\n", run_round(args->size), costs.add, bytes,
           costs.drop);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
