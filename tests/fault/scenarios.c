/* Groups, contexts, errors. See scenarios.h. */
#include "inject.h"
#include "tally.h"

#include <string.h>

bool expect_success;

static void run_group(const knit_errgroup_options *options, int n)
{
    tally t = {0};
    if (options)
        CHECK_INT(knit_errgroup_init(&t.group, options), 0);
    for (int i = 0; i < n; i++)
        start(&t, count_task, &t.group);
    finish(&t);
}

void plain_group(void)
{
    static const knit_errgroup_options defaults;
    run_group(NULL, 20);
    run_group(&defaults, 20);
}

/* More than a chunk (126) and more than a ring (512). */
void many_tasks(void)
{
    run_group(NULL, 300);
    run_group(NULL, 1100);
}

/* ---- the limit ------------------------------------------------------------------------------- */

static int starts_two(void *arg)
{
    tally *t = tally_of(arg);
    atomic_fetch_add(&t->ran, 1);
    for (int i = 0; i < 2; i++) {
        atomic_fetch_add(&t->nested, 1);
        if (bear(knit_errgroup_go(&t->group, count_task, arg)) != 0)
            atomic_fetch_add(&t->nested_refused, 1);
    }
    return 0;
}

void limit_and_nested(void)
{
    static const knit_errgroup_options two_at_once = {.limit = 2};
    static const knit_errgroup_options keep_going = {.limit = 1, .flags = KNIT_ERRGROUP_KEEP_GOING};
    tally t = {0};
    CHECK_INT(knit_errgroup_init(&t.group, &two_at_once), 0);
    for (int i = 0; i < 12; i++)
        start(&t, starts_two, &t.group);
    finish(&t);

    tally u = {0};
    CHECK_INT(knit_errgroup_init(&u.group, &keep_going), 0);
    for (int i = 0; i < 6; i++)
        start(&u, starts_two, &u.group);
    finish(&u);
}

enum { QUEUED = 200 };

/* Queues more than a chunk of tasks in a paused group, then lets them go. */
static int queues_many(void *arg)
{
    tally *t = tally_of(arg);
    atomic_fetch_add(&t->ran, 1);
    bear(knit_errgroup_set_limit(&t->group, 0));
    for (int i = 0; i < QUEUED; i++) {
        atomic_fetch_add(&t->nested, 1);
        if (bear(knit_errgroup_go(&t->group, count_task, arg)) != 0)
            atomic_fetch_add(&t->nested_refused, 1);
    }
    bear(knit_errgroup_set_limit(&t->group, 3));
    return 0;
}

void paused_queue(void)
{
    tally t = {0};
    start(&t, queues_many, &t.group);
    finish(&t);
}

/* ---- copies ---------------------------------------------------------------------------------- */

typedef struct copied {
    tally *tally;
    int number;
    char more[200];
} copied;

static int check_copy(void *arg)
{
    const copied *c = arg;
    CHECK_INT(c->more[199], c->number);
    atomic_fetch_add(&c->tally->ran, 1);
    return 0;
}

void copies(void)
{
    for (int round = 0; round < 2; round++) {
        tally t = {0};
        if (round == 1)
            CHECK_INT(knit_errgroup_init(&t.group, NULL), 0);
        for (int i = 0; i < 20; i++) {
            copied c = {.tally = &t, .number = i};
            c.more[199] = (char)i;
            int r = bear(knit_errgroup_go_copy(&t.group, check_copy, &c, sizeof c));
            t.submitted++;
            t.accepted += r == 0;
        }
        finish(&t);
    }
}

/* ---- contexts -------------------------------------------------------------------------------- */

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Makes *ret a child of parent, or NULL. */
static void make(int r, knit_ctx **ret)
{
    if (bear(r) != 0)
        CHECK(*ret == NULL);
    else
        CHECK(*ret != NULL);
}

static void enter_and_leave(knit_ctx *ctx)
{
    knit_ctx_scope scope;
    if (bear(knit_ctx_enter(ctx, &scope)) != 0)
        return;
    CHECK(knit_ctx_current() == ctx);
    CHECK_INT(knit_ctx_leave(&scope), 0);
}

