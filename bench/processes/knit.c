/* processes: SIZE commands `true`, at most EXTRA at once, in one group. us per command. */
#include "../lib/bench_knit.h"

static double play(long size, long limit)
{
    knit_command command = {.argv = (const char *[]){"true", NULL}};
    const knit_errgroup_options options = {.limit = (int)limit};
    knit_errgroup g;
    bench_check(knit_errgroup_init(&g, &options), "group");
    const int64_t start = bench_now();
    for (long i = 0; i < size; i++)
        bench_check(knit_errgroup_go(&g, knit_command_task, &command), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(bench_now() - start) / 1e3 / (double)size;
}

/* Started by a plain thread: a task of the group would never wait at its limit. */
int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse_knit(argc, argv);
    play(args.size / 10 + 1, args.extra);
    printf("%.3f\n", play(args.size, args.extra));
    return 0;
}
