/* buffered with POSIX threads: a ring of 128 items under one mutex with two condition variables.
 * ns per item. */
#include "../lib/bench_pthread.h"

#include <stdbool.h>

enum { CAPACITY = 128, MAX_PAIRS = 64 };

struct pipe {
    pthread_mutex_t lock;
    pthread_cond_t has_room;
    pthread_cond_t has_item;
    int64_t ring[CAPACITY];
    unsigned head;
    unsigned count;
    bool closed;
    long items_each;
    long received;
};

static void *sender(void *arg)
{
    struct pipe *p = arg;
    for (int64_t i = 0; i < p->items_each; i++) {
        pthread_mutex_lock(&p->lock);
        while (p->count == CAPACITY)
            pthread_cond_wait(&p->has_room, &p->lock);
        p->ring[(p->head + p->count++) % CAPACITY] = i;
        pthread_mutex_unlock(&p->lock);
        pthread_cond_signal(&p->has_item);
    }
    return NULL;
}

static bool take(struct pipe *p, int64_t *ret_item)
{
    pthread_mutex_lock(&p->lock);
    while (p->count == 0 && !p->closed)
        pthread_cond_wait(&p->has_item, &p->lock);
    const bool got = p->count > 0;
    if (got) {
        *ret_item = p->ring[p->head];
        p->head = (p->head + 1) % CAPACITY;
        p->count--;
        p->received++;
    }
    pthread_mutex_unlock(&p->lock);
    pthread_cond_signal(&p->has_room);
    return got;
}

static void *receiver(void *arg)
{
    int64_t item;
    while (take(arg, &item))
        ;
    return NULL;
}

static double transfer(long items, long pairs)
{
    static struct pipe p;
    p = (struct pipe){.lock = PTHREAD_MUTEX_INITIALIZER,
                      .has_room = PTHREAD_COND_INITIALIZER,
                      .has_item = PTHREAD_COND_INITIALIZER,
                      .items_each = items / pairs};
    if (pairs > MAX_PAIRS)
        bench_die("too many pairs", pairs);
    pthread_t senders[MAX_PAIRS];
    pthread_t receivers[MAX_PAIRS];
    const int64_t start = bench_now();
    for (long i = 0; i < pairs; i++) {
        bench_check(pthread_create(&receivers[i], NULL, receiver, &p), "pthread_create");
        bench_check(pthread_create(&senders[i], NULL, sender, &p), "pthread_create");
    }
    for (long i = 0; i < pairs; i++)
        pthread_join(senders[i], NULL);
    pthread_mutex_lock(&p.lock);
    p.closed = true;
    pthread_mutex_unlock(&p.lock);
    pthread_cond_broadcast(&p.has_item);
    for (long i = 0; i < pairs; i++)
        pthread_join(receivers[i], NULL);
    const int64_t took = bench_now() - start;
    bench_check(p.received != p.items_each * pairs, "items lost");
    return (double)took / (double)p.received;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, transfer, 1);
}
