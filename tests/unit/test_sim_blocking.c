/* Marked calls that wait for each other inside the simulated world: each blocks its thread in a futex of
 * that world until another task has done something, so who runs what is left behind it is up to the
 * seed, and a wake-up that was promised (sched/handoff.h) and did not come is a deadlock, which is
 * reported. */
#include "knittest.h"
#include "plat/plat.h"

#include <limits.h>
#include <stdatomic.h>

enum {
    DEPTH = 10, /* of a chain; deeper than there are workers */
    CHAINS = 3,
    REST_MS = 40, /* the monitor looks on for some 24 ms after all have gone away */
    MIXED = 24,
    ROUNDS = 3,
};

static kt_rng rng;

/* One thread runs at a time, so all may draw from it. */
static unsigned draw(unsigned n)
{
    return kt_below(&rng, n);
}

static void begin(void)
{
    rng.state = kt_seed();
}

/* ---- blocking ---- */

typedef _Atomic uint32_t count;

static void wait_until(count *what, uint32_t least)
{
    uint32_t n;
    while ((n = atomic_load(what)) < least)
        knit__futex_wait(what, n, KNIT__NEVER);
}

/* Not for what may be gone once it is seen. */
static uint32_t add(count *what, uint32_t n)
{
    uint32_t before = atomic_fetch_add(what, n);
    knit__futex_wake(what, INT_MAX);
    return before;
}

typedef struct await {
    count *what;
    uint32_t least;
} await;

static int call(void *arg)
{
    const await *a = arg;
    wait_until(a->what, a->least);
    return 0;
}

static void block_until(count *what, uint32_t least)
{
    await a = {what, least};
    CHECK_INT(knit_blocking(call, &a), 0);
}

static int short_call(void *arg)
{
    for (unsigned n = *(const unsigned *)arg; n > 0; n--)
        knit_sim_point();
    return 0;
}

static void block_shortly(void)
{
    unsigned n = draw(30);
    CHECK_INT(knit_blocking(short_call, &n), 0);
}

static void compute(void)
{
    for (unsigned n = draw(30); n > 0; n--)
        knit_sim_point();
}

/* The monitor comes near its long sleep, or falls into it. */
static void let_the_monitor_look(void)
{
    CHECK_INT(knit_sleep((knit_duration)draw(REST_MS * 4) * KNIT_MILLISECOND / 4), 0);
}

static int add_one(void *arg)
{
    add(arg, 1);
    return 0;
}

/* ---- chains ---- */

typedef struct chain {
    knit_errgroup g;
    count begun;
} chain;

static int link_of(void *arg)
{
    chain *c = arg;
    uint32_t i = add(&c->begun, 1);
    if (i + 1 == DEPTH)
        return 0;
    if (i % 3 == 2) {
        block_shortly();
        compute();
    }
    CHECK_INT(knit_errgroup_go(&c->g, link_of, c), 0);
    block_until(&c->begun, i + 2);
    return 0;
}

static void run_chain(void *arg)
{
    chain c = {.begun = 0};
    (void)arg;
    CHECK_INT(knit_errgroup_go(&c.g, link_of, &c), 0);
    CHECK_INT(knit_errgroup_wait(&c.g), 0);
    CHECK_INT(atomic_load(&c.begun), DEPTH);
}

static void each_starts_the_next_and_blocks_until_it_has_begun(void)
{
    begin();
    run_chain(NULL);
}

static int chain_of_a_task(void *arg)
{
    run_chain(arg);
    return 0;
}

static void chains_run_beside_each_other(void)
{
    kt_thread *threads[CHAINS];
    knit_errgroup g = {0};

    begin();
    for (int i = 0; i < CHAINS; i++) {
        threads[i] = kt_thread_start(run_chain, NULL);
        CHECK_INT(knit_errgroup_go(&g, chain_of_a_task, NULL), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < CHAINS; i++)
        kt_thread_join(threads[i]);
}

/* ---- work that comes while all are away ---- */

typedef struct crowd {
    knit_errgroup g;
    count away, done, sent;
    knit_chan *ch;
    uint32_t workers;
} crowd;

static int block_until_done(void *arg)
{
    crowd *c = arg;
    add(&c->away, 1);
    block_until(&c->done, 1);
    return 0;
}

/* As many as workers, and some more, of which each needs a spare one. */
static void all_go_away(crowd *c)
{
    uint32_t n = c->workers + draw(3);
    for (uint32_t i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&c->g, block_until_done, c), 0);
}

static crowd crowd_new(void)
{
    return (crowd){.workers = (uint32_t)knit_workers()};
}

static void start_it_later(void *arg)
{
    crowd *c = arg;
    wait_until(&c->away, c->workers);
    let_the_monitor_look();
    CHECK_INT(knit_errgroup_go(&c->g, add_one, &c->done), 0);
    CHECK_INT(knit_errgroup_wait(&c->g), 0);
}

