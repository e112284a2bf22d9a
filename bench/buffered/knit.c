/* buffered: SIZE items through one channel of capacity 128, EXTRA senders and EXTRA receivers, all
 * of them tasks. ns per item. */
#include "../lib/bench_knit.h"

struct pipe {
    knit_chan *ch;
    long items_each;
    _Atomic long received;
};

static int sender(void *arg)
{
    struct pipe *p = arg;
    for (int64_t i = 0; i < p->items_each; i++)
        bench_check(knit_chan_send(p->ch, &i), "send");
    return 0;
}

static int receiver(void *arg)
{
    struct pipe *p = arg;
    long count = 0;
    int64_t item;
    int r;
    while ((r = knit_chan_recv(p->ch, &item)) == 0)
        count++;
    bench_check(r != -EPIPE, "recv");
    p->received += count;
    return 0;
}

static double transfer(long items, long pairs)
{
    struct pipe p = {.items_each = items / pairs};
    bench_check(knit_chan_new(sizeof(int64_t), 128, &p.ch), "chan_new");
    const int64_t start = bench_now();
    knit_errgroup senders = {0};
    knit_errgroup receivers = {0};
    for (long i = 0; i < pairs; i++) {
        bench_check(knit_errgroup_go(&receivers, receiver, &p), "go");
        bench_check(knit_errgroup_go(&senders, sender, &p), "go");
    }
    bench_check(knit_errgroup_wait(&senders), "wait");
    bench_check(knit_chan_close(p.ch), "close");
    bench_check(knit_errgroup_wait(&receivers), "wait");
    const int64_t took = bench_now() - start;
    bench_check(p.received != p.items_each * pairs, "items lost");
    knit_chan_unref(p.ch);
    return (double)took / (double)(p.items_each * pairs);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, transfer, 1);
}
