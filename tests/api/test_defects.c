/* Defects of Knit's ancestors, each reproduced there, as tests that Knit passes: those of
 * docs/defects.md that no other test shows. By ancestor; each begins with what happens there. */
#include "bodies.h"

static void make(knit_errgroup *g, int limit, unsigned flags)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.limit = limit, .flags = flags}), 0);
}

/* A member of a group that gives it more tasks; being a member it never waits. */
typedef struct member {
    knit_errgroup *g;
    atomic_int *ran;
    int n, result;
} member;

static int queue_n(void *arg)
{
    member *m = arg;
    for (int i = 0; i < m->n; i++)
        CHECK_INT(knit_errgroup_go(m->g, count_up, m->ran), 0);
    return m->result;
}

/* ---- neilotoole/errgroup --------------------------------------------------------------------- */

typedef struct meeting {
    atomic_int present;
    int wanted;
} meeting;

static int wait_for_all(void *arg)
{
    meeting *m = arg;
    atomic_fetch_add(&m->present, 1);
    kt_until(atomic_load(&m->present) >= m->wanted);
    return 0;
}

/* With a limit of 8 and no queue one task runs at a time: an unbuffered queue looks empty, so no
 * second worker is started. */
static void as_many_as_the_limit_are_under_way_at_once(void)
{
    for (int limit = 1; limit <= 16; limit *= 2) {
        meeting m = {.wanted = limit};
        knit_errgroup g;
        make(&g, limit, 0);
        for (int i = 0; i < limit; i++)
            CHECK_INT(knit_errgroup_go(&g, wait_for_all, &m), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
}

/* A failure ends its worker; what is in the queue then is dropped, and nothing tells. Here it runs
 * in a group that keeps going (in one that does not it is skipped, and counted as that). */
static void what_is_queued_behind_a_failure_runs_if_the_group_keeps_going(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    member m = {&g, &ran, 10, -EIO};
    make(&g, 1, KNIT_ERRGROUP_KEEP_GOING);
    CHECK_INT(knit_errgroup_go(&g, queue_n, &m), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 10);
    CHECK_INT(counts_of(&g).skipped, 0);
}

/* Seven tasks, one of which fails; the go after it blocks for ever with the lock held, and so does
 * the wait (neilotoole/errgroup#11). */
static void fail_one_of_seven(int failing, int limit, unsigned flags)
{
    atomic_int ran = 0;
    int code = -EIO, refused = 0;
    knit_errgroup g;
    make(&g, limit, flags);
    for (int i = 0; i < 7; i++) {
        int r = i == failing ? knit_errgroup_go(&g, return_copied_code, &code)
                             : knit_errgroup_go(&g, count_up, &ran);
        CHECK(r == 0 || (r == -ECANCELED && i > failing && !flags));
        refused += r != 0;
    }
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.submitted, 7);
    CHECK_INT(ran + (int)counts.skipped, 6);
    CHECK((int)counts.skipped >= refused);
}

static void a_failure_under_a_limit_blocks_no_later_go(void)
{
    for (int i = 0; i < kt_count(300); i++) {
        fail_one_of_seven(i % 7, 1 + i % 3, 0);
        fail_one_of_seven(i % 7, 1 + i % 3, KNIT_ERRGROUP_KEEP_GOING);
    }
}

static int leave_early(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_task_exit(0);
}

/* Goexit in a task ends its worker: with one worker the queue behind it is dropped (neilotoole), or
 * wait hangs (kratos); the permit of the task is lost, the next one waits for ever (go-pkgz). */
static void a_task_that_exits_gives_its_place_back(void)
{
    atomic_int exited = 0, ran = 0;
    knit_errgroup g;
    member m = {&g, &ran, 10, 0};
    make(&g, 1, 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, leave_early, &exited), 0);
    CHECK_INT(knit_errgroup_go(&g, queue_n, &m), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, leave_early, &exited), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(exited, 20);
    CHECK_INT(ran, 10);
    CHECK_INT(knit_errgroup_try_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- kratos pkg/sync/errgroup ---------------------------------------------------------------- */

/* What does not fit into the queue starts only when wait is called, however idle the workers are. */
static void what_is_queued_starts_although_nobody_waits(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    member m = {&g, &ran, 10, 0};
    make(&g, 2, 0);
    CHECK_INT(knit_errgroup_go(&g, queue_n, &m), 0);
    kt_until(atomic_load(&ran) == 10);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* A second wait under a limit panics ("close of closed channel"), a go after it too; and what was
 * in the list of waiting tasks is run again. */
static void waiting_again_and_going_on_under_a_limit(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    member m = {&g, &ran, 9, 0};
    make(&g, 2, 0);
    for (int round = 1; round <= 5; round++) {
        CHECK_INT(knit_errgroup_go(&g, queue_n, &m), 0);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_INT(knit_errgroup_wait(&g), 0);
            CHECK_INT(ran, 10 * round);
        }
    }
}

/* ---- go-pkgz/syncs --------------------------------------------------------------------------- */

typedef struct waiting {
    knit_errgroup *g;
    atomic_int *ran;
    atomic_int arrived;
    int result;
} waiting;

static int go_at_the_limit(void *arg)
{
    waiting *w = arg;
    w->arrived = 1;
    w->result = knit_errgroup_go(w->g, count_up, w->ran);
    return 0;
}

/* A task whose context ends between Go and its start is skipped with its permit: the next Go waits
 * for ever. Here the context of a caller that waits for a place ends when a place comes free. */
static void a_caller_that_gives_up_at_the_last_moment_keeps_no_place(void)
{
    for (int i = 0; i < kt_count(200); i++) {
        kt_gate gate = kt_gate_new();
        atomic_int ran = 0;
        knit_errgroup g, callers;
        waiting w = {.g = &g, .ran = &ran, .result = 1};
        make(&g, 1, 0);
        make(&callers, 0, 0);
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
        CHECK_INT(knit_errgroup_go(&callers, go_at_the_limit, &w), 0);
        kt_until(w.arrived);
        for (int k = 0; k < i % 10; k++)
            (void)knit_yield();
        kt_gate_open(gate); /* both at once */
        knit_errgroup_cancel(&callers, 0);
        (void)knit_errgroup_wait(&callers);
        CHECK(w.result == 0 || w.result == -ECANCELED);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(ran, w.result == 0);
        CHECK_INT(knit_errgroup_try_go(&g, count_up, &ran), 0); /* the place is there */
        CHECK_INT(knit_errgroup_wait(&g), 0);
        kt_gate_free(gate);
    }
}

static int queue_then_wait_for_the_end(void *arg)
{
    member *m = arg;
    int r = queue_n(m);
    while (knit_canceled() == 0)
        (void)knit_yield();
    return r;
}

/* The context is looked at before a task begins to wait for its permit and not after: what is
 * queued runs after the cancel, 5 of 5, and Wait returns nil. */
static void the_end_of_the_parent_skips_what_is_queued(void)
{
    atomic_int ran = 0;
    knit_ctx *parent;
    knit_errgroup g;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &parent), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1, .ctx = parent}), 0);
    member m = {&g, &ran, 5, 0};
    CHECK_INT(knit_errgroup_go(&g, queue_then_wait_for_the_end, &m), 0);
    kt_until(counts_of(&g).submitted == 6);
    knit_ctx_cancel(parent, -EXDEV);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(ran, 0);
    CHECK_INT(counts_of(&g).skipped, 5);
    CHECK_INT(counts_of(&g).failed + counts_of(&g).echoes, 0);
    knit_ctx_unref(parent);
}

