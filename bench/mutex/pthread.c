/* mutex with POSIX threads: EXTRA threads, SIZE pairs each on one pthread_mutex_t. ns per pair. */
#include "../lib/bench_pthread.h"

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

static double play(long rounds, long tasks)
{
    counter = 0;
    const double took = bench_threads(tasks, work, &rounds);
    bench_check(counter != rounds * tasks, "count");
    return took / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 100);
}
