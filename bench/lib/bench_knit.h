/* What all knit.c programs share: start the runtime with THREADS workers, run a root task. */
#ifndef BENCH_KNIT_H
#define BENCH_KNIT_H

#include "bench.h"

#include <knit.h>

/* As bench_parse; the runtime, which starts at its first use, will have args.threads workers. */
static inline struct bench_args bench_parse_knit(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    bench_check(setenv("KNIT_WORKERS", argv[1], 1), "setenv");
    return args;
}

/* Run fn(args) as a task and wait for it: what it spawns is spawned from inside the runtime. */
static inline void bench_root(knit_fn *fn, struct bench_args *args)
{
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, fn, args), "start the root task");
    bench_check(knit_errgroup_wait(&g), "root task");
}

#endif
