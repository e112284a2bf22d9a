/* Errgroups: the record of what went wrong, and its text tree. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int return_copied_code(void *arg)
{
    return *(int *)arg;
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

static knit_error_record record_of(const knit_errgroup *g, size_t i)
{
    knit_error_record record;
    memset(&record, 0xA5, sizeof record);
    CHECK_INT(knit_errgroup_error(g, i, &record), 0);
    return record;
}

/* The text of the records; the caller frees it. */
static char *text_of(const knit_errgroup *g)
{
    int length = knit_errgroup_format(g, NULL, 0);
    CHECK(length >= 0);
    char *text = malloc((size_t)length + 1);
    CHECK(text);
    CHECK_INT(knit_errgroup_format(g, text, (size_t)length + 1), length);
    CHECK_INT(strlen(text), length);
    return text;
}

/* ---- what a record holds --------------------------------------------------------------------- */

static int open_file(void *arg)
{
    return knit_error(-ENOENT, "open %s", (const char *)arg);
}

static void a_record_has_code_text_task_index_place_and_time(void)
{
    int zero = 0;
    knit_errgroup g = {0};
    char path[] = "/tmp/x";
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &zero, sizeof zero), 0);
    knit_time before = knit_now();
    int line = __LINE__ + 1;
    CHECK_INT(knit_errgroup_go(&g, open_file, path), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);
    path[0] = 0; /* the text was made when the task failed */

    knit_error_record record = record_of(&g, 0);
    CHECK_INT(record.code, -ENOENT);
    CHECK_INT(record.index, 3);
    CHECK(strcmp(record.text, "open /tmp/x") == 0);
    CHECK(strcmp(record.task, "open_file") == 0);
    CHECK_HAS(record.file, "test_errgroup_record.c");
    CHECK_INT(record.line, line);
    CHECK(record.when >= before && record.when <= knit_now());
    CHECK_INT(record.causes, 0);
    CHECK_INT(knit_errgroup_error(&g, 1, &record), -ENOENT);
    CHECK_INT(record.index, 3); /* untouched */
}

static void a_record_without_text_has_an_empty_one(void)
{
    int code = -EIO;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_copy_at(&g, return_copied_code, &code, sizeof code, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    knit_error_record record = record_of(&g, 0);
    CHECK(strcmp(record.text, "") == 0);
    CHECK(strcmp(record.file, "") == 0);
    CHECK(record.task);
}

static void a_spawn_site_of_ones_own_is_used(void)
{
    static const knit_site site = {"page.html", "script", 42};
    int code = -EIO;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_at(&g, return_copied_code, &code, &site), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    knit_error_record record = record_of(&g, 0);
    CHECK(strcmp(record.task, "script") == 0);
    CHECK(strcmp(record.file, "page.html") == 0);
    CHECK_INT(record.line, 42);
}

static int fail_under_a_name(void *arg)
{
    int r = knit_task_set_name(arg);
    return r < 0 ? r : -EIO;
}

static void a_named_task_is_recorded_with_its_name(void)
{
    char name[] = "shard 7";
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, fail_under_a_name, name), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    name[6] = '8'; /* the name is the task's only until it ended */
    CHECK(strcmp(record_of(&g, 0).task, "shard 7") == 0);
}

static int attach_twice(void *arg)
{
    (void)arg;
    (void)knit_error(-EIO, "first");
    return knit_error(-EIO, "second");
}

static int attach_another_code(void *arg)
{
    (void)arg;
    (void)knit_error(-ENOENT, "not this one");
    return -EIO;
}

static int attach_and_succeed(void *arg)
{
    (void)arg;
    (void)knit_error(-EIO, "never mind");
    return 0;
}

