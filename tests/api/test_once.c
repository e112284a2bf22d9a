/* Once, tasks and plain threads mixed. ONC-n: Go's sync/once_test.go and oncefunc_test.go. */
#include "crowd.h"

#include <stdatomic.h>

typedef struct shared {
    knit_once o;
    kt_gate gate;
    atomic_int calls, callers;
    int result, expected;
} shared;

static int count(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->calls, 1);
    (void)knit_yield();
    return s->result;
}

static int call(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_once_do(&s->o, count, s), s->result);
    CHECK_INT(atomic_load(&s->calls), 1);
    return 0;
}

/* ONC-1, ONC-3 */
static void onc1_one_call_however_many_callers(void)
{
    for (int i = kt_count(50); i > 0; i--) {
        shared s = {0};
        crowd c = {0};
        CHECK_INT(knit_once_done(&s.o), 0);
        for (int k = 0; k < 10; k++)
            crowd_go(&c, call, &s);
        crowd_join(&c);
        CHECK_INT(atomic_load(&s.calls), 1);
        CHECK_INT(knit_once_done(&s.o), 1);
    }
}

static int never(void *arg)
{
    (void)arg;
    CHECK_INT(1, 0); /* called */
    return 0;
}

static void onc2_a_failure_is_kept_and_not_repeated(void)
{
    shared s = {.result = -EIO};
    crowd c = {0};
    for (int k = 0; k < 6; k++)
        crowd_go(&c, call, &s);
    crowd_join(&c);
    CHECK_INT(knit_once_do(&s.o, never, NULL), -EIO);
}

/* ---- values ------------------------------------------------------------------------------------ */

static int sum_to_999(void *arg, void **ret_value)
{
    shared *s = arg;
    static int sum;
    atomic_fetch_add(&s->calls, 1);
    sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += i;
    *ret_value = &sum;
    return s->result;
}

static int get_value(void *arg)
{
    shared *s = arg;
    void *value = NULL;
    CHECK_INT(knit_once_value(&s->o, sum_to_999, s, &value), s->result);
    CHECK_INT(value ? *(int *)value : -1, s->result == 0 ? 499500 : -1);
    return 0;
}

/* ONC-4, ONC-5 */
static void onc4_everybody_gets_the_value(void)
{
    shared s = {0};
    crowd c = {0};
    for (int k = 0; k < 10; k++)
        crowd_go(&c, get_value, &s);
    crowd_join(&c);
    CHECK_INT(atomic_load(&s.calls), 1);
}

static void onc7_a_failed_value_is_no_value(void)
{
    shared s = {.result = -ENOENT};
    crowd c = {0};
    for (int k = 0; k < 4; k++)
        crowd_go(&c, get_value, &s);
    crowd_join(&c);
    CHECK_INT(atomic_load(&s.calls), 1);
}

/* ---- waiting ----------------------------------------------------------------------------------- */

static int wait_at_gate(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->calls, 1);
    CHECK_INT(kt_gate_wait(s->gate), 0);
    return 0;
}

static int run_first(void *arg)
{
    shared *s = arg;
    return knit_once_do(&s->o, wait_at_gate, s);
}

static int run_second(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->callers, 1);
    CHECK_INT(knit_once_do(&s->o, never, s), s->expected);
    return 0;
}

static void cancel_ends_the_wait_and_not_the_function(void)
{
    shared s = {.gate = kt_gate_new(), .expected = -ECANCELED};
    crowd c = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    crowd_go(&c, run_first, &s);
    kt_until(atomic_load(&s.calls) == 1);
    CHECK_INT(knit_errgroup_go(&g, run_second, &s), 0);
    kt_until(atomic_load(&s.callers) == 1);
    knit_errgroup_cancel(&g, 0);
    (void)knit_errgroup_wait(&g);
    CHECK_INT(knit_once_done(&s.o), 0);
    kt_gate_open(s.gate);
    crowd_join(&c);
    CHECK_INT(knit_once_done(&s.o), 1);
    s.expected = 0;
    CHECK_INT(run_second(&s), 0);
    kt_gate_free(s.gate);
}

static int again(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_once_do(&s->o, never, s), -EDEADLK);
    return 7;
}

static void calling_it_from_its_function_is_an_error(void)
{
    shared s = {0};
    CHECK_INT(knit_once_do(&s.o, again, &s), 7);
    CHECK_INT(knit_once_do(&s.o, never, &s), 7);
}

static void misuse_does_not_use_it_up(void)
{
    shared s = {0};
    void *value = NULL;
    CHECK_INT(knit_once_do(&s.o, NULL, NULL), -EINVAL);
    CHECK_INT(knit_once_do(NULL, count, &s), -EINVAL);
    CHECK_INT(knit_once_value(&s.o, NULL, NULL, &value), -EINVAL);
    CHECK_INT(knit_once_value(&s.o, sum_to_999, &s, NULL), -EINVAL);
    CHECK_INT(knit_once_done(NULL), 0);
    CHECK_INT(call(&s), 0);
}

/* ---- a function that does not return ----------------------------------------------------------- */

typedef struct leaving {
    shared s; /* first */
    bool panics;
    int expected;
} leaving;

static int leave_at_gate(void *arg)
{
    leaving *l = arg;
    atomic_fetch_add(&l->s.calls, 1);
    CHECK_INT(kt_gate_wait(l->s.gate), 0);
    if (l->panics)
        knit_panic("the function of a once");
    return knit_task_exit(7);
}

