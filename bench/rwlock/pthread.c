/* rwlock with POSIX threads: EXTRA threads, SIZE pairs each on one pthread_rwlock_t, every 16th for
 * writing. ns per pair. */
#include "../lib/bench_pthread.h"

static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static long counter;

static void *work(void *arg)
{
    const long *rounds = arg;
    long least = 0;
    for (long i = 1; i <= *rounds; i++) {
        if (i % 16 == 0) {
            pthread_rwlock_wrlock(&l);
            counter++;
            pthread_rwlock_unlock(&l);
        } else {
            pthread_rwlock_rdlock(&l);
            bench_check(counter < least, "count went back");
            least = counter;
            pthread_rwlock_unlock(&l);
        }
    }
    return NULL;
}

static double play(long rounds, long tasks)
{
    counter = 0;
    const double took = bench_threads(tasks, work, &rounds);
    bench_check(counter != rounds / 16 * tasks, "count");
    return took / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 100);
}
