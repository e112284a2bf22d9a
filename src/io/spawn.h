/* Starting a process: descriptors, environment, signals, directory. */
#ifndef KNIT_IO_SPAWN_H
#define KNIT_IO_SPAWN_H

#include "proctree.h"

#include <knit/process.h>
#include <sys/types.h>

/* What a command becomes. */
struct knit__spawned {
    pid_t root;  /* the command, or its guardian */
    int pidfd;   /* of the root; -1: the kernel has none */
    int ends[3]; /* the program's ends of pipes; -1: none */
    int control; /* the guardian's socket; -1: none */
};

/* Start a command: 0, or why not, and then nothing is left of it. The thread blocks until its exec.
 * tree has begun, and gets the root. */
int knit__spawn(const knit_command *command, struct knit__tree *tree, struct knit__spawned *ret);

#endif
