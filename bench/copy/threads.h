/* The frame of the programs without a library: one thread fills the pipe, one empties it. */
#ifndef COPY_THREADS_H
#define COPY_THREADS_H

#include "copy.h"

#include <pthread.h>

/* Move some bytes from one end to the other: how many; 0 at the end; less than 0: failed. */
typedef ssize_t move_fn(int from, int to);

struct mover {
    move_fn *move;
    int from;
    int to;
    int64_t moved;
};

static inline void *move_all(void *arg)
{
    struct mover *m = arg;
    ssize_t n;
    while ((n = m->move(m->from, m->to)) > 0)
        m->moved += n;
    bench_check(n < 0, "move");
    close(m->to);
    return NULL;
}

static inline int64_t copy_by_threads(int file, move_fn *fill, move_fn *empty)
{
    int ends[2];
    pthread_t filler;
    bench_check(pipe2(ends, O_CLOEXEC), "pipe");
    struct mover in = {fill, file, ends[1], 0};
    struct mover out = {empty, ends[0], open("/dev/null", O_WRONLY | O_CLOEXEC), 0};
    bench_check(pthread_create(&filler, NULL, move_all, &in), "pthread_create");
    move_all(&out);
    bench_check(pthread_join(filler, NULL), "pthread_join");
    close(ends[0]);
    return out.moved;
}

#endif