void contexts(void)
{
    static const char key;
    char value;
    atomic_int called = 0;
    knit_ctx *root = NULL, *ctx[5] = {NULL};
    make(knit_ctx_with_cancel(knit_ctx_background(), &root), &root);
    if (!root)
        return;
    make(knit_ctx_with_timeout(root, 3600 * KNIT_SECOND, &ctx[0]), &ctx[0]);
    make(knit_ctx_with_deadline(root, knit_now() + 1800 * KNIT_SECOND, &ctx[1]), &ctx[1]);
    make(knit_ctx_with_value(root, &key, &value, &ctx[2]), &ctx[2]);
    make(knit_ctx_without_cancel(root, &ctx[3]), &ctx[3]);
    make(knit_ctx_shield(root, 900 * KNIT_SECOND, &ctx[4]), &ctx[4]);

    knit_ctx_after_handle handle;
    CHECK_INT(knit_ctx_after(root, count_call, &called, &handle), 0);
    for (int i = 0; i < 5; i++) {
        if (ctx[i])
            enter_and_leave(ctx[i]);
    }
    knit_ctx_cancel(root, -EIO);
    CHECK_INT(atomic_load(&called), 1);
    for (int i = 0; i < 5; i++) {
        if (ctx[i])
            CHECK_INT(knit_ctx_err(ctx[i]), i < 3 ? -ECANCELED : 0);
        if (i != 3 && i != 4)
            knit_ctx_unref(ctx[i]);
    }
    knit_ctx_cancel(ctx[4], 0); /* takes its timer out */
    knit_ctx_unref(ctx[3]);
    knit_ctx_unref(ctx[4]);
    knit_ctx_unref(root);
}

/* Parks until the group's context ends. */
static int wait_for_end(void *arg)
{
    tally *t = tally_of(arg);
    atomic_fetch_add(&t->ran, 1);
    int r = knit_ctx_wait(knit_ctx_current());
    CHECK(r == -ECANCELED || (!expect_success && r == -ENOMEM));
    return 0;
}

void context_of_group(void)
{
    knit_ctx *parent = NULL;
    make(knit_ctx_with_cancel(knit_ctx_background(), &parent), &parent);
    if (!parent)
        return;
    knit_errgroup_options options = {.ctx = parent, .timeout = 3600 * KNIT_SECOND};
    tally t = {0};
    CHECK_INT(knit_errgroup_init(&t.group, &options), 0);
    for (int i = 0; i < 8; i++)
        start(&t, wait_for_end, &t.group);
    knit_ctx *own = knit_errgroup_ctx(&t.group);
    if (own)
        knit_ctx_ref(own);
    knit_ctx_cancel(parent, 0);
    int r = knit_errgroup_wait(&t.group);
    CHECK(r == 0 || r == -ECANCELED || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
    if (r == 0)
        CHECK_INT(atomic_load(&t.ran), t.submitted);
    if (own)
        CHECK_INT(knit_ctx_err(own), -ECANCELED);
    knit_ctx_unref(own);
    knit_ctx_unref(parent);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static const char long_text[] =
    "a text that is longer than what is formatted on the stack of the task, and has to be formatted"
    " a second time: abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwx"
    " abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz the end";

static int fail_with_text(void *arg)
{
    (void)arg;
    (void)knit_error(-EIO, "a first text that is replaced");
    return knit_error(-EIO, "%s", long_text);
}

static int fail_plainly(void *arg)
{
    (void)arg;
    return -EIO;
}

static int fail_nested(void *arg)
{
    (void)arg;
    knit_errgroup g = {0};
    for (int i = 0; i < 3; i++)
        (void)knit_errgroup_go(&g, fail_with_text, NULL);
    int r = knit_errgroup_wait(&g);
    CHECK(r != 0);
    return r;
}

static void check_records(const knit_errgroup *g, int first)
{
    knit_error_record record;
    char text[4096];
    size_t n = 0;
    for (; knit_errgroup_error(g, n, &record) == 0; n++) {
        CHECK(record.code == -EIO || (!expect_success && record.code < 0));
        CHECK(!*record.text || strcmp(record.text, long_text) == 0);
        CHECK(n > 0 || !expect_success || record.code == first);
        CHECK(*record.task);
    }
    CHECK(n <= 4);
    CHECK(n == 4 || !expect_success);
    int length = knit_errgroup_format(g, text, sizeof text);
    CHECK((length > 0) == (n > 0));
    if (expect_success)
        CHECK_HAS(text, long_text);
}

void errors_and_texts(void)
{
    static const knit_errgroup_options options = {.keep_errors = 4,
                                                  .flags = KNIT_ERRGROUP_KEEP_GOING};
    static knit_fn *const fns[] = {fail_with_text, fail_plainly, fail_nested};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    for (int i = 0; i < 9; i++)
        bear(knit_errgroup_go(&g, fns[i % 3], NULL));
    int r = knit_errgroup_wait(&g);
    CHECK(r == -EIO || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
    check_records(&g, r);
    CHECK_INT(knit_errgroup_close(&g), r);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void use_everything_small(void *unused)
{
    (void)unused;
    run_group(NULL, 5);
    copies();
    contexts();
}

/* Plain threads besides the first: each is a guest of its own. Their starting is the test's. */
void two_threads(void)
{
    kt_thread *thread[2];
    inject_exempt(true);
    for (int i = 0; i < 2; i++)
        thread[i] = kt_thread_start(use_everything_small, NULL);
    inject_exempt(false);
    use_everything_small(NULL);
    for (int i = 0; i < 2; i++)
        kt_thread_join(thread[i]);
}
