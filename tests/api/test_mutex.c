/* Mutex, tasks and plain threads mixed. MUX-n: Go's sync/mutex_test.go. MUX-4 and SEMA-1 test
 * Go's inner semaphore; ours is in test_semaphore.c. */
#include "crowd.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct shared {
    knit_mutex m;
    int rounds;
    long counter; /* m */
    atomic_int stop, done;
} shared;

/* ---- MUX-1 ----------------------------------------------------------------------------------- */

static void mux1_try_lock_sees_whether_it_is_locked(void)
{
    knit_mutex m = {0};
    CHECK_INT(knit_mutex_try_lock(&m), 0);
    CHECK_INT(knit_mutex_try_lock(&m), -EAGAIN);
    CHECK_INT(knit_mutex_unlock(&m), 0);
    CHECK_INT(knit_mutex_lock(&m), 0);
    CHECK_INT(knit_mutex_try_lock(&m), -EAGAIN);
    CHECK_INT(knit_mutex_unlock(&m), 0);
    CHECK_INT(knit_mutex_try_lock(&m), 0);
    CHECK_INT(knit_mutex_unlock(&m), 0);
}

static int hammer(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        if (i % 3 == 0) {
            if (knit_mutex_try_lock(&s->m) == 0)
                CHECK_INT(knit_mutex_unlock(&s->m), 0);
            continue;
        }
        CHECK_INT(knit_mutex_lock(&s->m), 0);
        s->counter++;
        CHECK_INT(knit_mutex_unlock(&s->m), 0);
    }
    return 0;
}

static void mux1_ten_hammer_it(void)
{
    shared s = {.rounds = kt_count(1000)};
    crowd c = {0};
    for (int i = 0; i < 10; i++)
        crowd_go(&c, hammer, &s);
    crowd_join(&c);
    CHECK_INT(s.counter, 10L * (s.rounds - (s.rounds + 2) / 3));
}

static int hammer_and_yield(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        CHECK_INT(knit_mutex_lock(&s->m), 0);
        long seen = s->counter;
        (void)knit_yield();
        s->counter = seen + 1;
        CHECK_INT(knit_mutex_unlock(&s->m), 0);
    }
    return 0;
}

static void a_task_may_park_while_it_holds_it(void)
{
    shared s = {.rounds = kt_count(100)};
    crowd c = {0};
    for (int i = 0; i < 40; i++)
        crowd_task(&c, hammer_and_yield, &s);
    for (int i = 0; i < 4; i++)
        crowd_go(&c, hammer_and_yield, &s);
    crowd_join(&c);
    CHECK_INT(s.counter, 44L * s.rounds);
}

/* ---- MUX-2: codes instead of the end of the process -------------------------------------------- */

static void mux2_unlock_of_unlocked_is_an_error(void)
{
    knit_mutex m = {0};
    CHECK_INT(knit_mutex_unlock(&m), -EPERM);
    CHECK_INT(knit_mutex_lock(&m), 0);
    CHECK_INT(knit_mutex_unlock(&m), 0);
    CHECK_INT(knit_mutex_unlock(&m), -EPERM);
    CHECK_INT(knit_mutex_lock(&m), 0); /* and harms nothing */
    CHECK_INT(knit_mutex_unlock(&m), 0);
    CHECK_INT(knit_mutex_lock(NULL), -EINVAL);
    CHECK_INT(knit_mutex_try_lock(NULL), -EINVAL);
    CHECK_INT(knit_mutex_lock_until(NULL, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_mutex_unlock(NULL), -EINVAL);
}

/* ---- MUX-3 ----------------------------------------------------------------------------------- */

static int hog(void *arg)
{
    shared *s = arg;
    while (!atomic_load(&s->stop)) {
        CHECK_INT(knit_mutex_lock(&s->m), 0);
        CHECK_INT(knit_sleep(100 * KNIT_MICROSECOND), 0);
        CHECK_INT(knit_mutex_unlock(&s->m), 0);
    }
    return 0;
}

static int modest(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(knit_sleep(100 * KNIT_MICROSECOND), 0);
        CHECK_INT(knit_mutex_lock(&s->m), 0);
        CHECK_INT(knit_mutex_unlock(&s->m), 0);
    }
    atomic_store(&s->stop, 1);
    return 0;
}

static void mux3_a_hog_does_not_starve_others(void)
{
    shared s = {0};
    crowd c = {0};
    crowd_go(&c, hog, &s);
    crowd_go(&c, modest, &s);
    crowd_join(&c);
    crowd_go(&c, modest, &s);
    crowd_go(&c, hog, &s);
    crowd_join(&c);
}

/* ---- ownership, cancel, deadline --------------------------------------------------------------- */

static int unlock_it(void *arg)
{
    return knit_mutex_unlock(arg);
}

static void another_task_may_unlock(void)
{
    knit_mutex m = {0};
    crowd c = {0};
    CHECK_INT(knit_mutex_lock(&m), 0);
    crowd_go(&c, unlock_it, &m);
    CHECK_INT(knit_mutex_lock(&m), 0);
    crowd_join(&c);
    CHECK_INT(knit_mutex_unlock(&m), 0);
}

