/* Weighted semaphore, tasks and plain threads mixed. SEM-n: golang.org/x/sync's semaphore tests;
 * MUX-4: Go's test of its inner semaphore; SEMA-P1 and SEMA-P2: go-pkgz/syncs. */
#include "crowd.h"

#include <stdatomic.h>

typedef struct shared {
    knit_semaphore s;
    int64_t n;
    int rounds;
    atomic_int in, waiting, stop, over;
    int turns; /* s, capacity 1 */
} shared;

static void make(shared *s, int64_t capacity)
{
    CHECK_INT(knit_semaphore_init(&s->s, capacity), 0);
}

/* ---- SEM-1, MUX-4 ------------------------------------------------------------------------------ */

typedef struct member {
    shared *s;
    int64_t n;
    uint64_t seed;
} member;

static int take_sleep_release(void *arg)
{
    member *m = arg;
    kt_rng rng = {m->seed};
    for (int i = 0; i < m->s->rounds; i++) {
        CHECK_INT(knit_semaphore_acquire(&m->s->s, m->n), 0);
        int in = atomic_fetch_add(&m->s->in, (int)m->n);
        CHECK(in + m->n <= m->s->n);
        CHECK_INT(knit_sleep((int64_t)kt_below(&rng, 50) * KNIT_MICROSECOND), 0);
        atomic_fetch_sub(&m->s->in, (int)m->n);
        CHECK_INT(knit_semaphore_release(&m->s->s, m->n), 0);
    }
    return 0;
}

static void sem1_all_weights_get_through(void)
{
    enum { N = 8 };
    shared s = {.n = N, .rounds = kt_count(100)};
    crowd c = {0};
    member members[N];
    uint64_t seed = kt_seed();
    make(&s, N);
    for (int i = 0; i < N; i++) {
        members[i] = (member){&s, i, seed + (uint64_t)i};
        crowd_go(&c, take_sleep_release, &members[i]);
    }
    crowd_join(&c);
    CHECK_INT(knit_semaphore_held(&s.s), 0);
    CHECK_INT(knit_semaphore_try_acquire(&s.s, N), 0);
}

static int take_and_release(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        CHECK_INT(knit_semaphore_acquire(&s->s, 1), 0);
        s->turns++;
        CHECK_INT(knit_semaphore_release(&s->s, 1), 0);
    }
    return 0;
}

static void mux4_ten_share_one(void)
{
    shared s = {.rounds = kt_count(500)};
    crowd c = {0};
    make(&s, 1);
    for (int i = 0; i < 10; i++)
        crowd_go(&c, take_and_release, &s);
    crowd_join(&c);
    CHECK_INT(s.turns, 10 * s.rounds);
}

/* ---- SEM-2, misuse ----------------------------------------------------------------------------- */

static void sem2_releasing_more_than_taken_is_refused(void)
{
    shared s = {0};
    make(&s, 1);
    CHECK_INT(knit_semaphore_release(&s.s, 1), -ERANGE);
    CHECK_INT(knit_semaphore_try_acquire(&s.s, 2), -E2BIG); /* x/sync: true after the panic */
    CHECK_INT(knit_semaphore_try_acquire(&s.s, 1), 0);
    CHECK_INT(knit_semaphore_release(&s.s, 2), -ERANGE);
    CHECK_INT(knit_semaphore_held(&s.s), 1);
    CHECK_INT(knit_semaphore_release(&s.s, 1), 0);
}

