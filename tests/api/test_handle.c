/* Handles on single tasks, and tasks that say when they are ready. */
#include "knittest.h"

#include <stdatomic.h>

static int sleep_long(void *arg)
{
    if (arg)
        atomic_fetch_add((atomic_int *)arg, 1);
    return knit_sleep(KNIT_FOREVER);
}

static int give_back(void *arg)
{
    return *(int *)arg;
}

/* A handle on a new task of g. */
static knit_task *go(knit_errgroup *g, knit_fn *fn, void *arg)
{
    knit_task *task = NULL;
    CHECK_INT(knit_errgroup_go_task(g, fn, arg, &task), 0);
    CHECK(task != NULL);
    return task;
}

static void a_handle_waits_for_its_task_and_knows_the_result(void)
{
    for (int i = 0; i < kt_count(100); i++) {
        int results[3] = {0, 5, -EIO}, got = -1;
        knit_task *tasks[3];
        knit_errgroup g = {0};
        for (int k = 0; k < 3; k++)
            tasks[k] = go(&g, give_back, &results[k]);
        for (int k = 2; k >= 0; k--) {
            CHECK_INT(knit_task_wait(tasks[k], &got), 0);
            CHECK_INT(got, results[k]);
            CHECK_INT(knit_task_state(tasks[k]), KNIT_TASK_ENDED);
            CHECK_INT(knit_task_wait(tasks[k], NULL), 0);
        }
        CHECK(knit_errgroup_wait(&g) != 0);
        for (int k = 0; k < 3; k++) { /* they outlive the group */
            CHECK_INT(knit_task_try_wait(tasks[k], &got), 0);
            CHECK_INT(got, results[k]);
            knit_task_unref(tasks[k]);
        }
    }
}

static void a_handle_may_be_dropped_at_once(void)
{
    atomic_int begun = 0;
    int zero = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < kt_count(200); i++)
        knit_task_unref(go(&g, give_back, &zero));
    CHECK_INT(knit_errgroup_wait(&g), 0);
    (void)begun;
}

static void cancel_ends_one_task_and_leaves_the_others(void)
{
    for (int i = 0; i < kt_count(50); i++) {
        atomic_int begun = 0;
        int r = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        knit_task *one = go(&g, sleep_long, &begun), *other = go(&g, sleep_long, &begun);
        kt_until(begun == 2);
        CHECK_INT(knit_task_try_wait(one, &r), -EAGAIN);
        CHECK_INT(knit_task_state(one), KNIT_TASK_RUNNING);
        knit_task_cancel(one, -EIO);
        CHECK_INT(knit_task_wait(one, &r), 0);
        CHECK_INT(r, -ECANCELED);
        CHECK_INT(knit_task_state(other), KNIT_TASK_RUNNING);
        CHECK_INT(knit_ctx_err(knit_errgroup_ctx(&g)), 0); /* an echo cancels nothing */
        knit_task_cancel(other, 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_errgroup_counts counts;
        CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
        CHECK_INT(counts.echoes, 2);
        CHECK_INT(counts.failed, 0);
        knit_task_unref(one);
        knit_task_unref(other);
    }
}

static int sleep_with_children(void *arg)
{
    knit_errgroup inner = {0};
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&inner, sleep_long, arg), 0);
    CHECK_INT(knit_errgroup_wait(&inner), -ECANCELED);
    return -ECANCELED;
}

static void cancel_reaches_the_sub_tasks(void)
{
    atomic_int begun = 0;
    int r = 0;
    knit_errgroup g = {0};
    knit_task *task = go(&g, sleep_with_children, &begun);
    kt_until(begun == 3);
    knit_task_cancel(task, 0);
    CHECK_INT(knit_task_wait(task, &r), 0);
    CHECK_INT(r, -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_task_unref(task);
}

static void a_task_cancelled_in_the_queue_never_runs(void)
{
    atomic_int begun = 0;
    int r = 0;
    knit_errgroup_counts counts;
    knit_errgroup outer = {0}, g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1}), 0);
    knit_task *first = go(&g, sleep_long, &begun);
    kt_until(begun == 1);
    CHECK_INT(knit_errgroup_set_limit(&g, -1), 0);
    /* cancelled by this very task, before it can have begun or soon after: both end it */
    knit_task *second = go(&g, sleep_long, NULL);
    knit_task_cancel(second, 0);
    CHECK_INT(knit_task_wait(second, &r), 0);
    CHECK_INT(r, -ECANCELED);
    CHECK(knit_task_state(second) >= KNIT_TASK_ENDED);
    knit_task_cancel(first, 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.echoes + counts.skipped, 2);
    knit_task_unref(first);
    knit_task_unref(second);
    CHECK_INT(knit_errgroup_wait(&outer), 0);
}

