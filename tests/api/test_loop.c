/* Doors into foreign loops: what is posted is called on the thread that dispatches, in order, and the
 * end of a group is told without waiting for it. */
#include "knittest.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

typedef struct told {
    int calls, result;
    pthread_t by;
} told;

static void tell(void *arg, int result)
{
    told *t = arg;
    t->calls++;
    t->result = result;
    t->by = pthread_self();
}

static bool is_readable(knit_loop *l, int timeout)
{
    struct pollfd p = {.fd = knit_loop_fd(l), .events = POLLIN};
    return poll(&p, 1, timeout) == 1;
}

/* A loop like any: wait for the descriptor, dispatch, until done. In a task it lets others run. */
static void run_until(knit_loop *l, const int *done, int n)
{
    while (*done < n) {
        if (knit_in_task() || knit_simulated(NULL))
            (void)knit_yield();
        else
            CHECK(is_readable(l, -1));
        CHECK(knit_loop_dispatch(l) >= 0);
    }
}

static int give(void *arg)
{
    return *(int *)arg;
}

static int wait_at_gate(void *arg)
{
    return kt_gate_wait(*(kt_gate *)arg);
}

/* ---- posts ----------------------------------------------------------------------------------- */

enum { POSTS = 200, POSTERS = 5 };

typedef struct order {
    knit_loop *loop;
    int next, wrong;
} order;

typedef struct numbered {
    order *order;
    int number;
} numbered;

static void take_number(void *arg)
{
    numbered *n = arg;
    n->order->wrong += n->number != n->order->next++;
}

static void posts_are_called_in_order(void)
{
    order o = {0};
    numbered numbers[POSTS];
    CHECK_INT(knit_loop_new(&o.loop), 0);
    CHECK(!is_readable(o.loop, 0));
    for (int i = 0; i < POSTS; i++) {
        numbers[i] = (numbered){&o, i};
        CHECK_INT(knit_loop_post(o.loop, take_number, &numbers[i]), 0);
    }
    CHECK(is_readable(o.loop, 0));
    CHECK_INT(o.next, 0);
    CHECK_INT(knit_loop_dispatch(o.loop), POSTS);
    CHECK_INT(o.next, POSTS);
    CHECK_INT(o.wrong, 0);
    CHECK(!is_readable(o.loop, 0));
    CHECK_INT(knit_loop_dispatch(o.loop), 0);
    knit_loop_free(o.loop);
}

typedef struct sender {
    knit_loop *loop;
    int got; /* the loop's thread */
    int sent;
} sender;

static void count_sent(void *arg)
{
    sender *s = arg;
    s->got++;
}

static int post_many(void *arg)
{
    sender *s = arg;
    for (int i = 0; i < s->sent; i++) {
        CHECK_INT(knit_loop_post(s->loop, count_sent, s), 0);
        if (i % 7 == 0)
            CHECK_INT(knit_yield(), 0);
    }
    return 0;
}

static void post_from_thread(void *arg)
{
    CHECK_INT(post_many(arg), 0);
}

static void posts_of_many_tasks_and_threads_all_arrive(void)
{
    knit_loop *l;
    knit_errgroup g = {0};
    sender senders[2 * POSTERS] = {0};
    kt_thread *threads[POSTERS];
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    for (int i = 0; i < 2 * POSTERS; i++)
        senders[i] = (sender){.loop = l, .sent = kt_count(500)};
    for (int i = 0; i < POSTERS; i++) {
        CHECK_INT(knit_errgroup_go(&g, post_many, &senders[i]), 0);
        threads[i] = kt_thread_start(post_from_thread, &senders[POSTERS + i]);
    }
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    run_until(l, &ended.calls, 1);
    for (int i = 0; i < POSTERS; i++) {
        CHECK_INT(senders[i].got, senders[i].sent); /* its tasks posted before the group ended */
        run_until(l, &senders[POSTERS + i].got, senders[POSTERS + i].sent);
        kt_thread_join(threads[i]);
    }
    CHECK_INT(knit_loop_dispatch(l), 0);
    knit_loop_free(l);
}

static void post_again(void *arg)
{
    sender *s = arg;
    if (++s->got < 3)
        CHECK_INT(knit_loop_post(s->loop, post_again, s), 0);
}

static void what_a_call_posts_is_left_for_the_next_dispatch(void)
{
    sender s = {0};
    CHECK_INT(knit_loop_new(&s.loop), 0);
    CHECK_INT(knit_loop_post(s.loop, post_again, &s), 0);
    for (int i = 1; i <= 3; i++) {
        CHECK(is_readable(s.loop, 0));
        CHECK_INT(knit_loop_dispatch(s.loop), 1);
        CHECK_INT(s.got, i);
    }
    CHECK(!is_readable(s.loop, 0));
    knit_loop_free(s.loop);
}

static void count_one(void *arg)
{
    ((sender *)arg)->got++;
}

