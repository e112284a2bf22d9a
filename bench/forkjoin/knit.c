/* forkjoin: fib(SIZE), in every call one half as a task in a group of its own, the other half
 * computed by the caller. ns per spawn. */
#include "../lib/bench_knit.h"
#include "fib.h"

struct half {
    long n;
    long result;
};

static int fib(void *arg)
{
    struct half *self = arg;
    if (self->n < 2) {
        self->result = self->n;
        return 0;
    }
    struct half child = {self->n - 1, 0};
    struct half own = {self->n - 2, 0};
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, fib, &child), "go");
    bench_check(fib(&own), "fib");
    bench_check(knit_errgroup_wait(&g), "wait");
    self->result = child.result + own.result;
    return 0;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    struct half warm_up = {args->size - 3, 0};
    bench_check(fib(&warm_up), "fib");
    struct half timed = {args->size, 0};
    const int64_t start = bench_now();
    bench_check(fib(&timed), "fib");
    const int64_t took = bench_now() - start;
    bench_check(timed.result != fib_result(args->size), "wrong result");
    printf("%.3f\n", (double)took / fib_spawns(args->size));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
