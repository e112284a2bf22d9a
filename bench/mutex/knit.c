/* mutex: EXTRA tasks, SIZE pairs of lock and unlock each around one counter. ns per pair. */
#include "../lib/bench_knit.h"

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

static double play(long rounds, long tasks)
{
    struct shared s = {.rounds = rounds};
    const double took = bench_tasks(tasks, work, &s);
    bench_check(s.counter != rounds * tasks, "count");
    return took / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 100);
}
