/* once: EXTRA tasks, SIZE calls each of one that is done, after the call that does it. ns of elapsed
 * time per call. */
#include "../lib/bench_knit.h"

struct shared {
    knit_once o;
    long rounds;
    _Atomic long calls;
};

static int first(void *arg)
{
    struct shared *s = arg;
    s->calls++;
    return 0;
}

static int work(void *arg)
{
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++)
        bench_check(knit_once_do(&s->o, first, s), "once");
    return 0;
}

static double play(long rounds, long tasks)
{
    struct shared s = {.rounds = rounds};
    const double took = bench_tasks(tasks, work, &s);
    bench_check(s.calls != 1, "calls");
    return took / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 100);
}