static int leave_with_value(void *arg, void **ret_value)
{
    *ret_value = arg;
    return leave_at_gate(arg);
}

static int leave_in_do(void *arg)
{
    leaving *l = arg;
    (void)knit_once_do(&l->s.o, leave_at_gate, l);
    CHECK_INT(1, 0); /* it has returned */
    return 0;
}

static int leave_in_value(void *arg)
{
    leaving *l = arg;
    void *value = NULL;
    (void)knit_once_value(&l->s.o, leave_with_value, l, &value);
    CHECK_INT(1, 0); /* it has returned */
    return 0;
}

static void call_leave_in_do(void *arg)
{
    (void)leave_in_do(arg);
}

static int leave_in_deferred(void *arg)
{
    CHECK_INT(knit_defer(call_leave_in_do, arg), 0);
    return 0;
}

static int get_no_value(void *arg)
{
    leaving *l = arg;
    void *value = NULL;
    atomic_fetch_add(&l->s.callers, 1);
    CHECK_INT(knit_once_value(&l->s.o, leave_with_value, l, &value), l->expected);
    CHECK(value == NULL);
    return 0;
}

/* The leader is a task of its own group, which fails; all others get an error. */
static void leaves(knit_fn *leader, bool panics)
{
    leaving l = {.panics = panics, .expected = panics ? KNIT_PANICKED : -EOWNERDEAD};
    crowd c = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_PANIC_ERROR}),
              0);
    l.s.gate = kt_gate_new();
    CHECK_INT(knit_errgroup_go(&g, leader, &l), 0);
    kt_until(atomic_load(&l.s.calls) == 1);
    for (int k = 0; k < 6; k++)
        crowd_go(&c, get_no_value, &l);
    kt_until(atomic_load(&l.s.callers) == 6);
    kt_gate_open(l.s.gate);
    CHECK_INT(knit_errgroup_wait(&g), panics ? KNIT_PANICKED : 7);
    crowd_join(&c);
    CHECK_INT(knit_once_done(&l.s.o), 1);
    CHECK_INT(knit_once_do(&l.s.o, never, NULL), l.expected); /* golang: "x" on both calls */
    CHECK_INT(atomic_load(&l.s.calls), 1);
    kt_gate_free(l.s.gate);
}

static void onc10_an_exit_in_the_function_releases_all(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        leaves(leave_in_do, false);
        leaves(leave_in_value, false);
    }
}

/* ONC-2, ONC-6, ONC-7, ONC-8, ONC-9 */
static void onc2_onc6_to_9_a_panic_in_the_function_releases_all(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        leaves(leave_in_do, true);
        leaves(leave_in_value, true);
    }
}

/* There an exit ends the deferred call alone, and its frames at once. */
static void an_exit_in_a_deferred_call_releases_all(void)
{
    leaves(leave_in_deferred, false);
    leaves(leave_in_deferred, true);
}

static void note_that_it_is_done(void *arg)
{
    shared *s = arg;
    atomic_store(&s->callers, knit_once_done(&s->o));
}

static int defers_and_returns(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_defer(note_that_it_is_done, s), 0);
    return 5;
}

static int defers_around(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_defer(note_that_it_is_done, s), 0);
    CHECK_INT(knit_once_do(&s->o, defers_and_returns, s), 5);
    CHECK_INT(atomic_load(&s->callers), 0);
    return knit_task_exit(0);
}

/* What the function defers is made at the end of its task, whether it returns or not. */
static void what_the_function_defers_stays_deferred(void)
{
    shared s = {0};
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, defers_around, &s), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(atomic_load(&s.callers), 1);
    CHECK_INT(knit_once_do(&s.o, never, NULL), 5);
}

/* By address, as other languages call them: what C callers have inlined is in the library too. */
static void calls_by_address_do_the_same(void)
{
    int (*volatile once)(knit_once *, knit_fn *, void *) = knit_once_do;
    int (*volatile once_value)(knit_once *, knit_value_fn *, void *, void **) = knit_once_value;
    shared s = {0}, t = {0};
    void *value = NULL;
    CHECK_INT(once(NULL, count, &s), -EINVAL);
    CHECK_INT(once_value(NULL, sum_to_999, &t, &value), -EINVAL);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(once(&s.o, count, &s), knit_once_do(&s.o, count, &s));
        value = NULL;
        CHECK_INT(once_value(&t.o, sum_to_999, &t, &value), 0);
        CHECK(value != NULL);
    }
}

static const knittest tests[] = {
    BOTH(onc1_one_call_however_many_callers),
    BOTH(onc2_a_failure_is_kept_and_not_repeated),
    BOTH(onc4_everybody_gets_the_value),
    BOTH(onc7_a_failed_value_is_no_value),
    BOTH(cancel_ends_the_wait_and_not_the_function),
    BOTH(calling_it_from_its_function_is_an_error),
    BOTH(misuse_does_not_use_it_up),
    BOTH(onc10_an_exit_in_the_function_releases_all),
    BOTH(onc2_onc6_to_9_a_panic_in_the_function_releases_all),
    BOTH(an_exit_in_a_deferred_call_releases_all),
    BOTH(what_the_function_defers_stays_deferred),
    THREAD(calls_by_address_do_the_same),
};

KNITTEST_MAIN(tests)
