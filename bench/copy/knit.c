/* copy with Knit: two tasks of a group, a knit_copy each. */
#include "../lib/bench_knit.h"
#include "copy.h"

struct ends {
    int from;
    int to;
    uint64_t copied;
};

static int copy_then_close(void *arg)
{
    struct ends *e = arg;
    const int r = knit_copy(e->from, e->to, UINT64_MAX, &e->copied);
    knit_close(e->to);
    return r;
}

static int64_t copy(int file)
{
    int pipe_ends[2];
    knit_errgroup g = {0};
    bench_check(knit_pipe(pipe_ends), "pipe");
    struct ends in = {file, pipe_ends[1], 0};
    struct ends out = {pipe_ends[0], knit_open("/dev/null", O_WRONLY, 0), 0};
    bench_check(knit_errgroup_go(&g, copy_then_close, &in), "go");
    bench_check(knit_errgroup_go(&g, copy_then_close, &out), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    knit_close(pipe_ends[0]);
    return (int64_t)out.copied;
}

int main(int argc, char **argv)
{
    bench_parse_knit(argc, argv);
    return copy_main(argc, argv, copy);
}
