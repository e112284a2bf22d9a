/* monitor: what watching costs when nothing is stuck. SIZE spawns and yields by one busy worker, in
 * a process of its own, with the monitor and without (KNIT_SPARES=0: then one worker has none), by
 * turns: elapsed time with / without, medians of 9.
 * cpu        the same for the processor time of the whole process, the monitor's included
 * idle_us    processor time of the process while 1,000 tasks sleep for EXTRA seconds (default 10)
 * idle_ticks the same in ticks of the kernel (utime + stime of /proc/self/stat)
 * none_us, none_ticks  the same with no tasks at all, after one has run */
#include "../lib/bench_knit.h"

#include <sys/times.h>
#include <sys/wait.h>

enum { ROUNDS = 9, SLEEPERS = 1000 };

struct result {
    double elapsed, cpu, ticks;
};

static double cpu_ticks(void)
{
    struct tms used;
    times(&used);
    return (double)(used.tms_utime + used.tms_stime);
}

static int no_op(void *arg)
{
    (void)arg;
    return 0;
}

static int busy(void *arg)
{
    const long n = *(const long *)arg / 10;
    for (long i = 0; i < n; i++) {
        knit_errgroup g = {0};
        for (int j = 0; j < 10; j++)
            bench_check(knit_errgroup_go(&g, no_op, NULL), "go");
        bench_check(knit_yield(), "yield");
        bench_check(knit_errgroup_wait(&g), "wait");
    }
    return 0;
}

static int sleeper(void *arg)
{
    return knit_sleep(*(knit_duration *)arg);
}

static struct result measure_busy(long size)
{
    const int64_t start = bench_now();
    const double cpu = bench_cpu() * 1e6;
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, busy, &size), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return (struct result){(double)(bench_now() - start), bench_cpu() * 1e6 - cpu, 0};
}

/* Processor time of the process from a second on. */
static struct result measure_rest(long seconds)
{
    const struct timespec rest = {.tv_sec = seconds - 1, .tv_nsec = 900 * 1000 * 1000};
    sleep(1); /* all are parked, and the monitor is asleep */
    const double cpu = bench_cpu() * 1e6, ticks = cpu_ticks();
    nanosleep(&rest, NULL);
    return (struct result){0, bench_cpu() * 1e6 - cpu, cpu_ticks() - ticks};
}

static struct result measure_none(long seconds)
{
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, no_op, NULL), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return measure_rest(seconds);
}

static struct result measure_idle(long seconds)
{
    knit_duration asleep = (seconds + 1) * KNIT_SECOND;
    knit_errgroup g = {0};
    for (int i = 0; i < SLEEPERS; i++)
        bench_check(knit_errgroup_go(&g, sleeper, &asleep), "go");
    const struct result r = measure_rest(seconds);
    bench_check(knit_errgroup_wait(&g), "wait");
    return r;
}

/* In a process of its own: the runtime reads its environment once. */
static struct result apart(struct result (*measure)(long), long n, const char *spares)
{
    struct result r;
    int fds[2];
    bench_check(pipe(fds), "pipe");
    const pid_t child = fork();
    if (child == 0) {
        if (spares)
            setenv("KNIT_SPARES", spares, 1);
        r = measure(n);
        _exit(write(fds[1], &r, sizeof r) != (ssize_t)sizeof r);
    }
    if (child < 0 || read(fds[0], &r, sizeof r) != (ssize_t)sizeof r)
        bench_die("child", child);
    waitpid(child, NULL, 0);
    close(fds[0]);
    close(fds[1]);
    return r;
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse_knit(argc, argv);
    double elapsed[2][ROUNDS], cpu[2][ROUNDS];
    for (int i = 0; i < 2 * ROUNDS; i++) {
        const struct result r = apart(measure_busy, args.size, i % 2 ? "0" : NULL);
        elapsed[i % 2][i / 2] = r.elapsed;
        cpu[i % 2][i / 2] = r.cpu;
    }
    const long seconds = args.extra ? args.extra : 10;
    const struct result idle = apart(measure_idle, seconds, NULL);
    const struct result none = apart(measure_none, seconds, NULL);
    printf("%.4f cpu=%.4f idle_us=%.0f idle_ticks=%.0f none_us=%.0f none_ticks=%.0f\n",
           bench_median(elapsed[0], ROUNDS) / bench_median(elapsed[1], ROUNDS),
           bench_median(cpu[0], ROUNDS) / bench_median(cpu[1], ROUNDS), idle.cpu, idle.ticks,
           none.cpu, none.ticks);
    return 0;
}