typedef struct queued {
    knit_errgroup *g;
    knit_task *task;
    atomic_int *ran;
} queued;

static int queue_then_cancel(void *arg)
{
    queued *q = arg;
    /* a member of a paused group: the task is queued, and stays there */
    CHECK_INT(knit_errgroup_set_limit(q->g, 0), 0);
    q->task = go(q->g, sleep_long, q->ran);
    CHECK_INT(knit_task_state(q->task), KNIT_TASK_QUEUED);
    knit_task_cancel(q->task, 0);
    CHECK_INT(knit_errgroup_set_limit(q->g, -1), 0);
    return 0;
}

static void a_queued_task_that_is_cancelled_is_skipped(void)
{
    atomic_int ran = 0;
    int r = 0;
    knit_errgroup_counts counts;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    queued q = {&g, NULL, &ran};
    CHECK_INT(knit_errgroup_go(&g, queue_then_cancel, &q), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_task_state(q.task), KNIT_TASK_SKIPPED);
    CHECK_INT(knit_task_wait(q.task, &r), 0);
    CHECK_INT(r, -ECANCELED);
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.skipped, 1);
    knit_task_unref(q.task);
}

static int queue_into_paused(void *arg)
{
    queued *q = arg;
    CHECK_INT(knit_errgroup_set_limit(q->g, 0), 0);
    q->task = go(q->g, sleep_long, q->ran);
    knit_errgroup_cancel(q->g, -EIO);
    return 0;
}

static void a_group_that_ends_settles_the_handles_of_its_queue(void)
{
    atomic_int ran = 0;
    int r = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    queued q = {&g, NULL, &ran};
    CHECK_INT(knit_errgroup_go(&g, queue_into_paused, &q), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 0);
    CHECK_INT(knit_task_wait(q.task, &r), 0);
    CHECK_INT(r, -ECANCELED);
    knit_task_unref(q.task);
}

static void a_refused_start_gives_no_handle(void)
{
    knit_task *task = NULL;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_go_task(&g, sleep_long, NULL, &task), -ECANCELED);
    CHECK(task == NULL);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
}

static void waits_for_a_task_end_with_deadline_and_context(void)
{
    atomic_int begun = 0;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_errgroup g = {0};
    knit_task *task = go(&g, sleep_long, &begun);
    CHECK_INT(knit_task_wait_until(task, NULL, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_task_wait_until(task, NULL, 0), -ETIMEDOUT);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_task_wait(task, NULL), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    CHECK(knit_task_state(task) <= KNIT_TASK_RUNNING);
    knit_task_cancel(task, 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_task_unref(task);
}

static int wait_for_task(void *arg)
{
    int r = 1;
    CHECK_INT(knit_task_wait(arg, &r), 0);
    CHECK_INT(r, -ECANCELED);
    return 0;
}

static void thread_waits_for_task(void *arg)
{
    CHECK_INT(wait_for_task(arg), 0);
}

static void any_number_may_wait_for_a_task(void)
{
    atomic_int begun = 0;
    knit_errgroup g = {0}, waiters = {0};
    knit_task *task = go(&g, sleep_long, &begun);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&waiters, wait_for_task, task), 0);
    kt_thread *thread = kt_thread_start(thread_waits_for_task, task);
    kt_until(begun == 1);
    knit_task_cancel(task, 0);
    CHECK_INT(knit_errgroup_wait(&waiters), 0);
    kt_thread_join(thread);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_task_unref(task);
}

static int wait_for_itself(void *arg)
{
    (void)arg;
    CHECK(knit_task_self() != NULL);
    CHECK_INT(knit_task_wait(knit_task_self(), NULL), -EDEADLK);
    return knit_task_exit(3);
}

