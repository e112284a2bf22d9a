/* Plain threads doing everything: sleep, channels, groups, contexts; and threads that come and go
 * while their work is still queued. */
#include "knittest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* ---- one thread does it all ------------------------------------------------------------------ */

typedef struct everything {
    knit_chan *in, *out;
    atomic_int *ran;
} everything;

static void use_groups(everything *e)
{
    atomic_int mine = 0;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_set_limit(&g, 2), 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &mine), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(mine, 10);
    CHECK_INT(knit_errgroup_close(&g), 0);
    atomic_fetch_add(e->ran, mine);
}

static void use_contexts(void)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_sleep(KNIT_FOREVER), -ETIMEDOUT);
    CHECK_INT(knit_canceled(), 1);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    CHECK_INT(knit_canceled(), 0);
    knit_ctx_unref(ctx);
}

static void do_everything(void *arg)
{
    everything *e = arg;
    int item;
    CHECK_INT(knit_in_task(), 0);
    for (int i = 0; i < kt_some(10); i++) {
        CHECK_INT(knit_chan_recv(e->in, &item), 0);
        CHECK_INT(knit_sleep(KNIT_MICROSECOND), 0);
        CHECK_INT(knit_yield(), 0);
        use_groups(e);
        item = -item;
        CHECK_INT(knit_chan_send(e->out, &item), 0);
    }
    use_contexts();
}

static void many_threads_do_everything_at_once(void)
{
    enum { N = 16 };
    const int n = N * kt_some(10);
    atomic_int ran = 0;
    everything e = {.ran = &ran};
    kt_thread *threads[N];
    long sum = 0;
    CHECK_INT(knit_chan_new(sizeof(int), 0, &e.in), 0);
    CHECK_INT(knit_chan_new(sizeof(int), (size_t)n, &e.out), 0);
    for (int i = 0; i < N; i++)
        threads[i] = kt_thread_start(do_everything, &e);
    for (int i = 1; i <= n; i++)
        CHECK_INT(knit_chan_send(e.in, &i), 0);
    for (int i = 0; i < n; i++) {
        int item;
        CHECK_INT(knit_chan_recv(e.out, &item), 0);
        sum -= item;
    }
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
    CHECK_INT(sum, n * (n + 1) / 2);
    CHECK_INT(ran, n * 10);
    knit_chan_unref(e.in);
    knit_chan_unref(e.out);
}

/* ---- threads that leave their work behind ---------------------------------------------------- */

typedef struct leaver {
    knit_errgroup *g;
    atomic_int *ran;
    int n;
} leaver;

static void start_tasks_and_leave(void *arg)
{
    leaver *l = arg;
    for (int i = 0; i < l->n; i++)
        CHECK_INT(knit_errgroup_go(l->g, count_up, l->ran), 0);
}

static void what_a_thread_started_runs_after_its_end(void)
{
    for (int round = 0; round < kt_count(50); round++) {
        enum { N = 4 };
        atomic_int ran = 0;
        knit_errgroup g = {0};
        leaver l = {&g, &ran, kt_some(100)};
        kt_thread *threads[N];
        for (int i = 0; i < N; i++)
            threads[i] = kt_thread_start(start_tasks_and_leave, &l);
        for (int i = 0; i < N; i++)
            kt_thread_join(threads[i]);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(ran, N * l.n);
    }
}

static void what_a_thread_started_runs_although_nobody_waits(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    leaver l = {&g, &ran, kt_some(1000)};
    kt_thread_join(kt_thread_start(start_tasks_and_leave, &l));
    kt_until(ran == l.n);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void many_short_threads_come_and_go(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    leaver l = {&g, &ran, 1};
    int n = kt_count(500);
    for (int i = 0; i < n; i++)
        kt_thread_join(kt_thread_start(start_tasks_and_leave, &l));
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, n);
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

typedef struct starter {
    knit_errgroup *g;
    kt_gate *gate;
} starter;

static void start_parked_tasks(void *arg)
{
    starter *s = arg;
    for (int i = 0; i < 50; i++)
        CHECK_INT(knit_errgroup_go(s->g, wait_at_gate, s->gate), 0);
}

static void a_group_may_be_filled_by_one_thread_and_waited_for_by_another(void)
{
    kt_gate gate = kt_gate_new();
    knit_errgroup g;
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    starter s = {&g, &gate};
    kt_thread_join(kt_thread_start(start_parked_tasks, &s));
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.submitted, 50);
    kt_gate_free(gate);
}

