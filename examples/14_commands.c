/* Commands as tasks: a server and its tests, and the first failure stops the rest.
 *
 * Each command is a task of the group like any other: it counts against the limit, its failure is the
 * group's first error, and when the group is cancelled the command gets SIGTERM, with all that it
 * started, and SIGKILL if that does not help. */
#include <knit.h>
#include <stdio.h>

static int count_words(void)
{
    static const char text[] = "one line\nand another one\n";
    knit_command_result result;
    int r = knit_command_run(&(knit_command){.argv = (const char *[]){"wc", "-w", NULL},
                                             .input = text,
                                             .input_size = sizeof text - 1,
                                             .out = KNIT_STDIO_CAPTURE},
                             &result);
    if (r == 0)
        printf("wc counts %s", result.out.data);
    knit_command_result_fini(&result);
    return r;
}

struct check {
    knit_errgroup group;
    knit_command server, tests;
    knit_command_result server_result, tests_result;
};

/* A line of the server: the first one says that it is ready, and then the tests begin. */
static int server_says(const knit_line *line, void *arg)
{
    struct check *check = arg;
    printf("server: %s\n", line->text);
    return knit_errgroup_go(&check->group, knit_command_task, &check->tests);
}

static int run_check(struct check *check)
{
    check->server = (knit_command){
        .argv = (const char *[]){"sh", "-c", "echo ready; exec sleep 1000", NULL},
        .out = KNIT_STDIO_LINES,
        .on_line = server_says,
        .on_line_arg = check,
        .result = &check->server_result,
    };
    check->tests = (knit_command){
        .argv = (const char *[]){"sh", "-c", "echo 'test 7: wrong answer' >&2; exit 2", NULL},
        .err = KNIT_STDIO_CAPTURE,
        .result = &check->tests_result,
    };
    knit_errgroup_init(&check->group, NULL);
    knit_errgroup_go(&check->group, knit_command_task, &check->server);
    return knit_errgroup_wait(&check->group);
}

int main(void)
{
    static struct check check;
    knit_error_record record;

    if (count_words() != 0)
        return 1;
    int r = run_check(&check);
    if (knit_errgroup_error(&check.group, 0, &record) == 0)
        printf("failed: %s\n", record.text);
    printf("the tests exited with %d, the server was ended by signal %d\n",
           check.tests_result.status, check.server_result.signal);
    knit_command_result_fini(&check.tests_result);
    return r == KNIT_COMMAND_FAILED ? 0 : 1;
}
