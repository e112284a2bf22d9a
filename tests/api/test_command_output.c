/* What commands write: captured whole, captured within a bound, line by line. */
#include "commands.h"

#include <stdio.h>

enum { MEGABYTE = 1 << 20 };

static void a_megabyte_goes_through_in_both_directions(void)
{
    char *text = malloc(MEGABYTE);
    knit_command_result result;
    CHECK(text);
    for (int i = 0; i < MEGABYTE; i++)
        text[i] = (char)('a' + i % 23);
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH("tee /dev/fd/2"),
                                               .input = text,
                                               .input_size = MEGABYTE,
                                               .out = KNIT_STDIO_CAPTURE,
                                               .err = KNIT_STDIO_CAPTURE},
                               &result),
              0);
    CHECK_INT(result.out.size, MEGABYTE);
    CHECK_INT(result.err.size, MEGABYTE);
    CHECK_INT(memcmp(result.out.data, text, MEGABYTE), 0);
    CHECK_INT(memcmp(result.err.data, text, MEGABYTE), 0);
    CHECK_INT(result.out.lost + result.err.lost, 0);
    knit_command_result_fini(&result);
    free(text);
    commands_left_no_child();
}

static void nothing_written_is_an_empty_text(void)
{
    knit_command_result result;
    CHECK_INT(
        knit_command_run(&(knit_command){.argv = SH(":"), .out = KNIT_STDIO_CAPTURE}, &result), 0);
    CHECK_INT(result.out.size, 0);
    CHECK(result.out.data && result.out.data[0] == 0);
    CHECK(!result.err.data);
    knit_command_result_fini(&result);
    CHECK(!result.out.data);
    knit_command_result_fini(&result);
}

