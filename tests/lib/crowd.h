/* A crowd: tasks and plain threads that run the same functions, every other one a thread. */
#ifndef CROWD_H
#define CROWD_H

#include "knittest.h"

enum { CROWD_THREADS = 32 };

typedef struct crowd_member {
    knit_fn *fn;
    void *arg;
} crowd_member;

typedef struct crowd {
    knit_errgroup tasks;
    crowd_member members[CROWD_THREADS];
    kt_thread *threads[CROWD_THREADS];
    int n, n_threads;
} crowd;

static inline void crowd_thread(void *arg)
{
    crowd_member *member = arg;
    CHECK_INT(member->fn(member->arg), 0);
}

static inline void crowd_task(crowd *c, knit_fn *fn, void *arg)
{
    c->n++;
    CHECK_INT(knit_errgroup_go(&c->tasks, fn, arg), 0);
}

static inline void crowd_go(crowd *c, knit_fn *fn, void *arg)
{
    if (c->n % 2 == 0 || c->n_threads == CROWD_THREADS) {
        crowd_task(c, fn, arg);
        return;
    }
    c->n++;
    c->members[c->n_threads] = (crowd_member){fn, arg};
    c->threads[c->n_threads] = kt_thread_start(crowd_thread, &c->members[c->n_threads]);
    c->n_threads++;
}

/* Waits for all; none may have failed. */
static inline void crowd_join(crowd *c)
{
    for (int i = 0; i < c->n_threads; i++)
        kt_thread_join(c->threads[i]);
    CHECK_INT(knit_errgroup_wait(&c->tasks), 0);
    *c = (crowd){0};
}

#endif
