/* Rwlock, tasks and plain threads mixed. RWM-n: Go's sync/rwmutex_test.go. RWM-3 tests RLocker, a
 * matter of Go's interfaces; what it shows of the lock is in rwm3_. */
#include "crowd.h"

#include <stdatomic.h>

typedef struct shared {
    knit_rwlock l;
    int rounds;
    atomic_int activity, in, woken, go;
} shared;

/* ---- RWM-1 ----------------------------------------------------------------------------------- */

static int read_together(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_rwlock_read(&s->l), 0);
    atomic_fetch_add(&s->in, 1);
    kt_until(atomic_load(&s->go));
    CHECK_INT(knit_rwlock_read_unlock(&s->l), 0);
    return 0;
}

static void rwm1_readers_are_in_together(void)
{
    static const int numbers[] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        shared s = {0};
        crowd c = {0};
        for (int k = 0; k < numbers[i]; k++)
            crowd_go(&c, read_together, &s);
        kt_until(atomic_load(&s.in) == numbers[i]);
        atomic_store(&s.go, 1);
        crowd_join(&c);
    }
}

/* ---- RWM-2 ----------------------------------------------------------------------------------- */

static void rwm2_try_forms_see_who_is_in(void)
{
    knit_rwlock l = {0};
    CHECK_INT(knit_rwlock_write(&l), 0);
    CHECK_INT(knit_rwlock_try_write(&l), -EAGAIN);
    CHECK_INT(knit_rwlock_try_read(&l), -EAGAIN);
    CHECK_INT(knit_rwlock_write_unlock(&l), 0);
    CHECK_INT(knit_rwlock_try_write(&l), 0);
    CHECK_INT(knit_rwlock_write_unlock(&l), 0);
    CHECK_INT(knit_rwlock_read(&l), 0);
    CHECK_INT(knit_rwlock_try_read(&l), 0);
    CHECK_INT(knit_rwlock_try_write(&l), -EAGAIN);
    CHECK_INT(knit_rwlock_read_unlock(&l), 0);
    CHECK_INT(knit_rwlock_try_write(&l), -EAGAIN);
    CHECK_INT(knit_rwlock_read_unlock(&l), 0);
    CHECK_INT(knit_rwlock_try_write(&l), 0);
    CHECK_INT(knit_rwlock_write_unlock(&l), 0);
}

static void stay_a_while(int i)
{
    if (i % 8 == 0)
        (void)knit_yield();
}

static int reader(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        CHECK_INT(knit_rwlock_read(&s->l), 0);
        int n = atomic_fetch_add(&s->activity, 1) + 1;
        CHECK(n >= 1 && n < 10000);
        stay_a_while(i);
        atomic_fetch_sub(&s->activity, 1);
        CHECK_INT(knit_rwlock_read_unlock(&s->l), 0);
    }
    return 0;
}

static int writer(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        CHECK_INT(knit_rwlock_write(&s->l), 0);
        CHECK_INT(atomic_fetch_add(&s->activity, 10000), 0);
        stay_a_while(i);
        atomic_fetch_sub(&s->activity, 10000);
        CHECK_INT(knit_rwlock_write_unlock(&s->l), 0);
    }
    return 0;
}

static void rwm2_writers_are_alone(void)
{
    static const int numbers[] = {1, 3, 10};
    for (int i = 0; i < 3; i++) {
        shared s = {.rounds = kt_count(300)};
        crowd c = {0};
        crowd_go(&c, writer, &s);
        for (int k = 0; k < numbers[i]; k++) {
            if (k == numbers[i] / 2)
                crowd_go(&c, writer, &s);
            crowd_go(&c, reader, &s);
        }
        crowd_join(&c);
        CHECK_INT(knit_rwlock_try_write(&s.l), 0);
        CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
    }
}

/* ---- RWM-3, preference ------------------------------------------------------------------------- */

static int write_once(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_rwlock_write(&s->l), 0);
    atomic_fetch_add(&s->woken, 1);
    CHECK_INT(knit_rwlock_write_unlock(&s->l), 0);
    return 0;
}

