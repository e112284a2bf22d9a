/* processes with xargs -P EXTRA, the whole of it: what a script would do. us per command. */
#include "../lib/bench.h"

#include <sys/wait.h>

static double play(long size, long limit)
{
    char line[128];
    snprintf(line, sizeof line, "seq %ld | xargs -P%ld -n1 true", size, limit);
    const int64_t start = bench_now();
    const int status = system(line);
    bench_check(status, line);
    return (double)(bench_now() - start) / 1e3 / (double)size;
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    play(args.size / 10 + 1, args.extra);
    printf("%.3f\n", play(args.size, args.extra));
    return 0;
}
