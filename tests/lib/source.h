/* A pipe to block in: how many readers are in it, the most there were, how many are done. */
#ifndef SOURCE_H
#define SOURCE_H

#include "knittest.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct source {
    int fds[2];
    atomic_int in, most, done;
} source;

static inline source source_new(void)
{
    source s = {.fds = {-1, -1}};
    CHECK_INT(pipe(s.fds), 0);
    return s;
}

static inline void source_free(source *s)
{
    close(s->fds[0]);
    close(s->fds[1]);
}

static inline int read_byte(void *arg)
{
    source *s = arg;
    char byte;
    int now = atomic_fetch_add(&s->in, 1) + 1, most = atomic_load(&s->most);
    ssize_t n;
    while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now)) {
    }
    n = read(s->fds[0], &byte, 1);
    atomic_fetch_sub(&s->in, 1);
    atomic_fetch_add(&s->done, 1);
    return n == 1 ? 0 : -errno;
}

#endif
