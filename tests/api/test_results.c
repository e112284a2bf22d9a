/* Results in slots and in the order in which tasks end. */
#include "knittest.h"

#include <stdatomic.h>
#include <string.h>

enum { N = 100 };

static int identity(void *arg)
{
    return *(int *)arg;
}

/* Pitfall 26: a slot each, in the order of submission, failed or not. */
static void slots_are_in_the_order_of_submission(void)
{
    knit_errgroup g = {0};
    knit_results rs;
    knit_result slots[N] = {0};
    int codes[N];
    CHECK_INT(knit_results_init(&rs, &g), 0);
    for (int i = 0; i < N; i++) {
        codes[i] = i % 10 == 3 ? -EIO : 0;
        CHECK_INT(knit_results_go(&rs, &slots[i], identity, &codes[i]), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    for (int i = 0; i < N; i++) {
        CHECK_INT(slots[i].state, KNIT_RESULT_ENDED);
        CHECK_INT(slots[i].code, codes[i]);
        CHECK_INT(slots[i].index, i);
        CHECK(slots[i].arg == &codes[i]);
    }
}

static void next_gives_each_result_once_and_then_the_end(void)
{
    knit_errgroup g = {0};
    knit_results rs;
    knit_result slots[N], *slot = NULL;
    int codes[N] = {0};
    bool seen[N] = {false};
    CHECK_INT(knit_results_init(&rs, &g), 0);
    CHECK_INT(knit_results_next(&rs, &slot), -ENOENT);
    for (int round = 0; round < 2; round++) {
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < N; i++)
            CHECK_INT(knit_results_go(&rs, &slots[i], identity, &codes[i]), 0);
        for (int i = 0; i < N; i++) {
            CHECK_INT(knit_results_next(&rs, &slot), 0);
            CHECK_INT(slot->index, slot - slots + round * N);
            CHECK(!seen[slot - slots]);
            seen[slot - slots] = true;
        }
        CHECK_INT(knit_results_next(&rs, &slot), -ENOENT);
        CHECK_INT(knit_results_try_next(&rs, &slot), -ENOENT);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

struct step {
    kt_gate gate;
    int code;
};

static int wait_for_turn(void *arg)
{
    struct step *s = arg;
    int r = kt_gate_wait(s->gate);
    return r < 0 ? r : s->code;
}

static void results_come_as_tasks_end(void)
{
    knit_errgroup g = {0};
    knit_results rs;
    knit_result slots[5], *slot = NULL;
    struct step steps[5];
    const int order[] = {3, 0, 4, 1, 2};
    CHECK_INT(knit_results_init(&rs, &g), 0);
    for (int i = 0; i < 5; i++) {
        steps[i] = (struct step){kt_gate_new(), i};
        CHECK_INT(knit_results_go(&rs, &slots[i], wait_for_turn, &steps[i]), 0);
    }
    CHECK_INT(knit_results_try_next(&rs, &slot), -EAGAIN);
    CHECK_INT(knit_results_next_until(&rs, &slot, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_results_next_until(&rs, &slot, 0), -ETIMEDOUT);
    CHECK(slot == NULL);
    for (int i = 0; i < 5; i++) {
        kt_gate_open(steps[order[i]].gate);
        CHECK_INT(knit_results_next(&rs, &slot), 0);
        CHECK(slot == &slots[order[i]]);
        CHECK_INT(slot->code, order[i]);
    }
    CHECK_INT(knit_errgroup_wait(&g), 3);
    for (int i = 0; i < 5; i++)
        kt_gate_free(steps[i].gate);
}

static int exit_early(void *arg)
{
    return knit_task_exit(*(int *)arg);
}

static int panic_early(void *arg)
{
    knit_panic("task %d", *(int *)arg);
}

static void every_kind_of_end_is_told(void)
{
    knit_errgroup g;
    knit_results rs;
    knit_result slots[2], *slot;
    int code = -EIO;
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_PANIC_ERROR | KNIT_ERRGROUP_KEEP_GOING};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_results_init(&rs, &g), 0);
    CHECK_INT(knit_results_go(&rs, &slots[0], exit_early, &code), 0);
    CHECK_INT(knit_results_next(&rs, &slot), 0);
    CHECK_INT(slot->code, -EIO);
    CHECK_INT(knit_results_go(&rs, &slots[1], panic_early, &code), 0);
    CHECK_INT(knit_results_next(&rs, &slot), 0);
    CHECK_INT(slot->code, KNIT_PANICKED);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
}

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

/* Pitfall 13: what was queued at the cancel is told of, and so is what came too late. */
static void skipped_tasks_are_told_of(void)
{
    knit_errgroup g;
    knit_results rs;
    knit_result slots[N], *slot;
    int told = 0, code = 0;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_results_init(&rs, &g), 0);
    CHECK_INT(knit_results_go(&rs, &slots[0], fail, NULL), 0);
    for (int i = 1; i < N; i++) {
        int r = knit_results_go(&rs, &slots[i], identity, &code);
        CHECK(r == 0 || r == -ECANCELED);
    }
    while (knit_results_next(&rs, &slot) == 0) {
        told++;
        CHECK_INT(slot->code, slot == slots                        ? -EIO
                              : slot->state == KNIT_RESULT_SKIPPED ? -ECANCELED
                                                                   : 0);
    }
    CHECK_INT(told, N);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_results_go(&rs, &slots[0], identity, &code), -ECANCELED);
    CHECK_INT(knit_results_next(&rs, &slot), 0);
    CHECK_INT(slot->state, KNIT_RESULT_SKIPPED);
}

