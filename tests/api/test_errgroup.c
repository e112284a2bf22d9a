/* Errgroups: start, wait, the first error, reuse, and who may do it. Limits, cancellation, records
 * and misuse have files of their own.
 *
 * XEG-n are the tests of golang.org/x/sync/errgroup, made anew: XEG-1, 2, 4, 5 here, XEG-3 with the
 * limits, XEG-H1 to XEG-H3 in test_panic.c and test_life.c. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the tasks do ----------------------------------------------------------------------- */

static int return_copied_code(void *arg)
{
    return *(int *)arg;
}

static int count_up(void *arg)
{
    atomic_fetch_add_explicit((atomic_int *)arg, 1, memory_order_relaxed);
    return 0;
}

static int mark(void *arg)
{
    atomic_fetch_add_explicit((atomic_uchar *)arg, 1, memory_order_relaxed);
    return 0;
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static knit_errgroup_counts counts_of(const knit_errgroup *g)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(g, &counts), 0);
    return counts;
}

/* ---- golang.org/x/sync/errgroup -------------------------------------------------------------- */

typedef struct list {
    size_t n;
    int codes[3];
} list;

static void xeg_1_zero_group_returns_the_first_error_after_every_add(void)
{
    static const list lists[] = {
        {0, {0}}, {1, {0}}, {1, {-EIO}}, {2, {-EIO, 0}}, {3, {-EIO, 0, -ENOENT}},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        knit_errgroup g = {0};
        int first = 0;
        CHECK_INT(knit_errgroup_wait(&g), 0);
        for (size_t k = 0; k < lists[i].n; k++) {
            int code = lists[i].codes[k];
            CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
            first = first ? first : code;
            CHECK_INT(knit_errgroup_wait(&g), first);
        }
    }
}

static const list four_lists[] = {{0, {0}}, {1, {0}}, {1, {-EIO}}, {2, {-EIO, 0}}};

/* Runs list i; gives the group's context back, referenced. */
static knit_ctx *run_list(knit_errgroup *g, const list *codes, bool try_form)
{
    CHECK_INT(knit_errgroup_init(g, NULL), 0);
    knit_ctx *ctx = knit_ctx_ref(knit_errgroup_ctx(g));
    CHECK(ctx);
    CHECK_INT(knit_ctx_err(ctx), 0);
    for (size_t k = 0; k < codes->n; k++) {
        int code = codes->codes[k];
        int r = try_form ? knit_errgroup_try_go_copy(g, return_copied_code, &code, sizeof code)
                         : knit_errgroup_go_copy(g, return_copied_code, &code, sizeof code);
        CHECK(r == 0 || (r == -ECANCELED && k > 0)); /* the task before may have failed by now */
    }
    return ctx;
}

/* XEG-2, NEIL-5 */
static void xeg_2_wait_returns_the_error_and_an_error_ends_the_context(void)
{
    for (size_t i = 0; i < 4; i++) {
        knit_errgroup g;
        knit_ctx *ctx = run_list(&g, &four_lists[i], false);
        int want = four_lists[i].codes[0];
        CHECK_INT(knit_errgroup_wait(&g), want);
        CHECK_INT(knit_ctx_err(ctx), want ? -ECANCELED : 0);
        knit_ctx_unref(ctx);
    }
}

static void xeg_2_close_ends_the_context_always(void)
{
    for (size_t i = 0; i < 4; i++) {
        knit_errgroup g;
        knit_ctx *ctx = run_list(&g, &four_lists[i], false);
        int want = four_lists[i].codes[0];
        int r = knit_errgroup_close(&g);
        CHECK(r == want || r == 0); /* 0: cancelled before the failing task began */
        CHECK_INT(knit_ctx_err(ctx), -ECANCELED);
        knit_ctx_unref(ctx);
    }
}

typedef struct gauge {
    atomic_int active, most, limit;
} gauge;

