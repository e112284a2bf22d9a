/* A limit: twenty tasks, at most four of them at once.
 *
 * knit_errgroup_go waits for room when it is called from outside the group. Each task gets its own
 * copy of the loop variable, so nobody reads it after the loop has moved on. */
#include <knit.h>
#include <stdatomic.h>
#include <stdio.h>

enum { TASKS = 20, LIMIT = 4 };

static atomic_int at_once;
static atomic_int most_at_once;
static atomic_int sum;

static int work(void *arg)
{
    const int *number = arg;
    int now = atomic_fetch_add(&at_once, 1) + 1;
    int most = atomic_load(&most_at_once);
    while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
        continue;

    int r = knit_sleep(2 * KNIT_MILLISECOND); /* stands for a request to somebody's server */
    atomic_fetch_add(&sum, *number);
    atomic_fetch_sub(&at_once, 1);
    return r;
}

int main(void)
{
    knit_errgroup group;
    knit_errgroup_init(&group, &(knit_errgroup_options){.limit = LIMIT});
    for (int i = 1; i <= TASKS; i++)
        knit_errgroup_go_copy(&group, work, &i, sizeof i);

    int r = knit_errgroup_wait(&group);
    printf("limit %d: %d tasks, sum %d, at most %d at once\n", LIMIT, TASKS, atomic_load(&sum),
           atomic_load(&most_at_once));
    return r < 0 || atomic_load(&most_at_once) > LIMIT;
}
