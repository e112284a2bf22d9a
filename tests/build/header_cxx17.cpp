/* The public headers, all together, as C++17: every macro expands and works. */
#include <knit.h>
#include <knit/errno.h>

static_assert(KNIT_SECOND == 1000 * KNIT_MILLISECOND, "units");
static_assert(KNIT_FOREVER == INT64_MAX, "the end of time");

static int succeed(void *)
{
    return 0;
}

static int fail(void *arg)
{
    return knit_error(*static_cast<int *>(arg), "as told");
}

static int leave_early()
{
    KNIT_SCOPE(g, nullptr) {
        knit_errgroup_go(g, succeed, nullptr);
        return 1;
    }
    return 0;
}

int main()
{
    int code = -EIO;
    int r = 0;
    knit_errgroup g = {};

    if (knit_errgroup_go(&g, succeed, nullptr) != 0)
        return 1;
    if (knit_errgroup_try_go(
            &g, [](void *) { return 0; }, nullptr) != 0)
        return 2;
    if (knit_errgroup_go_copy(&g, fail, &code, sizeof code) != 0)
        return 3;
    if (knit_errgroup_wait(&g) != -EIO)
        return 4;
    KNIT_SCOPE(scoped, nullptr) {
        knit_errgroup_go(scoped, succeed, nullptr);
        r = knit_errgroup_wait(scoped) + 10;
    }
    if (r != 10)
        return 5;
    if (leave_early() != 1)
        return 6;
    knit_case cases[] = {knit_case_recv(nullptr, &r), knit_case_send(nullptr, &code),
                         knit_case_done(knit_ctx_current()), knit_case_after(KNIT_FOREVER),
                         knit_case_at(0)};
    if (knit_select(cases, 5) != 4 || knit_try_select(cases, 4) != -EAGAIN)
        return 8;
    int a[2] = {};
    if (knit_for_each(
            0, 2, [](size_t, void *) { return 0; }, nullptr, nullptr) != 0 ||
        knit_for_each_element(
            a, 2, sizeof a[0], [](void *, size_t, void *) { return 0; }, nullptr, nullptr) != 0)
        return 9;
    knit_stream s = {};
    if (knit_stream_go(
            &s, succeed, [](void *, int result) { return result; }, nullptr) != 0 ||
        knit_stream_wait(&s) != 0)
        return 10;
    knit_results rs;
    knit_result slot;
    knit_result *got = nullptr;
    knit_errgroup h = {};
    if (knit_results_init(&rs, &h) != 0 || knit_results_go(&rs, &slot, succeed, nullptr) != 0 ||
        knit_results_next(&rs, &got) != 0 || got != &slot || knit_errgroup_wait(&h) != 0)
        return 11;
    const char *argv[] = {"/no/such/program", nullptr};
    knit_command command = {};
    command.argv = argv;
    command.grace = KNIT_COMMAND_GRACE;
    command.keep = KNIT_COMMAND_KEEP;
    if (knit_command_run(&command, nullptr) == KNIT_COMMAND_FAILED || KNIT_COMMAND_LINE < 1)
        return 12;
    errno = 7;
    return errno == 7 ? 0 : 7;
}
