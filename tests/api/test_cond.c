/* Cond, tasks and plain threads mixed. CND-n: Go's sync/cond_test.go. */
#include "crowd.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct shared {
    knit_mutex m;
    knit_cond c;
    int waiting, awake, next, x, rounds; /* m */
    int result;
} shared;

static void lock(shared *s)
{
    CHECK_INT(knit_mutex_lock(&s->m), 0);
}

static void unlock(shared *s)
{
    CHECK_INT(knit_mutex_unlock(&s->m), 0);
}

/* Until value is n; it is guarded by m. */
static void await(shared *s, const int *value, int n)
{
    for (bool yes = false; !yes;) {
        lock(s);
        yes = *value == n;
        unlock(s);
        (void)knit_yield();
    }
}

static int wait_once(void *arg)
{
    shared *s = arg;
    lock(s);
    s->waiting++;
    CHECK_INT(knit_cond_wait(&s->c, &s->m), 0);
    s->awake++;
    unlock(s);
    return 0;
}

/* ---- CND-1 ----------------------------------------------------------------------------------- */

static void cnd1_a_signal_wakes_one(void)
{
    shared s = {0};
    crowd c = {0};
    crowd_go(&c, wait_once, &s);
    crowd_go(&c, wait_once, &s);
    await(&s, &s.waiting, 2);
    for (int i = 1; i <= 2; i++) {
        lock(&s);
        CHECK_INT(s.awake, i - 1);
        CHECK_INT(knit_cond_signal(&s.c), 0);
        unlock(&s);
        await(&s, &s.awake, i);
    }
    CHECK_INT(knit_cond_signal(&s.c), 0); /* nobody: nothing */
    crowd_join(&c);
    CHECK_INT(knit_cond_broadcast(&s.c), 0);
}

/* ---- CND-2 ----------------------------------------------------------------------------------- */

typedef struct numbered {
    shared *s;
    int number;
} numbered;

static int wait_in_order(void *arg)
{
    numbered *me = arg;
    shared *s = me->s;
    lock(s);
    CHECK_INT(me->number, s->waiting);
    s->waiting++;
    CHECK_INT(knit_cond_wait(&s->c, &s->m), 0);
    CHECK_INT(s->next, me->number);
    s->next++;
    unlock(s);
    return 0;
}

static void cnd2_signals_wake_in_order(void)
{
    enum { N = 60 };
    shared s = {0};
    crowd c = {0};
    numbered members[N];
    for (int i = 0; i < N; i++) {
        members[i] = (numbered){&s, i};
        crowd_go(&c, wait_in_order, &members[i]);
        await(&s, &s.waiting, i + 1);
        if (i > 0) { /* one always waits behind the one that is woken */
            CHECK_INT(knit_cond_signal(&s.c), 0);
            await(&s, &s.next, i);
        }
    }
    CHECK_INT(knit_cond_signal(&s.c), 0);
    crowd_join(&c);
    CHECK_INT(s.next, N);
}

/* ---- CND-3 ----------------------------------------------------------------------------------- */

static int wait_rounds(void *arg)
{
    shared *s = arg;
    lock(s);
    for (int round = 0; round < s->rounds; round++) {
        s->waiting++;
        CHECK_INT(knit_cond_wait(&s->c, &s->m), 0);
        CHECK_INT(s->x, round + 1);
        s->awake++;
    }
    unlock(s);
    return 0;
}

static void cnd3_a_broadcast_wakes_each_once(void)
{
    enum { N = 30 };
    shared s = {.rounds = kt_count(50)};
    crowd c = {0};
    for (int i = 0; i < N; i++)
        crowd_go(&c, wait_rounds, &s);
    for (int round = 0; round < s.rounds; round++) {
        await(&s, &s.waiting, N * (round + 1));
        lock(&s);
        CHECK_INT(s.awake, N * round);
        s.x = round + 1;
        CHECK_INT(knit_cond_broadcast(&s.c), 0);
        unlock(&s);
    }
    crowd_join(&c);
    CHECK_INT(s.awake, N * s.rounds);
}