static int stay_below_limit(void *arg)
{
    gauge *m = arg;
    int now = atomic_fetch_add(&m->active, 1) + 1;
    int r = now > m->limit ? knit_error(-ERANGE, "%d at once", now) : 0;
    if (knit_sleep(KNIT_MICROSECOND) < 0)
        r = -EINTR;
    atomic_fetch_sub(&m->active, 1);
    return r;
}

static void xeg_4_no_more_than_the_limit_run_at_once(void)
{
    gauge m = {.limit = 10};
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_set_limit(&g, 10), 0);
    for (int i = 0; i <= kt_some(1024); i++)
        CHECK_INT(knit_errgroup_go(&g, stay_below_limit, &m), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(m.active, 0);
}

static void xeg_5_the_cause_of_the_context_is_the_error(void)
{
    for (size_t i = 0; i < 4; i++) {
        knit_errgroup g;
        knit_ctx *ctx = run_list(&g, &four_lists[i], true);
        int want = four_lists[i].codes[0];
        CHECK_INT(knit_errgroup_wait(&g), want);
        CHECK_INT(knit_ctx_cause(ctx), want);
        knit_ctx_unref(ctx);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

static void wait_on_a_group_without_tasks_returns_0(void)
{
    knit_errgroup zero = {0}, made;
    CHECK_INT(knit_errgroup_wait(&zero), 0);
    CHECK_INT(knit_errgroup_wait_until(&zero, 0), 0);
    CHECK_INT(knit_errgroup_close(&zero), 0);
    CHECK_INT(knit_errgroup_init(&made, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&made), 0);
    CHECK_INT(knit_errgroup_wait(&made), 0);
    CHECK_INT(knit_errgroup_close(&made), 0);
}

static void a_started_task_runs_although_nobody_waits(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (int i = 1; i <= 10; i++) {
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        kt_until(ran == i);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* WG-5 */
static void every_task_runs_exactly_once(void)
{
    int n = kt_count(100000);
    atomic_uchar *seen = calloc((size_t)n, 1);
    CHECK(seen);
    knit_errgroup g = {0};
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, mark, &seen[i]), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(seen[i], 1);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.submitted, n);
    CHECK_INT(counts.pending, 0);
    CHECK_INT(counts.failed + counts.echoes + counts.skipped, 0);
    free(seen);
}

static void zero_group_runs_all_tasks_although_one_fails(void)
{
    atomic_int ran = 0;
    int code = -EIO;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    kt_until(counts_of(&g).failed == 1);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 100);
    CHECK_INT(counts_of(&g).skipped, 0);
}

static void a_positive_result_is_a_failure_too(void)
{
    int code = 3;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    CHECK_INT(knit_errgroup_wait(&g), 3);
    CHECK_INT(counts_of(&g).failed, 1);
}

static void keep_going_group_cancels_nothing_on_error(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING};
    int code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    kt_until(counts_of(&g).failed == 1);
    CHECK_INT(knit_ctx_err(knit_errgroup_ctx(&g)), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(counts_of(&g).failed, 1);
    CHECK_INT(counts_of(&g).echoes, 0);
    kt_gate_free(gate);
}

static void init_makes_used_storage_a_new_group(void)
{
    knit_errgroup g;
    memset(&g, 0xA5, sizeof g);
    for (int i = 0; i < 3; i++) {
        int code = -EIO - i;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
        CHECK_INT(knit_errgroup_wait(&g), code);
        CHECK_INT(knit_errgroup_close(&g), code);
    }
}

/* ---- go_copy --------------------------------------------------------------------------------- */

typedef struct square {
    int i;
    long long *results;
} square;

static int store_square(void *arg)
{
    const square *s = arg;
    s->results[s->i] = (long long)s->i * s->i;
    return 0;
}

static void go_copy_keeps_the_loop_variable(void)
{
    const int n = kt_some(1000);
    long long *results = calloc((size_t)n, sizeof *results);
    CHECK(results);
    knit_errgroup g = {0};
    square s = {.results = results};
    for (s.i = 0; s.i < n; s.i++)
        CHECK_INT(knit_errgroup_go_copy(&g, store_square, &s, sizeof s), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(results[i], (long long)i * i);
    free(results);
}

enum { BIG = 100000 };

static int check_big_copy(void *arg)
{
    const unsigned char *bytes = arg;
    if ((uintptr_t)arg % _Alignof(max_align_t))
        return -EFAULT;
    if (knit_yield() < 0) /* the copy outlives a park */
        return -EINTR;
    for (size_t i = 0; i < BIG; i++) {
        if (bytes[i] != (unsigned char)(i * 7))
            return -EBADMSG;
    }
    return 0;
}

static int check_alignment(void *arg)
{
    return (uintptr_t)arg % _Alignof(max_align_t) ? -EFAULT : 0;
}

static void go_copy_takes_every_size_and_aligns_it(void)
{
    unsigned char *bytes = malloc(BIG);
    CHECK(bytes);
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (unsigned char)(i * 7);
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go_copy(&g, check_big_copy, bytes, BIG), 0);
    CHECK_INT(knit_errgroup_try_go_copy(&g, check_big_copy, bytes, BIG), 0);
    for (size_t size = 1; size <= 300; size++)
        CHECK_INT(knit_errgroup_go_copy(&g, check_alignment, bytes, size), 0);
    memset(bytes, 0, BIG);
    free(bytes);
    atomic_int unused = 0;
    CHECK_INT(knit_errgroup_go_copy(&g, check_alignment, &unused, 0), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- wait ------------------------------------------------------------------------------------ */

static void zero_group_is_used_again_and_its_error_stays(void)
{
    atomic_int ran = 0;
    int codes[] = {-EIO, -ENOENT};
    knit_errgroup g = {0};
    for (int round = 0; round < 3; round++) {
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
    for (int round = 0; round < 2; round++) {
        CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &codes[round], sizeof(int)), 0);
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), -EIO);
    }
    CHECK_INT(ran, 5);
    CHECK_INT(counts_of(&g).submitted, 7);
    CHECK_INT(counts_of(&g).failed, 2);
}

