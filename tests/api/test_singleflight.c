/* Singleflight, tasks and plain threads mixed. SF-n: golang.org/x/sync's singleflight tests. A panic
 * that nobody contains (SF-9, SF-10) is in test_panic_stop.c. */
#include "crowd.h"

#include <stdatomic.h>
#include <string.h>

typedef struct shared {
    knit_singleflight sf;
    kt_gate gate;
    atomic_int calls, callers, shared_results, failures;
    int result;
} shared;

static char bar[] = "bar", new_bar[] = "new bar";

static int get_bar(void *arg, void **ret_value)
{
    shared *s = arg;
    atomic_fetch_add(&s->calls, 1);
    *ret_value = bar;
    return s->result;
}

/* ---- SF-2, SF-3, SF-6 -------------------------------------------------------------------------- */

static void sf2_do_gives_the_value(void)
{
    shared s = {0};
    knit_singleflight_result result = {0};
    CHECK_INT(knit_singleflight_do(&s.sf, "key", get_bar, &s, &result), 0);
    CHECK(result.value == bar);
    CHECK_INT(result.error, 0);
    CHECK_INT(result.shared, 0);
    CHECK_INT(knit_singleflight_do(&s.sf, "key", get_bar, &s, NULL), 0);
    CHECK_INT(atomic_load(&s.calls), 2); /* nothing is kept */
}

static void sf3_do_gives_the_error(void)
{
    static const int codes[] = {-EIO, -EAGAIN, -ECANCELED, 5};
    for (int i = 0; i < 4; i++) {
        shared s = {.result = codes[i]};
        knit_singleflight_result result = {0};
        CHECK_INT(knit_singleflight_do(&s.sf, "key", get_bar, &s, &result), codes[i]);
        CHECK_INT(result.error, codes[i]);
    }
}

static void sf6_do_chan_gives_the_value(void)
{
    shared s = {0};
    knit_errgroup g = {0};
    knit_singleflight_result result = {0};
    knit_chan *ch = NULL;
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_bar, &s, &ch), 0);
    CHECK_INT(knit_chan_recv(ch, &result), 0);
    CHECK(result.value == bar);
    CHECK_INT(result.error, 0);
    CHECK_INT(result.shared, 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_chan_try_recv(ch, &result), -EAGAIN); /* one each, not closed */
    knit_chan_unref(ch);
}

/* ---- SF-4, a failing leader -------------------------------------------------------------------- */

static int get_at_gate(void *arg, void **ret_value)
{
    shared *s = arg;
    atomic_fetch_add(&s->calls, 1);
    int r = kt_gate_wait(s->gate);
    if (r < 0)
        return r;
    *ret_value = bar;
    return s->result;
}

static int call(void *arg)
{
    shared *s = arg;
    knit_singleflight_result result = {0};
    atomic_fetch_add(&s->callers, 1);
    CHECK_INT(knit_singleflight_do(&s->sf, "key", get_at_gate, s, &result), s->result);
    CHECK(result.value == bar);
    atomic_fetch_add(&s->shared_results, result.shared);
    return 0;
}

static void many_share_one_call(int code)
{
    shared s = {.gate = kt_gate_new(), .result = code};
    crowd c = {0};
    for (int i = 0; i < 10; i++)
        crowd_go(&c, call, &s);
    kt_until(atomic_load(&s.callers) == 10);
    kt_until(atomic_load(&s.calls) == 1);
    CHECK_INT(knit_sleep(2 * KNIT_MILLISECOND), 0); /* most follow by now; none need */
    kt_gate_open(s.gate);
    crowd_join(&c);
    CHECK(atomic_load(&s.calls) > 0 && atomic_load(&s.calls) <= 10);
    kt_gate_free(s.gate);
}

static void sf4_duplicates_share_one_call(void)
{
    many_share_one_call(0);
}