static void what_a_thread_starts_runs_while_all_are_away(void)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        crowd c = crowd_new();
        all_go_away(&c);
        kt_thread *thread = kt_thread_start(start_it_later, &c);
        kt_thread_join(thread);
    }
}

static int done_after_a_sleep(void *arg)
{
    crowd *c = arg;
    CHECK_INT(knit_sleep(draw(30) * KNIT_MILLISECOND), 0);
    return add_one(&c->done);
}

static void a_timer_fires_while_all_are_away(void)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        crowd c = crowd_new();
        CHECK_INT(knit_errgroup_go(&c.g, done_after_a_sleep, &c), 0);
        all_go_away(&c);
        CHECK_INT(knit_errgroup_wait(&c.g), 0);
    }
}

static int done_when_told(void *arg)
{
    crowd *c = arg;
    int x;
    CHECK_INT(knit_chan_recv(c->ch, &x), 0);
    return add_one(&c->done);
}

static void tell_later(void *arg)
{
    crowd *c = arg;
    int x = 1;
    wait_until(&c->away, c->workers);
    let_the_monitor_look();
    CHECK_INT(knit_chan_send(c->ch, &x), 0);
}

static void who_is_woken_by_a_thread_runs_while_all_are_away(void)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        crowd c = crowd_new();
        CHECK_INT(knit_chan_new(sizeof(int), 0, &c.ch), 0);
        CHECK_INT(knit_errgroup_go(&c.g, done_when_told, &c), 0);
        all_go_away(&c);
        kt_thread *thread = kt_thread_start(tell_later, &c);
        CHECK_INT(knit_errgroup_wait(&c.g), 0);
        kt_thread_join(thread);
        knit_chan_unref(c.ch);
    }
}

/* The waker's own queue, and then it is away itself. */
static int tell_then_block(void *arg)
{
    crowd *c = arg;
    int x = 1;
    CHECK_INT(knit_chan_send(c->ch, &x), 0);
    return block_until_done(c);
}

static void who_is_woken_by_one_who_blocks_next_runs(void)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        crowd c = crowd_new();
        CHECK_INT(knit_chan_new(sizeof(int), 0, &c.ch), 0);
        CHECK_INT(knit_errgroup_go(&c.g, done_when_told, &c), 0);
        all_go_away(&c);
        CHECK_INT(knit_errgroup_go(&c.g, tell_then_block, &c), 0);
        CHECK_INT(knit_errgroup_wait(&c.g), 0);
        knit_chan_unref(c.ch);
    }
}

static int pinned_until_told(void *arg)
{
    crowd *c = arg;
    int x;
    CHECK_INT(knit_task_pin(), 0);
    CHECK_INT(knit_chan_recv(c->ch, &x), 0);
    CHECK_INT(knit_task_unpin(), 0);
    return add_one(&c->done);
}

/* Its worker must not be one that is away until then: whoever pins is alone on it. */
static void a_pinned_one_is_woken_while_the_others_are_away(void)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        crowd c = crowd_new();
        int x = 1;
        CHECK_INT(knit_chan_new(sizeof(int), 0, &c.ch), 0);
        CHECK_INT(knit_errgroup_go(&c.g, pinned_until_told, &c), 0);
        for (uint32_t n = 0; n < c.workers; n++)
            CHECK_INT(knit_errgroup_go(&c.g, done_after_a_sleep, &c), 0);
        CHECK_INT(knit_chan_send(c.ch, &x), 0);
        CHECK_INT(knit_errgroup_wait(&c.g), 0);
        knit_chan_unref(c.ch);
    }
}

/* ---- who comes back goes away again ---- */