static void group_that_cancels_is_used_again_after_a_success(void)
{
    atomic_int ran = 0;
    int code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int round = 1; round <= 3; round++) {
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(ran, round);
        CHECK_INT(knit_ctx_err(knit_errgroup_ctx(&g)), 0);
    }
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, 3);
    CHECK_INT(counts_of(&g).skipped, 1);
}

static int wait_for_group(void *arg)
{
    return knit_errgroup_wait(arg) == -EIO ? 0 : -EPROTO;
}

static void wait_for_group_in_thread(void *arg)
{
    CHECK_INT(knit_errgroup_wait(arg), -EIO);
}

static void several_wait_at_once_and_all_get_the_error(void)
{
    enum { N = 8 };
    kt_gate gate = kt_gate_new();
    int code = -EIO;
    knit_errgroup g = {0}, waiters = {0};
    kt_thread *threads[N];
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    for (int i = 0; i < N; i++) {
        CHECK_INT(knit_errgroup_go(&waiters, wait_for_group, &g), 0);
        threads[i] = kt_thread_start(wait_for_group_in_thread, &g);
    }
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_wait(&waiters), 0);
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
    kt_gate_free(gate);
}

/* The pipeline of ExampleGroup_pipeline (MD5All): a walker feeds digesters, a closer that started
 * none of them waits for all and closes the results, the main function reads the results. */
typedef struct pipeline {
    knit_errgroup g;
    knit_chan *paths, *sums;
} pipeline;

static int walk(void *arg)
{
    pipeline *p = arg;
    for (int i = 1; i <= kt_some(1000); i++) {
        int r = knit_chan_send(p->paths, &i);
        if (r < 0)
            return r;
    }
    return knit_chan_close(p->paths);
}