static void sf7_a_failing_leader_releases_all(void)
{
    many_share_one_call(-EIO);
}

/* The gate is opened by the follower's own arrival: as it is there, it must have followed. */
static int get_when_followed(void *arg, void **ret_value)
{
    shared *s = arg;
    knit_chan *ch = NULL;
    knit_singleflight_result result;
    knit_errgroup g = {0};
    atomic_fetch_add(&s->calls, 1);
    CHECK_INT(knit_singleflight_do(&s->sf, "key", get_bar, s, NULL), -EDEADLK);
    CHECK_INT(knit_singleflight_do_chan(&s->sf, &g, "key", get_bar, s, &ch), 0);
    CHECK_INT(knit_chan_try_recv(ch, &result), -EAGAIN); /* it follows us */
    knit_chan_unref(ch);                                 /* and is abandoned */
    *ret_value = bar;
    return knit_errgroup_wait(&g);
}

static void the_leader_knows_that_it_was_followed(void)
{
    shared s = {0};
    knit_singleflight_result result = {0};
    CHECK_INT(knit_singleflight_do(&s.sf, "key", get_when_followed, &s, &result), 0);
    CHECK_INT(result.shared, 1);
    CHECK_INT(atomic_load(&s.calls), 1);
}

/* ---- SF-5 ------------------------------------------------------------------------------------ */

typedef struct numbered {
    kt_gate gate;
    int number;
    atomic_int calls;
} numbered;

static int get_number(void *arg, void **ret_value)
{
    numbered *n = arg;
    atomic_fetch_add(&n->calls, 1);
    CHECK_INT(kt_gate_wait(n->gate), 0);
    *ret_value = &n->number;
    return 0;
}

static int number_in(knit_chan *ch)
{
    knit_singleflight_result result = {0};
    CHECK_INT(knit_chan_recv(ch, &result), 0);
    CHECK_INT(result.error, 0);
    knit_chan_unref(ch);
    return *(int *)result.value;
}

static void sf5_forget_starts_anew_and_the_old_end_leaves_the_new_one(void)
{
    shared s = {0};
    knit_errgroup g = {0};
    knit_chan *ch[3] = {0};
    numbered n[3] = {{kt_gate_new(), 1, 0}, {kt_gate_new(), 2, 0}, {kt_gate_new(), 3, 0}};
    CHECK_INT(knit_singleflight_forget(&s.sf, "key"), 0); /* no such call */
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_number, &n[0], &ch[0]), 0);
    kt_until(atomic_load(&n[0].calls) == 1);
    CHECK_INT(knit_singleflight_forget(&s.sf, "key"), 0);
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_number, &n[1], &ch[1]), 0);
    kt_until(atomic_load(&n[1].calls) == 1);
    kt_gate_open(n[0].gate);
    CHECK_INT(number_in(ch[0]), 1); /* golang/go#31420: its end must not remove call 2 */
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_number, &n[2], &ch[2]), 0);
    kt_gate_open(n[1].gate);
    CHECK_INT(number_in(ch[2]), 2);
    CHECK_INT(number_in(ch[1]), 2);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(atomic_load(&n[2].calls), 0);
    for (int i = 0; i < 3; i++)
        kt_gate_free(n[i].gate);
}

/* ---- SF-E ------------------------------------------------------------------------------------ */

static void sfe_two_channels_share_a_result(void)
{
    shared s = {0};
    knit_errgroup g = {0};
    knit_chan *a = NULL, *b = NULL;
    knit_singleflight_result ra = {0}, rb = {0};
    numbered n[2] = {{kt_gate_new(), 1, 0}, {kt_gate_new(), 2, 0}};
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_number, &n[0], &a), 0);
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_number, &n[1], &b), 0);
    kt_gate_open(n[0].gate);
    CHECK_INT(knit_chan_recv(b, &rb), 0);
    CHECK_INT(knit_chan_recv(a, &ra), 0);
    CHECK(ra.shared && rb.shared);
    CHECK(ra.value == rb.value);
    CHECK_INT(*(int *)ra.value, 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(a);
    knit_chan_unref(b);
    kt_gate_free(n[0].gate);
    kt_gate_free(n[1].gate);
}