static void rwm3_readers_keep_a_writer_out(void)
{
    for (int i = 0; i < 10; i++) {
        shared s = {0};
        crowd c = {.n = i};
        CHECK_INT(knit_rwlock_read(&s.l), 0);
        CHECK_INT(knit_rwlock_read(&s.l), 0);
        crowd_go(&c, write_once, &s);
        kt_until(knit_rwlock_try_read(&s.l) == -EAGAIN ||
                 knit_rwlock_read_unlock(&s.l) != 0); /* until it waits: then readers stay out */
        CHECK_INT(knit_rwlock_read_unlock(&s.l), 0);
        CHECK_INT(atomic_load(&s.woken), 0);
        CHECK_INT(knit_rwlock_read_unlock(&s.l), 0);
        crowd_join(&c);
        CHECK_INT(atomic_load(&s.woken), 1);
    }
}

static int read_once(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_rwlock_read(&s->l), 0);
    atomic_fetch_add(&s->in, 1);
    kt_until(atomic_load(&s->in) == 4); /* all four, while the second writer waits */
    CHECK_INT(atomic_load(&s->woken), 0);
    CHECK_INT(knit_rwlock_read_unlock(&s->l), 0);
    return 0;
}

/* A writer is in, a writer and four readers wait: the readers come before the second writer. The
 * sleep only makes it likely that all are queued; whatever the order, four readers must meet. */
static void queued_readers_go_before_the_next_writer(void)
{
    shared s = {0};
    crowd c = {0};
    CHECK_INT(knit_rwlock_write(&s.l), 0);
    for (int i = 0; i < 4; i++)
        crowd_go(&c, read_once, &s);
    (void)knit_sleep(2 * KNIT_MILLISECOND);
    CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
    crowd_join(&c);
    CHECK_INT(atomic_load(&s.in), 4);
}

static int expect_timeout(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_rwlock_write_until(&s->l, knit_now() + 5 * KNIT_MILLISECOND), -ETIMEDOUT);
    return 0;
}

static void a_writer_that_gives_up_lets_readers_in(void)
{
    for (int i = 0; i < 4; i++) {
        shared s = {0};
        crowd c = {.n = i};
        CHECK_INT(knit_rwlock_read(&s.l), 0);
        crowd_go(&c, expect_timeout, &s);
        CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
        CHECK_INT(knit_rwlock_read(&s.l), 0); /* waits behind the writer, or not; comes in */
        crowd_join(&c);
        CHECK_INT(knit_rwlock_read_unlock(&s.l), 0);
        CHECK_INT(knit_rwlock_read_unlock(&s.l), 0);
        CHECK_INT(knit_rwlock_try_write(&s.l), 0);
        CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
    }
}

/* ---- misuse, cancel ---------------------------------------------------------------------------- */

static void mux2_unlock_of_unlocked_is_an_error(void)
{
    knit_rwlock l = {0};
    CHECK_INT(knit_rwlock_write_unlock(&l), -EPERM);
    CHECK_INT(knit_rwlock_read_unlock(&l), -EPERM);
    CHECK_INT(knit_rwlock_read(&l), 0);
    CHECK_INT(knit_rwlock_write_unlock(&l), -EPERM);
    CHECK_INT(knit_rwlock_read_unlock(&l), 0);
    CHECK_INT(knit_rwlock_read_unlock(&l), -EPERM);
    CHECK_INT(knit_rwlock_write(&l), 0);
    CHECK_INT(knit_rwlock_read_unlock(&l), -EPERM);
    CHECK_INT(knit_rwlock_write_unlock(&l), 0);
    CHECK_INT(knit_rwlock_write_unlock(&l), -EPERM);
    CHECK_INT(knit_rwlock_read(NULL), -EINVAL);
    CHECK_INT(knit_rwlock_try_write(NULL), -EINVAL);
    CHECK_INT(knit_rwlock_write_until(NULL, 0), -EINVAL);
    CHECK_INT(knit_rwlock_read_unlock(NULL), -EINVAL);
}

static int give_up(void *arg)
{
    shared *s = arg;
    int i = atomic_fetch_add(&s->in, 1);
    int r = i % 2 ? knit_rwlock_read_until(&s->l, KNIT_FOREVER)
                  : knit_rwlock_write_until(&s->l, KNIT_FOREVER);
    CHECK_INT(r, -ECANCELED);
    return 0;
}

