/* A started command: its end, and the end of its tree.
 *
 *     started --(the root ends)--> ended --(nothing is left, or ended by us)--> reaped
 *
 * The root stays a zombie from "ended" to "reaped" (see proctree.h). With a guardian the root is the
 * guardian; it ends when nothing is left below it. */
#ifndef KNIT_IO_CHILD_H
#define KNIT_IO_CHILD_H

#include "spawn.h"

enum { KNIT__CHILD_NAME = 64 };
#define KNIT__CHILD_LOOK (50 * KNIT_MILLISECOND) /* longest pause between two looks */

/* Somebody who has something to do while a command runs: wait until the root has ended, or, when it
 * has, for `deadline`. 0: it has just ended. -ETIMEDOUT: deadline; -ECANCELED and others: as of
 * knit_wait_fd. */
struct knit__child;
struct knit__attend {
    int (*wait)(struct knit__attend *attend, struct knit__child *child, knit_time deadline);
};

struct knit__child {
    struct knit__tree tree;
    struct knit__spawned spawned;
    knit_duration grace; /* <= 0: none */
    unsigned flags;      /* KNIT_COMMAND_... */
    int pid;             /* the command's */
    bool ended;
    bool unseen; /* the last look could not be taken: short of memory or descriptors */
    bool said;   /* the guardian has told the command's wait status */
    int status;
    char name[KNIT__CHILD_NAME]; /* for texts */
};

/* 0, or why it could not be started, with a text. */
int knit__child_start(struct knit__child *c, const knit_command *command);

/* knit_sleep_until, also without memory for a timer: then the thread sleeps. */
int knit__child_rest(knit_time until);
/* Whether the root has ended, by a look. */
bool knit__child_has_ended(struct knit__child *c);
/* The same, and nothing is noted: beside a wait of another thread. */
bool knit__child_runs(const struct knit__child *c);
/* Wait until the root has ended: 0, or what ended the wait. */
int knit__child_wait(struct knit__child *c, knit_time deadline);
/* The waiter that does nothing besides. */
extern struct knit__attend knit__child_attend;

/* What became of the command, so far as it has ended: 0, KNIT_COMMAND_FAILED or -ECHILD. ret: pid, status,
 * signal, core are set. reap: the root's number is free then, and c holds nothing any more. */
int knit__child_result(struct knit__child *c, bool reap, knit_command_result *ret);
/* Give r an error text and back. */
int knit__child_explain(const struct knit__child *c, int r, const knit_command_result *result);

/* End the tree, the command too if it has not ended. With KNIT_COMMAND_LEAVE what is left of a command
 * that has ended is let alone. When it returns the root has ended. The ambient context does not count. */
void knit__child_finish(struct knit__child *c, struct knit__attend *attend);

#endif
