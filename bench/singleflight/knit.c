/* singleflight: EXTRA tasks, SIZE calls each for one key; the function gives way to the others once, so
 * that they find it under way. ns of elapsed time per call. */
#include "../lib/bench_knit.h"

struct shared {
    knit_singleflight sf;
    long rounds;
};

static int value(void *arg, void **ret_value)
{
    knit_yield();
    *ret_value = arg;
    return 0;
}

static int work(void *arg)
{
    struct shared *s = arg;
    for (long i = 0; i < s->rounds; i++) {
        knit_singleflight_result result;
        bench_check(knit_singleflight_do(&s->sf, "key", value, s, &result), "do");
        bench_check(result.value != s, "value");
    }
    return 0;
}

static double play(long rounds, long tasks)
{
    struct shared s = {.rounds = rounds};
    return bench_tasks(tasks, work, &s) / (double)(rounds * tasks);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, play, 1);
}