static void cancel_reaches_waiters_and_leaves_nothing(void)
{
    shared s = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_rwlock_write(&s.l), 0);
    for (int i = 0; i < 6; i++)
        CHECK_INT(knit_errgroup_go(&g, give_up, &s), 0);
    kt_until(atomic_load(&s.in) == 6);
    knit_errgroup_cancel(&g, 0);
    (void)knit_errgroup_wait(&g);
    CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
    CHECK_INT(knit_rwlock_try_write(&s.l), 0);
    CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
}

static int impatient(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < s->rounds; i++) {
        knit_time when = knit_now() + i % 50 * KNIT_MICROSECOND;
        bool write = i % 4 == 0;
        int r = write ? knit_rwlock_write_until(&s->l, when) : knit_rwlock_read_until(&s->l, when);
        CHECK(r == 0 || r == -ETIMEDOUT);
        if (r != 0)
            continue;
        int was = atomic_fetch_add(&s->activity, write ? 10000 : 1);
        CHECK(write ? was == 0 : was < 10000);
        stay_a_while(i);
        atomic_fetch_sub(&s->activity, write ? 10000 : 1);
        CHECK_INT(write ? knit_rwlock_write_unlock(&s->l) : knit_rwlock_read_unlock(&s->l), 0);
    }
    return 0;
}

static void giving_up_loses_no_wake_up(void)
{
    shared s = {.rounds = kt_count(300)};
    crowd c = {0};
    for (int i = 0; i < 6; i++)
        crowd_go(&c, impatient, &s);
    for (int i = 0; i < 2; i++) {
        crowd_go(&c, reader, &s);
        crowd_go(&c, writer, &s);
    }
    crowd_join(&c);
    CHECK_INT(knit_rwlock_try_write(&s.l), 0);
    CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
}

static int read_between_writes(void *arg)
{
    shared *s = arg;
    atomic_store(&s->go, 1);
    CHECK_INT(knit_rwlock_read(&s->l), 0);
    atomic_store(&s->in, 1);
    CHECK_INT(knit_rwlock_read_unlock(&s->l), 0);
    return 0;
}

/* A reader that finds the writer back when it runs is let in by that one's next unlock. */
static void a_writer_that_comes_back_does_not_starve_readers(void)
{
    shared s = {0};
    crowd c = {0};
    CHECK_INT(knit_rwlock_write(&s.l), 0);
    crowd_go(&c, read_between_writes, &s);
    kt_until(atomic_load(&s.go));
    while (atomic_load(&s.in) == 0) {
        (void)knit_yield();
        CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
        CHECK_INT(knit_rwlock_write(&s.l), 0);
    }
    CHECK_INT(knit_rwlock_write_unlock(&s.l), 0);
    crowd_join(&c);
}

/* By address, as other languages call them: what C callers have inlined is in the library too. */
static void calls_by_address_do_the_same(void)
{
    int (*volatile enter[])(knit_rwlock *) = {knit_rwlock_write, knit_rwlock_read};
    int (*volatile leave[])(knit_rwlock *) = {knit_rwlock_write_unlock, knit_rwlock_read_unlock};
    for (int i = 0; i < 2; i++) {
        knit_rwlock l = {0};
        CHECK_INT(enter[i](&l), 0);
        CHECK_INT(knit_rwlock_try_write(&l), -EAGAIN);
        CHECK_INT(leave[i](&l), 0);
        CHECK_INT(leave[i](&l), -EPERM);
        CHECK_INT(enter[i](NULL), -EINVAL);
        CHECK_INT(leave[i](NULL), -EINVAL);
    }
}

static const knittest tests[] = {
    BOTH(rwm1_readers_are_in_together),
    BOTH(rwm2_try_forms_see_who_is_in),
    BOTH(rwm2_writers_are_alone),
    BOTH(rwm3_readers_keep_a_writer_out),
    BOTH(queued_readers_go_before_the_next_writer),
    BOTH(a_writer_that_gives_up_lets_readers_in),
    BOTH(mux2_unlock_of_unlocked_is_an_error),
    BOTH(cancel_reaches_waiters_and_leaves_nothing),
    BOTH(giving_up_loses_no_wake_up),
    BOTH(a_writer_that_comes_back_does_not_starve_readers),
    THREAD(calls_by_address_do_the_same),
};

KNITTEST_MAIN(tests)
