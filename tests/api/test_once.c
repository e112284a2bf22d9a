/* Once, tasks and plain threads mixed. ONC-n: Go's sync/once_test.go and oncefunc_test.go. Panics
 * (ONC-2, 6..9, 11) are failures here; ONC-10 (the function ends its goroutine) comes with
 * task_exit; ONC-12 tests the collector. */
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

static const knittest tests[] = {
    BOTH(onc1_one_call_however_many_callers),
    BOTH(onc2_a_failure_is_kept_and_not_repeated),
    BOTH(onc4_everybody_gets_the_value),
    BOTH(onc7_a_failed_value_is_no_value),
    BOTH(cancel_ends_the_wait_and_not_the_function),
    BOTH(calling_it_from_its_function_is_an_error),
    BOTH(misuse_does_not_use_it_up),
};

KNITTEST_MAIN(tests)
