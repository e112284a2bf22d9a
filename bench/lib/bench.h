/* Helpers of the benchmark programs (C11 and C++17): clock, arguments, memory, result line.
 *
 * Every program is called `prog THREADS SIZE [EXTRA]` and prints one line: the value in the
 * problem's unit, then any number of key=value pairs. Include this header first. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct bench_args {
    int threads; /* worker threads of the runtime under test */
    long size;   /* how many of the problem's things */
    long extra;  /* meaning given by the problem; 0 when absent */
};

/* Monotonic clock, ns. */
static inline int64_t bench_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Processor time of the process, s. */
static inline double bench_cpu(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void bench_die(const char *what, long code)
{
    fprintf(stderr, "bench: %s: %ld\n", what, code);
    exit(1);
}

/* End the program unless r is 0: a benchmark that fails has no result. */
static inline void bench_check(int r, const char *what)
{
    if (r != 0)
        bench_die(what, r);
}

static inline struct bench_args bench_parse(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s THREADS SIZE [EXTRA]\n", argv[0]);
        exit(2);
    }
    struct bench_args args;
    args.threads = atoi(argv[1]);
    args.size = atol(argv[2]);
    args.extra = argc > 3 ? atol(argv[3]) : 0;
    if (args.threads < 1 || args.size < 1) {
        fprintf(stderr, "%s: THREADS and SIZE are at least 1\n", argv[0]);
        exit(2);
    }
    return args;
}

/* Let this process use so many CPUs. For peers whose tasks are OS threads: a runtime with one
 * worker has one CPU, so they get one as well. */
static inline void bench_limit_cpus(int threads)
{
    cpu_set_t allowed;
    cpu_set_t chosen;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    CPU_ZERO(&chosen);
    int left = threads;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && left > 0; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &chosen);
            left--;
        }
    }
    sched_setaffinity(0, sizeof chosen, &chosen);
}

/* Resident memory now, bytes. */
static inline int64_t bench_rss(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        bench_die("open /proc/self/statm", 0);
    if (fscanf(f, "%*s %ld", &pages) != 1)
        bench_die("read /proc/self/statm", 0);
    fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* The most memory this process ever had resident, MB (10^6 bytes). */
static inline double bench_peak_mb(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f)
        bench_die("open /proc/self/status", 0);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    }
    fclose(f);
    return (double)kib * 1024 / 1e6;
}

static inline int bench_compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle of n values; sorts them. */
static inline double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, bench_compare);
    return values[n / 2];
}

/* Compute for a while: a chain of dependent multiplications nobody can shorten. */
static inline void bench_spin(long steps)
{
    uint64_t x = 1;
    for (long i = 0; i < steps; i++)
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
    volatile uint64_t sink = x;
    (void)sink;
}

/* How many steps of bench_spin take ns: the best of some trials. */
static inline long bench_spin_steps(int64_t ns)
{
    const long trial = 100000;
    int64_t best = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        const int64_t start = bench_now();
        bench_spin(trial);
        const int64_t took = bench_now() - start;
        if (took < best)
            best = took;
    }
    return (long)((double)trial * (double)ns / (double)best);
}

#endif
