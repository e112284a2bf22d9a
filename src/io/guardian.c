/* Starting guardians and talking to them. */
#define _GNU_SOURCE
#include "guardian.h"

#include <fcntl.h>
#include <inttypes.h>
#include <knit/ctx.h>
#include <knit/io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <knit/errno.h> /* these functions park between calls that set errno */

/* guardian.S */
extern const char knit__guardian_begin[], knit__guardian_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

static int write_program(int fd)
{
    const char *at = knit__guardian_begin;

    while (at < knit__guardian_end) {
        ssize_t n = write(fd, at, (size_t)(knit__guardian_end - at));
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? n : 0;
    }
    return 0;
}

static int make_program(void)
{
    int fd = memfd_create("knit-guardian", MFD_CLOEXEC | MFD_EXEC), r;

    if (fd < 0 && errno == EINVAL) /* a kernel that does not know MFD_EXEC */
        fd = memfd_create("knit-guardian", MFD_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? -EPERM : -errno;
    r = write_program(fd);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

static int make_argv(struct knit__guardian *g, const knit_command *command, int target)
{
    const knit_duration grace = command->grace ? command->grace : KNIT_COMMAND_GRACE;
    const char *path = getenv("PATH");
    size_t n = 0, at = 0;

    while (command->argv[n])
        n++;
    g->argv = malloc((n + 7) * sizeof *g->argv);
    if (!g->argv)
        return -ENOMEM;
    snprintf(g->path, sizeof g->path, "/proc/self/fd/%d", target + 1);
    snprintf(g->numbers[0], sizeof g->numbers[0], "%d", target);
    snprintf(g->numbers[1], sizeof g->numbers[1], "%ld", (long)getpid());
    snprintf(g->numbers[2], sizeof g->numbers[2], "%" PRId64,
             grace < 0 ? 0 : grace / KNIT_MILLISECOND + 1);
    g->argv[at++] = "knit-guardian";
    for (int i = 0; i < 3; i++)
        g->argv[at++] = g->numbers[i];
    g->argv[at++] = command->flags & KNIT_COMMAND_SESSION ? "session" : "group";
    g->argv[at++] = path ? path : "/bin:/usr/bin";
    memcpy(g->argv + at, command->argv, (n + 1) * sizeof *g->argv);
    return 0;
}

int knit__guardian_prepare(struct knit__guardian *g, const knit_command *command, int target)
{
    int ends[2], r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    *g = (struct knit__guardian){.used = true, .mine = ends[0], .control = ends[1], .program = -1};
    r = make_argv(g, command, target);
    if (r < 0)
        return r;
    g->program = make_program();
    return g->program < 0 ? g->program : 0;
}

int knit__guardian_release(struct knit__guardian *g, bool started)
{
    if (!g->used)
        return -1;
    free(g->argv);
    if (g->control >= 0)
        close(g->control);
    if (g->program >= 0)
        close(g->program);
    if (started)
        return g->mine;
    close(g->mine);
    return -1;
}

/* A word that is there, or 0; *ret_word is untouched then. */
static ssize_t take_word(int control, struct knit__guard_word *ret_word)
{
    ssize_t n;

    do
        n = recv(control, ret_word, sizeof *ret_word, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int knit__guardian_first(int control)
{
    struct knit__guard_word word = {0};
    ssize_t n;

    while ((n = take_word(control, &word)) == -EAGAIN) {
        int r = knit_wait_fd(control, KNIT_READABLE, KNIT_FOREVER);
        if (r < 0)
            return r;
    }
    if (n != (ssize_t)sizeof word)
        return -EPERM; /* it could not even begin */
    return word.value; /* STARTED: the pid; FAILED: the error */
}

bool knit__guardian_last(int control, int *ret_status)
{
    struct knit__guard_word word = {0};

    while (take_word(control, &word) == (ssize_t)sizeof word) {
        if (word.kind != KNIT__GUARD_ENDED)
            continue;
        *ret_status = word.value;
        return true;
    }
    return false;
}

int knit__guardian_signal(int control, int sig)
{
    const struct knit__guard_word word = {KNIT__GUARD_SIGNAL, sig};

    if (send(control, &word, sizeof word, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof word)
        return 0;
    return errno == EPIPE || errno == ECONNRESET ? -ESRCH : -errno;
}
