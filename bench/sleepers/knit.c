/* sleepers: SIZE tasks sleep 1 to 1000 ms each (evenly spread, in a mixed order). How much later
 * than asked they wake, in us: the median. The process has warmed up with a hundredth of them.
 * p99  the 99th percentile
 * cpu  processor time of the whole round, in seconds
 * peak the most memory that was ever resident, in MB */
#include "../lib/bench_knit.h"

enum { SPREAD_MS = 1000, STRIDE = 7919 }; /* a prime: neighbours sleep for different times */

struct sleeper {
    int64_t ms;
    double late_us;
};

static int sleeper(void *arg)
{
    struct sleeper *s = arg;
    const int64_t until = bench_now() + s->ms * 1000000;
    const int r = knit_sleep(s->ms * KNIT_MILLISECOND);
    s->late_us = (double)(bench_now() - until) / 1e3;
    return r;
}

static void sleep_round(struct sleeper *sleepers, long n)
{
    knit_errgroup g = {0};
    for (long i = 0; i < n; i++) {
        sleepers[i].ms = 1 + i * STRIDE % SPREAD_MS;
        bench_check(knit_errgroup_go(&g, sleeper, &sleepers[i]), "go");
    }
    bench_check(knit_errgroup_wait(&g), "wait");
}

static int by_lateness(const void *a, const void *b)
{
    const struct sleeper *x = a, *y = b;
    return (x->late_us > y->late_us) - (x->late_us < y->late_us);
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    const size_t n = (size_t)args->size;
    struct sleeper *sleepers = calloc(n, sizeof *sleepers);
    bench_check(sleepers == NULL, "memory");
    sleep_round(sleepers, args->size / 100 + 1);
    const double cpu = bench_cpu();
    sleep_round(sleepers, args->size);
    const double used = bench_cpu() - cpu;
    qsort(sleepers, n, sizeof *sleepers, by_lateness);
    printf("%.1f p99=%.1f cpu=%.3f peak=%.1f\n", sleepers[n / 2].late_us,
           sleepers[n - 1 - n / 100].late_us, used, bench_peak_mb());
    free(sleepers);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
