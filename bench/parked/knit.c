/* parked: SIZE tasks wait on one channel, which is then closed; twice in one process.
 *
 * value     bytes of resident memory per parked task, first round
 * create    ns per task until all are parked, first round: every stack is new
 * recycled  the same, second round
 * wake      ns per task from the close until all have ended, second round */
#include "../lib/bench_knit.h"

struct lot {
    knit_chan *gate;
    _Atomic long arrived;
};

struct costs {
    double bytes;
    double create;
    double wake;
};

static int waiter(void *arg)
{
    struct lot *lot = arg;
    lot->arrived++;
    const int r = knit_chan_recv(lot->gate, NULL);
    return r == -EPIPE ? 0 : r;
}

static struct costs park_round(long n)
{
    struct lot lot = {0};
    bench_check(knit_chan_new(0, 0, &lot.gate), "chan_new");
    const int64_t before = bench_rss();
    const int64_t start = bench_now();
    knit_errgroup g = {0};
    for (long i = 0; i < n; i++)
        bench_check(knit_errgroup_go(&g, waiter, &lot), "go");
    while (lot.arrived < n)
        bench_check(knit_yield(), "yield");
    const int64_t created = bench_now();
    const int64_t after = bench_rss();
    const int64_t closing = bench_now();
    bench_check(knit_chan_close(lot.gate), "close");
    bench_check(knit_errgroup_wait(&g), "wait");
    const int64_t ended = bench_now();
    knit_chan_unref(lot.gate);
    return (struct costs){(double)(after - before) / (double)n,
                          (double)(created - start) / (double)n,
                          (double)(ended - closing) / (double)n};
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    park_round(10);
    const struct costs fresh = park_round(args->size);
    const struct costs again = park_round(args->size);
    printf("%.1f create=%.1f recycled=%.1f wake=%.1f\n", fresh.bytes, fresh.create, again.create,
           again.wake);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
