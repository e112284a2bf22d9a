/* What the pthread.c programs share: tasks are OS threads, on THREADS CPUs. */
#ifndef BENCH_PTHREAD_H
#define BENCH_PTHREAD_H

#include "bench.h"

#include <pthread.h>

enum { BENCH_MAX_THREADS = 128 };

/* Run so many threads fn(arg) and wait for them: the elapsed time, ns. */
static inline double bench_threads(long n, void *(*fn)(void *), void *arg)
{
    pthread_t threads[BENCH_MAX_THREADS];
    if (n > BENCH_MAX_THREADS)
        bench_die("too many threads", n);
    const int64_t start = bench_now();
    for (long i = 0; i < n; i++)
        bench_check(pthread_create(&threads[i], NULL, fn, arg), "pthread_create");
    for (long i = 0; i < n; i++)
        bench_check(pthread_join(threads[i], NULL), "pthread_join");
    return (double)(bench_now() - start);
}

/* All of main: play, first untimed with a tenth of the size. */
static inline int bench_main(int argc, char **argv, double (*play)(long size, long extra),
                             long default_extra)
{
    struct bench_args args = bench_parse(argc, argv);
    if (args.extra < 1)
        args.extra = default_extra;
    bench_limit_cpus(args.threads);
    play(args.size / 10 + (args.extra > 0 ? args.extra : 1), args.extra);
    printf("%.3f\n", play(args.size, args.extra));
    return 0;
}

#endif
