/* timers with libuv: SIZE timers of one loop, of about an hour each, started and then stopped. No
 * contexts, no locks, one thread. Output as knit.c. */
#include "../lib/bench.h"

#include <uv.h>

enum { STRIDE = 7919 };

static void fired(uv_timer_t *timer)
{
    bench_die("a timer fired", (long)timer->type);
}

static void round_of(uv_loop_t *loop, uv_timer_t *timers, long n, double *add, double *cancel)
{
    const int64_t start = bench_now();
    for (long i = 0; i < n; i++) {
        bench_check(uv_timer_init(loop, &timers[i]), "init");
        bench_check(
            uv_timer_start(&timers[i], fired, 3600 * 1000 + (uint64_t)(i * STRIDE % n) / 1000, 0),
            "start");
    }
    const int64_t added = bench_now();
    for (long i = 0; i < n; i++)
        uv_timer_stop(&timers[(long)((int64_t)i * STRIDE % n)]);
    const int64_t ended = bench_now();
    *add = (double)(added - start) / (double)n;
    *cancel = (double)(ended - added) / (double)n;
    for (long i = 0; i < n; i++)
        uv_close((uv_handle_t *)&timers[i], NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    uv_timer_t *timers = calloc((size_t)args.size, sizeof *timers);
    uv_loop_t *loop = uv_default_loop();
    double add, cancel;
    bench_check(timers == NULL, "memory");
    bench_check(args.size % STRIDE == 0, "SIZE and the stride have a common factor");
    round_of(loop, timers, args.size, &add, &cancel);
    round_of(loop, timers, args.size, &add, &cancel);
    printf("%.1f cancel=%.1f\n", add, cancel);
    free(timers);
    return 0;
}
