/* once with POSIX threads: EXTRA threads, SIZE calls each of one pthread_once. ns of elapsed time per
 * call. */
#include "../lib/bench_pthread.h"

static pthread_once_t once;
static long calls;

static void first(void)
{
    calls++;
}

static void *work(void *arg)
{
    const long *rounds = arg;
    for (long i = 0; i < *rounds; i++)
        pthread_once(&once, first);
    return NULL;
}

static double play(long rounds, long tasks)
{
    once = (pthread_once_t)PTHREAD_ONCE_INIT;
    calls = 0;
    const double took = bench_threads(tasks, work, &rounds);
    bench_check(calls != 1, "calls");
    return took / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 100);
}
