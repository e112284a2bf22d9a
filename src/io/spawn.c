/* posix_spawn does it: the C library's shares the program's memory until the exec (CLONE_VM, and
 * CLONE_VFORK, which blocks the calling thread alone), so no page table is copied.
 *
 * In the child, in this order: the directory; 0, 1, 2 and further descriptors from their sources; all
 * others are closed. The sources are above all targets (lift), so that no target overwrites a source
 * that is still wanted. */
#define _GNU_SOURCE
#include "spawn.h"

#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <knit/task.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_FDS = 64, TARGETS = 3 + MOST_FDS + 2 };

extern char **environ;

struct plan {
    const knit_command *command;
    int source[TARGETS]; /* of each descriptor of the child; -1: it stays what it is */
    bool ours[TARGETS];  /* to be closed here afterwards */
    int targets;
    const char *program;
    const char *const *argv;
    char **env;
    struct knit__guardian guardian;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
};

/* ---- the descriptors ---- */

/* fd, or a copy of it that is above every target. */
static int lift(struct plan *p, int target, int fd, bool ours)
{
    int copy = fd;

    if (fd < p->targets) {
        copy = fcntl(fd, F_DUPFD_CLOEXEC, p->targets);
        if (copy < 0)
            copy = -errno;
        if (ours)
            close(fd);
        ours = true;
    }
    if (copy < 0)
        return copy;
    p->source[target] = copy;
    p->ours[target] = ours;
    return 0;
}

/* Our end does not block: we read and write by readiness. The command's end is another file. */
static int make_pipe(struct plan *p, int target, int *ret_end)
{
    int fds[2], other, r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    other = target == 0 ? fds[1] : fds[0];
    r = lift(p, target, target == 0 ? fds[0] : fds[1], true);
    if (r == 0 && fcntl(other, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    if (r == 0)
        *ret_end = other;
    else
        close(other);
    return r;
}

static int give_null(struct plan *p, int target)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : lift(p, target, fd, true);
}

static int give(struct plan *p, int target, int what, int *ret_end)
{
    if (what > 0)
        return lift(p, target, what, false);
    switch (what) {
    case KNIT_STDIO_DEFAULT:
        if (target == 0)
            return p->command->input ? make_pipe(p, target, ret_end) : give_null(p, target);
        return 0;
    case KNIT_STDIO_INHERIT: return 0;
    case KNIT_STDIO_NULL: return give_null(p, target);
    case KNIT_STDIO_OUT:
        return p->source[1] < 0 ? lift(p, target, 1, false) : lift(p, target, p->source[1], false);
    default: return make_pipe(p, target, ret_end);
    }
}

static int give_all(struct plan *p, struct knit__spawned *s)
{
    const knit_command *c = p->command;
    const int what[3] = {c->in, c->out, c->err};
    int r = 0;

    for (int i = 0; i < 3 && r == 0; i++)
        r = give(p, i, what[i], &s->ends[i]);
    for (size_t i = 0; i < c->fd_count && r == 0; i++)
        r = c->fds[i] < 0 ? -EBADF : lift(p, 3 + (int)i, c->fds[i], false);
    return r;
}

static void drop_sources(struct plan *p)
{
    for (int i = 0; i < p->targets; i++)
        if (p->ours[i])
            close(p->source[i]);
}

/* ---- the environment ----------------------------------------------------------------------------
 * In a program that is itself a command, KNIT_TREE has the outer trees' ids in front: they must find
 * what it starts. */

static int make_environment(struct plan *p, const struct knit__tree *tree)
{
    static const char name[] = KNIT__TREE_VARIABLE "=";
    const char *const *from =
        p->command->env ? p->command->env : (const char *const *)(void *)environ;
    const char *outer = getenv(KNIT__TREE_VARIABLE);
    size_t n = 0, size, used = 0;
    char *text;

    while (from && from[n])
        n++;
    size = sizeof name + sizeof tree->id + (outer ? strlen(outer) : 0) + 1;
    p->env = malloc((n + 2) * sizeof *p->env + size);
    if (!p->env)
        return -ENOMEM;
    text = (char *)(p->env + n + 2);
    snprintf(text, size, "%s%s%s%s", name, outer ? outer : "", outer ? ":" : "", tree->id);
    for (size_t i = 0; i < n; i++)
        if (strncmp(from[i], name, sizeof name - 1) != 0)
            p->env[used++] = (char *)(uintptr_t)from[i]; /* execve's type; nobody writes */
    p->env[used] = text;
    p->env[used + 1] = NULL;
    return 0;
}

/* ---- what happens in the child ---- */

static int describe_actions(struct plan *p)
{
    posix_spawn_file_actions_t *a = &p->actions;
    int r = 0;

    if (p->command->directory)
        r = posix_spawn_file_actions_addchdir_np(a, p->command->directory);
    for (int i = 0; i < p->targets && r == 0; i++)
        if (p->source[i] >= 0)
            r = posix_spawn_file_actions_adddup2(a, p->source[i], i);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(a, p->targets);
    return -r;
}

static void describe_attributes(struct plan *p)
{
    const bool session = (p->command->flags & KNIT_COMMAND_SESSION) != 0 && !p->guardian.used;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&p->attributes, &none);
    posix_spawnattr_setsigdefault(&p->attributes, &all);
    posix_spawnattr_setpgroup(&p->attributes, 0);
    posix_spawnattr_setflags(&p->attributes,
                             (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                     (session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP)));
}

