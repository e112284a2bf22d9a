/* for_each without any of it: one thread. EXTRA 0: each body a call through a function pointer; 1: a
 * plain loop. ns per body. */
#include "body.h"

static int one(size_t index, void *arg)
{
    unsigned char *a = arg;
    a[index] = body((long)index);
    return 0;
}

static void loop(const struct bench_args *args, unsigned char *a)
{
    int (*volatile hidden)(size_t, void *) = one;
    int (*fn)(size_t, void *) = hidden;
    if (args->extra == 0) {
        for (long i = 0; i < args->size; i++)
            bench_check(fn((size_t)i, a), "body");
        return;
    }
    body_range(a, 0, args->size);
    __asm__ volatile("" : : "r"(a) : "memory");
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    unsigned char *a = body_array(args.size);
    loop(&args, a);
    const int64_t start = bench_now();
    loop(&args, a);
    const int64_t took = bench_now() - start;
    body_check(a, args.size);
    printf("%.4f\n", (double)took / (double)args.size);
    free(a);
    return 0;
}