/* ---- cancellation, each its own ---------------------------------------------------------------- */

static int get_new_bar(void *arg, void **ret_value)
{
    shared *s = arg;
    atomic_fetch_add(&s->calls, 1);
    *ret_value = new_bar;
    return 0;
}

static int lead_and_be_cancelled(void *arg)
{
    shared *s = arg;
    CHECK_INT(knit_singleflight_do(&s->sf, "key", get_at_gate, s, NULL), -ECANCELED);
    return 0;
}

static int follow_and_succeed(void *arg)
{
    shared *s = arg;
    knit_singleflight_result result = {0};
    atomic_fetch_add(&s->callers, 1);
    CHECK_INT(knit_singleflight_do(&s->sf, "key", get_new_bar, s, &result), 0);
    CHECK(result.value == new_bar);
    return 0;
}

static void a_cancelled_leader_is_followed_by_another(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        shared s = {.gate = kt_gate_new()};
        crowd c = {.n = i};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, lead_and_be_cancelled, &s), 0);
        kt_until(atomic_load(&s.calls) == 1);
        for (int k = 0; k < 4; k++)
            crowd_go(&c, follow_and_succeed, &s);
        kt_until(atomic_load(&s.callers) == 4);
        knit_errgroup_cancel(&g, 0);
        (void)knit_errgroup_wait(&g);
        crowd_join(&c);
        CHECK(atomic_load(&s.calls) >= 2);
        kt_gate_free(s.gate);
    }
}

static int follow_and_be_cancelled(void *arg)
{
    shared *s = arg;
    atomic_fetch_add(&s->callers, 1);
    CHECK_INT(knit_singleflight_do(&s->sf, "key", get_new_bar, s, NULL), -ECANCELED);
    return 0;
}

static void a_cancelled_follower_leaves_and_the_leader_goes_on(void)
{
    shared s = {.gate = kt_gate_new()};
    crowd c = {0};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    crowd_go(&c, call, &s);
    kt_until(atomic_load(&s.calls) == 1);
    for (int k = 0; k < 4; k++)
        CHECK_INT(knit_errgroup_go(&g, follow_and_be_cancelled, &s), 0);
    kt_until(atomic_load(&s.callers) == 5);
    knit_errgroup_cancel(&g, 0);
    (void)knit_errgroup_wait(&g);
    CHECK_INT(atomic_load(&s.calls), 1);
    kt_gate_open(s.gate);
    crowd_join(&c);
    kt_gate_free(s.gate);
}

/* If it began in time all the same, it may have followers, who get this. */
static int should_not_run(void *arg, void **ret_value)
{
    *ret_value = new_bar;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* x/sync leaves the channels of a leader that is gone without an answer for ever. */
static void a_leader_that_never_ran_releases_all(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        shared s = {0};
        crowd c = {.n = i};
        atomic_int ran = 0;
        knit_errgroup g;
        knit_chan *a = NULL, *b = NULL;
        knit_singleflight_result result = {0};
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_set_limit(&g, 1), 0);
        CHECK_INT(knit_errgroup_ctx(&g) != NULL, 1);
        CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", should_not_run, &ran, &a), 0);
        knit_errgroup_cancel(&g, 0); /* before it began, or not */
        crowd_go(&c, follow_and_succeed, &s);
        CHECK_INT(knit_chan_recv(a, &result), 0);
        CHECK_INT(result.error, atomic_load(&ran) ? 0 : -ECANCELED);
        CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "other", should_not_run, &ran, &b),
                  -ECANCELED);
        CHECK(b == NULL);
        CHECK(knit_errgroup_close(&g) == -ECANCELED || atomic_load(&ran));
        crowd_join(&c);
        knit_chan_unref(a);
    }
}

