/* What run and start have in common. */
#ifndef KNIT_IO_COMMAND_H
#define KNIT_IO_COMMAND_H

#include <knit/process.h>
#include <stdbool.h>

/* 0 or -EINVAL: whether a command makes sense, to be run or to be started. */
int knit__command_check(const knit_command *command, bool runs);

#endif