/* The digits 0 to 9, over and over. */
static void beyond_the_bound_head_and_tail_are_kept(void)
{
    static const size_t keeps[] = {1, 2, 7, 64, 4095, 4096, 30000, 99999, 100000, 100001};
    for (size_t i = 0; i < sizeof keeps / sizeof keeps[0]; i++) {
        const size_t all = 100000, keep = keeps[i];
        knit_command_result result;
        CHECK_INT(knit_command_run(
                      &(knit_command){.argv = SH("yes 0123456789 | tr -d '\\n' | head -c 100000"),
                                      .out = KNIT_STDIO_CAPTURE,
                                      .keep = keep},
                      &result),
                  0);
        const size_t size = keep < all ? keep : all;
        CHECK_INT(result.out.size, size);
        CHECK_INT(result.out.lost, all - size);
        CHECK_INT(result.out.cut, keep < all ? keep / 2 : size);
        CHECK_INT(result.out.data[size], 0);
        for (size_t at = 0; at < size; at++) {
            const size_t where = at < result.out.cut ? at : all - size + at;
            CHECK_INT(result.out.data[at], '0' + (int)(where % 10));
        }
        knit_command_result_fini(&result);
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct seen {
    int lines, partial, limit;
    size_t bytes;
    char text[128];
};

static int see(const knit_line *line, void *arg)
{
    struct seen *seen = arg;
    CHECK_INT(strlen(line->text), line->size);
    seen->lines++;
    seen->partial += line->partial;
    seen->bytes += line->size;
    if (line->size < 16 && strlen(seen->text) < sizeof seen->text / 2)
        snprintf(seen->text + strlen(seen->text), 32, "%d:%s%s|", line->stream, line->text,
                 line->partial ? "+" : "");
    return seen->limit > 0 && seen->lines >= seen->limit ? -EPIPE : 0;
}

static int run_lines(struct seen *seen, const char *script)
{
    return knit_command_run(&(knit_command){.argv = SH(script),
                                            .out = KNIT_STDIO_LINES,
                                            .err = KNIT_STDIO_LINES,
                                            .on_line = see,
                                            .on_line_arg = seen},
                            NULL);
}

static void lines_come_one_by_one(void)
{
    struct seen seen = {0};
    CHECK_INT(run_lines(&seen, "printf 'a\\n\\nbc\\n'"), 0);
    CHECK_INT(strcmp(seen.text, "1:a|1:|1:bc|"), 0);
}

static void the_last_line_needs_no_newline(void)
{
    struct seen seen = {0};
    CHECK_INT(run_lines(&seen, "printf 'a\\nb'"), 0);
    CHECK_INT(strcmp(seen.text, "1:a|1:b|"), 0);
}

struct answering {
    struct seen seen;
    int answer; /* the first line is answered here */
};

static int see_and_answer(const knit_line *line, void *arg)
{
    struct answering *a = arg;
    if (a->seen.lines == 0)
        CHECK_INT(knit_write(a->answer, "\n", 1), 1);
    return see(line, &a->seen);
}

/* It goes on with its output when its error has been seen. */
static void both_streams_have_lines_of_their_own(void)
{
    int in[2];
    CHECK_INT(pipe(in), 0);
    struct answering a = {.answer = in[1]};
    const knit_command command = {
        .argv = SH("printf half; sleep 0.1; echo error >&2; read line; echo ' more'"),
        .in = in[0],
        .out = KNIT_STDIO_LINES,
        .err = KNIT_STDIO_LINES,
        .on_line = see_and_answer,
        .on_line_arg = &a};
    CHECK_INT(knit_command_run(&command, NULL), 0);
    CHECK_INT(strcmp(a.seen.text, "2:error|1:half more|"), 0);
    CHECK_INT(knit_close(in[0]) | knit_close(in[1]), 0);
}

static void a_very_long_line_comes_in_parts(void)
{
    struct seen seen = {0};
    CHECK_INT(run_lines(&seen, "yes x | tr -d '\\n' | head -c 200000; echo; echo end"), 0);
    CHECK_INT(seen.bytes, 200003);
    CHECK_INT(seen.partial, 200000 / KNIT_COMMAND_LINE);
    CHECK_INT(seen.lines, 200000 / KNIT_COMMAND_LINE + 2);
    CHECK_HAS(seen.text, "1:end|");
}

/* The stream ends with the part that filled the buffer: the line has an end all the same. */
static void a_line_of_whole_parts_ends(void)
{
    struct seen seen = {0};
    CHECK_INT(run_lines(&seen, "yes x | tr -d '\\n' | head -c 131072"), 0);
    CHECK_INT(seen.bytes, 2 * KNIT_COMMAND_LINE);
    CHECK_INT(seen.partial, 2);
    CHECK_INT(seen.lines, 3);
}

static void many_lines_arrive_whole(void)
{
    struct seen seen = {0};
    CHECK_INT(run_lines(&seen, "seq 100000 120000"), 0);
    CHECK_INT(seen.lines, 20001);
    CHECK_INT(seen.bytes, 20001 * 6);
    CHECK_INT(seen.partial, 0);
}

static void a_line_can_end_the_command(void)
{
    struct seen seen = {.limit = 3};
    CHECK_INT(run_lines(&seen, "yes"), -EPIPE);
    CHECK_INT(seen.lines, 3);
    CHECK_INT(strcmp(seen.text, "1:y|1:y|1:y|"), 0);
    commands_left_no_child();
}

/* on_line waits: others run meanwhile, and no line is lost. */
static int yield_and_see(const knit_line *line, void *arg)
{
    CHECK_INT(knit_sleep(KNIT_MICROSECOND), 0);
    return see(line, arg);
}

static void a_line_may_wait(void)
{
    struct seen seen = {0};
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH("seq 100001 100300"),
                                               .out = KNIT_STDIO_LINES,
                                               .on_line = yield_and_see,
                                               .on_line_arg = &seen},
                               NULL),
              0);
    CHECK_INT(seen.lines, 300);
}

/* ---- pipes that stay open -------------------------------------------------------------------- */

/* What Go's WaitDelay is for: a grandchild has the pipe. */
static void a_pipe_held_open_does_not_hold_the_call(void)
{
    lifeline l = lifeline_new();
    knit_command_result result;
    CHECK_INT(knit_command_run(&(knit_command){.argv = SH("echo out; sleep 1000 & echo >&3"),
                                               .fds = &l.theirs,
                                               .fd_count = 1,
                                               .out = KNIT_STDIO_CAPTURE,
                                               .flags = KNIT_COMMAND_LEAVE},
                               &result),
              0);
    CHECK_INT(strcmp(result.out.data, "out\n"), 0);
    knit_command_result_fini(&result);
    lifeline_begun(&l, 1);
    CHECK_INT(kill(-result.pid, SIGKILL), 0); /* it was left, in its group */
    lifeline_ends(&l);
}

static const knittest tests[] = {
    BOTH(a_megabyte_goes_through_in_both_directions),
    THREAD(nothing_written_is_an_empty_text),
    THREAD(beyond_the_bound_head_and_tail_are_kept),
    BOTH(lines_come_one_by_one),
    THREAD(the_last_line_needs_no_newline),
    THREAD(both_streams_have_lines_of_their_own),
    THREAD(a_very_long_line_comes_in_parts),
    THREAD(a_line_of_whole_parts_ends),
    BOTH(many_lines_arrive_whole),
    BOTH(a_line_can_end_the_command),
    TASK(a_line_may_wait),
    BOTH(a_pipe_held_open_does_not_hold_the_call),
};
KNITTEST_MAIN(tests)