static void the_text_belongs_to_the_code_the_task_failed_with(void)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, attach_and_succeed, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_go(&g, attach_twice, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_go(&g, attach_another_code, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK(strcmp(record_of(&g, 0).text, "second") == 0);
    CHECK(strcmp(record_of(&g, 1).text, "") == 0);
    CHECK_INT(counts_of(&g).failed, 2);
}

static int attach_then_park(void *arg)
{
    int r = knit_error(-EIO, "task %d", *(int *)arg);
    for (int i = 0; i < 10; i++)
        (void)knit_yield();
    return r;
}

static void texts_of_tasks_that_take_turns_do_not_mix(void)
{
    enum { N = 10 };
    knit_errgroup g = {0};
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go_copy(&g, attach_then_park, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    for (size_t i = 0; i < N; i++) {
        char want[32];
        knit_error_record record = record_of(&g, i);
        snprintf(want, sizeof want, "task %zu", record.index);
        CHECK(strcmp(record.text, want) == 0);
    }
}

static int attach_long_text(void *arg)
{
    (void)arg;
    static char words[10000];
    memset(words, 'x', sizeof words - 1);
    return knit_error(-EIO, "%s", words);
}

static void a_long_text_is_cut_at_4095_bytes(void)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, attach_long_text, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(strlen(record_of(&g, 0).text), 4095);
}

static void knit_error_on_a_thread_returns_the_code(void)
{
    CHECK_INT(knit_error(-EIO, "%s", "nobody hears it"), -EIO);
    CHECK_INT(knit_error(7, "%d", 7), 7);
}

/* ---- how many are kept ----------------------------------------------------------------------- */

static void fail_n_times(knit_errgroup *g, int n)
{
    for (int i = 0; i < n; i++) {
        int code = -1000 - i;
        CHECK_INT(knit_errgroup_go_copy(g, return_copied_code, &code, sizeof code), 0);
        CHECK_INT(knit_errgroup_wait(g), -1000);
    }
}

static void the_first_16_are_kept_and_all_are_counted(void)
{
    knit_error_record record;
    knit_errgroup g = {0};
    fail_n_times(&g, 40);
    CHECK_INT(counts_of(&g).failed, 40);
    for (size_t i = 0; i < 16; i++) {
        CHECK_INT(record_of(&g, i).code, -1000 - (int)i);
        CHECK_INT(record_of(&g, i).index, i);
    }
    CHECK_INT(knit_errgroup_error(&g, 16, &record), -ENOENT);
}

static void keep_errors_sets_how_many_are_kept(void)
{
    static const unsigned keeps[] = {1, 3, 100};
    for (size_t k = 0; k < 3; k++) {
        knit_error_record record;
        knit_errgroup_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING,
                                         .keep_errors = keeps[k]};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, &options), 0);
        fail_n_times(&g, 50);
        size_t kept = keeps[k] < 50 ? keeps[k] : 50;
        CHECK_INT(counts_of(&g).failed, 50);
        CHECK_INT(record_of(&g, kept - 1).code, -1000 - (int)kept + 1);
        CHECK_INT(knit_errgroup_error(&g, kept, &record), -ENOENT);
        CHECK_INT(knit_errgroup_close(&g), -1000);
        CHECK_INT(record_of(&g, 0).code, -1000); /* readable after close */
    }
}

static int read_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int sleep_for_ever(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return knit_sleep(KNIT_FOREVER);
}

static void echoes_leave_no_record(void)
{
    knit_error_record record;
    atomic_int parked = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, &parked), 0);
    kt_until(parked == 1);
    knit_errgroup_cancel(&g, -EXDEV);
    CHECK_INT(knit_errgroup_go(&g, read_nothing, NULL), -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
    CHECK_INT(counts_of(&g).failed, 0);
    CHECK_INT(counts_of(&g).echoes, 1);
    CHECK_INT(counts_of(&g).skipped, 1);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), -ENOENT);
    CHECK_INT(knit_errgroup_format(&g, NULL, 0), 0);
}

static int fail_at_once(void *arg)
{
    return knit_error(*(int *)arg, "code %d", *(int *)arg);
}

/* go-pkgz/syncs#14: a data race. */
static void many_fail_at_once_and_the_first_record_is_the_result(void)
{
    for (int round = 0; round < kt_count(100); round++) {
        knit_errgroup_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING, .keep_errors = 100};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, &options), 0);
        for (int i = 0; i < 50; i++) {
            int code = -1000 - i;
            CHECK_INT(knit_errgroup_go_copy(&g, fail_at_once, &code, sizeof code), 0);
        }
        int r = knit_errgroup_wait(&g);
        bool seen[50] = {false};
        CHECK_INT(record_of(&g, 0).code, r);
        for (size_t i = 0; i < 50; i++) {
            knit_error_record record = record_of(&g, i);
            char want[32];
            snprintf(want, sizeof want, "code %d", record.code);
            CHECK(strcmp(record.text, want) == 0);
            CHECK_INT(record.code, -1000 - (int)record.index);
            CHECK(!seen[record.index]);
            seen[record.index] = true;
        }
        CHECK_INT(knit_errgroup_close(&g), r);
    }
}

/* ---- format ---------------------------------------------------------------------------------- */

static void a_group_without_errors_formats_to_nothing(void)
{
    char text[8] = "before";
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_format(&g, NULL, 0), 0);
    CHECK_INT(knit_errgroup_format(&g, text, sizeof text), 0);
    CHECK(strcmp(text, "") == 0);
}

static void a_record_formats_to_a_line(void)
{
    char want[256];
    int code = -EIO;
    knit_errgroup g = {0};
    int line = __LINE__ + 1;
    CHECK_INT(knit_errgroup_go(&g, open_file, "/tmp/x"), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);

    char *text = text_of(&g);
    CHECK(strncmp(text, "#0 open_file (", 14) == 0);
    snprintf(want, sizeof want, "test_errgroup_record.c:%d): %s: open /tmp/x\n", line,
             knit_strerror(-ENOENT));
    CHECK_HAS(text, want);
    CHECK_HAS(text, "\n#1 return_copied_code (");
    snprintf(want, sizeof want, "): %s\n", knit_strerror(-EIO));
    CHECK_HAS(text, want);
    free(text);
}

