/* handoff: a task holds its thread for 50 ms while SIZE short tasks wait. us from its begin until
 * all of them have run; the median of EXTRA rounds (default 15). The first value: a nanosleep that
 * was marked.
 * unmarked  a nanosleep that was not
 * compute   a computation */
#include "../lib/bench_knit.h"

enum { HOLD_NS = 50 * 1000 * 1000 };

struct round {
    int64_t began, ended;
    long left;
    int kind;
    long steps;
};

static int sleep_50ms(void *arg)
{
    const struct timespec hold = {.tv_nsec = HOLD_NS};
    (void)arg;
    nanosleep(&hold, NULL);
    return 0;
}

static int hold(void *arg)
{
    struct round *r = arg;
    r->began = bench_now();
    if (r->kind == 0)
        return knit_blocking(sleep_50ms, NULL);
    if (r->kind == 1)
        return sleep_50ms(NULL);
    bench_spin(r->steps);
    return 0;
}

static int short_task(void *arg)
{
    struct round *r = arg;
    if (__atomic_sub_fetch(&r->left, 1, __ATOMIC_RELAXED) == 0)
        r->ended = bench_now();
    return 0;
}

static double one_round(int kind, long tasks, long steps)
{
    struct round r = {.left = tasks, .kind = kind, .steps = steps};
    knit_errgroup g = {0};
    bench_check(knit_sleep(5 * KNIT_MILLISECOND), "sleep");
    bench_check(knit_errgroup_go(&g, hold, &r), "go");
    bench_check(knit_yield(), "yield"); /* it begins; this task is behind it as well */
    for (long i = 0; i < tasks; i++)
        bench_check(knit_errgroup_go(&g, short_task, &r), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(r.ended - r.began) / 1e3;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    const int rounds = args->extra ? (int)args->extra : 15;
    const long steps = bench_spin_steps(HOLD_NS);
    double middle[3];
    double *took = calloc((size_t)rounds, sizeof *took);
    if (!took)
        return -ENOMEM;
    for (int kind = 0; kind < 3; kind++) {
        one_round(kind, args->size, steps);
        for (int i = 0; i < rounds; i++)
            took[i] = one_round(kind, args->size, steps);
        middle[kind] = bench_median(took, (size_t)rounds);
    }
    printf("%.1f unmarked=%.1f compute=%.1f\n", middle[0], middle[1], middle[2]);
    free(took);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
