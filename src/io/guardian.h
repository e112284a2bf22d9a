/* The guardian of a command, as the program sees it; the other side is guardian/main.c.
 *
 * It is a static program of some kilobytes without a C library, whose bytes are part of the library
 * (guardian.S): it is written to a memfd and executed. So it needs no file that must be installed, and
 * none of the program's memory: neither a copy of page tables, nor pages kept alive.
 *
 * Program and guardian talk over a socket of packets. An end of that socket means that the program is
 * gone; the guardian waits for the program's pidfd besides, since a child of a fork may hold the
 * socket open. */
#ifndef KNIT_IO_GUARDIAN_H
#define KNIT_IO_GUARDIAN_H

#include <stdbool.h>
#include <stdint.h>

/* A packet, in both directions. */
struct knit__guard_word {
    int32_t kind;
    int32_t value;
};

enum {
    KNIT__GUARD_STARTED = 1, /* to the program: the command's pid */
    KNIT__GUARD_FAILED,      /* the errno of its exec, negative; the guardian ends */
    KNIT__GUARD_ENDED,       /* its wait status */
    KNIT__GUARD_SIGNAL,      /* to the guardian: send this signal to the command */
};

#ifndef KNIT__GUARD_PROGRAM

#include <knit/process.h>

struct knit__guardian {
    bool used;
    int mine;             /* the program's end of the socket */
    int control, program; /* for descriptors of the guardian, until they are taken (-1) */
    char path[32], numbers[3][24];
    const char **argv;
};

/* To guard command: its socket will be the child's descriptor `target`, its program the next one. */
int knit__guardian_prepare(struct knit__guardian *g, const knit_command *command, int target);
/* Free what was not taken. Returns the program's end of the socket; -1: not started, not used. */
int knit__guardian_release(struct knit__guardian *g, bool started);

/* Wait for the guardian's first word: the command's pid, or why it could not be executed. */
int knit__guardian_first(int control);
/* Its last word: the command's wait status. False: it died before. The guardian has ended. */
bool knit__guardian_last(int control, int *ret_status);
/* 0, or -ESRCH: it has ended. */
int knit__guardian_signal(int control, int sig);

#endif
#endif
