/* sleepers without any library: SIZE deadlines 1 to 1000 ms ahead, sorted, and one thread that sleeps
 * to each in turn and notes how late it is. What is left to pay when there are no tasks and no timers
 * to add while others run. Output as knit.c. */
#include "../lib/bench.h"

#include <errno.h>

enum { SPREAD_MS = 1000, STRIDE = 7919 };

static void sleep_round(double *until, double *late, long n)
{
    for (long i = 0; i < n; i++)
        until[i] = (double)(bench_now() + (1 + i * STRIDE % SPREAD_MS) * 1000000);
    qsort(until, (size_t)n, sizeof *until, bench_compare);
    for (long i = 0; i < n; i++) {
        const int64_t at = (int64_t)until[i];
        const struct timespec ts = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
        while (bench_now() < at &&
               clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
            ;
        late[i] = (double)(bench_now() - at) / 1e3;
    }
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    const size_t n = (size_t)args.size;
    double *until = calloc(n, sizeof *until);
    double *late = calloc(n, sizeof *late);
    bench_check(until == NULL || late == NULL, "memory");
    sleep_round(until, late, args.size / 100 + 1);
    const double cpu = bench_cpu();
    sleep_round(until, late, args.size);
    const double used = bench_cpu() - cpu;
    qsort(late, n, sizeof *late, bench_compare);
    printf("%.1f p99=%.1f cpu=%.3f peak=%.1f\n", late[n / 2], late[n - 1 - n / 100], used,
           bench_peak_mb());
    free(late);
    free(until);
    return 0;
}