/* A child in the own ring, and away before anybody has seen it. */
static void leave_a_child(void)
{
    count begun = 0;
    knit_errgroup g = {0};

    CHECK_INT(knit_errgroup_go(&g, add_one, &begun), 0);
    block_until(&begun, 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* The errands of plain threads are what a searcher may find instead. */
static int come_back_and_go_away(void *arg)
{
    crowd *c = arg;
    uint32_t mine = add(&c->away, 1);

    block_until(&c->sent, 1 + mine % 2);
    leave_a_child();
    return add_one(&c->done);
}

static int errand(void *arg)
{
    crowd *c = arg;
    block_until(&c->done, c->workers);
    return 0;
}

static void send_errands(void *arg)
{
    crowd *c = arg;
    knit_errgroup g = {0};

    wait_until(&c->away, c->workers);
    let_the_monitor_look();
    for (int i = 0; i < 2; i++) {
        if (draw(2) == 0)
            add(&c->sent, 1);
        CHECK_INT(knit_errgroup_go(&g, errand, c), 0);
    }
    add(&c->sent, 2);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

static void what_is_left_while_another_searches_is_found(void)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        crowd c = crowd_new();
        for (uint32_t n = 0; n < c.workers; n++)
            CHECK_INT(knit_errgroup_go(&c.g, come_back_and_go_away, &c), 0);
        kt_thread *thread = kt_thread_start(send_errands, &c);
        CHECK_INT(knit_errgroup_wait(&c.g), 0);
        kt_thread_join(thread);
    }
}

/* ---- what is done within a marked call ---- */

/* An act within a marked call, some time after it began, and what that waits for then. */
typedef struct inner {
    knit_fn *act;
    knit_errgroup g;
    knit_schedgroup s;
    knit_chan *ch;
    count begun, rested, done;
} inner;

static int act_and_block(void *arg)
{
    inner *in = arg;
    wait_until(&in->rested, 1);
    CHECK_INT(in->act(in), 0);
    wait_until(&in->done, 1);
    return 0;
}

static int call_inner(void *arg)
{
    inner *in = arg;
    add(&in->begun, 1);
    return knit_blocking(act_and_block, in);
}

static void rest(void *arg)
{
    inner *in = arg;
    wait_until(&in->begun, 1);
    let_the_monitor_look();
    add(&in->rested, 1);
}

static int inner_done(void *arg)
{
    inner *in = arg;
    return add_one(&in->done);
}

static int inner_done_when_told(void *arg)
{
    inner *in = arg;
    int x;
    CHECK_INT(knit_chan_recv(in->ch, &x), 0);
    return inner_done(in);
}

static void within_a_call(knit_fn *act, knit_fn *beside)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        inner in = {.act = act};
        CHECK_INT(knit_chan_new(sizeof(int), 0, &in.ch), 0);
        if (beside)
            CHECK_INT(knit_errgroup_go(&in.g, beside, &in), 0);
        CHECK_INT(knit_errgroup_go(&in.g, call_inner, &in), 0);
        kt_thread *thread = kt_thread_start(rest, &in);
        CHECK_INT(knit_errgroup_wait(&in.g), 0);
        kt_thread_join(thread);
        CHECK_INT(knit_schedgroup_close(&in.s), 0);
        knit_chan_unref(in.ch);
    }
}

static int start_one(void *arg)
{
    inner *in = arg;
    return knit_errgroup_go(&in->g, inner_done, in);
}

static void what_a_marked_call_starts_runs(void)
{
    within_a_call(start_one, NULL);
}

static int schedule_one(void *arg)
{
    inner *in = arg;
    return knit_schedgroup_delay(&in->s, (knit_duration)draw(3) * KNIT_MILLISECOND, inner_done, in);
}

static void what_a_marked_call_schedules_runs(void)
{
    within_a_call(schedule_one, NULL);
}

static int tell_one(void *arg)
{
    inner *in = arg;
    int x = 1;
    return knit_chan_send(in->ch, &x);
}

static void who_is_woken_by_a_marked_call_runs(void)
{
    within_a_call(tell_one, inner_done_when_told);
}

/* ---- all of it ---- */

static int mixed(void *arg)
{
    crowd *c = arg;
    for (unsigned n = 1 + draw(4); n > 0; n--) {
        switch (draw(6)) {
        case 0: block_shortly(); break;
        case 1: compute(); break;
        case 2: (void)knit_yield(); break;
        case 3: CHECK_INT(knit_sleep(draw(3) * KNIT_MILLISECOND), 0); break;
        default: leave_a_child(); break;
        }
    }
    return add_one(&c->done);
}

static void start_mixed(void *arg)
{
    crowd *c = arg;
    for (int i = 0; i < MIXED / 4; i++) {
        if (draw(4) == 0)
            CHECK_INT(knit_sleep(draw(4) * KNIT_MILLISECOND), 0);
        CHECK_INT(knit_errgroup_go(&c->g, mixed, c), 0);
    }
}

static void short_calls_among_others_lose_nothing(void)
{
    begin();
    crowd c = crowd_new();
    kt_thread *thread = kt_thread_start(start_mixed, &c);

    for (int i = 0; i < MIXED; i++)
        CHECK_INT(knit_errgroup_go(&c.g, mixed, &c), 0);
    kt_thread_join(thread);
    CHECK_INT(knit_errgroup_wait(&c.g), 0);
    CHECK_INT(atomic_load(&c.done), MIXED + MIXED / 4);
}

static const knittest tests[] = {
    BOTH(each_starts_the_next_and_blocks_until_it_has_begun),
    BOTH(chains_run_beside_each_other),
    BOTH(what_a_thread_starts_runs_while_all_are_away),
    BOTH(a_timer_fires_while_all_are_away),
    BOTH(who_is_woken_by_a_thread_runs_while_all_are_away),
    BOTH(who_is_woken_by_one_who_blocks_next_runs),
    BOTH(a_pinned_one_is_woken_while_the_others_are_away),
    BOTH(what_is_left_while_another_searches_is_found),
    BOTH(what_a_marked_call_starts_runs),
    BOTH(what_a_marked_call_schedules_runs),
    BOTH(who_is_woken_by_a_marked_call_runs),
    BOTH(short_calls_among_others_lose_nothing),
};
KNITTEST_MAIN(tests)
