/* semaphore: 100 tasks, SIZE pairs each of acquire and release, weights 1 to 3 of 8. ns per pair. */
#include "../lib/bench_knit.h"

enum { TASKS = 100 };

struct shared {
    knit_semaphore m;
    long rounds;
};

static int work(void *arg)
{
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++) {
        bench_check(knit_semaphore_acquire(&s->m, 1 + i % 3), "acquire");
        bench_check(knit_semaphore_release(&s->m, 1 + i % 3), "release");
    }
    return 0;
}

static double play(long rounds)
{
    struct shared s = {.rounds = rounds};
    bench_check(knit_semaphore_init(&s.m, 8), "init");
    knit_errgroup g = {0};
    const int64_t start = bench_now();
    for (int i = 0; i < TASKS; i++)
        bench_check(knit_errgroup_go(&g, work, &s), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    const int64_t took = bench_now() - start;
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