/* x/sync: a negative weight makes room. */
static void negative_weights_and_null_are_errors(void)
{
    shared s = {0};
    make(&s, 1);
    CHECK_INT(knit_semaphore_acquire(&s.s, -1), -EINVAL);
    CHECK_INT(knit_semaphore_try_acquire(&s.s, -1), -EINVAL);
    CHECK_INT(knit_semaphore_acquire_until(&s.s, INT64_MIN, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_semaphore_acquire_nocancel(&s.s, -1), -EINVAL);
    CHECK_INT(knit_semaphore_release(&s.s, -1), -EINVAL);
    CHECK_INT(knit_semaphore_resize(&s.s, -1), -EINVAL);
    CHECK_INT(knit_semaphore_init(&s.s, -1), -EINVAL);
    CHECK_INT(knit_semaphore_held(&s.s), 0);
    CHECK_INT(knit_semaphore_capacity(&s.s), 1);
    CHECK_INT(knit_semaphore_init(NULL, 1), -EINVAL);
    CHECK_INT(knit_semaphore_acquire(NULL, 1), -EINVAL);
    CHECK_INT(knit_semaphore_try_acquire(NULL, 1), -EINVAL);
    CHECK_INT(knit_semaphore_release(NULL, 1), -EINVAL);
    CHECK_INT(knit_semaphore_resize(NULL, 1), -EINVAL);
    CHECK_INT(knit_semaphore_held(NULL) + knit_semaphore_capacity(NULL), 0);
}

/* ---- SEM-3, SEM-4, SEMA-P1, SEMA-P2 --------------------------------------------------------------------- */

static int try_one(knit_semaphore *s, int64_t n)
{
    return knit_semaphore_try_acquire(s, n);
}

static int wait_a_little(knit_semaphore *s, int64_t n)
{
    return knit_semaphore_acquire_until(s, n, knit_now() + KNIT_MILLISECOND);
}

static void the_sequence(int (*acquire)(knit_semaphore *, int64_t), int refused)
{
    knit_semaphore s;
    CHECK_INT(knit_semaphore_init(&s, 2), 0);
    CHECK_INT(knit_semaphore_acquire(&s, 1), 0);
    CHECK_INT(acquire(&s, 1), 0);
    CHECK_INT(acquire(&s, 1), refused);
    CHECK_INT(knit_semaphore_release(&s, 2), 0);
    CHECK_INT(acquire(&s, 1), 0);
    CHECK_INT(knit_semaphore_acquire(&s, 1), 0);
    CHECK_INT(acquire(&s, 1), refused);
}

static void sem3_try_acquire(void)
{
    the_sequence(try_one, -EAGAIN);
}

static void sem4_acquire_with_a_deadline(void)
{
    the_sequence(wait_a_little, -ETIMEDOUT);
}

static void sema_p2_as_many_as_fit(void)
{
    static const int table[][3] = {{0, 1, 0}, {1, 1, 1}, {2, 2, 2}, {2, 3, 2}};
    for (int i = 0; i < 4; i++) {
        knit_semaphore s;
        int got = 0;
        CHECK_INT(knit_semaphore_init(&s, table[i][0]), 0);
        for (int k = 0; k < table[i][1]; k++)
            got += knit_semaphore_try_acquire(&s, 1) == 0;
        CHECK_INT(got, table[i][2]);
    }
}

static int take_and_keep(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->waiting, 1);
    CHECK_INT(knit_semaphore_acquire(&s->s, 1), 0);
    atomic_fetch_add(&s->in, 1);
    return 0;
}

static void sema_p1_the_rest_waits_for_a_release(void)
{
    static const int table[][2] = {{1, 1}, {2, 2}, {2, 3}};
    for (int i = 0; i < 3; i++) {
        int capacity = table[i][0], callers = table[i][1];
        shared s = {0};
        crowd c = {0};
        make(&s, capacity);
        for (int k = 0; k < callers; k++)
            crowd_go(&c, take_and_keep, &s);
        kt_until(s.waiting == callers && s.in == capacity);
        for (int k = 0; k < 10; k++)
            (void)knit_yield();
        CHECK_INT(s.in, capacity); /* and not one more */
        CHECK_INT(knit_semaphore_held(&s.s), capacity);
        for (int k = capacity; k < callers; k++) {
            CHECK_INT(knit_semaphore_release(&s.s, 1), 0);
            kt_until(s.in == k + 1);
        }
        crowd_join(&c);
        CHECK_INT(knit_semaphore_release(&s.s, capacity), 0);
    }
}

/* ---- SEM-5 ----------------------------------------------------------------------------------- */

static int hold_one(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, 1), 0);
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    CHECK_INT(knit_semaphore_release(&s->s, 1), 0);
    return 0;
}

static int ask_too_much(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, 3), -E2BIG);
    return 0;
}

static void sem5_too_much_is_refused_and_blocks_nobody(void)
{
    shared s = {0};
    crowd c = {0};
    make(&s, 2);
    crowd_go(&c, ask_too_much, &s);
    for (int i = 0; i < 6; i++)
        crowd_go(&c, hold_one, &s);
    crowd_join(&c);
    CHECK_INT(knit_semaphore_held(&s.s), 0);
}

/* ---- SEM-6 ----------------------------------------------------------------------------------- */

static int take_again_and_again(void *arg)
{
    shared *s = arg;
    while (!atomic_load(&s->stop)) {
        CHECK_INT(knit_sleep(100 * KNIT_MICROSECOND), 0);
        CHECK_INT(knit_semaphore_release(&s->s, 1), 0);
        CHECK_INT(knit_semaphore_acquire(&s->s, 1), 0);
    }
    return knit_semaphore_release(&s->s, 1);
}

static void sem6_a_large_request_does_not_starve(void)
{
    enum { N = 4 };
    shared s = {0};
    crowd c = {0};
    make(&s, N);
    CHECK_INT(knit_semaphore_acquire(&s.s, N), 0);
    for (int i = 0; i < N; i++)
        crowd_go(&c, take_again_and_again, &s);
    CHECK_INT(knit_semaphore_acquire(&s.s, N), 0);
    atomic_store(&s.stop, 1);
    CHECK_INT(knit_semaphore_release(&s.s, N), 0);
    crowd_join(&c);
    CHECK_INT(knit_semaphore_held(&s.s), 0);
}