/* A dialog: it waits for what was posted behind it. */
static void run_the_loop_inside(void *arg)
{
    sender *s = arg;
    CHECK(is_readable(s->loop, 0));
    CHECK_INT(knit_loop_dispatch(s->loop), 2);
    CHECK_INT(s->got, 2);
    CHECK(!is_readable(s->loop, 0));
    CHECK_INT(knit_loop_post(s->loop, count_one, s), 0);
}

static void a_call_may_run_the_loop_in_its_turn(void)
{
    sender s = {0};
    CHECK_INT(knit_loop_new(&s.loop), 0);
    CHECK_INT(knit_loop_post(s.loop, run_the_loop_inside, &s), 0);
    CHECK_INT(knit_loop_post(s.loop, count_one, &s), 0);
    CHECK_INT(knit_loop_post(s.loop, count_one, &s), 0);
    CHECK_INT(knit_loop_dispatch(s.loop), 1);
    CHECK_INT(s.got, 2);
    CHECK(is_readable(s.loop, 0));
    CHECK_INT(knit_loop_dispatch(s.loop), 1);
    CHECK_INT(s.got, 3);
    knit_loop_free(s.loop);
}

static void free_calls_what_is_left(void)
{
    sender s = {0};
    CHECK_INT(knit_loop_new(&s.loop), 0);
    CHECK_INT(knit_loop_post(s.loop, post_again, &s), 0);
    knit_loop_free(s.loop);
    CHECK_INT(s.got, 3);
    knit_loop_free(NULL);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void the_end_of_a_group_is_told_on_the_loop_thread(void)
{
    static int codes[] = {0, -EDOM};
    for (int i = 0; i < 2; i++) {
        knit_loop *l;
        knit_errgroup g;
        told ended = {0};
        CHECK_INT(knit_loop_new(&l), 0);
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        for (int k = 0; k < 10; k++)
            CHECK_INT(knit_errgroup_go(&g, give, &codes[k == 9 ? i : 0]), 0);
        CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
        CHECK_INT(ended.calls, 0); /* never before a dispatch */
        run_until(l, &ended.calls, 1);
        CHECK_INT(ended.result, codes[i]);
        CHECK(knit_in_task() || pthread_equal(ended.by, pthread_self()));
        CHECK_INT(knit_errgroup_close(&g), codes[i]);
        CHECK_INT(ended.calls, 1);
        knit_loop_free(l);
    }
}

static void nothing_is_told_while_a_task_is_left(void)
{
    knit_loop *l;
    knit_errgroup g = {0};
    kt_gate gate = kt_gate_new();
    int ok = 0;
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(knit_errgroup_go(&g, give, &ok), 0); /* also waited for */
        (void)knit_yield();
        CHECK_INT(knit_loop_dispatch(l), 0);
    }
    kt_gate_open(gate);
    run_until(l, &ended.calls, 1);
    CHECK_INT(ended.result, 0);
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(counts.pending, 0);
    kt_gate_free(gate);
    knit_loop_free(l);
}

static void a_group_may_be_used_again_from_its_callback(void)
{
    knit_loop *l;
    knit_errgroup g = {0};
    int ok = 0;
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    for (int round = 1; round <= 20; round++) {
        CHECK_INT(knit_errgroup_go(&g, give, &ok), 0);
        CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
        run_until(l, &ended.calls, round);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_loop_free(l);
}

static void a_group_without_tasks_has_ended(void)
{
    knit_loop *l;
    knit_errgroup g = {0};
    told ended = {.result = 1};
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0); /* twice: told twice */
    run_until(l, &ended.calls, 2);
    CHECK_INT(ended.result, 0);
    knit_loop_free(l);
}

static void services_end_when_the_group_is_watched(void)
{
    knit_loop *l;
    knit_errgroup g;
    kt_gate never = kt_gate_new();
    int ok = 0;
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(&g, wait_at_gate, &never,
                                    &(knit_task_options){.flags = KNIT_TASK_SERVICE}),
              0);
    CHECK_INT(knit_errgroup_go(&g, give, &ok), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    run_until(l, &ended.calls, 1);
    CHECK_INT(ended.result, 0);
    CHECK_INT(knit_errgroup_close(&g), 0);
    kt_gate_free(never);
    knit_loop_free(l);
}

static void the_queue_of_a_limited_group_is_skipped_when_its_context_ends(void)
{
    static const knit_policy queue = {.queue = 5};
    knit_loop *l;
    knit_ctx *ctx;
    knit_errgroup g;
    kt_gate never = kt_gate_new();
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    CHECK_INT(
        knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 1, .ctx = ctx, .policy = &queue}),
        0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &never), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    knit_ctx_cancel(ctx, 0);
    run_until(l, &ended.calls, 1);
    CHECK_INT(ended.result, -ECANCELED);
    CHECK_INT(knit_errgroup_close(&g), -ECANCELED);
    knit_ctx_unref(ctx);
    kt_gate_free(never);
    knit_loop_free(l);
}

