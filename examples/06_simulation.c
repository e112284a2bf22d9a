/* Testing code that waits: the same program in the real and in the simulated world.
 *
 *     ./06_simulation                     one round of polling, a few milliseconds
 *     KNIT_SIM=1 ./06_simulation hour     an hour of polling, in a few milliseconds
 *     KNIT_SIM=random ./06_simulation hour    with another order of events every time
 *
 * Nothing in the program knows which world it is in: knit_now and knit_sleep do. A run that fails
 * prints its seed; KNIT_SIM=that seed shows the same run again. */
#include <errno.h>
#include <knit.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static knit_duration period = 2 * KNIT_MILLISECOND;
static knit_duration uptime = 5 * KNIT_MILLISECOND;
static atomic_int polls;

static int poll_server(void *arg)
{
    (void)arg;
    for (;;) {
        int r = knit_sleep(period);
        if (r < 0)
            return r;
        atomic_fetch_add(&polls, 1);
    }
}

static int server(void *arg)
{
    (void)arg;
    int r = knit_sleep(uptime);
    return r < 0 ? r : knit_error(-EHOSTDOWN, "the server has had enough");
}

int main(int argc, char **argv)
{
    knit_errgroup group;
    knit_time began = knit_now();

    if (argc > 1 && strcmp(argv[1], "hour") == 0) {
        period = 60 * KNIT_SECOND;
        uptime = 3600 * KNIT_SECOND;
    }
    knit_errgroup_init(&group, NULL);
    knit_errgroup_go(&group, poll_server, NULL);
    knit_errgroup_go(&group, server, NULL);
    int r = knit_errgroup_wait(&group);

    knit_duration took = knit_now() - began;
    printf("ended with: %s\n", knit_strerror(r));
    printf("polled: %s\n", atomic_load(&polls) > 0 ? "yes" : "no");
    printf("long enough: %s\n", took >= uptime ? "yes" : "no");
    return r == -EHOSTDOWN && took >= uptime ? 0 : 1;
}