/* ---- SEM-7, SEM-8 ------------------------------------------------------------------------------ */

static int acquire_canceled(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, s->n), -ECANCELED);
    return 0;
}

static int acquire_one(void *arg)
{
    shared *s = arg;
    return knit_semaphore_acquire(&s->s, 1);
}

/* Until somebody waits: then nothing can be tried, not even 0. */
static void until_queued(knit_semaphore *s)
{
    kt_until(knit_semaphore_try_acquire(s, 0) == -EAGAIN);
}

static void sem7_a_cancelled_head_lets_the_next_go(void)
{
    for (int i = kt_count(50); i > 0; i--) { /* golang/go#37852 */
        shared s = {.n = 10};
        crowd c = {.n = i};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        make(&s, 10);
        CHECK_INT(knit_semaphore_acquire(&s.s, 1), 0);
        CHECK_INT(knit_errgroup_go(&g, acquire_canceled, &s), 0);
        until_queued(&s.s);
        crowd_go(&c, acquire_one, &s); /* queues behind it, or comes after the cancel */
        knit_errgroup_cancel(&g, 0);
        (void)knit_errgroup_wait(&g);
        crowd_join(&c);
        CHECK_INT(knit_semaphore_held(&s.s), 2);
        CHECK_INT(knit_semaphore_release(&s.s, 2), 0);
    }
}

static void sem8_a_cancelled_acquire_takes_nothing(void)
{
    shared s = {.n = 2};
    knit_errgroup g;
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    make(&s, 2);
    CHECK_INT(knit_semaphore_acquire(&s.s, 1), 0);
    CHECK_INT(knit_errgroup_go(&g, acquire_canceled, &s), 0);
    until_queued(&s.s);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_semaphore_release(&s.s, 1), 0);
    (void)knit_errgroup_wait(&g);
    CHECK_INT(knit_semaphore_try_acquire(&s.s, 2), 0);
    CHECK_INT(knit_semaphore_release(&s.s, 2), 0);

    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0); /* golang/go#63615 */
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_semaphore_acquire(&s.s, 1), -ECANCELED);
    CHECK_INT(knit_semaphore_acquire_until(&s.s, 1, KNIT_FOREVER), -ECANCELED);
    CHECK_INT(knit_semaphore_acquire_nocancel(&s.s, 1), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    CHECK_INT(knit_semaphore_held(&s.s), 1);
    knit_ctx_unref(ctx);
}

/* ---- order, zero, resize ----------------------------------------------------------------------- */

static int large_first(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, 2), 0);
    CHECK_INT(atomic_load(&s->in), 0);
    return knit_semaphore_release(&s->s, 2);
}

static int small_after(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, 1), 0);
    atomic_fetch_add(&s->in, 1);
    return knit_semaphore_release(&s->s, 1);
}

/* SEMA-1. Small requests that would fit do not overtake a large one that waits. */
static void first_come_first_served(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        shared s = {0};
        crowd c = {.n = i};
        make(&s, 2);
        CHECK_INT(knit_semaphore_acquire(&s.s, 2), 0);
        crowd_go(&c, large_first, &s);
        until_queued(&s.s);
        for (int k = 0; k < 4; k++)
            crowd_task(&c, small_after, &s);
        CHECK_INT(knit_semaphore_release(&s.s, 1), 0);
        (void)knit_yield();
        CHECK_INT(atomic_load(&s.in), 0);
        CHECK_INT(knit_semaphore_release(&s.s, 1), 0);
        crowd_join(&c);
        CHECK_INT(atomic_load(&s.in), 4);
    }
}

static int take_nothing(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, 0), 0);
    atomic_store(&s->over, 1);
    return 0;
}

static void zero_waits_for_its_turn(void)
{
    shared s = {.n = 2};
    crowd c = {0};
    member two = {.s = &s, .n = 2};
    make(&s, 2);
    s.rounds = 1;
    CHECK_INT(knit_semaphore_acquire(&s.s, 1), 0);
    CHECK_INT(knit_semaphore_try_acquire(&s.s, 0), 0);
    crowd_go(&c, take_sleep_release, &two);
    until_queued(&s.s);
    CHECK_INT(knit_semaphore_acquire_until(&s.s, 0, 0), -ETIMEDOUT);
    crowd_go(&c, take_nothing, &s);
    CHECK_INT(atomic_load(&s.over), 0);
    CHECK_INT(knit_semaphore_release(&s.s, 1), 0);
    crowd_join(&c);
    CHECK_INT(atomic_load(&s.over), 1);
}