static int digest(void *arg)
{
    pipeline *p = arg;
    int i, r;
    while ((r = knit_chan_recv(p->paths, &i)) == 0) {
        r = knit_chan_send(p->sums, &i);
        if (r < 0)
            return r;
    }
    return r == -EPIPE ? 0 : r;
}

static int wait_then_close_sums(void *arg)
{
    pipeline *p = arg;
    int r = knit_errgroup_wait(&p->g);
    return r < 0 ? r : knit_chan_close(p->sums);
}

static void a_task_that_started_nothing_waits_for_the_group(void)
{
    pipeline p;
    knit_errgroup closer = {0};
    CHECK_INT(knit_errgroup_init(&p.g, NULL), 0);
    CHECK_INT(knit_chan_new(sizeof(int), 0, &p.paths), 0);
    CHECK_INT(knit_chan_new(sizeof(int), 0, &p.sums), 0);
    CHECK_INT(knit_errgroup_go(&p.g, walk, &p), 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&p.g, digest, &p), 0);
    CHECK_INT(knit_errgroup_go(&closer, wait_then_close_sums, &p), 0);

    int i, r, count = 0, n = kt_some(1000);
    long sum = 0;
    while ((r = knit_chan_recv(p.sums, &i)) == 0) {
        count++;
        sum += i;
    }
    CHECK_INT(r, -EPIPE);
    CHECK_INT(knit_errgroup_wait(&p.g), 0);
    CHECK_INT(knit_errgroup_wait(&closer), 0);
    CHECK_INT(count, n);
    CHECK_INT(sum, n * (n + 1) / 2);
    knit_chan_unref(p.paths);
    knit_chan_unref(p.sums);
}

static void wait_until_times_out_and_the_group_is_still_ours(void)
{
    kt_gate gate = kt_gate_new();
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_errgroup_wait_until(&g, knit_now() - 1), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        knit_time deadline = knit_now() + KNIT_MILLISECOND;
        CHECK_INT(knit_errgroup_wait_until(&g, deadline), -ETIMEDOUT);
        CHECK(knit_now() >= deadline);
    }
    CHECK_INT(counts_of(&g).pending, 1);
    CHECK_INT(knit_ctx_err(knit_errgroup_ctx(&g)), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait_until(&g, KNIT_FOREVER), 0);
    CHECK_INT(knit_errgroup_wait_until(&g, 0), 0);
    CHECK_INT(ran, 1);
    kt_gate_free(gate);
}

static void wait_until_ends_with_the_callers_context_and_wait_does_not(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup_options options = {.ctx = knit_ctx_background()};
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_errgroup_wait_until(&g, KNIT_FOREVER), -ECANCELED);
    CHECK_INT(counts_of(&g).pending, 1);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
}

/* ---- who starts tasks ------------------------------------------------------------------------ */

typedef struct tree {
    knit_errgroup *g;
    atomic_int *ran;
    int depth;
} tree;

static int grow_tree(void *arg)
{
    tree t = *(tree *)arg;
    atomic_fetch_add(t.ran, 1);
    if (t.depth-- == 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        int r = knit_errgroup_go_copy(t.g, grow_tree, &t, sizeof t);
        if (r < 0)
            return r;
    }
    return 0;
}

static void tasks_add_tasks_while_their_starter_waits(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    tree t = {&g, &ran, 10};
    CHECK_INT(knit_errgroup_go_copy(&g, grow_tree, &t, sizeof t), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 2047);
    CHECK_INT(counts_of(&g).submitted, 2047);
}

typedef struct fib {
    int n;
    long result;
} fib;

/* A group in every task, waited for in that task. */
static int fib_task(void *arg)
{
    fib *f = arg;
    if (f->n < 2) {
        f->result = f->n;
        return 0;
    }
    fib left = {f->n - 1, 0}, right = {f->n - 2, 0};
    knit_errgroup g = {0};
    int r = knit_errgroup_go(&g, fib_task, &left);
    if (r == 0)
        r = knit_errgroup_go(&g, fib_task, &right);
    int w = knit_errgroup_wait(&g);
    f->result = left.result + right.result;
    return r ? r : w;
}

