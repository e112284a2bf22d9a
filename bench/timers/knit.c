/* timers: SIZE contexts with a timeout of about an hour, all live at once, then given up. ns to make
 * one, timer and context; the second of two rounds.
 * cancel  ns to give one up, in a mixed order */
#include "../lib/bench_knit.h"

enum { STRIDE = 7919 };

struct costs {
    double add;
    double cancel;
};

static struct costs timer_round(knit_ctx **timers, long n)
{
    const int64_t start = bench_now();
    for (long i = 0; i < n; i++)
        bench_check(knit_ctx_with_timeout(knit_ctx_background(),
                                          3600 * KNIT_SECOND + i * STRIDE % n * KNIT_MICROSECOND,
                                          &timers[i]),
                    "timeout");
    const int64_t added = bench_now();
    for (long i = 0; i < n; i++)
        knit_ctx_unref(timers[(long)((int64_t)i * STRIDE % n)]);
    const int64_t ended = bench_now();
    return (struct costs){(double)(added - start) / (double)n, (double)(ended - added) / (double)n};
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    knit_ctx **timers = calloc((size_t)args->size, sizeof(knit_ctx *));
    bench_check(timers == NULL, "memory");
    bench_check(args->size % STRIDE == 0, "SIZE and the stride have a common factor");
    timer_round(timers, args->size);
    const struct costs costs = timer_round(timers, args->size);
    printf("%.1f cancel=%.1f\n", costs.add, costs.cancel);
    free(timers);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
