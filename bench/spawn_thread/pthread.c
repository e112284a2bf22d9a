/* spawn_thread with POSIX threads: SIZE times create and join, up to 64 alive at once. ns per
 * thread. */
#include "../lib/bench.h"

#include <pthread.h>

enum { BATCH = 64 };

static void *no_op(void *arg)
{
    return arg;
}

static void spawn_round(long n)
{
    pthread_t threads[BATCH];
    for (long done = 0; done < n;) {
        int count = 0;
        for (; count < BATCH && done < n; count++, done++)
            bench_check(pthread_create(&threads[count], NULL, no_op, NULL), "pthread_create");
        for (int i = 0; i < count; i++)
            bench_check(pthread_join(threads[i], NULL), "pthread_join");
    }
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    bench_limit_cpus(args.threads);
    spawn_round(args.size / 10 + 1);
    const int64_t start = bench_now();
    spawn_round(args.size);
    printf("%.3f\n", (double)(bench_now() - start) / (double)args.size);
    return 0;
}
