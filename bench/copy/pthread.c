/* copy as cat does it: read and write with a buffer of 128 KiB, in two threads. The one that empties
 * the pipe only reads. */
#include "threads.h"

enum { CHUNK = 128 * 1024 };

static ssize_t fill(int from, int to)
{
    static char buf[CHUNK];
    const ssize_t n = read(from, buf, sizeof buf);
    for (ssize_t done = 0; done < n;) {
        const ssize_t wrote = write(to, buf + done, (size_t)(n - done));
        if (wrote < 0)
            return -1;
        done += wrote;
    }
    return n;
}

static ssize_t empty(int from, int to)
{
    static char buf[CHUNK];
    (void)to;
    return read(from, buf, sizeof buf);
}

static int64_t copy(int file)
{
    return copy_by_threads(file, fill, empty);
}

int main(int argc, char **argv)
{
    bench_limit_cpus(bench_parse(argc, argv).threads);
    return copy_main(argc, argv, copy);
}
