/* The frame of the servers with Knit: a task accepts, and starts a task for each connection in a
 * group. */
#ifndef BENCH_SERVE_KNIT_H
#define BENCH_SERVE_KNIT_H

#include "bench_knit.h"
#include "serve.h"

/* The connection that a task was started for. */
static inline int serve_connection(void *arg)
{
    return (int)(intptr_t)arg;
}

/* The next connection: its descriptor, or why there is none. */
static inline int serve_next(int listening)
{
    for (;;) {
        const int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno != EAGAIN)
            return -errno;
        const int r =
            fd < 0 ? knit_wait_fd(listening, KNIT_READABLE, KNIT_FOREVER) : knit_adopt(fd);
        if (r < 0 || fd >= 0)
            return r < 0 ? r : fd;
    }
}

static inline int serve_root(void *arg)
{
    knit_fn *const *fn = arg;
    knit_errgroup g = {0};
    const int listening = serve_listen();
    int fd;
    while ((fd = serve_next(listening)) >= 0)
        bench_check(knit_errgroup_go(&g, *fn, (void *)(intptr_t)fd), "go");
    return fd;
}

/* All of main: fn(connection) as a task for each; it closes it. */
static inline int serve_main(int argc, char **argv, knit_fn *fn)
{
    bench_parse_knit(argc, argv);
    bench_root(serve_root, &fn);
    return 0;
}

#endif
