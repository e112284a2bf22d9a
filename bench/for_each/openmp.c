/* for_each with OpenMP. EXTRA 0: schedule(dynamic), which takes one index at a time; 1:
 * schedule(dynamic, 4096). ns per body. */
#include "body.h"

#include <omp.h>

static void loop(const struct bench_args *args, unsigned char *a)
{
    if (args->extra == 0) {
#pragma omp parallel for schedule(dynamic)
        for (long i = 0; i < args->size; i++)
            a[i] = body(i);
    } else {
#pragma omp parallel for schedule(dynamic, 4096)
        for (long i = 0; i < args->size; i++)
            a[i] = body(i);
    }
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    omp_set_dynamic(0);
    omp_set_num_threads(args.threads);
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