/* ---- misuse, many keys ------------------------------------------------------------------------- */

static void misuse_is_an_error(void)
{
    shared s = {0};
    knit_errgroup g = {0};
    knit_chan *ch = NULL;
    CHECK_INT(knit_singleflight_do(NULL, "key", get_bar, &s, NULL), -EINVAL);
    CHECK_INT(knit_singleflight_do(&s.sf, NULL, get_bar, &s, NULL), -EINVAL);
    CHECK_INT(knit_singleflight_do(&s.sf, "key", NULL, &s, NULL), -EINVAL);
    CHECK_INT(knit_singleflight_do_chan(&s.sf, NULL, "key", get_bar, &s, &ch), -EINVAL);
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", NULL, &s, &ch), -EINVAL);
    CHECK_INT(knit_singleflight_do_chan(&s.sf, &g, "key", get_bar, &s, NULL), -EINVAL);
    CHECK_INT(knit_singleflight_forget(NULL, "key"), -EINVAL);
    CHECK_INT(knit_singleflight_forget(&s.sf, NULL), -EINVAL);
    CHECK_INT(atomic_load(&s.calls), 0);
}

static int key_of(void *arg, void **ret_value)
{
    (void)knit_yield();
    *ret_value = arg;
    return 0;
}

static int many_keys(void *arg)
{
    shared *s = arg;
    static char keys[100][4];
    kt_rng rng = {(uint64_t)atomic_fetch_add(&s->callers, 1)};
    for (int i = kt_count(300); i > 0; i--) {
        unsigned k = kt_below(&rng, 100);
        char key[4] = {(char)('a' + k % 10), (char)('a' + k / 10), 'x', 0};
        knit_singleflight_result result = {0};
        CHECK_INT(knit_singleflight_do(&s->sf, key, key_of, keys[k], &result), 0);
        CHECK(result.value == keys[k]);
        if (i % 16 == 0)
            CHECK_INT(knit_singleflight_forget(&s->sf, key), 0);
    }
    return 0;
}

static void keys_do_not_meet(void)
{
    shared s = {0};
    crowd c = {0};
    for (int i = 0; i < 12; i++)
        crowd_go(&c, many_keys, &s);
    crowd_join(&c);
}

/* ---- a function that does not return ----------------------------------------------------------- */

typedef struct leaving {
    shared s; /* first */
    bool panics;
    int expected;
} leaving;

static int leave_at_gate(void *arg, void **ret_value)
{
    leaving *l = arg;
    *ret_value = bar;
    atomic_fetch_add(&l->s.calls, 1);
    CHECK_INT(kt_gate_wait(l->s.gate), 0);
    if (l->panics)
        knit_panic("key %s", "gone");
    return knit_task_exit(7);
}

static int leave_in_do(void *arg)
{
    leaving *l = arg;
    (void)knit_singleflight_do(&l->s.sf, "key", leave_at_gate, l, NULL);
    CHECK_INT(1, 0); /* it has returned */
    return 0;
}

/* Once it is counted it may still come too late: then it calls anew, or follows another who does. */
static int follow_in_do(void *arg)
{
    leaving *l = arg;
    knit_singleflight_result result = {.value = bar};
    atomic_fetch_add(&l->s.callers, 1);
    int r = knit_singleflight_do(&l->s.sf, "key", get_bar, &l->s, &result);
    CHECK_INT(result.error, r);
    CHECK_INT(r, result.value == bar ? 0 : l->expected);
    CHECK(r == 0 || (result.shared && result.value == NULL));
    atomic_fetch_add(&l->s.shared_results, result.shared);
    return 0;
}

static void contain_panics(knit_errgroup *g)
{
    CHECK_INT(knit_errgroup_init(g, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_PANIC_ERROR}),
              0);
}

