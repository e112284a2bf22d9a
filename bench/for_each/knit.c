/* for_each: a loop of SIZE tiny bodies, called by a task. EXTRA 0: each body a call through a
 * function pointer (knit_for_each); 1: a range of indices a call (knit_for_ranges), which is what
 * the bodies of OpenMP and oneTBB compile to. ns per body. */
#include "../lib/bench_knit.h"

#include "body.h"

static int one(size_t index, void *arg)
{
    unsigned char *a = arg;
    a[index] = body((long)index);
    return 0;
}

static int range(size_t begin, size_t end, void *arg)
{
    body_range(arg, (long)begin, (long)end);
    return 0;
}

static void loop(const struct bench_args *args, unsigned char *a)
{
    if (args->extra == 0)
        bench_check(knit_for_each(0, (size_t)args->size, one, a, NULL), "knit_for_each");
    else
        bench_check(knit_for_ranges(0, (size_t)args->size, range, a, NULL), "knit_for_ranges");
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    unsigned char *a = body_array(args->size);
    loop(args, a);
    const int64_t start = bench_now();
    loop(args, a);
    const int64_t took = bench_now() - start;
    body_check(a, args->size);
    printf("%.4f\n", (double)took / (double)args->size);
    free(a);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
