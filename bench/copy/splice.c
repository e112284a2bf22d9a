/* copy by splice, in two threads: no byte is copied. */
#include "threads.h"

enum { CHUNK = 1024 * 1024 };

static ssize_t move(int from, int to)
{
    return splice(from, NULL, to, NULL, CHUNK, 0);
}

static int64_t copy(int file)
{
    return copy_by_threads(file, move, move);
}

int main(int argc, char **argv)
{
    bench_limit_cpus(bench_parse(argc, argv).threads);
    return copy_main(argc, argv, copy);
}
