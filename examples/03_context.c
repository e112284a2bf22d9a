/* A deadline that reaches into a waiting call, and a shield for the clean-up after it.
 *
 * The group's context ends 30 ms after the start. The task waits for something that never comes;
 * its waiting call fails with -ETIMEDOUT, as would every further one. To say good-bye it needs to
 * wait once more, so it does that under a shield: a context which does not end with its parent, but
 * cannot last longer than its own budget. */
#include <knit.h>
#include <stdio.h>

static int say_goodbye(void)
{
    knit_ctx *shield;
    int r = knit_ctx_shield(knit_ctx_current(), 2 * KNIT_SECOND, &shield);
    if (r < 0)
        return r;

    knit_ctx_scope scope;
    knit_ctx_enter(shield, &scope);
    r = knit_sleep(10 * KNIT_MILLISECOND); /* stands for a last message and its answer */
    knit_ctx_leave(&scope);
    knit_ctx_unref(shield);
    return r;
}

static int session(void *arg)
{
    knit_chan *never = arg;

    int r = knit_chan_recv(never, NULL);
    printf("session: receive: %s\n", r == -ETIMEDOUT ? "the deadline has passed" : "?");

    r = knit_sleep(10 * KNIT_MILLISECOND);
    printf("session: sleep without a shield: %s\n", r == -ETIMEDOUT ? "refused" : "?");

    r = say_goodbye();
    printf("session: clean-up under a shield: %s\n", r == 0 ? "done" : knit_strerror(r));
    return knit_ctx_err(knit_ctx_current());
}

int main(void)
{
    knit_chan *never;
    if (knit_chan_new(0, 0, &never) < 0)
        return 1;

    knit_errgroup group;
    knit_errgroup_init(&group, &(knit_errgroup_options){.timeout = 30 * KNIT_MILLISECOND});
    knit_errgroup_go(&group, session, never);
    int r = knit_errgroup_wait(&group);
    printf("main: wait: %s\n", r == -ETIMEDOUT ? "timed out, nobody left behind" : "?");

    knit_chan_unref(never);
    return r != -ETIMEDOUT;
}
