/* semaphore with POSIX threads: sem_t, which has no weights: 100 threads, SIZE pairs each, 1 of EXTRA
 * + 1; EXTRA 0: one thread alone. ns per pair. */
#include "../lib/bench_pthread.h"

#include <semaphore.h>

static sem_t s;

static void *work(void *arg)
{
    const long *rounds = arg;
    for (long i = 0; i < *rounds; i++) {
        while (sem_wait(&s) != 0)
            ;
        sem_post(&s);
    }
    return NULL;
}

static double play(long rounds, long heaviest)
{
    const long tasks = heaviest > 0 ? 100 : 1;
    if (heaviest > 1)
        bench_die("no weights", heaviest);
    bench_check(sem_init(&s, 0, (unsigned)heaviest + 1), "sem_init");
    return bench_threads(tasks, work, &rounds) / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 0);
}
