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
static inline void bench_root(knit_fn *fn, void *args)
{
    knit_errgroup g = {0};
    bench_check(knit_errgroup_go(&g, fn, args), "start the root task");
    bench_check(knit_errgroup_wait(&g), "root task");
}

/* What most programs measure: one way of playing with so many things; the value in its unit. */
typedef double bench_play(long size, long extra);

struct bench_game {
    bench_play *play;
    struct bench_args *args;
};

static inline int bench_game_root(void *arg)
{
    const struct bench_game *game = arg;
    const long size = game->args->size, extra = game->args->extra;
    game->play(size / 10 + (extra > 0 ? extra : 1), extra);
    printf("%.3f\n", game->play(size, extra));
    return 0;
}

/* All of main: play inside a task, first untimed with a tenth of the size. */
static inline int bench_main(int argc, char **argv, bench_play *play, long default_extra)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    struct bench_game game = {play, &args};
    if (args.extra < 1)
        args.extra = default_extra;
    bench_root(bench_game_root, &game);
    return 0;
}

/* Run so many tasks fn(arg) and wait for them: the elapsed time, ns. */
static inline double bench_tasks(long tasks, knit_fn *fn, void *arg)
{
    knit_errgroup g = {0};
    const int64_t start = bench_now();
    for (long i = 0; i < tasks; i++)
        bench_check(knit_errgroup_go(&g, fn, arg), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(bench_now() - start);
}

#endif
