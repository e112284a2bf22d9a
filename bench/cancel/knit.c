/* cancel: SIZE tasks sleep for an hour in a group, one more fails. Microseconds from just before
 * its return to the return of wait; the median of five rounds after one of warm-up. */
#include "../lib/bench_knit.h"

enum { ROUNDS = 5 };

struct dormitory {
    _Atomic long asleep;
    int64_t failed_at;
};

static int sleeper(void *arg)
{
    struct dormitory *d = arg;
    d->asleep++;
    return knit_sleep(3600 * KNIT_SECOND);
}

static int failing(void *arg)
{
    struct dormitory *d = arg;
    d->failed_at = bench_now();
    return -EIO;
}

static double cancel_round(long n)
{
    struct dormitory d = {0};
    knit_errgroup g;
    bench_check(knit_errgroup_init(&g, NULL), "init");
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(&g, sleeper, &d), "go");
    while (d.asleep < n)
        bench_check(knit_yield(), "yield");
    bench_check(knit_sleep(10 * KNIT_MILLISECOND), "sleep");
    bench_check(knit_errgroup_go(&g, failing, &d), "go");
    bench_check(knit_errgroup_wait(&g) != -EIO, "wait");
    return (double)(bench_now() - d.failed_at) / 1000;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    double took[ROUNDS];
    cancel_round(args->size);
    for (int i = 0; i < ROUNDS; i++)
        took[i] = cancel_round(args->size);
    printf("%.1f\n", bench_median(took, ROUNDS));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
