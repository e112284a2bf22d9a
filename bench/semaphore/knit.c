/* semaphore: 100 tasks, SIZE pairs each of acquire and release, weights 1 to EXTRA of EXTRA + 1;
 * EXTRA 0: one task alone, weight 1. ns per pair. */
#include "../lib/bench_knit.h"

struct shared {
    knit_semaphore m;
    long rounds, heaviest;
};

static int work(void *arg)
{
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++) {
        const int64_t n = s->heaviest > 1 ? 1 + i % s->heaviest : 1;
        bench_check(knit_semaphore_acquire(&s->m, n), "acquire");
        bench_check(knit_semaphore_release(&s->m, n), "release");
    }
    return 0;
}

static double play(long rounds, long heaviest)
{
    const long tasks = heaviest > 0 ? 100 : 1;
    struct shared s = {.rounds = rounds, .heaviest = heaviest};
    bench_check(knit_semaphore_init(&s.m, heaviest + 1), "init");
    return bench_tasks(tasks, work, &s) / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 0);
}
