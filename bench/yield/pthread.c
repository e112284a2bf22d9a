/* yield with POSIX threads: two threads per CPU call sched_yield, SIZE times in all. ns per
 * yield. */
#include "../lib/bench.h"

#include <pthread.h>

enum { MAX_THREADS = 256 };

static void *yielder(void *arg)
{
    const long *times = arg;
    for (long i = 0; i < *times; i++)
        sched_yield();
    return NULL;
}

static double yield_round(long yields, long count)
{
    long each = yields / count;
    pthread_t threads[MAX_THREADS];
    const int64_t start = bench_now();
    for (long i = 0; i < count; i++)
        bench_check(pthread_create(&threads[i], NULL, yielder, &each), "pthread_create");
    for (long i = 0; i < count; i++)
        bench_check(pthread_join(threads[i], NULL), "pthread_join");
    return (double)(bench_now() - start) / (double)(each * count);
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    const long count = 2L * args.threads;
    if (count > MAX_THREADS)
        bench_die("too many threads", count);
    bench_limit_cpus(args.threads);
    yield_round(args.size / 10 + count, count);
    printf("%.3f\n", yield_round(args.size, count));
    return 0;
}