static void groups_nest_to_any_depth(void)
{
    fib f = {15, 0};
    CHECK_INT(fib_task(&f), 0);
    CHECK_INT(f.result, 610);
}

typedef struct spawner {
    knit_errgroup *g;
    atomic_int *ran;
    int n;
} spawner;

static void start_n_tasks(void *arg)
{
    spawner *s = arg;
    for (int i = 0; i < s->n; i++)
        CHECK_INT(knit_errgroup_go(s->g, count_up, s->ran), 0);
}

static int start_n_tasks_from_task(void *arg)
{
    start_n_tasks(arg);
    return 0;
}

static void many_threads_and_tasks_start_into_one_group(void)
{
    enum { N = 8 };
    atomic_int ran = 0;
    knit_errgroup g = {0}, starters = {0};
    spawner s = {&g, &ran, kt_count(5000)};
    kt_thread *threads[N];
    for (int i = 0; i < N; i++) {
        threads[i] = kt_thread_start(start_n_tasks, &s);
        CHECK_INT(knit_errgroup_go(&starters, start_n_tasks_from_task, &s), 0);
    }
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
    CHECK_INT(knit_errgroup_wait(&starters), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 2 * N * s.n);
    CHECK_INT(counts_of(&g).submitted, 2 * N * s.n);
}

/* kratos: starts at the same time lose tasks of its overflow list. */
static void many_threads_start_under_one_limit(void)
{
    enum { N = 8 };
    atomic_int ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_set_limit(&g, 3), 0);
    spawner s = {&g, &ran, kt_count(500)};
    kt_thread *threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = kt_thread_start(start_n_tasks, &s);
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, N * s.n);
}

static void many_parked_tasks_end_with_the_first_error(void)
{
    int n = kt_live(1000), code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    knit_errgroup_counts counts = counts_of(&g);
    CHECK_INT(counts.failed, 1);
    CHECK_INT(counts.echoes + counts.skipped, n);
    CHECK_INT(counts.submitted, n + 1);
}

static void the_first_use_of_all_is_a_go(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 1);
}

static const knittest tests[] = {
    COLD(the_first_use_of_all_is_a_go),
    BOTH(xeg_1_zero_group_returns_the_first_error_after_every_add),
    BOTH(xeg_2_wait_returns_the_error_and_an_error_ends_the_context),
    BOTH(xeg_2_close_ends_the_context_always),
    BOTH(xeg_4_no_more_than_the_limit_run_at_once),
    BOTH(xeg_5_the_cause_of_the_context_is_the_error),
    BOTH(wait_on_a_group_without_tasks_returns_0),
    BOTH(a_started_task_runs_although_nobody_waits),
    BOTH(every_task_runs_exactly_once),
    BOTH(zero_group_runs_all_tasks_although_one_fails),
    BOTH(a_positive_result_is_a_failure_too),
    BOTH(keep_going_group_cancels_nothing_on_error),
    BOTH(init_makes_used_storage_a_new_group),
    BOTH(go_copy_keeps_the_loop_variable),
    BOTH(go_copy_takes_every_size_and_aligns_it),
    BOTH(zero_group_is_used_again_and_its_error_stays),
    BOTH(group_that_cancels_is_used_again_after_a_success),
    BOTH(several_wait_at_once_and_all_get_the_error),
    BOTH(a_task_that_started_nothing_waits_for_the_group),
    BOTH(wait_until_times_out_and_the_group_is_still_ours),
    BOTH(wait_until_ends_with_the_callers_context_and_wait_does_not),
    BOTH(tasks_add_tasks_while_their_starter_waits),
    BOTH(groups_nest_to_any_depth),
    BOTH(many_threads_and_tasks_start_into_one_group),
    BOTH(many_threads_start_under_one_limit),
    BOTH(many_parked_tasks_end_with_the_first_error),
};
KNITTEST_MAIN(tests)
