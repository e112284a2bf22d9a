/* A group of which one task is cancelled, with all it has started, while the others go on.
 *
 * Three downloads, each a task with a handle, each with parts of its own in a group of its own. The
 * user gives the second one up. Its context ends, so its parts do; that is no failure of the group,
 * and the other downloads are not touched. */
#include <knit.h>
#include <stdatomic.h>
#include <stdio.h>

enum { DOWNLOADS = 3, PARTS = 4 };

struct download {
    const char *name;
    int delay_ms; /* of each part; stands for its size */
    atomic_int begun, stopped;
};

static int fetch_part(void *arg)
{
    struct download *d = arg;
    atomic_fetch_add(&d->begun, 1);
    int r = knit_sleep(d->delay_ms * KNIT_MILLISECOND);
    if (r == -ECANCELED)
        atomic_fetch_add(&d->stopped, 1);
    return r;
}

static int download(void *arg)
{
    struct download *d = arg;
    int r = 0;
    KNIT_SCOPE(parts, NULL) {
        for (int i = 0; i < PARTS; i++)
            knit_errgroup_go(parts, fetch_part, d);
        r = knit_errgroup_wait(parts);
    }
    return r;
}

int main(void)
{
    struct download downloads[DOWNLOADS] = {
        {.name = "small", .delay_ms = 5},
        {.name = "endless", .delay_ms = 3600 * 1000},
        {.name = "large", .delay_ms = 20},
    };
    knit_task *tasks[DOWNLOADS];
    knit_errgroup group;
    knit_errgroup_init(&group, NULL);
    for (int i = 0; i < DOWNLOADS; i++) {
        if (knit_errgroup_go_task(&group, download, &downloads[i], &tasks[i]) < 0)
            return 1;
    }
    while (atomic_load(&downloads[1].begun) < PARTS)
        knit_yield();
    knit_task_cancel(tasks[1], 0); /* this one, and its parts */

    int r = knit_errgroup_wait(&group);
    for (int i = 0; i < DOWNLOADS; i++) {
        int result = 0;
        knit_task_wait(tasks[i], &result);
        printf("%s: %s, %d parts stopped\n", downloads[i].name,
               result == 0 ? "complete" : knit_strerror(result),
               atomic_load(&downloads[i].stopped));
        knit_task_unref(tasks[i]);
    }
    printf("the group: %s\n", r == 0 ? "no failure" : knit_strerror(r));
    return r != 0;
}
