/* Commands that run beside the task that started them.
 *
 * Each belongs to a task: the processes of a task are a list, under one lock for all lists (a leaf of
 * the order of locks), which a deferred call of the task closes at its end. The list is made, and the
 * call deferred, once per task, so a task that starts many of them in turn grows by nothing. */
#define _GNU_SOURCE
#include "../core/lock.h"
#include "child.h"
#include "command.h"
#include "guardian.h"

#include <knit/io.h>
#include <knit/task.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <knit/errno.h> /* these functions park between calls that set errno */

struct owner {
    struct knit_process *first;
};

struct knit_process {
    struct knit__child child;
    struct owner *owner; /* NULL: a plain thread's */
    struct knit_process *prev, *next;
};

static const knit_task_local owner_key;
static struct knit__lock owners_lock;

/* ---- whose it is ---- */

static void close_owned(void *arg)
{
    struct owner *owner = arg;

    while (owner->first)
        (void)knit_process_close(owner->first, NULL);
    (void)knit_task_local_set(&owner_key, NULL); /* a deferred call to come may start more */
    free(owner);
}

/* The list of the running task; *ret NULL: a plain thread. */
static int find_owner(struct owner **ret)
{
    struct owner *owner = knit_task_local_get(&owner_key);
    int r;

    *ret = owner;
    if (owner || !knit_in_task())
        return 0;
    owner = calloc(1, sizeof *owner);
    if (!owner)
        return -ENOMEM;
    r = knit_task_local_set(&owner_key, owner);
    if (r == 0)
        r = knit_defer(close_owned, owner);
    if (r == 0) {
        *ret = owner;
        return 0;
    }
    (void)knit_task_local_set(&owner_key, NULL);
    free(owner);
    return r;
}

static void link_to(struct owner *owner, struct knit_process *p)
{
    p->owner = owner;
    if (!owner)
        return;
    knit__lock(&owners_lock);
    p->next = owner->first;
    if (p->next)
        p->next->prev = p;
    owner->first = p;
    knit__unlock(&owners_lock);
}

static void unlink_from_owner(struct knit_process *p)
{
    if (!p->owner)
        return;
    knit__lock(&owners_lock);
    if (p->next)
        p->next->prev = p->prev;
    if (p->prev)
        p->prev->next = p->next;
    else
        p->owner->first = p->next;
    knit__unlock(&owners_lock);
}

/* ---- the calls ---- */

int knit_command_start(const knit_command *command, knit_process **ret_process)
{
    struct owner *owner = NULL;
    struct knit_process *p;
    int r = ret_process ? knit__command_check(command, false) : -EINVAL;

    if (r == 0)
        r = find_owner(&owner);
    if (r < 0)
        return r;
    p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    r = knit__child_start(&p->child, command);
    if (r < 0) {
        free(p);
        return r;
    }
    link_to(owner, p);
    *ret_process = p;
    return 0;
}

int knit_process_pid(const knit_process *process)
{
    return process ? process->child.pid : -EINVAL;
}

int knit_process_take(knit_process *process, int which)
{
    int fd;

    if (!process || which < 0 || which > 2)
        return -EINVAL;
    fd = process->child.spawned.ends[which];
    process->child.spawned.ends[which] = -1;
    return fd < 0 ? -EBADF : fd;
}

int knit_process_signal(knit_process *process, int signal)
{
    struct knit__child *c = process ? &process->child : NULL;
    int r;

    if (!c || signal < 0 || signal > SIGRTMAX)
        return -EINVAL;
    if (!knit__child_runs(c))
        return -ESRCH;
    if (c->spawned.control >= 0)
        return knit__guardian_signal(c->spawned.control, signal);
    if (c->spawned.pidfd >= 0)
        r = (int)syscall(SYS_pidfd_send_signal, c->spawned.pidfd, signal, NULL, 0);
    else
        r = kill(c->spawned.root,
                 signal); /* not reaped before it is closed: its number is its own */
    return r < 0 ? -errno : 0;
}

int knit_process_wait(knit_process *process, knit_time deadline, knit_command_result *ret_result)
{
    knit_command_result result = {0};
    int r;

    if (!process)
        return -EINVAL;
    r = knit__child_wait(&process->child, deadline);
    if (r < 0)
        return r;
    r = knit__child_result(&process->child, false, &result);
    if (ret_result)
        *ret_result = result;
    return knit__child_explain(&process->child, r, &result);
}

int knit_process_close(knit_process *process, knit_command_result *ret_result)
{
    knit_command_result result = {.status = -1};
    int r = -EINVAL;

    if (process) {
        struct knit__child *c = &process->child;

        (void)knit__child_has_ended(c);
        unlink_from_owner(process);
        knit__child_finish(c, &knit__child_attend);
        r = knit__child_result(c, true, &result);
        r = knit__child_explain(c, r, &result);
        free(process);
    }
    if (ret_result)
        *ret_result = result;
    return r;
}
