/* Commands. See scenarios.h. */
#include "commands.h"
#include "tally.h"

/* What is short, by name. */
static int bear_command(int r)
{
    return r == -EMFILE || r == -ENFILE ? -ENOMEM : bear(r);
}

static int take_line(const knit_line *line, void *arg)
{
    *(int *)arg += line->size == 4;
    return 0;
}

/* All of the output, or an error. */
static void run_it(unsigned flags)
{
    knit_command_result result;
    int lines = 0;
    const knit_command c = {.argv = SH("cat; echo line >&2"),
                            .input = "text",
                            .input_size = 4,
                            .out = KNIT_STDIO_CAPTURE,
                            .err = KNIT_STDIO_LINES,
                            .on_line = take_line,
                            .on_line_arg = &lines,
                            .grace = -1,
                            .flags = flags};
    if (bear_command(knit_command_run(&c, &result)) == 0) {
        CHECK_INT(strcmp(result.out.data, "text"), 0);
        CHECK_INT(lines, 1);
    }
    knit_command_result_fini(&result);
    commands_left_no_child();
}

/* It ends by itself: a walk through /proc would be hundreds of calls that can fail. */
static void start_and_close(void)
{
    knit_process *p = NULL;
    const knit_command c = {
        .argv = (const char *[]){"cat", NULL}, .in = KNIT_STDIO_PIPE, .grace = -1};
    if (bear_command(knit_command_start(&c, &p)) != 0) {
        CHECK(p == NULL);
        return;
    }
    int in = knit_process_take(p, 0);
    CHECK(in >= 0);
    CHECK_INT(knit_close(in), 0);
    CHECK_INT(knit_process_wait(p, KNIT_FOREVER, NULL), 0);
    CHECK_INT(knit_process_close(p, NULL), 0);
    commands_left_no_child();
}

void commands(void)
{
    run_it(0);
    run_it(KNIT_COMMAND_GUARD);
    start_and_close();
}
