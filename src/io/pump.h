/* The program's ends of a command's pipes: written and read while it runs, by the task that waits.
 *
 * All of them and the pidfd are in an epoll set of the command's own, and the task waits for that: one
 * wait for all, without tasks besides. A command without pipes has no set. */
#ifndef KNIT_IO_PUMP_H
#define KNIT_IO_PUMP_H

#include "capture.h"
#include "child.h"

#include <knit/ctx.h>

struct knit__outlet {
    int fd; /* -1: no pipe, or it has ended */
    bool captured;
    char *buffer; /* KNIT_COMMAND_LINE + 1 bytes */
    struct knit__capture capture;
    struct knit__lines lines;
};

struct knit__pump {
    struct knit__attend attend; /* first */
    knit_ctx *ctx;              /* the run's: on_line's */
    int set;                    /* the epoll set; -1: there are no pipes */
    bool watches_child;
    int input; /* -1: no pipe, or all is written */
    const char *input_at;
    size_t input_left;
    struct knit__outlet outlets[2];
    int error; /* what on_line returned, -ENOMEM, or a strange error of a pipe: the command is ended */
};

/* Take the pipes of a command that was started. 0, or -ENOMEM, -EMFILE...; fini in any case. */
int knit__pump_init(struct knit__pump *p, struct knit__child *c, const knit_command *command);
/* Wait until the root has ended, or p->error is set: 0, or what ended the wait. */
int knit__pump_run(struct knit__pump *p, struct knit__child *c);
/* Read what is still in the pipes, and give what was captured. 0, or an error as in p->error. */
int knit__pump_drain(struct knit__pump *p, knit_command_result *ret);
void knit__pump_fini(struct knit__pump *p);

#endif
