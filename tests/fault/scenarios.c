/* The scenarios. See scenarios.h. */
#include "scenarios.h"

#include "inject.h"
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

bool expect_success;

/* A result that a call may have when something failed below it. */
static int bear(int r)
{
    if (expect_success)
        CHECK_INT(r, 0);
    else
        CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN || r == -ECANCELED);
    return r;
}

/* ---- a group whose tasks are counted --------------------------------------------------------- */

typedef struct tally {
    knit_errgroup group;
    int submitted, accepted; /* by the one that starts tasks */
    atomic_int nested;       /* submitted by tasks */
    atomic_int nested_refused;
    atomic_int ran;
} tally;

static tally *tally_of(knit_errgroup *g)
{
    return (tally *)(void *)g; /* first member */
}

static void start(tally *t, knit_fn *fn, void *arg)
{
    int r = bear(knit_errgroup_go(&t->group, fn, arg));
    t->submitted++;
    t->accepted += r == 0;
}

/* All tasks of it return 0. */
static void finish(tally *t)
{
    int r = bear(knit_errgroup_wait(&t->group));
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&t->group, &counts), 0);
    int started = t->accepted + atomic_load(&t->nested) - atomic_load(&t->nested_refused);
    int lost = started - atomic_load(&t->ran);
    CHECK_INT(counts.pending, 0);
    CHECK(lost >= 0);
    CHECK((int)(counts.skipped + counts.failed + counts.echoes) >= lost);
    if (r == 0)
        CHECK_INT(atomic_load(&t->ran), t->submitted + atomic_load(&t->nested));
    if (r != 0)
        CHECK_INT(knit_errgroup_wait(&t->group), r);
    CHECK_INT(bear(knit_errgroup_close(&t->group)), r);
}

static int count_task(void *arg)
{
    tally *t = tally_of(arg);
    atomic_fetch_add(&t->ran, 1);
    return 0;
}

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

/* ---- channels -------------------------------------------------------------------------------- */

enum { PARKED = 300 }; /* more than a slab of stacks (256) */

typedef struct waiters {
    tally tally; /* first */
    knit_chan *ch;
    atomic_int arrived;
} waiters;

static int receive_end(void *arg)
{
    waiters *w = arg;
    atomic_fetch_add(&w->arrived, 1);
    CHECK_INT(knit_chan_recv(w->ch, NULL), -EPIPE);
    atomic_fetch_add(&w->tally.ran, 1);
    return 0;
}

/* Every task is in its wait, or will never run. */
static bool all_there(waiters *w)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&w->tally.group, &counts), 0);
    return atomic_load(&w->arrived) + (int)(counts.failed + counts.skipped) >= w->tally.accepted;
}

void parked_tasks(void)
{
    waiters w = {0};
    if (bear(knit_chan_new(0, 0, &w.ch)) != 0)
        return;
    for (int i = 0; i < PARKED; i++)
        start(&w.tally, receive_end, &w);
    kt_until(all_there(&w));
    CHECK_INT(knit_chan_close(w.ch), 0);
    finish(&w.tally);
    knit_chan_unref(w.ch);
}

typedef struct pair {
    tally tally; /* first */
    knit_chan *ch;
} pair;

static int send_ten(void *arg)
{
    pair *p = arg;
    int r = 0;
    for (int i = 0; r == 0 && i < 10; i++)
        r = knit_chan_send(p->ch, &i);
    if (r == 0)
        knit_chan_close(p->ch);
    atomic_fetch_add(&p->tally.ran, 1);
    return r == -EPIPE && !expect_success ? 0 : r;
}

static int receive_ten(void *arg)
{
    pair *p = arg;
    int r, n = 0, i;
    while ((r = knit_chan_recv(p->ch, &i)) == 0)
        CHECK_INT(i, n++);
    CHECK(n == 10 || !expect_success);
    atomic_fetch_add(&p->tally.ran, 1);
    return r == -EPIPE ? 0 : r;
}