/* Workers have a timer slack of their own, which is inherited: commands get the program's. */
static int start(struct plan *p, pid_t *ret_pid)
{
    char *const *argv = (char *const *)(uintptr_t)p->argv; /* as the environment's */
    const int slack = knit_in_task() ? prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL) : 0;
    int r;

    if (slack > 0)
        (void)prctl(PR_SET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL);
    if (strchr(p->program, '/'))
        r = posix_spawn(ret_pid, p->program, &p->actions, &p->attributes, argv, p->env);
    else
        r = posix_spawnp(ret_pid, p->program, &p->actions, &p->attributes, argv, p->env);
    if (slack > 0)
        (void)prctl(PR_SET_TIMERSLACK, (unsigned long)slack, 0UL, 0UL, 0UL);
    return -r;
}

static int describe_and_start(struct plan *p, pid_t *ret_pid)
{
    int r = posix_spawn_file_actions_init(&p->actions);

    if (r != 0)
        return -r;
    r = -posix_spawnattr_init(&p->attributes);
    if (r < 0)
        goto destroy_actions;
    describe_attributes(p);
    r = describe_actions(p);
    if (r == 0)
        r = start(p, ret_pid);
    posix_spawnattr_destroy(&p->attributes);
destroy_actions:
    posix_spawn_file_actions_destroy(&p->actions);
    return r;
}

/* ---- all of it ---- */

static int prepare_guardian(struct plan *p)
{
    struct knit__guardian *g = &p->guardian;
    const int target = p->targets - 2;
    int r = knit__guardian_prepare(g, p->command, target);

    if (r < 0)
        return r;
    r = lift(p, target, g->control, true);
    g->control = -1; /* the plan's now, and closed if there was an error */
    if (r < 0)
        return r;
    r = lift(p, target + 1, g->program, true);
    g->program = -1;
    p->program = g->path;
    p->argv = g->argv;
    return r;
}

static int prepare(struct plan *p, const struct knit__tree *tree, struct knit__spawned *s)
{
    int r = give_all(p, s);

    if (r == 0)
        r = make_environment(p, tree);
    if (r == 0 && (p->command->flags & KNIT_COMMAND_GUARD))
        r = prepare_guardian(p);
    return r;
}

int knit__spawn(const knit_command *command, struct knit__tree *tree, struct knit__spawned *ret)
{
    struct plan p = {.command = command, .program = command->argv[0], .argv = command->argv};
    struct knit__spawned s = {.pidfd = -1, .ends = {-1, -1, -1}, .control = -1};
    int r;

    p.targets = 3 + (int)command->fd_count + (command->flags & KNIT_COMMAND_GUARD ? 2 : 0);
    memset(p.source, -1, sizeof p.source);
    r = prepare(&p, tree, &s);
    if (r == 0)
        r = describe_and_start(&p, &s.root);
    drop_sources(&p);
    free(p.env);
    s.control = knit__guardian_release(&p.guardian, r == 0);
    if (r == 0) {
        knit__tree_root(tree, s.root);
        s.pidfd = (int)syscall(SYS_pidfd_open, s.root, 0);
        *ret = s;
        return 0;
    }
    for (int i = 0; i < 3; i++)
        if (s.ends[i] >= 0)
            close(s.ends[i]);
    return r;
}
