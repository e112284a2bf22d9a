/* mutex: 100 tasks, SIZE pairs of lock and unlock each around one counter. ns per pair. */
#include "../lib/bench_knit.h"

enum { TASKS = 100 };

struct shared {
    knit_mutex m;
    long rounds;
    long counter;
};

static int work(void *arg)
{
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++) {
        knit_mutex_lock(&s->m);
        s->counter++;
        knit_mutex_unlock(&s->m);
    }
    return 0;
}

static double play(long rounds)
{
    struct shared s = {.rounds = rounds};
    knit_errgroup g = {0};
    const int64_t start = bench_now();
    for (int i = 0; i < TASKS; i++)
        bench_check(knit_errgroup_go(&g, work, &s), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    const int64_t took = bench_now() - start;
    bench_check(s.counter != rounds * TASKS, "count");
    return (double)took / (double)(rounds * TASKS);
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    play(args->size / 10 + 1);
    printf("%.3f\n", play(args->size));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