static void lock_until_gives_up_at_the_deadline(void)
{
    knit_mutex m = {0};
    CHECK_INT(knit_mutex_lock_until(&m, 0), 0); /* free: no need to wait */
    CHECK_INT(knit_mutex_lock_until(&m, 0), -ETIMEDOUT);
    CHECK_INT(knit_mutex_lock_until(&m, knit_now() + 2 * KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_mutex_unlock(&m), 0);
    CHECK_INT(knit_mutex_lock_until(&m, knit_now() + 60 * KNIT_SECOND), 0);
    CHECK_INT(knit_mutex_unlock(&m), 0);
}

static int expect_canceled(void *arg)
{
    shared *s = arg;
    int r = knit_mutex_lock_until(&s->m, KNIT_FOREVER);
    if (r == 0) /* it was still about to wait when the mutex became free */
        CHECK_INT(knit_mutex_unlock(&s->m), 0);
    else
        CHECK_INT(r, -ECANCELED);
    kt_until(knit_canceled());
    CHECK_INT(knit_mutex_lock_until(&s->m, KNIT_FOREVER), -ECANCELED); /* a level */
    atomic_fetch_add(&s->done, 1);
    return 0;
}

static int lock_and_unlock(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_mutex_lock(&s->m), 0);
    s->counter++;
    CHECK_INT(knit_mutex_unlock(&s->m), 0);
    return 0;
}

static void cancel_reaches_lock_until_and_not_lock(void)
{
    shared s = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_mutex_lock(&s.m), 0);
    for (int i = 0; i < 8; i++)
        CHECK_INT(knit_errgroup_go(&g, i % 2 ? expect_canceled : lock_and_unlock, &s), 0);
    knit_errgroup_counts counts = {0};
    kt_until((knit_errgroup_stats(&g, &counts), counts.submitted == 8));
    (void)knit_sleep(KNIT_MILLISECOND); /* most are waiting now; those that are not are skipped */
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_mutex_unlock(&s.m), 0);
    (void)knit_errgroup_wait(&g);
    CHECK_INT(knit_errgroup_stats(&g, &counts), 0);
    CHECK_INT(s.counter + atomic_load(&s.done) + (long)counts.skipped, 8);
    CHECK_INT(knit_mutex_try_lock(&s.m), 0);
    CHECK_INT(knit_mutex_unlock(&s.m), 0);
}

static void lock_works_under_an_ended_context(void)
{
    shared s = {0};
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_mutex_lock_until(&s.m, KNIT_FOREVER), -ECANCELED); /* although it is free */
    CHECK_INT(knit_mutex_lock(&s.m), 0);
    CHECK_INT(knit_mutex_unlock(&s.m), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

/* A waiter that gives up at the moment it is woken takes no wake-up with it. */
static int lock_with_little_patience(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        int r = knit_mutex_lock_until(&s->m, knit_now() + i % 50 * KNIT_MICROSECOND);
        CHECK(r == 0 || r == -ETIMEDOUT);
        if (r == 0) {
            s->counter++;
            (void)knit_yield();
            CHECK_INT(knit_mutex_unlock(&s->m), 0);
        }
    }
    return 0;
}

static void giving_up_loses_no_wake_up(void)
{
    shared s = {.rounds = kt_count(150)};
    crowd c = {0};
    for (int i = 0; i < 6; i++)
        crowd_go(&c, lock_with_little_patience, &s);
    for (int i = 0; i < 4; i++)
        crowd_go(&c, hammer_and_yield, &s);
    crowd_join(&c);
    CHECK(s.counter >= 4L * s.rounds);
}

/* ---- the last one frees it --------------------------------------------------------------------- */

typedef struct counted {
    knit_mutex m;
    int refs; /* m */
} counted;

static int drop(void *arg)
{
    counted *object = arg;
    CHECK_INT(knit_mutex_lock(&object->m), 0);
    int refs = --object->refs;
    CHECK_INT(knit_mutex_unlock(&object->m), 0);
    if (refs == 0)
        free(object);
    return 0;
}

static void whoever_unlocks_last_may_free_it(void)
{
    for (int i = kt_count(200); i > 0; i--) {
        counted *object = calloc(1, sizeof *object);
        crowd c = {0};
        CHECK(object);
        object->refs = 6;
        for (int k = 0; k < 5; k++)
            crowd_task(&c, drop, object);
        CHECK_INT(drop(object), 0);
        crowd_join(&c);
    }
}

/* By address, as other languages call them: what C callers have inlined is in the library too. */
static void calls_by_address_do_the_same(void)
{
    int (*volatile lock)(knit_mutex *) = knit_mutex_lock;
    int (*volatile unlock)(knit_mutex *) = knit_mutex_unlock;
    knit_mutex m = {0};
    CHECK_INT(lock(&m), 0);
    CHECK_INT(knit_mutex_try_lock(&m), -EAGAIN);
    CHECK_INT(unlock(&m), 0);
    CHECK_INT(unlock(&m), -EPERM);
    CHECK_INT(lock(NULL), -EINVAL);
    CHECK_INT(unlock(NULL), -EINVAL);
}

static const knittest tests[] = {
    BOTH(mux1_try_lock_sees_whether_it_is_locked), BOTH(mux1_ten_hammer_it),
    BOTH(a_task_may_park_while_it_holds_it),       BOTH(mux2_unlock_of_unlocked_is_an_error),
    BOTH(mux3_a_hog_does_not_starve_others),       BOTH(another_task_may_unlock),
    BOTH(lock_until_gives_up_at_the_deadline),     BOTH(cancel_reaches_lock_until_and_not_lock),
    BOTH(lock_works_under_an_ended_context),       BOTH(giving_up_loses_no_wake_up),
    BOTH(whoever_unlocks_last_may_free_it),        THREAD(calls_by_address_do_the_same),
};

KNITTEST_MAIN(tests)
