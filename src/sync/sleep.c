/* Sleeping, yielding, and what a task is called. */
#include "../plat/simulated.h"
#include "../sched/worker.h"
#include "wait.h"

#include <errno.h>
#include <knit/task.h>

knit_time knit_now(void)
{
    return knit__clock_now();
}

int knit_sleep_until(knit_time when)
{
    struct knit__task *t = knit__task_self();
    uint32_t word;
    int r;

    if (!t)
        return -ENOMEM;
    r = knit__wait_begin(t);
    if (r < 0 || when <= knit__clock_now())
        return r;
    knit__wait_arm(t, t->run->ctx != NULL);
    word = knit__wait_for(t, when, true);
    return knit__wait_reason(word) == KNIT__WOKE_TIMER ? 0 : knit__wait_result(t, word);
}

int knit_sleep(knit_duration d)
{
    int64_t now = knit__clock_now();

    return knit_sleep_until(d >= KNIT__NEVER - now ? KNIT__NEVER : now + d);
}

int knit_yield(void)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__task *t;

    if (!w) {
        knit__os_yield();
        t = knit__task_self();
    } else {
        KNIT__POINT_ALWAYS();
        knit__yield_now(w);
        t = knit__task_self();
    }
    return t ? knit__ctx_ended(t->run->ctx) : 0;
}

int knit_in_task(void)
{
    return knit__worker_self() != NULL;
}

int knit_task_set_name(const char *name)
{
    struct knit__worker *w = knit__worker_self();

    if (!w)
        return -EPERM;
    knit__run_touch(w->task->run);
    w->task->run->name = name;
    return 0;
}

const char *knit_task_name(void)
{
    struct knit__worker *w = knit__worker_self();

    return w ? knit__run_name(w->task->run) : "thread";
}
