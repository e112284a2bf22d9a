/* mutex with POSIX threads: 100 threads, SIZE pairs each on one pthread_mutex_t. ns per pair. */
#include "../lib/bench.h"

#include <pthread.h>

enum { TASKS = 100 };

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *work(void *arg)
{
    const long *rounds = arg;
    for (long i = 0; i < *rounds; i++) {
        pthread_mutex_lock(&m);
        counter++;
        pthread_mutex_unlock(&m);
    }
    return NULL;
}

static double play(long rounds)
{
    pthread_t threads[TASKS];
    counter = 0;
    const int64_t start = bench_now();
    for (int i = 0; i < TASKS; i++)
        bench_check(pthread_create(&threads[i], NULL, work, &rounds), "pthread_create");
    for (int i = 0; i < TASKS; i++)
        bench_check(pthread_join(threads[i], NULL), "pthread_join");
    const int64_t took = bench_now() - start;
    bench_check(counter != rounds * TASKS, "count");
    return (double)took / (double)(rounds * TASKS);
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    bench_limit_cpus(args.threads);
    play(args.size / 10 + 1);
    printf("%.3f\n", play(args.size));
    return 0;
}
