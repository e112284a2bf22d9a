/* pingpong with POSIX threads: two threads, a slot each way guarded by semaphores. ns per round
 * trip. */
#include "../lib/bench_pthread.h"

#include <semaphore.h>

struct slot {
    sem_t full;
    int64_t item;
};

static struct slot there;
static struct slot back;

static void put(struct slot *s, int64_t item)
{
    s->item = item;
    sem_post(&s->full);
}

static int64_t take(struct slot *s)
{
    while (sem_wait(&s->full) != 0)
        ;
    return s->item;
}

static void *echo(void *arg)
{
    const long *rounds = arg;
    for (long i = 0; i < *rounds; i++)
        put(&back, take(&there));
    return NULL;
}

static double play(long rounds, long extra)
{
    (void)extra;
    pthread_t partner;
    bench_check(pthread_create(&partner, NULL, echo, &rounds), "pthread_create");
    const int64_t start = bench_now();
    for (int64_t i = 0; i < rounds; i++) {
        put(&there, i);
        bench_check(take(&back) != i, "wrong item");
    }
    const int64_t took = bench_now() - start;
    bench_check(pthread_join(partner, NULL), "pthread_join");
    return (double)took / (double)rounds;
}

int main(int argc, char **argv)
{
    bench_check(sem_init(&there.full, 0, 0), "sem_init");
    bench_check(sem_init(&back.full, 0, 0), "sem_init");
    return bench_main(argc, argv, play, 0);
}
