/* gather: SIZE calls, each of which leaves a value in a place of its own; the result of each is kept by
 * index. ns per call, with making all that is needed.
 * pooled  the same with at most 4 at once */
#include "../lib/bench_knit.h"

enum { POOL = 4 };

static int twice(void *arg)
{
    long *value = arg;
    *value *= 2;
    return 0;
}

/* ns per call. */
static double gather_round(int limit, long n)
{
    const int64_t start = bench_now();
    const knit_errgroup_options options = {.limit = limit};
    knit_call *calls = malloc((size_t)n * sizeof *calls);
    long *values = malloc((size_t)n * sizeof *values);
    int *results = malloc((size_t)n * sizeof *results);
    bench_check(!calls || !values || !results, "malloc");
    for (long i = 0; i < n; i++) {
        values[i] = i;
        calls[i] = (knit_call){twice, &values[i]};
    }
    bench_check(knit_gather(calls, (size_t)n, &options, results), "gather");
    const int64_t took = bench_now() - start;
    for (long i = 0; i < n; i++)
        bench_check(results[i] != 0 || values[i] != 2 * i, "a result");
    free(results);
    free(values);
    free(calls);
    return (double)took / (double)n;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    gather_round(0, args->size);
    const double unlimited = gather_round(0, args->size);
    gather_round(POOL, args->size);
    printf("%.3f pooled=%.3f\n", unlimited, gather_round(POOL, args->size));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
