/* pingpong: two tasks, two unbuffered channels, SIZE round trips. ns per round trip. */
#include "../lib/bench_knit.h"

struct table {
    knit_chan *there;
    knit_chan *back;
    long rounds;
};

static int echo(void *arg)
{
    const struct table *t = arg;
    for (long i = 0; i < t->rounds; i++) {
        int64_t ball;
        bench_check(knit_chan_recv(t->there, &ball), "recv");
        bench_check(knit_chan_send(t->back, &ball), "send");
    }
    return 0;
}

static int serve(void *arg)
{
    const struct table *t = arg;
    for (int64_t i = 0; i < t->rounds; i++) {
        int64_t ball;
        bench_check(knit_chan_send(t->there, &i), "send");
        bench_check(knit_chan_recv(t->back, &ball), "recv");
        bench_check(ball != i, "wrong item");
    }
    return 0;
}

static double play(long rounds, long extra)
{
    (void)extra;
    struct table t = {.rounds = rounds};
    bench_check(knit_chan_new(sizeof(int64_t), 0, &t.there), "chan_new");
    bench_check(knit_chan_new(sizeof(int64_t), 0, &t.back), "chan_new");
    const int64_t start = bench_now();
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, echo, &t), "go");
    bench_check(knit_errgroup_go(&g, serve, &t), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    const int64_t took = bench_now() - start;
    knit_chan_unref(t.there);
    knit_chan_unref(t.back);
    return (double)took / (double)rounds;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 0);
}