/* ---- sourcegraph/conc ------------------------------------------------------------------------ */

static int panic_at_once(void *arg)
{
    (void)arg;
    knit_panic("once is enough");
}

static int wait_for_a_panic(void *arg)
{
    return knit_errgroup_wait(arg);
}

/* The panic of a pool is never reset: after one every later Wait panics, whatever ran since. Here
 * it stays as any error does, and a new init makes the group a new one. */
static void a_panic_does_not_outlive_an_init(void)
{
    knit_errgroup g, waiter;
    atomic_int ran = 0;
    for (int round = 1; round <= 3; round++) {
        make(&g, 0, KNIT_ERRGROUP_PANIC_WAITER);
        make(&waiter, 0, KNIT_ERRGROUP_PANIC_ERROR);
        CHECK_INT(knit_errgroup_go(&g, panic_at_once, NULL), 0);
        CHECK_INT(knit_errgroup_go(&waiter, wait_for_a_panic, &g), 0);
        CHECK_INT(knit_errgroup_wait(&waiter), KNIT_PANICKED);

        make(&g, 0, KNIT_ERRGROUP_PANIC_WAITER);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0); /* a panic here would end the test */
        CHECK_INT(ran, round);
    }
}

/* ---- facebookarchive/errgroup ------------------------------------------------------------------ */

/* The errors that Wait returns are the group's own list: the next error changes what was returned,
 * and the caller can change the group's. The same in go-pkgz/syncs (ESG-13). */
static void errors_that_were_read_do_not_change(void)
{
    knit_waitgroup wg = {0};
    int codes[4] = {0};
    CHECK_INT(knit_waitgroup_error(&wg, -EIO), 0);
    CHECK_INT(knit_waitgroup_errors(&wg, codes, 4), 1);
    CHECK_INT(knit_waitgroup_error(&wg, -ENOENT), 0);
    CHECK_INT(codes[0], -EIO);
    CHECK_INT(codes[1], 0);
    codes[0] = -EPERM;
    CHECK_INT(knit_waitgroup_wait(&wg), -EIO);
    CHECK_INT(knit_waitgroup_errors(&wg, codes, 4), 2);
    CHECK_INT(codes[0], -EIO);
    CHECK_INT(knit_waitgroup_fini(&wg), 0);
}

static const knittest tests[] = {
    BOTH(as_many_as_the_limit_are_under_way_at_once),
    BOTH(what_is_queued_behind_a_failure_runs_if_the_group_keeps_going),
    BOTH(a_failure_under_a_limit_blocks_no_later_go),
    BOTH(a_task_that_exits_gives_its_place_back),
    BOTH(what_is_queued_starts_although_nobody_waits),
    BOTH(waiting_again_and_going_on_under_a_limit),
    BOTH(a_caller_that_gives_up_at_the_last_moment_keeps_no_place),
    BOTH(the_end_of_the_parent_skips_what_is_queued),
    BOTH(a_panic_does_not_outlive_an_init),
    BOTH(errors_that_were_read_do_not_change),
};
KNITTEST_MAIN(tests)
