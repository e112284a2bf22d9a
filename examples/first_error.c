/* The first error cancels the rest: how long does that take?
 *
 * A thousand tasks go to sleep for an hour. One fails after 20 ms. The group then cancels the
 * sleepers, wakes and joins every one of them, and the wait in main returns the error. Printed is
 * the time from the moment before the failing task returned to the moment after the wait. */
#include <knit.h>
#include <stdio.h>

enum { SIBLINGS = 1000 };

static int sleep_for_an_hour(void *arg)
{
    (void)arg;
    return knit_sleep(3600 * KNIT_SECOND);
}

static int fail_soon(void *arg)
{
    knit_time *ret_failed_at = arg;
    int r = knit_sleep(20 * KNIT_MILLISECOND);
    if (r < 0)
        return r;
    knit_error(-EIO, "the disk went away");
    *ret_failed_at = knit_now();
    return -EIO;
}

int main(void)
{
    knit_errgroup group;
    knit_errgroup_init(&group, NULL);
    for (int i = 0; i < SIBLINGS; i++)
        knit_errgroup_go(&group, sleep_for_an_hour, NULL);
    knit_time failed_at = 0;
    knit_errgroup_go(&group, fail_soon, &failed_at);

    int r = knit_errgroup_wait(&group);
    knit_duration taken = knit_now() - failed_at;

    char report[512] = "";
    knit_errgroup_format(&group, report, sizeof report);
    knit_errgroup_counts counts = {0};
    knit_errgroup_stats(&group, &counts);
    printf("%s", report);
    printf("%zu siblings asleep for an hour were woken and joined %.1f us after the failure\n",
           counts.echoes + counts.skipped, (double)taken / (double)KNIT_MICROSECOND);
    printf("wait returned: %s\n", knit_strerror(r));
    return r != -EIO;
}