static int acquire_n(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, s->n), 0);
    return knit_semaphore_release(&s->s, s->n);
}

static void more_capacity_serves_those_who_wait(void)
{
    for (int i = 0; i < 2; i++) {
        shared s = {.n = 2};
        crowd c = {.n = i};
        make(&s, 2);
        CHECK_INT(knit_semaphore_acquire(&s.s, 1), 0);
        crowd_go(&c, acquire_n, &s);
        until_queued(&s.s);
        CHECK_INT(knit_semaphore_resize(&s.s, 3), 0);
        crowd_join(&c);
        CHECK_INT(knit_semaphore_capacity(&s.s), 3);
        CHECK_INT(knit_semaphore_held(&s.s), 1);
    }
}

static int refused_later(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_semaphore_acquire(&s->s, s->n), -E2BIG);
    return 0;
}

static void less_capacity_refuses_what_cannot_be_had(void)
{
    for (int i = 0; i < 2; i++) {
        shared s = {.n = 3};
        crowd c = {.n = i};
        make(&s, 3);
        CHECK_INT(knit_semaphore_acquire(&s.s, 2), 0);
        crowd_go(&c, refused_later, &s);
        until_queued(&s.s);
        CHECK_INT(knit_semaphore_resize(&s.s, 1), 0);
        crowd_join(&c);
        CHECK_INT(knit_semaphore_held(&s.s), 2); /* what is taken stays taken */
        CHECK_INT(knit_semaphore_try_acquire(&s.s, 1), -EAGAIN);
        CHECK_INT(knit_semaphore_try_acquire(&s.s, 0), -EAGAIN);
        CHECK_INT(knit_semaphore_release(&s.s, 2), 0);
        CHECK_INT(knit_semaphore_try_acquire(&s.s, 1), 0);
    }
}

static void zero_initialised_has_no_capacity(void)
{
    knit_semaphore s = {0};
    CHECK_INT(knit_semaphore_try_acquire(&s, 1), -E2BIG);
    CHECK_INT(knit_semaphore_acquire(&s, 0), 0);
    CHECK_INT(knit_semaphore_resize(&s, 1), 0);
    CHECK_INT(knit_semaphore_acquire(&s, 1), 0);
    CHECK_INT(knit_semaphore_release(&s, 1), 0);
}

/* ---- the worker pool of x/sync's example ------------------------------------------------------- */

typedef struct job {
    knit_semaphore *s;
    int steps;
    long n;
} job;

static int collatz(void *arg)
{
    job *j = arg;
    for (long n = j->n; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
        j->steps++;
    return knit_semaphore_release(j->s, 1);
}

static void example_worker_pool(void)
{
    static const int want[32] = {0,  1,  7,  2, 5, 8,  16, 3,  19, 6,  14,  9,  9,  17, 17,  4,
                                 12, 20, 20, 7, 7, 15, 15, 10, 23, 10, 111, 18, 18, 18, 106, 5};
    knit_semaphore s;
    knit_errgroup g = {0};
    job jobs[32];
    CHECK_INT(knit_semaphore_init(&s, 2), 0);
    for (int i = 0; i < 32; i++) {
        jobs[i] = (job){.s = &s, .n = i + 1};
        CHECK_INT(knit_semaphore_acquire(&s, 1), 0);
        CHECK_INT(knit_errgroup_go(&g, collatz, &jobs[i]), 0);
    }
    CHECK_INT(knit_semaphore_acquire(&s, 2), 0); /* as a join */
    for (int i = 0; i < 32; i++)
        CHECK_INT(jobs[i].steps, want[i]);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static const knittest tests[] = {
    BOTH(sem1_all_weights_get_through),
    BOTH(mux4_ten_share_one),
    BOTH(sem2_releasing_more_than_taken_is_refused),
    BOTH(negative_weights_and_null_are_errors),
    BOTH(sem3_try_acquire),
    BOTH(sem4_acquire_with_a_deadline),
    BOTH(sema_p1_the_rest_waits_for_a_release),
    BOTH(sema_p2_as_many_as_fit),
    BOTH(sem5_too_much_is_refused_and_blocks_nobody),
    BOTH(sem6_a_large_request_does_not_starve),
    BOTH(sem7_a_cancelled_head_lets_the_next_go),
    BOTH(sem8_a_cancelled_acquire_takes_nothing),
    BOTH(first_come_first_served),
    BOTH(zero_waits_for_its_turn),
    BOTH(more_capacity_serves_those_who_wait),
    BOTH(less_capacity_refuses_what_cannot_be_had),
    BOTH(zero_initialised_has_no_capacity),
    BOTH(example_worker_pool),
};

KNITTEST_MAIN(tests)