/* Two that need each other: where one cannot run the group's failure must end the other. */
void rendezvous(void)
{
    for (size_t capacity = 0; capacity <= 3; capacity += 3) {
        pair p = {0};
        if (bear(knit_chan_new(sizeof(int), capacity, &p.ch)) != 0)
            return;
        CHECK_INT(knit_errgroup_init(&p.tally.group, NULL), 0);
        start(&p.tally, send_ten, &p);
        start(&p.tally, receive_ten, &p);
        finish(&p.tally);
        knit_chan_unref(p.ch);
    }
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

/* ---- time ------------------------------------------------------------------------------------ */

static int sleep_a_little(void *arg)
{
    tally *t = tally_of(arg);
    knit_time wake = knit_now() + KNIT_MILLISECOND;
    if (bear(knit_sleep_until(wake)) == 0)
        CHECK(knit_now() >= wake);
    atomic_fetch_add(&t->ran, 1);
    return 0;
}

/* A wait with a deadline that ends by it, unless its timer could not be stored. */
static void bear_timeout(int r)
{
    CHECK(r == -ETIMEDOUT || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
}

static void wait_in_vain(void)
{
    knit_chan *ch = NULL;
    knit_ctx *ctx = NULL;
    if (bear(knit_chan_new(1, 0, &ch)) != 0)
        return;
    char c = 0;
    bear_timeout(knit_chan_recv_until(ch, &c, knit_now() + KNIT_MILLISECOND));
    bear_timeout(knit_chan_send_until(ch, &c, knit_now() + KNIT_MILLISECOND));
    knit_chan_unref(ch);
    if (bear(knit_ctx_with_timeout(knit_ctx_background(), KNIT_MILLISECOND, &ctx)) != 0)
        return;
    bear_timeout(knit_ctx_wait(ctx));
    knit_ctx_unref(ctx);
}

/* More sleepers than the first size of a heap (64). */
void timed_waits(void)
{
    tally t = {0};
    for (int i = 0; i < 150; i++)
        start(&t, sleep_a_little, &t.group);
    int r = knit_errgroup_wait_until(&t.group, knit_now() + 10 * KNIT_MICROSECOND);
    if (r != -ETIMEDOUT)
        bear(r);
    wait_in_vain();
    finish(&t);
    bear(knit_sleep(KNIT_MICROSECOND));
}

/* ---- select ---------------------------------------------------------------------------------- */

enum { FEW = 16, MANY = 40 };

/* A wait with a time needs a timer, more than FEW cases a block; nothing else asks for memory. */
void selects(void)
{
    knit_case cases[MANY];
    knit_chan *ch;
    int item = 1, got = 0;
    if (bear(knit_chan_new(sizeof item, 1, &ch)) != 0)
        return;
    for (int i = 0; i < MANY; i++)
        cases[i] = knit_case_recv(ch, &got);
    int r = knit_select_until(cases, FEW, knit_now() + 20 * KNIT_MICROSECOND);
    CHECK(r == -ETIMEDOUT || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
    CHECK_INT(knit_chan_try_send(ch, &item), 0);
    r = knit_try_select(cases, MANY);
    CHECK(r >= 0 || (!expect_success && r == -ENOMEM));
    CHECK_INT(got, r >= 0); /* what failed has received nothing */
    CHECK_INT(knit_chan_len(ch), r < 0);
    if (knit_in_task()) { /* a thread's first use may want memory */
        CHECK_INT(r < 0 ? 0 : knit_chan_try_send(ch, &item), 0);
        CHECK(knit_select(cases, FEW) >= 0);
        CHECK_INT(knit_try_select(cases, FEW), -EAGAIN);
    }
    knit_chan_unref(ch);
}

/* ---- the map --------------------------------------------------------------------------------- */

static int count_keys(const void *key, size_t size, void *value, void *arg)
{
    CHECK_INT(size, sizeof(int));
    CHECK(value && *(const int *)key >= 0);
    ++*(int *)arg;
    return 0;
}

/* Only a new key asks for memory. What is not stored is not there; a shard that cannot grow works. */
void maps(void)
{
    enum { KEYS = 300 };
    knit_syncmap map = {0};
    int stored = 0, seen = 0;
    for (int k = 0; k < KEYS; k++) {
        bool there = bear(knit_syncmap_store(&map, &k, sizeof k, NULL)) == 0;
        CHECK_INT(knit_syncmap_load(&map, &k, sizeof k, NULL), there);
        CHECK_INT(knit_syncmap_compare_and_swap(&map, &k, sizeof k, NULL, &map), there);
        stored += there;
    }
    CHECK_INT(knit_syncmap_len(&map), stored);
    CHECK_INT(knit_syncmap_range(&map, count_keys, &seen), 0);
    CHECK_INT(seen, stored);
    for (int k = 0; k < KEYS; k += 2)
        stored -= knit_syncmap_delete(&map, &k, sizeof k);
    CHECK_INT(knit_syncmap_len(&map), stored);
    knit_syncmap_fini(&map);
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