static void format_cuts_like_snprintf(void)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, open_file, "/tmp/x"), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);
    char *whole = text_of(&g);
    int length = (int)strlen(whole);
    for (size_t size = 1; size <= (size_t)length + 1; size++) {
        char *part = malloc(size); /* exactly: a sanitizer sees one byte too many */
        CHECK(part);
        CHECK_INT(knit_errgroup_format(&g, part, size), length);
        CHECK_INT(strlen(part), size - 1);
        CHECK(memcmp(part, whole, size - 1) == 0);
        free(part);
    }
    free(whole);
}

static int read_block(void *arg)
{
    (void)arg;
    return knit_error(-EIO, "block 3");
}

static int read_file(void *arg)
{
    (void)arg;
    knit_errgroup g;
    int r = knit_errgroup_init(&g, NULL);
    if (r == 0)
        (void)knit_errgroup_go(&g, read_block, NULL);
    r = knit_errgroup_wait(&g);
    (void)knit_errgroup_close(&g);
    return r;
}

static int read_tree(void *arg)
{
    (void)arg;
    knit_errgroup g;
    int r = knit_errgroup_init(&g, NULL);
    if (r == 0)
        (void)knit_errgroup_go(&g, read_file, NULL);
    r = knit_errgroup_wait(&g);
    return r < 0 ? knit_error(r, "tree") : r;
}

static size_t indent_of(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    CHECK(at);
    const char *line = at;
    while (line > text && line[-1] != '\n')
        line--;
    return strspn(line, " ");
}

static void nested_groups_format_as_a_tree(void)
{
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, read_tree, NULL), 0);
    int r = knit_errgroup_wait(&g);
    CHECK_INT(r, -EIO);
    CHECK_INT(record_of(&g, 0).causes, 1);
    char *text = text_of(&g);
    kt_note(text);
    CHECK_INT(indent_of(text, "read_tree ("), 0);
    CHECK_HAS(text, ": tree\n");
    CHECK(indent_of(text, "read_file (") > 0);
    CHECK(indent_of(text, "read_block (") > indent_of(text, "read_file ("));
    CHECK_HAS(text, ": block 3\n");
    kt_note(NULL);
    free(text);
    CHECK_INT(knit_errgroup_close(&g), -EIO);
}

static int ignore_inner_error(void *arg)
{
    (void)arg;
    (void)read_file(NULL);
    return -ENOENT;
}

static void an_error_that_was_not_passed_on_is_no_cause(void)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, ignore_inner_error, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -ENOENT);
    CHECK_INT(record_of(&g, 0).causes, 0);
    char *text = text_of(&g);
    CHECK(!strstr(text, "block 3"));
    free(text);
}

static void groups_that_fail_all_the_time_stay_exact(void)
{
    for (int i = 0; i < kt_count(20000); i++) {
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        int code = -1000 - i;
        CHECK_INT(knit_errgroup_go_copy(&g, fail_at_once, &code, sizeof code), 0);
        CHECK_INT(knit_errgroup_wait(&g), code);
        knit_error_record record = record_of(&g, 0);
        char want[32];
        snprintf(want, sizeof want, "code %d", code);
        CHECK(strcmp(record.text, want) == 0);
        if (i % 2 == 0)
            CHECK_INT(knit_errgroup_close(&g), code);
    }
}

/* ---- knit_strerror --------------------------------------------------------------------------- */

static void strerror_knows_the_codes_and_never_gives_null(void)
{
    static const int codes[] = {EINVAL, ENOMEM, EAGAIN, ECANCELED, ETIMEDOUT, EPIPE, EIO};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const char *text = knit_strerror(-codes[i]);
        CHECK(text && *text && strcmp(text, "unknown error") != 0);
        CHECK(strcmp(text, knit_strerror(codes[i])) == 0);
    }
    CHECK(strcmp(knit_strerror(-123456), "unknown error") == 0);
    CHECK(knit_strerror(0));
    CHECK(knit_strerror(-2147483647 - 1));
}

static const knittest tests[] = {
    BOTH(a_record_has_code_text_task_index_place_and_time),
    BOTH(a_record_without_text_has_an_empty_one),
    BOTH(a_spawn_site_of_ones_own_is_used),
    BOTH(a_named_task_is_recorded_with_its_name),
    BOTH(the_text_belongs_to_the_code_the_task_failed_with),
    BOTH(texts_of_tasks_that_take_turns_do_not_mix),
    BOTH(a_long_text_is_cut_at_4095_bytes),
    THREAD(knit_error_on_a_thread_returns_the_code),
    BOTH(the_first_16_are_kept_and_all_are_counted),
    BOTH(keep_errors_sets_how_many_are_kept),
    BOTH(echoes_leave_no_record),
    BOTH(many_fail_at_once_and_the_first_record_is_the_result),
    BOTH(a_group_without_errors_formats_to_nothing),
    BOTH(a_record_formats_to_a_line),
    BOTH(format_cuts_like_snprintf),
    BOTH(nested_groups_format_as_a_tree),
    BOTH(an_error_that_was_not_passed_on_is_no_cause),
    BOTH(groups_that_fail_all_the_time_stay_exact),
    BOTH(strerror_knows_the_codes_and_never_gives_null),
};
KNITTEST_MAIN(tests)