/* The channel has followed for sure; the callers of do, where they came in time. */
static void leave_and_release(leaving *l, knit_errgroup *leader)
{
    crowd c = {0};
    knit_errgroup unused = {0};
    knit_chan *ch = NULL;
    knit_singleflight_result result = {.value = bar};
    kt_until(atomic_load(&l->s.calls) == 1);
    CHECK_INT(knit_singleflight_do_chan(&l->s.sf, &unused, "key", get_bar, &l->s, &ch), 0);
    for (int k = 0; k < 5; k++)
        crowd_go(&c, follow_in_do, l);
    kt_until(atomic_load(&l->s.callers) == 5);
    kt_gate_open(l->s.gate);
    CHECK_INT(knit_errgroup_wait(leader), l->panics ? KNIT_PANICKED : 7);
    CHECK_INT(knit_chan_recv(ch, &result), 0);
    CHECK_INT(result.error, l->expected);
    CHECK(result.value == NULL);
    crowd_join(&c);
    knit_chan_unref(ch);
    CHECK_INT(knit_singleflight_do(&l->s.sf, "key", get_bar, &l->s, &result), 0); /* anew */
    CHECK(result.value == bar && !result.shared);
}

static void leader_of_do_leaves(bool panics)
{
    leaving l = {.panics = panics, .expected = panics ? KNIT_PANICKED : -EOWNERDEAD};
    knit_errgroup g;
    contain_panics(&g);
    l.s.gate = kt_gate_new();
    CHECK_INT(knit_errgroup_go(&g, leave_in_do, &l), 0);
    leave_and_release(&l, &g);
    kt_gate_free(l.s.gate);
}

/* The leader's own channel gets the error, too. */
static void leader_of_do_chan_leaves(bool panics)
{
    leaving l = {.panics = panics, .expected = panics ? KNIT_PANICKED : -EOWNERDEAD};
    knit_errgroup g;
    knit_chan *ch = NULL;
    knit_singleflight_result result = {0};
    contain_panics(&g);
    l.s.gate = kt_gate_new();
    CHECK_INT(knit_singleflight_do_chan(&l.s.sf, &g, "key", leave_at_gate, &l, &ch), 0);
    leave_and_release(&l, &g);
    CHECK_INT(knit_chan_recv(ch, &result), 0);
    CHECK_INT(result.error, l.expected);
    CHECK(result.shared && !result.value);
    knit_chan_unref(ch);
    kt_gate_free(l.s.gate);
}

static void sf8_an_exit_of_the_leader_releases_all(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        leader_of_do_leaves(false);
        leader_of_do_chan_leaves(false);
    }
}

static void sf1_sf7_a_panic_of_the_leader_releases_all(void)
{
    for (int i = kt_count(20); i > 0; i--) {
        leader_of_do_leaves(true);
        leader_of_do_chan_leaves(true);
    }
}

static const knittest tests[] = {
    BOTH(sf2_do_gives_the_value),
    BOTH(sf3_do_gives_the_error),
    BOTH(sf4_duplicates_share_one_call),
    BOTH(sf5_forget_starts_anew_and_the_old_end_leaves_the_new_one),
    BOTH(sf6_do_chan_gives_the_value),
    BOTH(sf7_a_failing_leader_releases_all),
    BOTH(sfe_two_channels_share_a_result),
    BOTH(the_leader_knows_that_it_was_followed),
    BOTH(a_cancelled_leader_is_followed_by_another),
    BOTH(a_cancelled_follower_leaves_and_the_leader_goes_on),
    BOTH(a_leader_that_never_ran_releases_all),
    BOTH(misuse_is_an_error),
    BOTH(keys_do_not_meet),
    BOTH(sf8_an_exit_of_the_leader_releases_all),
    BOTH(sf1_sf7_a_panic_of_the_leader_releases_all),
};

KNITTEST_MAIN(tests)