/* ---- thread and task hand over --------------------------------------------------------------- */

typedef struct ping {
    knit_chan *there, *back;
    int n;
} ping;

static int answer_pings(void *arg)
{
    ping *p = arg;
    int item, r;
    while ((r = knit_chan_recv(p->there, &item)) == 0) {
        item++;
        r = knit_chan_send(p->back, &item);
        if (r < 0)
            return r;
    }
    return r == -EPIPE ? 0 : r;
}

static void send_pings(void *arg)
{
    ping *p = arg;
    for (int i = 0; i < p->n; i++) {
        int item = i;
        CHECK_INT(knit_chan_send(p->there, &item), 0);
        CHECK_INT(knit_chan_recv(p->back, &item), 0);
        CHECK_INT(item, i + 1);
    }
    CHECK_INT(knit_chan_close(p->there), 0);
}

static void a_thread_and_a_task_play_ping_pong(void)
{
    ping p = {.n = kt_count(2000)};
    knit_errgroup g = {0};
    CHECK_INT(knit_chan_new(sizeof(int), 0, &p.there), 0);
    CHECK_INT(knit_chan_new(sizeof(int), 0, &p.back), 0);
    CHECK_INT(knit_errgroup_go(&g, answer_pings, &p), 0);
    kt_thread_join(kt_thread_start(send_pings, &p));
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(p.there);
    knit_chan_unref(p.back);
}

static void wait_a_long_time(void *arg)
{
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_enter(arg, &scope), 0);
    CHECK_INT(knit_sleep(KNIT_FOREVER), -ECANCELED);
    CHECK_INT(knit_ctx_leave(&scope), 0);
}

static void sleeping_threads_are_woken_by_a_cancel(void)
{
    enum { N = 8 };
    for (int round = 0; round < kt_count(20); round++) {
        knit_ctx *ctx;
        kt_thread *threads[N];
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
        for (int i = 0; i < N; i++)
            threads[i] = kt_thread_start(wait_a_long_time, ctx);
        for (int i = 0; i < round * 10; i++)
            (void)knit_yield();
        knit_ctx_cancel(ctx, 0);
        for (int i = 0; i < N; i++)
            kt_thread_join(threads[i]);
        knit_ctx_unref(ctx);
    }
}

/* ---- the first use --------------------------------------------------------------------------- */

static void start_and_wait(void *arg)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, count_up, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 10);
}

static void many_threads_may_be_the_first_user_at_once(void)
{
    enum { N = 16 };
    kt_thread *threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = kt_thread_start(start_and_wait, NULL);
    for (int i = 0; i < N; i++)
        kt_thread_join(threads[i]);
}

static pthread_key_t exit_key;

static void use_knit_at_thread_exit(void *value)
{
    (void)value;
    start_and_wait(NULL);
}

static void set_exit_key(void *arg)
{
    CHECK_INT(pthread_setspecific(exit_key, arg), 0);
    start_and_wait(NULL);
}

static void a_thread_may_use_knit_in_its_destructors(void)
{
    CHECK_INT(pthread_key_create(&exit_key, use_knit_at_thread_exit), 0);
    for (int i = 0; i < 10; i++)
        kt_thread_join(kt_thread_start(set_exit_key, &exit_key));
    CHECK_INT(pthread_key_delete(exit_key), 0);
}

static const knittest tests[] = {
    COLD(many_threads_may_be_the_first_user_at_once),
    BOTH(many_threads_do_everything_at_once),
    BOTH(what_a_thread_started_runs_after_its_end),
    BOTH(what_a_thread_started_runs_although_nobody_waits),
    BOTH(many_short_threads_come_and_go),
    BOTH(a_group_may_be_filled_by_one_thread_and_waited_for_by_another),
    BOTH(a_thread_and_a_task_play_ping_pong),
    BOTH(sleeping_threads_are_woken_by_a_cancel),
    THREAD(a_thread_may_use_knit_in_its_destructors),
};
KNITTEST_MAIN(tests)
