/* sleepers with libuv: SIZE timers of one loop, 1 to 1000 ms each; no tasks, one thread. Its timers
 * count in ms. Output as knit.c. */
#include "../lib/bench.h"

#include <uv.h>

enum { SPREAD_MS = 1000, STRIDE = 7919 };

struct sleeper {
    uv_timer_t timer; /* first */
    int64_t until;
    double late_us;
};

static void wake(uv_timer_t *timer)
{
    struct sleeper *s = (struct sleeper *)timer;
    s->late_us = (double)(bench_now() - s->until) / 1e3;
    uv_close((uv_handle_t *)timer, NULL);
}

static void sleep_round(uv_loop_t *loop, struct sleeper *sleepers, long n)
{
    for (long i = 0; i < n; i++) {
        const int64_t ms = 1 + i * STRIDE % SPREAD_MS;
        uv_update_time(loop); /* or it counts from when the loop last looked */
        sleepers[i].until = bench_now() + ms * 1000000;
        bench_check(uv_timer_init(loop, &sleepers[i].timer), "init");
        bench_check(uv_timer_start(&sleepers[i].timer, wake, (uint64_t)ms, 0), "start");
    }
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    const size_t n = (size_t)args.size;
    struct sleeper *sleepers = calloc(n, sizeof *sleepers);
    double *late = calloc(n, sizeof *late);
    uv_loop_t *loop = uv_default_loop();
    bench_check(sleepers == NULL || late == NULL, "memory");
    sleep_round(loop, sleepers, args.size / 100 + 1);
    const double cpu = bench_cpu();
    sleep_round(loop, sleepers, args.size);
    const double used = bench_cpu() - cpu;
    for (size_t i = 0; i < n; i++)
        late[i] = sleepers[i].late_us;
    qsort(late, n, sizeof *late, bench_compare);
    printf("%.1f p99=%.1f cpu=%.3f peak=%.1f\n", late[n / 2], late[n - 1 - n / 100], used,
           bench_peak_mb());
    free(late);
    free(sleepers);
    return 0;
}
