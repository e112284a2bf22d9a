/* select: EXTRA unbuffered channels, a task that sends on each of them, one that receives from all by
 * select. SIZE items. ns per item. */
#include "../lib/bench_knit.h"

enum { MAX_CHANS = 64 };

struct sender {
    knit_chan *ch;
    long items;
};

struct receiver {
    knit_chan **chans;
    long n, items;
};

static int sender(void *arg)
{
    const struct sender *s = arg;
    for (int64_t i = 0; i < s->items; i++)
        bench_check(knit_chan_send(s->ch, &i), "send");
    return 0;
}

static int receiver(void *arg)
{
    const struct receiver *r = arg;
    knit_case cases[MAX_CHANS];
    int64_t item = 0, sum = 0;
    for (long i = 0; i < r->n; i++)
        cases[i] = knit_case_recv(r->chans[i], &item);
    for (long i = 0; i < r->items; i++) {
        bench_check(knit_select(cases, (size_t)r->n) < 0, "select");
        sum += item;
    }
    const int64_t each = r->items / r->n;
    bench_check(sum != r->n * (each * (each - 1) / 2), "items lost");
    return 0;
}

static double transfer(long items, long n)
{
    if (n > MAX_CHANS)
        bench_die("too many channels", n);
    knit_chan *chans[MAX_CHANS];
    struct sender senders[MAX_CHANS];
    struct receiver r = {.chans = chans, .n = n, .items = items / n * n};
    for (long i = 0; i < n; i++) {
        bench_check(knit_chan_new(sizeof(int64_t), 0, &chans[i]), "chan_new");
        senders[i] = (struct sender){chans[i], items / n};
    }
    const int64_t start = bench_now();
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, receiver, &r), "go");
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(&g, sender, &senders[i]), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    const int64_t took = bench_now() - start;
    for (long i = 0; i < n; i++)
        knit_chan_unref(chans[i]);
    return (double)took / (double)r.items;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, transfer, 2);
}
