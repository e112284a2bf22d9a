/* The public headers, all together, as strict C11: every macro expands and works. */
#include <knit.h>
#include <knit/errno.h>

_Static_assert(KNIT_SECOND == 1000 * KNIT_MILLISECOND, "units");
_Static_assert(KNIT_MILLISECOND == 1000 * KNIT_MICROSECOND, "units");
_Static_assert(KNIT_MICROSECOND == 1000 * KNIT_NANOSECOND, "units");
_Static_assert(KNIT_FOREVER == INT64_MAX, "the end of time");

static int succeed(void *arg)
{
    (void)arg;
    return 0;
}

static int fail(void *arg)
{
    return knit_error(*(int *)arg, "as told: %d", *(int *)arg);
}

static int index_body(size_t index, void *arg)
{
    (void)index, (void)arg;
    return 0;
}

static int range_body(size_t begin, size_t end, void *arg)
{
    (void)arg;
    return begin < end ? 0 : -EINVAL;
}

static int element_body(void *element, size_t index, void *arg)
{
    (void)arg;
    *(int *)element = (int)index;
    return 0;
}

static int map_body(const void *element, void *ret_slot, size_t index, void *arg)
{
    (void)index, (void)arg;
    *(int *)ret_slot = *(const int *)element;
    return 0;
}

static int then(void *arg, int result)
{
    (void)arg;
    return result;
}

static int use_loops(void)
{
    int a[3] = {0}, b[3] = {0};
    knit_errgroup g = {0};
    knit_stream s = {0};
    knit_results rs;
    knit_result slot, *got = NULL;

    if (knit_for_each(0, 3, index_body, NULL, NULL) != 0 ||
        knit_for_ranges(0, 3, range_body, NULL, NULL) != 0 ||
        knit_for_each_element(a, 3, sizeof a[0], element_body, NULL, NULL) != 0 ||
        knit_map(a, 3, sizeof a[0], map_body, NULL, b, sizeof b[0], NULL) != 0 || b[2] != 2)
        return 1;
    if (knit_stream_go(&s, succeed, then, NULL) != 0 || knit_stream_wait(&s) != 0)
        return 2;
    if (knit_results_init(&rs, &g) != 0 || knit_results_go(&rs, &slot, succeed, NULL) != 0 ||
        knit_results_next(&rs, &got) != 0 || got != &slot || knit_errgroup_wait(&g) != 0)
        return 3;
    return 0;
}

static int use_commands(void)
{
    const knit_command none = {.argv = (const char *[]){"/no/such/program", NULL},
                               .grace = KNIT_COMMAND_GRACE,
                               .keep = KNIT_COMMAND_KEEP};

    return knit_command_run(&none, NULL) == KNIT_COMMAND_FAILED || KNIT_COMMAND_LINE < 1;
}

static int leave_early(void)
{
    KNIT_SCOPE(g, NULL) {
        knit_errgroup_go(g, succeed, NULL);
        KNIT_SCOPE(inner, NULL) {
            knit_errgroup_go(inner, succeed, NULL);
            return 1;
        }
    }
    return 0;
}

int main(void)
{
    int code = -EIO;
    int r = 0;
    knit_errgroup g = {0};

    if (knit_errgroup_go(&g, succeed, NULL) != 0 || knit_errgroup_try_go(&g, succeed, NULL) != 0)
        return 1;
    if (knit_errgroup_go_copy(&g, fail, &code, sizeof code) != 0)
        return 2;
    if (knit_errgroup_try_go_copy(&g, fail, &code, sizeof code) != 0)
        return 3;
    if (knit_errgroup_wait(&g) != -EIO || knit_errgroup_close(&g) != -EIO)
        return 4;
    KNIT_SCOPE(scoped, &(knit_errgroup_options){.limit = 2}) {
        knit_errgroup_go(scoped, succeed, NULL);
        r = knit_errgroup_wait(scoped) + 10;
    }
    if (r != 10)
        return 5;
    if (leave_early() != 1)
        return 6;
    knit_case cases[] = {knit_case_recv(NULL, &r), knit_case_send(NULL, &code),
                         knit_case_done(knit_ctx_current()), knit_case_after(KNIT_FOREVER),
                         knit_case_at(0)};
    if (knit_select(cases, 5) != 4 || knit_try_select(cases, 4) != -EAGAIN)
        return 8;
    if (use_loops() != 0)
        return 9;
    if (use_commands() != 0)
        return 10;
    errno = 7;
    return errno == 7 && KNIT_SITE("x")->line == __LINE__ ? 0 : 7;
}