struct tree {
    knit_results *rs;
    knit_result *slots;
    atomic_int *next;
};

static int grow(void *arg)
{
    struct tree *t = arg;
    for (int i = 0; i < 2; i++) {
        int at = atomic_fetch_add(t->next, 1);
        if (at < N)
            CHECK_INT(knit_results_go(t->rs, &t->slots[at], grow, t), 0);
    }
    return 0;
}

/* As long as one runs there may be more: the end is not before. */
static void tasks_may_submit_to_the_same_results(void)
{
    for (int limit = 0; limit < 2; limit++) {
        knit_errgroup g;
        knit_results rs;
        knit_result slots[N], *slot;
        atomic_int next = 1;
        struct tree tree = {&rs, slots, &next};
        int told = 0;
        CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = limit}), 0);
        CHECK_INT(knit_results_init(&rs, &g), 0);
        CHECK_INT(knit_results_go(&rs, &slots[0], grow, &tree), 0);
        while (knit_results_next(&rs, &slot) == 0)
            told++;
        CHECK_INT(told, N);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
}

/* A server: tasks without a slot leave nothing; a few slots go round. */
static void slots_are_reused_or_not_used_at_all(void)
{
    knit_errgroup g = {0};
    knit_results rs;
    knit_result slots[4], *slot;
    int code = 0;
    size_t highest = 0;
    CHECK_INT(knit_results_init(&rs, &g), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_results_go(&rs, &slots[i], identity, &code), 0);
    for (int i = 0; i < kt_count(10000); i++) {
        CHECK_INT(knit_results_go(&rs, NULL, identity, &code), 0);
        CHECK_INT(knit_results_next(&rs, &slot), 0);
        highest = slot->index > highest ? slot->index : highest;
        CHECK_INT(knit_results_go(&rs, slot, identity, &code), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK(highest <= (size_t)kt_count(10000) + 4);
}

static int consume(void *arg)
{
    knit_result *slot;
    int n = 0;
    while (knit_results_next(arg, &slot) == 0)
        n++;
    return n;
}

static atomic_int consumed;

static int count_consumed(void *arg)
{
    atomic_fetch_add(&consumed, consume(arg));
    return 0;
}

static void consume_in_thread(void *arg)
{
    atomic_fetch_add(&consumed, consume(arg));
}

static void several_consumers_get_each_result_once(void)
{
    knit_errgroup g = {0}, consumers = {0};
    knit_results rs;
    knit_result slots[N];
    struct step step = {.gate = kt_gate_new()};
    kt_thread *thread;
    atomic_store(&consumed, 0);
    CHECK_INT(knit_results_init(&rs, &g), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_results_go(&rs, &slots[i], wait_for_turn, &step), 0);
    thread = kt_thread_start(consume_in_thread, &rs);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&consumers, count_consumed, &rs), 0);
    kt_gate_open(step.gate);
    kt_thread_join(thread);
    CHECK_INT(knit_errgroup_wait(&consumers), 0);
    CHECK_INT(consumed, N);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(step.gate);
}

static void a_consumer_that_is_cancelled_loses_nothing(void)
{
    knit_errgroup g = {0};
    knit_results rs;
    knit_result one, *slot = NULL;
    struct step step = {.gate = kt_gate_new()};
    knit_ctx_scope scope;
    knit_ctx *ctx;
    CHECK_INT(knit_results_init(&rs, &g), 0);
    CHECK_INT(knit_results_go(&rs, &one, wait_for_turn, &step), 0);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_results_next(&rs, &slot), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    kt_gate_open(step.gate);
    CHECK_INT(knit_results_next(&rs, &slot), 0);
    CHECK(slot == &one);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_gate_free(step.gate);
}

static void misuse_is_refused(void)
{
    knit_errgroup g = {0};
    knit_results rs;
    knit_result *slot;
    CHECK_INT(knit_results_init(NULL, &g), -EINVAL);
    CHECK_INT(knit_results_init(&rs, NULL), -EINVAL);
    CHECK_INT(knit_results_init(&rs, &g), 0);
    CHECK_INT(knit_results_go(NULL, NULL, fail, NULL), -EINVAL);
    CHECK_INT(knit_results_go(&rs, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(knit_results_next(NULL, &slot), -EINVAL);
    CHECK_INT(knit_results_next(&rs, NULL), -EINVAL);
    CHECK_INT(knit_results_try_next(&rs, NULL), -EINVAL);
}

static const knittest tests[] = {
    BOTH(slots_are_in_the_order_of_submission),
    BOTH(next_gives_each_result_once_and_then_the_end),
    BOTH(results_come_as_tasks_end),
    BOTH(every_kind_of_end_is_told),
    BOTH(skipped_tasks_are_told_of),
    BOTH(tasks_may_submit_to_the_same_results),
    BOTH(slots_are_reused_or_not_used_at_all),
    BOTH(several_consumers_get_each_result_once),
    BOTH(a_consumer_that_is_cancelled_loses_nothing),
    THREAD(misuse_is_refused),
};
KNITTEST_MAIN(tests)
