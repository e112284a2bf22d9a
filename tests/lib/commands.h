/* Commands for tests: shell scripts, and a way to know when all processes of one are gone. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "knittest.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <knit/errno.h> /* tasks of these tests move from thread to thread */

#define SH(script) ((const char *[]){"sh", "-c", (script), NULL})

/* This process has no child left, dead or alive: nothing was left to be reaped. */
static inline void commands_left_no_child(void)
{
    siginfo_t info;
    CHECK_INT(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    CHECK_INT(errno, ECHILD);
}

/* A pipe whose other end all processes of a command inherit as descriptor 3: it ends when all of them
 * are gone, and they may say something in it. */
typedef struct lifeline {
    int mine, theirs;
} lifeline;

static inline lifeline lifeline_new(void)
{
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    return (lifeline){fds[0], fds[1]};
}

/* So many processes have begun, each by `echo >&3`. */
static inline void lifeline_begun(const lifeline *l, int processes)
{
    char byte;
    for (int i = 0; i < processes; i++)
        CHECK_INT(knit_read_until(l->mine, &byte, 1, knit_now() + 20 * KNIT_SECOND), 1);
}

/* Nobody else has our end of it, and all of them are gone. */
static inline void lifeline_ends(lifeline *l)
{
    char rest[64];
    ssize_t n;
    CHECK_INT(close(l->theirs), 0);
    do
        n = knit_read_until(l->mine, rest, sizeof rest, knit_now() + 20 * KNIT_SECOND);
    while (n > 0);
    CHECK_INT(n, 0);
    CHECK_INT(close(l->mine), 0);
}

/* Runs $0, which ignores SIGTERM, in every way to get away that a shell knows: in the background, in a
 * session of its own, as a daemon (two forks). The script itself ignores SIGTERM too. */
#define SURVIVOR "trap '' TERM HUP; echo >&3; while :; do sleep 1; done"
#define SURVIVORS_SCRIPT                                                                           \
    "trap '' TERM HUP; sh -c \"$0\" & setsid sh -c \"$0\" & "                                      \
    "(setsid sh -c '(sh -c \"$0\" &)' \"$0\" &) ; "
enum { SURVIVORS = 3 };

#endif
