/* copy: a file in the page cache (the third argument; at most SIZE MiB) goes through a pipe, to
 * somebody who throws it away. What writes and what reads the pipe are two tasks, or two threads.
 *
 * value  GB (10^9 bytes) per second
 * cpu    processor time, s */
#ifndef COPY_H
#define COPY_H

#include "../lib/bench.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Copy all of the file, from its begin: how many bytes came out of the pipe. */
typedef int64_t copy_fn(int file);

static inline double copy_round(copy_fn *copy, int file, int64_t size)
{
    bench_check(lseek(file, 0, SEEK_SET) != 0, "seek");
    const int64_t start = bench_now();
    const int64_t copied = copy(file);
    const double took = (double)(bench_now() - start);
    bench_check(copied != size, "not all came out of the pipe");
    return (double)size / took;
}

/* All of main; the first round is not timed. */
static inline int copy_main(int argc, char **argv, copy_fn *copy)
{
    struct stat info;
    bench_check(argc < 4, "usage: copy THREADS SIZE PATH");
    const int file = open(argv[3], O_RDONLY | O_CLOEXEC);
    bench_check(file < 0 || fstat(file, &info) != 0, argv[3]);
    copy_round(copy, file, info.st_size);
    const double cpu = bench_cpu();
    const double rate = copy_round(copy, file, info.st_size);
    printf("%.3f cpu=%.3f\n", rate, bench_cpu() - cpu);
    return 0;
}

#endif