static int panic_now(void *arg)
{
    (void)arg;
    knit_panic("as planned");
}

static void a_panic_is_an_error_like_others(void)
{
    knit_loop *l;
    knit_errgroup g;
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_PANIC_WAITER}),
              0);
    CHECK_INT(knit_errgroup_go(&g, panic_now, NULL), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    run_until(l, &ended.calls, 1);
    CHECK_INT(ended.result, KNIT_PANICKED);
    knit_loop_free(l);
}

static void the_context_of_who_watches_does_not_end_the_wait(void)
{
    knit_loop *l;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_errgroup g;
    kt_gate gate = kt_gate_new();
    told ended = {.result = 1};
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.ctx = knit_ctx_background()}), 0);
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_errgroup_go(&g, wait_at_gate, &gate), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    knit_ctx_cancel(ctx, 0);
    for (int i = 0; i < 20; i++)
        (void)knit_yield();
    CHECK_INT(knit_loop_dispatch(l), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    kt_gate_open(gate);
    run_until(l, &ended.calls, 1);
    CHECK_INT(ended.result, 0);
    knit_ctx_unref(ctx);
    kt_gate_free(gate);
    knit_loop_free(l);
}

static void free_waits_for_watched_groups(void)
{
    knit_loop *l;
    knit_errgroup g = {0};
    int code = -EIO;
    told ended = {0};
    CHECK_INT(knit_loop_new(&l), 0);
    for (int i = 0; i < 30; i++)
        CHECK_INT(knit_errgroup_go(&g, give, &code), 0);
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    knit_loop_free(l);
    CHECK_INT(ended.calls, 1);
    CHECK_INT(ended.result, -EIO);
}

typedef struct again {
    knit_loop *loop;
    knit_errgroup group;
    int rounds;
} again;

static int sleep_a_little(void *unused)
{
    (void)unused;
    return knit_sleep(5 * KNIT_MILLISECOND);
}

static void start_again(void *arg, int result)
{
    again *a = arg;
    CHECK_INT(result, 0);
    if (++a->rounds == 4)
        return;
    CHECK_INT(knit_errgroup_go(&a->group, sleep_a_little, NULL), 0);
    CHECK_INT(knit_loop_watch(a->loop, &a->group, start_again, a), 0);
}

static void free_waits_for_groups_that_are_watched_meanwhile(void)
{
    again a = {0};
    CHECK_INT(knit_loop_new(&a.loop), 0);
    CHECK_INT(knit_loop_watch(a.loop, &a.group, start_again, &a), 0);
    knit_loop_free(a.loop);
    CHECK_INT(a.rounds, 4);
}

static void misuse_is_refused(void)
{
    knit_loop *l;
    knit_errgroup g = {0};
    told ended = {0};
    CHECK_INT(knit_loop_new(NULL), -EINVAL);
    CHECK_INT(knit_loop_new(&l), 0);
    CHECK_INT(knit_loop_fd(NULL), -EINVAL);
    CHECK_INT(knit_loop_dispatch(NULL), -EINVAL);
    CHECK_INT(knit_loop_post(NULL, post_again, NULL), -EINVAL);
    CHECK_INT(knit_loop_post(l, NULL, NULL), -EINVAL);
    CHECK_INT(knit_loop_watch(NULL, &g, tell, NULL), -EINVAL);
    CHECK_INT(knit_loop_watch(l, NULL, tell, NULL), -EINVAL);
    CHECK_INT(knit_loop_watch(l, &g, NULL, NULL), -EINVAL);
    memset(&g, 0x5a, sizeof g); /* no group */
    CHECK_INT(knit_loop_watch(l, &g, tell, &ended), 0);
    run_until(l, &ended.calls, 1);
    CHECK_INT(ended.result, -EINVAL);
    knit_loop_free(l);
}

static const knittest tests[] = {
    BOTH(posts_are_called_in_order),
    BOTH(posts_of_many_tasks_and_threads_all_arrive),
    BOTH(what_a_call_posts_is_left_for_the_next_dispatch),
    BOTH(a_call_may_run_the_loop_in_its_turn),
    BOTH(free_calls_what_is_left),
    BOTH(the_end_of_a_group_is_told_on_the_loop_thread),
    BOTH(nothing_is_told_while_a_task_is_left),
    BOTH(a_group_may_be_used_again_from_its_callback),
    BOTH(a_group_without_tasks_has_ended),
    BOTH(services_end_when_the_group_is_watched),
    BOTH(the_queue_of_a_limited_group_is_skipped_when_its_context_ends),
    BOTH(a_panic_is_an_error_like_others),
    BOTH(the_context_of_who_watches_does_not_end_the_wait),
    BOTH(free_waits_for_watched_groups),
    BOTH(free_waits_for_groups_that_are_watched_meanwhile),
    BOTH(misuse_is_refused),
};
KNITTEST_MAIN(tests)
