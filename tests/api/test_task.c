/* What a task can do with itself: sleep, yield, be named, keep its errno, look for a cancel. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <knit/errno.h> /* last, as it says */

static knit_ctx *timed(knit_duration timeout)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), timeout, &ctx), 0);
    return ctx;
}

/* ---- sleep ----------------------------------------------------------------------------------- */

static void sleep_never_ends_early(void)
{
    static const knit_duration durations[] = {
        1, 100, 1000, 50000, KNIT_MILLISECOND, 5 * KNIT_MILLISECOND};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        knit_time start = knit_now();
        CHECK_INT(knit_sleep(durations[i]), 0);
        CHECK(knit_now() >= start + durations[i]);
        knit_time when = knit_now() + durations[i];
        CHECK_INT(knit_sleep_until(when), 0);
        CHECK(knit_now() >= when);
    }
}

static int sleep_a_while(void *arg)
{
    knit_duration d = *(knit_duration *)arg;
    knit_time when = knit_now() + d;
    int r = knit_sleep(d);
    return r == 0 && knit_now() < when ? -ERANGE : r;
}

static void many_sleepers_never_wake_early(void)
{
    kt_rng rng = {kt_seed()};
    knit_errgroup g = {0};
    for (int i = 0; i < kt_live(1000); i++) {
        knit_duration d = kt_below(&rng, 20000000);
        CHECK_INT(knit_errgroup_go_copy(&g, sleep_a_while, &d, sizeof d), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void a_sleep_that_is_over_returns_at_once(void)
{
    CHECK_INT(knit_sleep(0), 0);
    CHECK_INT(knit_sleep(-1), 0);
    CHECK_INT(knit_sleep(INT64_MIN), 0);
    CHECK_INT(knit_sleep_until(0), 0);
    CHECK_INT(knit_sleep_until(knit_now()), 0);
    CHECK_INT(knit_sleep_until(INT64_MIN), 0);
}

enum { SLEEPERS = 8 };

typedef struct sleeper {
    knit_time when;
    atomic_int *order;
    int place;
} sleeper;

static int sleep_then_note_place(void *arg)
{
    sleeper *s = arg;
    int r = knit_sleep_until(s->when);
    s->place = atomic_fetch_add(s->order, 1);
    return r;
}

static bool wake_in_order(knit_duration gap)
{
    sleeper sleepers[SLEEPERS];
    atomic_int order = 0;
    knit_errgroup g = {0};
    knit_time base = knit_now() + gap;
    for (int i = SLEEPERS - 1; i >= 0; i--) { /* started in the reverse order */
        sleepers[i] = (sleeper){base + i * gap, &order, -1};
        CHECK_INT(knit_errgroup_go(&g, sleep_then_note_place, &sleepers[i]), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < SLEEPERS; i++) {
        if (sleepers[i].place != i)
            return false;
    }
    return true;
}

static void sleepers_wake_in_the_order_of_their_times(void)
{
    /* A machine that stands still may wake several at once, on different workers: then the gap
     * grows. By chance the order comes out once in 40320 rounds. */
    knit_duration gap = 2 * KNIT_MILLISECOND;
    for (int round = 0; !wake_in_order(gap); round++) {
        CHECK(round < 8);
        gap *= 2;
    }
}

static int sleep_for_ever(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return knit_sleep(KNIT_FOREVER);
}

static void a_cancel_wakes_a_sleeper(void)
{
    for (int i = 0; i < kt_count(100); i++) {
        atomic_int asleep = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, &asleep), 0);
        kt_until(asleep);
        for (int k = 0; k < i; k++)
            (void)knit_yield();
        knit_errgroup_cancel(&g, 0);
        CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    }
}

static void a_deadline_wakes_a_sleeper(void)
{
    knit_ctx_scope scope;
    knit_time start = knit_now();
    knit_ctx *ctx = timed(2 * KNIT_MILLISECOND);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_sleep(KNIT_FOREVER), -ETIMEDOUT);
    CHECK(knit_now() >= start + 2 * KNIT_MILLISECOND);
    CHECK_INT(knit_sleep_until(KNIT_FOREVER), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

/* ---- yield ----------------------------------------------------------------------------------- */

typedef struct turns {
    atomic_int whose;
    int n;
} turns;

typedef struct player {
    turns *t;
    int number;
} player;

static int take_turns(void *arg)
{
    player *p = arg;
    for (int i = 0; i < p->t->n; i++) {
        kt_until(p->t->whose == p->number);
        p->t->whose = 1 - p->number;
    }
    return 0;
}

static void yield_lets_the_others_run(void)
{
    turns t = {.n = kt_count(2000)};
    player players[2] = {{&t, 0}, {&t, 1}};
    knit_errgroup g = {0};
    for (int i = 0; i < 2; i++)
        CHECK_INT(knit_errgroup_go(&g, take_turns, &players[i]), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_yield(), 0);
}

static int set_flag(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

static int yield_until_flag(void *arg)
{
    kt_until(atomic_load((atomic_int *)arg));
    return 0;
}

static void tasks_that_yield_do_not_starve_new_ones(void)
{
    atomic_int flag = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, yield_until_flag, &flag), 0);
    CHECK_INT(knit_errgroup_go(&g, set_flag, &flag), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void tasks_that_yield_do_not_starve_timers(void)
{
    atomic_int flag = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_errgroup_go(&g, yield_until_flag, &flag), 0);
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    flag = 1;
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

static int check_names(void *arg)
{
    static const char name[] = "shard 7";
    (void)arg;
    CHECK(knit_in_task());
    CHECK(strcmp(knit_task_name(), "check_names") == 0);
    CHECK_INT(knit_task_set_name(name), 0);
    CHECK_INT(knit_yield(), 0);
    CHECK(strcmp(knit_task_name(), "shard 7") == 0);
    CHECK_INT(knit_task_set_name(NULL), 0);
    CHECK(strcmp(knit_task_name(), "check_names") == 0);
    return 0;
}

static void a_task_is_called_by_its_function_until_it_is_named(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, check_names, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int check_site_name(void *arg)
{
    return strcmp(knit_task_name(), arg) == 0 ? 0 : -EPROTO;
}

static void the_name_is_the_text_of_the_function_argument(void)
{
    static const knit_site site = {"file", "from a script", 1};
    knit_fn *indirect = check_site_name;
    char as_text[] = "indirect", from_site[] = "from a script";
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, indirect, as_text), 0);
    CHECK_INT(knit_errgroup_go_at(&g, indirect, from_site, &site), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void a_thread_is_called_thread(void)
{
    CHECK_INT(knit_in_task(), 0);
    CHECK(strcmp(knit_task_name(), "thread") == 0);
    CHECK_INT(knit_task_set_name("main"), -EPERM);
    CHECK(strcmp(knit_task_name(), "thread") == 0);
}

static void a_thread_that_waits_is_no_task(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 10; i++)
        CHECK_INT(knit_errgroup_go(&g, check_names, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0); /* may have run them itself */
    CHECK_INT(knit_in_task(), 0);
    CHECK(strcmp(knit_task_name(), "thread") == 0);
    CHECK(knit_ctx_current() == knit_ctx_background());
}

/* ---- errno ----------------------------------------------------------------------------------- */

static int park_in_some_way(int i)
{
    switch (i % 3) {
    case 0: return knit_yield();
    case 1: return knit_sleep(KNIT_MICROSECOND);
    default: {
        knit_chan *ch;
        int r = knit_chan_new(0, 0, &ch);
        if (r < 0)
            return r;
        r = knit_chan_recv_until(ch, NULL, knit_now() + 1000);
        knit_chan_unref(ch);
        return r == -ETIMEDOUT ? 0 : r;
    }
    }
}

static int keep_errno(void *arg)
{
    int mine = *(int *)arg;
    errno = mine;
    for (int i = 0; i < 100; i++) {
        int r = park_in_some_way(i);
        if (r < 0)
            return r;
        if (errno != mine)
            return knit_error(-EPROTO, "errno is %d, not %d", errno, mine);
    }
    return 0;
}

static void errno_belongs_to_the_task(void)
{
    knit_errgroup g = {0};
    errno = 4711;
    for (int i = 1; i <= kt_count(100); i++)
        CHECK_INT(knit_errgroup_go_copy(&g, keep_errno, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    if (knit_in_task()) /* a thread's may be changed by any call, as C has it */
        CHECK_INT(errno, 4711);
}

static int errno_is_0(void *arg)
{
    (void)arg;
    int first = errno;
    errno = 99;
    return first;
}

static void a_new_task_starts_with_errno_0(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_errgroup_go(&g, errno_is_0, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* ---- knit_canceled --------------------------------------------------------------------------- */

static int compute_until_canceled(void *arg)
{
    atomic_int *running = arg;
    unsigned long rounds = 0;
    atomic_store(running, 1);
    while (!knit_canceled())
        rounds++;
    return rounds + 1 ? -ECANCELED : 0;
}

typedef struct canceler {
    knit_errgroup *g;
    atomic_int *running;
} canceler;

static void cancel_once_it_runs(void *arg)
{
    canceler *c = arg;
    kt_until(*c->running);
    knit_errgroup_cancel(c->g, -EXDEV);
}

static void a_loop_that_computes_sees_the_cancel(void)
{
    /* From a thread: with one worker the task keeps all of it to itself. */
    for (int i = 0; i < 20; i++) {
        atomic_int running = 0;
        knit_errgroup g;
        canceler c = {&g, &running};
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        kt_thread *thread = kt_thread_start(cancel_once_it_runs, &c);
        CHECK_INT(knit_errgroup_go(&g, compute_until_canceled, &running), 0);
        CHECK_INT(knit_errgroup_wait(&g), -EXDEV);
        kt_thread_join(thread);
    }
}

static void canceled_follows_the_ambient_context(void)
{
    knit_ctx_scope scope;
    knit_ctx *over = timed(0);
    CHECK_INT(knit_canceled(), 0);
    CHECK_INT(knit_ctx_enter(over, &scope), 0);
    CHECK_INT(knit_canceled(), 1);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    CHECK_INT(knit_canceled(), 0);
    knit_ctx_unref(over);
}

static void canceled_sees_a_deadline_pass(void)
{
    knit_ctx_scope scope;
    knit_ctx *ctx = timed(KNIT_MILLISECOND);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    kt_until(knit_canceled());
    CHECK_INT(knit_ctx_err(ctx), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

/* ---- the processor's state ------------------------------------------------------------------- */

static bool is_near(double got, double want)
{
    return got - want < 1e-9 && want - got < 1e-9;
}

static int keep_registers(void *arg)
{
    int seed = *(int *)arg;
    double a = seed, b = seed * 0.5, c = 1.0 / seed, d = seed * 3.0;
    long i = seed, j = seed * 7L, k = ~(long)seed;
    const int rounds = kt_some(50);
    for (int round = 0; round < rounds; round++) {
        if (knit_yield() < 0)
            return -EINTR;
        a += 1.0, b += 0.5, c *= 1.0, d += 3.0;
        i++, j += 7, k--;
    }
    int s = seed + rounds;
    bool floats =
        is_near(a, s) && is_near(b, s * 0.5) && is_near(c, 1.0 / seed) && is_near(d, s * 3.0);
    return floats && i == s && j == s * 7L && k == ~(long)s ? 0 : -EPROTO;
}

static void registers_survive_a_park(void)
{
    knit_errgroup g = {0};
    for (int i = 1; i <= 50; i++)
        CHECK_INT(knit_errgroup_go_copy(&g, keep_registers, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static int use_16k_of_stack(void *arg)
{
    volatile unsigned char bytes[16384];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i + (size_t) * (int *)arg);
    if (knit_yield() < 0)
        return -EINTR;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (bytes[i] != (unsigned char)(i + (size_t) * (int *)arg))
            return -EPROTO;
    }
    return 0;
}

static void stacks_do_not_overlap(void)
{
    knit_errgroup g = {0};
    for (int i = 0; i < kt_live(200); i++)
        CHECK_INT(knit_errgroup_go_copy(&g, use_16k_of_stack, &i, sizeof i), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static const knittest tests[] = {
    COLD(sleep_never_ends_early),
    COLD(a_thread_is_called_thread),
    BOTH(sleep_never_ends_early),
    BOTH(many_sleepers_never_wake_early),
    BOTH(a_sleep_that_is_over_returns_at_once),
    BOTH(sleepers_wake_in_the_order_of_their_times),
    BOTH(a_cancel_wakes_a_sleeper),
    BOTH(a_deadline_wakes_a_sleeper),
    BOTH(yield_lets_the_others_run),
    BOTH(tasks_that_yield_do_not_starve_new_ones),
    BOTH(tasks_that_yield_do_not_starve_timers),
    BOTH(a_task_is_called_by_its_function_until_it_is_named),
    BOTH(the_name_is_the_text_of_the_function_argument),
    THREAD(a_thread_is_called_thread),
    THREAD(a_thread_that_waits_is_no_task),
    BOTH(errno_belongs_to_the_task),
    BOTH(a_new_task_starts_with_errno_0),
    BOTH(a_loop_that_computes_sees_the_cancel),
    BOTH(canceled_follows_the_ambient_context),
    BOTH(canceled_sees_a_deadline_pass),
    BOTH(registers_survive_a_park),
    BOTH(stacks_do_not_overlap),
};
KNITTEST_MAIN(tests)