/* ---- CND-4 ----------------------------------------------------------------------------------- */

static int first(void *arg)
{
    shared *s = arg;
    lock(s);
    s->x = 1;
    CHECK_INT(knit_cond_wait(&s->c, &s->m), 0);
    CHECK_INT(s->x, 2);
    s->x = 3;
    CHECK_INT(knit_cond_signal(&s->c), 0);
    unlock(s);
    return 0;
}

static int second(void *arg)
{
    shared *s = arg;
    await(s, &s->x, 1);
    lock(s);
    s->x = 2;
    CHECK_INT(knit_cond_signal(&s->c), 0);
    unlock(s);
    return 0;
}

static int third(void *arg)
{
    shared *s = arg;
    lock(s);
    while (s->x != 2 && s->x != 3) {
        unlock(s);
        (void)knit_yield();
        lock(s);
    }
    while (s->x != 3)
        CHECK_INT(knit_cond_wait(&s->c, &s->m), 0);
    unlock(s);
    return 0;
}

static void cnd4_three_hand_on(void)
{
    for (int i = 0; i < 4; i++) {
        shared s = {0};
        crowd c = {.n = i};
        crowd_go(&c, first, &s);
        crowd_go(&c, second, &s);
        crowd_go(&c, third, &s);
        crowd_join(&c);
        CHECK_INT(s.x, 3);
    }
}

/* ---- CND-5 ----------------------------------------------------------------------------------- */

static int wait_for_x(void *arg)
{
    shared *s = arg;
    lock(s);
    while (s->x == 0)
        CHECK_INT(knit_cond_wait(&s->c, &s->m), 0);
    unlock(s);
    return 0;
}

static void cnd5_a_newcomer_does_not_steal_a_broadcast(void)
{
    for (int i = kt_count(300); i > 0; i--) {
        shared s = {0};
        crowd c = {.n = i};
        crowd_task(&c, wait_once, &s);
        await(&s, &s.waiting, 1);
        crowd_task(&c, wait_for_x, &s);
        lock(&s);
        s.x = 1;
        CHECK_INT(knit_cond_broadcast(&s.c), 0);
        unlock(&s);
        crowd_join(&c);
        CHECK_INT(s.awake, 1);
    }
}

/* ---- CND-6, misuse ----------------------------------------------------------------------------- */

static void cnd6_a_copy_is_found_out(void)
{
    shared s = {0};
    lock(&s);
    CHECK_INT(knit_cond_wait_until(&s.c, &s.m, knit_now()), -ETIMEDOUT);
    knit_cond copy = s.c;
    CHECK_INT(knit_cond_signal(&copy), -EINVAL);
    CHECK_INT(knit_cond_broadcast(&copy), -EINVAL);
    CHECK_INT(knit_cond_wait(&copy, &s.m), -EINVAL);
    CHECK_INT(knit_mutex_try_lock(&s.m), -EAGAIN);
    unlock(&s);
}

static void waiting_without_the_mutex_is_an_error(void)
{
    shared s = {0};
    CHECK_INT(knit_cond_wait(&s.c, &s.m), -EPERM);
    CHECK_INT(knit_cond_wait(NULL, &s.m), -EINVAL);
    CHECK_INT(knit_cond_wait_until(&s.c, NULL, 0), -EINVAL);
    CHECK_INT(knit_cond_signal(NULL), -EINVAL);
    CHECK_INT(knit_cond_broadcast(NULL), -EINVAL);
    CHECK_INT(knit_mutex_try_lock(&s.m), 0);
    unlock(&s);
}

/* ---- deadline, cancel -------------------------------------------------------------------------- */