static void a_task_cannot_wait_for_itself(void)
{
    int r = 0;
    knit_errgroup g = {0};
    knit_task *task = go(&g, wait_for_itself, NULL);
    CHECK_INT(knit_task_wait(task, &r), 0);
    CHECK_INT(r, 3);
    CHECK_INT(knit_errgroup_wait(&g), 3);
    knit_task_unref(task);
}

static int no_handle(void *arg)
{
    (void)arg;
    CHECK(knit_task_self() == NULL);
    CHECK_INT(knit_task_ready(NULL), -EPERM);
    return 0;
}

static void misuse_of_handles_is_told(void)
{
    knit_task *task = NULL;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_task(&g, NULL, NULL, &task), -EINVAL);
    CHECK_INT(knit_errgroup_go_task(&g, sleep_long, NULL, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_go_task(NULL, sleep_long, NULL, &task), -EINVAL);
    CHECK_INT(knit_task_wait(NULL, NULL), -EINVAL);
    CHECK_INT(knit_task_try_wait(NULL, NULL), -EINVAL);
    CHECK_INT(knit_task_state(NULL), -EINVAL);
    knit_task_cancel(NULL, 0);
    knit_task_unref(knit_task_ref(NULL));
    CHECK_INT(knit_errgroup_go(&g, no_handle, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- ready ------------------------------------------------------------------------------------ */

static int listen_for_ever(void *arg)
{
    CHECK_INT(knit_sleep(100 * KNIT_MICROSECOND), 0);
    CHECK_INT(knit_task_ready(arg), 0);
    CHECK_INT(knit_task_ready(arg), -EALREADY);
    return knit_sleep(KNIT_FOREVER);
}

static void start_returns_when_the_task_is_ready(void)
{
    for (int i = 0; i < kt_count(30); i++) {
        int port;
        void *value = NULL;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_start(&g, listen_for_ever, &port, &value), 0);
        CHECK(value == &port);
        CHECK_INT(knit_errgroup_close(&g), 0);
    }
}

static int fail_to_listen(void *arg)
{
    (void)arg;
    return -EADDRINUSE;
}

static int never_ready(void *arg)
{
    (void)arg;
    return 0;
}

static void start_tells_when_the_task_ends_before(void)
{
    void *value = &value;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_start(&g, fail_to_listen, NULL, &value), -EADDRINUSE);
    CHECK_INT(knit_errgroup_start(&g, never_ready, NULL, &value), -ECHILD);
    CHECK(value == &value);
    CHECK_INT(knit_errgroup_start(&g, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(knit_errgroup_wait(&g), -EADDRINUSE);
}

static int ready_too_late(void *arg)
{
    CHECK_INT(knit_sleep(KNIT_FOREVER), -ECANCELED);
    CHECK_INT(knit_task_ready(NULL), -ECANCELED);
    atomic_fetch_add((atomic_int *)arg, 1);
    return -ECANCELED;
}

static void a_starter_that_gives_up_cancels_the_task(void)
{
    atomic_int late = 0;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK(knit_errgroup_ctx(&g) != NULL); /* its parent is not the context below */
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), 5 * KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_errgroup_start(&g, ready_too_late, &late, NULL), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(late <= 1); /* 0: it was not begun yet */
}

static const knittest tests[] = {
    BOTH(a_handle_waits_for_its_task_and_knows_the_result),
    BOTH(a_handle_may_be_dropped_at_once),
    BOTH(cancel_ends_one_task_and_leaves_the_others),
    BOTH(cancel_reaches_the_sub_tasks),
    BOTH(a_task_cancelled_in_the_queue_never_runs),
    BOTH(a_queued_task_that_is_cancelled_is_skipped),
    BOTH(a_group_that_ends_settles_the_handles_of_its_queue),
    BOTH(a_refused_start_gives_no_handle),
    BOTH(waits_for_a_task_end_with_deadline_and_context),
    BOTH(any_number_may_wait_for_a_task),
    BOTH(a_task_cannot_wait_for_itself),
    BOTH(misuse_of_handles_is_told),
    BOTH(start_returns_when_the_task_is_ready),
    BOTH(start_tells_when_the_task_ends_before),
    BOTH(a_starter_that_gives_up_cancels_the_task),
};

KNITTEST_MAIN(tests)
