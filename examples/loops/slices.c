#include "slices.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_prime(int n)
{
    if (n < 2)
        return false;
    for (int d = 2; d * d <= n; d++) {
        if (n % d == 0)
            return false;
    }
    return true;
}

/* On the loop's thread. */
static void slice_is_done(void *arg)
{
    const struct slice *slice = arg;
    slice->count->done++;
    slice->count->primes += slice->primes;
}

/* A task. */
static int count_slice(void *arg)
{
    struct slice *slice = arg;
    for (int n = slice->from; n < slice->from + SLICE && !knit_canceled(); n++)
        slice->primes += is_prime(n);
    return knit_loop_post(slice->count->loop, slice_is_done, slice);
}

/* On the loop's thread, when no task is left. */
static void group_has_ended(void *arg, int result)
{
    struct count *c = arg;
    c->result = result;
    c->ended(c);
}

int count_begin(struct count *c, knit_loop *loop, void (*ended)(struct count *count))
{
    *c = (struct count){.loop = loop, .ended = ended};
    int r = knit_errgroup_init(&c->group, &(knit_errgroup_options){.name = "primes"});
    for (int i = 0; i < SLICES && r == 0; i++) {
        c->slices[i] = (struct slice){.count = c, .from = i * SLICE};
        r = knit_errgroup_go(&c->group, count_slice, &c->slices[i]);
    }
    if (r != 0)
        knit_errgroup_cancel(&c->group, r); /* those that have begun end soon */
    return knit_loop_watch(loop, &c->group, group_has_ended, c);
}

int count_report(const struct count *c)
{
    if (c->result != 0) {
        printf("failed: %s\n", knit_strerror(c->result));
        return 1;
    }
    printf("%d slices, %d primes below %d\n", c->done, c->primes, SLICES * SLICE);
    return 0;
}