static void a_deadline_ends_the_wait_with_the_mutex_locked(void)
{
    shared s = {0};
    lock(&s);
    CHECK_INT(knit_cond_wait_until(&s.c, &s.m, knit_now() + 2 * KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_mutex_try_lock(&s.m), -EAGAIN);
    unlock(&s);
}

static int expect_canceled(void *arg)
{
    shared *s = arg;
    lock(s);
    s->waiting++;
    CHECK_INT(knit_cond_wait(&s->c, &s->m), -ECANCELED);
    CHECK_INT(knit_cond_wait(&s->c, &s->m), -ECANCELED);
    s->awake++;
    unlock(s);
    return 0;
}

static int not_canceled(void *arg)
{
    shared *s = arg;
    lock(s);
    s->waiting++;
    CHECK_INT(knit_cond_wait_nocancel(&s->c, &s->m), 0);
    s->next++;
    unlock(s);
    return 0;
}

static void cancel_ends_the_wait_and_takes_no_signal(void)
{
    shared s = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, expect_canceled, &s), 0);
    await(&s, &s.waiting, 1);
    CHECK_INT(knit_errgroup_go(&g, not_canceled, &s), 0);
    await(&s, &s.waiting, 2);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_cond_signal(&s.c), 0); /* to the second: the first is claimed already */
    (void)knit_errgroup_wait(&g);
    CHECK_INT(s.awake, 1);
    CHECK_INT(s.next, 1);
}

/* ---- a bounded buffer -------------------------------------------------------------------------- */

typedef struct buffer {
    knit_mutex m;
    knit_cond not_full, not_empty;
    int items[4], first, count; /* m */
    int rounds;
    long sum; /* m */
} buffer;

static int producer(void *arg)
{
    buffer *b = arg;
    for (int i = 1; i <= b->rounds; i++) {
        CHECK_INT(knit_mutex_lock(&b->m), 0);
        while (b->count == 4)
            CHECK_INT(knit_cond_wait(&b->not_full, &b->m), 0);
        b->items[(b->first + b->count++) % 4] = i;
        CHECK_INT(knit_mutex_unlock(&b->m), 0);
        CHECK_INT(knit_cond_signal(&b->not_empty), 0);
    }
    return 0;
}

static int consumer(void *arg)
{
    buffer *b = arg;
    for (int i = 1; i <= b->rounds; i++) {
        CHECK_INT(knit_mutex_lock(&b->m), 0);
        while (b->count == 0)
            CHECK_INT(knit_cond_wait_nocancel(&b->not_empty, &b->m), 0);
        b->sum += b->items[b->first];
        b->first = (b->first + 1) % 4;
        b->count--;
        CHECK_INT(knit_mutex_unlock(&b->m), 0);
        CHECK_INT(knit_cond_signal(&b->not_full), 0);
    }
    return 0;
}

static void a_bounded_buffer_loses_nothing(void)
{
    buffer b = {.rounds = kt_count(500)};
    crowd c = {0};
    for (int i = 0; i < 4; i++) {
        crowd_go(&c, producer, &b);
        crowd_go(&c, consumer, &b);
        c.n++; /* of both kinds tasks and threads */
    }
    crowd_join(&c);
    CHECK_INT(b.sum, 4L * b.rounds * (b.rounds + 1) / 2);
}

static const knittest tests[] = {
    BOTH(cnd1_a_signal_wakes_one),
    BOTH(cnd2_signals_wake_in_order),
    BOTH(cnd3_a_broadcast_wakes_each_once),
    BOTH(cnd4_three_hand_on),
    BOTH(cnd5_a_newcomer_does_not_steal_a_broadcast),
    BOTH(cnd6_a_copy_is_found_out),
    BOTH(waiting_without_the_mutex_is_an_error),
    BOTH(a_deadline_ends_the_wait_with_the_mutex_locked),
    BOTH(cancel_ends_the_wait_and_takes_no_signal),
    BOTH(a_bounded_buffer_loses_nothing),
};

KNITTEST_MAIN(tests)
