/* Commands from start to end: knit_command_run. */
#include "command.h"

#include "pump.h"

#include <errno.h>
#include <knit/base.h>
#include <stdlib.h>

enum { MOST_FDS = 64 };

static bool is_between(int what, int least)
{
    return what >= least;
}

/* What only run, or only start, can do. */
static bool is_for(int what, bool runs)
{
    if (what == KNIT_STDIO_PIPE)
        return !runs;
    return runs || (what != KNIT_STDIO_CAPTURE && what != KNIT_STDIO_LINES);
}

int knit__command_check(const knit_command *c, bool runs)
{
    const unsigned known = KNIT_COMMAND_GUARD | KNIT_COMMAND_SESSION | KNIT_COMMAND_LEAVE;
    const unsigned both = KNIT_COMMAND_GUARD | KNIT_COMMAND_LEAVE;

    if (!c || !c->argv || !c->argv[0] || (c->flags & ~known) || (c->flags & both) == both)
        return -EINVAL;
    if (!is_between(c->in, KNIT_STDIO_PIPE) || !is_between(c->out, KNIT_STDIO_LINES) ||
        !is_between(c->err, KNIT_STDIO_OUT))
        return -EINVAL;
    if (!is_for(c->in, runs) || !is_for(c->out, runs) || !is_for(c->err, runs))
        return -EINVAL;
    if (c->fd_count > MOST_FDS || (c->fd_count > 0 && !c->fds))
        return -EINVAL;
    if (c->input && (!runs || c->in != KNIT_STDIO_DEFAULT))
        return -EINVAL;
    if ((c->out == KNIT_STDIO_LINES || c->err == KNIT_STDIO_LINES) && !c->on_line)
        return -EINVAL;
    return 0;
}

/* The command is started: see it to its end. */
static int watch(struct knit__child *child, const knit_command *command, knit_command_result *ret)
{
    struct knit__pump pump;
    int ended_by = knit__pump_init(&pump, child, command), r;

    if (ended_by == 0)
        ended_by = knit__pump_run(&pump, child);
    if (ended_by == 0)
        ended_by = pump.error;
    knit__child_finish(child, &pump.attend);
    if (knit__pump_drain(&pump, ret) != 0 && ended_by == 0)
        ended_by = pump.error;
    knit__pump_fini(&pump);
    r = knit__child_result(child, true, ret);
    return ended_by != 0 ? ended_by : knit__child_explain(child, r, ret);
}

int knit_command_run(const knit_command *command, knit_command_result *ret_result)
{
    knit_command_result unwanted;
    struct knit__child child;
    int r = knit__command_check(command, true);

    if (r == 0 && !ret_result &&
        (command->out == KNIT_STDIO_CAPTURE || command->err == KNIT_STDIO_CAPTURE))
        r = -EINVAL;
    if (!ret_result)
        ret_result = &unwanted;
    *ret_result = (knit_command_result){.status = -1};
    if (r == 0)
        r = knit__child_start(&child, command);
    return r < 0 ? r : watch(&child, command, ret_result);
}

int knit_command_task(void *command)
{
    const knit_command *c = command;

    return knit_command_run(c, c ? c->result : NULL);
}

void knit_command_result_fini(knit_command_result *result)
{
    if (!result)
        return;
    free(result->out.data);
    free(result->err.data);
    result->out = result->err = (knit_captured){0};
}
