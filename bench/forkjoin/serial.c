/* forkjoin without any runtime: what would be a task is a call through a function pointer with its
 * argument in memory, so that the compiler cannot see through it. ns per such call. */
#include "../lib/bench.h"
#include "fib.h"

struct half {
    long n;
    long result;
};

static int fib(void *arg);
static int (*volatile run_task)(void *arg) = fib;

static int fib(void *arg)
{
    struct half *self = arg;
    if (self->n < 2) {
        self->result = self->n;
        return 0;
    }
    struct half child = {self->n - 1, 0};
    struct half own = {self->n - 2, 0};
    bench_check(run_task(&child), "task");
    bench_check(fib(&own), "fib");
    self->result = child.result + own.result;
    return 0;
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    struct half warm_up = {args.size - 3, 0};
    fib(&warm_up);
    struct half timed = {args.size, 0};
    const int64_t start = bench_now();
    fib(&timed);
    const int64_t took = bench_now() - start;
    bench_check(timed.result != fib_result(args.size), "wrong result");
    printf("%.3f\n", (double)took / fib_spawns(args.size));
    return 0;
}
