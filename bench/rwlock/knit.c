/* rwlock: EXTRA tasks, SIZE pairs of lock and unlock each, every 16th for writing. ns per pair. */
#include "../lib/bench_knit.h"

struct shared {
    knit_rwlock l;
    long rounds;
    long counter;
};

static int work(void *arg)
{
    struct shared *s = arg;
    long least = 0;
    for (long i = 1; i <= s->rounds; i++) {
        if (i % 16 == 0) {
            knit_rwlock_write(&s->l);
            s->counter++;
            knit_rwlock_write_unlock(&s->l);
        } else {
            knit_rwlock_read(&s->l);
            bench_check(s->counter < least, "count went back");
            least = s->counter;
            knit_rwlock_read_unlock(&s->l);
        }
    }
    return 0;
}

static double play(long rounds, long tasks)
{
    struct shared s = {.rounds = rounds};
    const double took = bench_tasks(tasks, work, &s);
    bench_check(s.counter != rounds / 16 * tasks, "count");
    return took / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 100);
}
