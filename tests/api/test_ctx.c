/* Contexts: the tree, its ends and causes, values. What tasks, waiting calls and callbacks make of
 * it is in test_ctx_ambient.c.
 *
 * CTX-n are the tests of Go's package context; those not here are in test_ctx_ambient.c (CTX-25, 26)
 * and test_ctx_linked.c. What differs is in docs/conformance.md. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { HOUR_IN_SECONDS = 3600 };

#define LONG_TIME (1000 * HOUR_IN_SECONDS * KNIT_SECOND)

static knit_ctx *cancelable(knit_ctx *parent)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_cancel(parent, &ctx), 0);
    CHECK(ctx);
    return ctx;
}

static knit_ctx *timed(knit_ctx *parent, knit_duration timeout)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_timeout(parent, timeout, &ctx), 0);
    CHECK(ctx);
    return ctx;
}

static knit_ctx *valued(knit_ctx *parent, const void *key, void *value)
{
    knit_ctx *ctx = NULL;
    CHECK_INT(knit_ctx_with_value(parent, key, value, &ctx), 0);
    CHECK(ctx);
    return ctx;
}

static void check_ended(knit_ctx *ctx, int err, int cause)
{
    CHECK_INT(knit_ctx_err(ctx), err);
    CHECK_INT(knit_ctx_cause(ctx), cause);
    if (err)
        CHECK_INT(knit_ctx_wait(ctx), err);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void ctx_1_the_background_never_ends(void)
{
    knit_ctx *bg = knit_ctx_background();
    CHECK(bg);
    CHECK(knit_ctx_ref(bg) == bg);
    knit_ctx_unref(bg);
    knit_ctx_unref(bg);
    knit_ctx_cancel(bg, -EIO);
    check_ended(bg, 0, 0);
    CHECK_INT(knit_ctx_deadline(bg), KNIT_FOREVER);
    CHECK(knit_ctx_value(bg, &bg) == NULL);
}

static void ctx_2_cancel_ends_the_tree_before_it_returns(void)
{
    static int key;
    knit_ctx *c1 = cancelable(knit_ctx_background());
    knit_ctx *o = valued(c1, &key, NULL);
    knit_ctx *c2 = cancelable(o);
    check_ended(c1, 0, 0);
    check_ended(o, 0, 0);
    check_ended(c2, 0, 0);
    knit_ctx_cancel(c1, 0);
    check_ended(c1, -ECANCELED, -ECANCELED);
    check_ended(o, -ECANCELED, -ECANCELED);
    check_ended(c2, -ECANCELED, -ECANCELED);
    knit_ctx_unref(c2);
    knit_ctx_unref(o);
    knit_ctx_unref(c1);
}

static void note_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void ctx_3_the_end_of_the_parent_ends_the_children(void)
{
    static int key;
    atomic_int calls = 0;
    knit_ctx_after_handle handle;
    knit_ctx *parent = cancelable(knit_ctx_background());
    knit_ctx *child = cancelable(parent);
    knit_ctx *value = valued(parent, &key, &key);
    knit_ctx *timer = timed(value, LONG_TIME);
    CHECK_INT(knit_ctx_after(parent, note_call, &calls, &handle), 0);
    check_ended(child, 0, 0);
    check_ended(timer, 0, 0);
    CHECK_INT(calls, 0);

    knit_ctx_cancel(parent, 0);
    check_ended(parent, -ECANCELED, -ECANCELED);
    check_ended(child, -ECANCELED, -ECANCELED);
    check_ended(value, -ECANCELED, -ECANCELED);
    check_ended(timer, -ECANCELED, -ECANCELED);
    CHECK_INT(calls, 1);
    knit_ctx *late = valued(parent, &key, NULL);
    check_ended(late, -ECANCELED, -ECANCELED);
    knit_ctx *all[] = {parent, child, value, timer, late};
    for (int i = 0; i < 5; i++)
        knit_ctx_unref(all[i]);
}

static void ctx_4_the_end_of_a_child_leaves_the_parent_alone(void)
{
    knit_ctx *parents[] = {knit_ctx_background(), cancelable(knit_ctx_background())};
    for (int i = 0; i < 2; i++) {
        knit_ctx *child = cancelable(parents[i]);
        knit_ctx *sibling = cancelable(parents[i]);
        knit_ctx_cancel(child, -EIO);
        check_ended(child, -ECANCELED, -EIO);
        check_ended(parents[i], 0, 0);
        check_ended(sibling, 0, 0);
        knit_ctx_unref(child);
        knit_ctx_unref(sibling);
        knit_ctx_unref(parents[i]);
    }
}

static void ctx_5_children_come_and_go(void)
{
    /* A child that stays registered after its end would show as memory that grows, or as a use
     * after free when the parent ends. */
    atomic_int calls = 0;
    knit_ctx *parent = cancelable(knit_ctx_background());
    for (int i = 0; i < kt_count(20000); i++) {
        knit_ctx *a = cancelable(parent), *b = timed(parent, HOUR_IN_SECONDS * KNIT_SECOND);
        knit_ctx_after_handle handle;
        CHECK_INT(knit_ctx_after(parent, note_call, &calls, &handle), 0);
        if (i % 2)
            knit_ctx_cancel(a, 0);
        if (i % 3)
            knit_ctx_cancel(b, 0);
        CHECK_INT(knit_ctx_after_stop(&handle), 1);
        knit_ctx_unref(a);
        knit_ctx_unref(b);
    }
    check_ended(parent, 0, 0);
    knit_ctx_cancel(parent, 0);
    CHECK_INT(calls, 0);
    knit_ctx_unref(parent);
}

static void a_child_keeps_its_parent_alive(void)
{
    static int key, value;
    knit_ctx *parent = valued(knit_ctx_background(), &key, &value);
    knit_ctx *child = cancelable(parent);
    knit_ctx_unref(parent);
    CHECK(knit_ctx_value(child, &key) == &value);
    knit_ctx_cancel(child, 0);
    knit_ctx_unref(child);
    knit_ctx_unref(NULL);
}

static void a_context_dropped_alive_never_ends(void)
{
    knit_ctx *parent = cancelable(knit_ctx_background());
    for (int i = 0; i < kt_count(2000); i++) { /* some timers fire while they are dropped */
        knit_ctx *child = timed(parent, i * 10);
        knit_ctx *grandchild = cancelable(child);
        knit_ctx_unref(child);
        knit_ctx_unref(grandchild);
    }
    check_ended(parent, 0, 0);
    knit_ctx_cancel(parent, 0);
    knit_ctx_unref(parent);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void ctx_7_a_deadline_ends_the_context(void)
{
    static int key;
    knit_time now = knit_now();
    knit_time deadlines[] = {now + KNIT_MILLISECOND, now - KNIT_MILLISECOND, now, 0, INT64_MIN};
    for (int i = 0; i < 5; i++) {
        knit_ctx *plain, *value, *outer;
        CHECK_INT(knit_ctx_with_deadline(knit_ctx_background(), deadlines[i], &plain), 0);
        value = valued(plain, &key, NULL);
        CHECK_INT(knit_ctx_with_deadline(value, now + LONG_TIME, &outer), 0);
        CHECK_INT(knit_ctx_deadline(outer), deadlines[i]); /* the earlier one wins */
        CHECK_INT(knit_ctx_wait(outer), -ETIMEDOUT);
        CHECK(knit_now() >= deadlines[i]);
        check_ended(plain, -ETIMEDOUT, -ETIMEDOUT);
        check_ended(value, -ETIMEDOUT, -ETIMEDOUT);
        knit_ctx_unref(outer);
        knit_ctx_unref(value);
        knit_ctx_unref(plain);
    }
}

static void ctx_8_a_timeout_ends_the_context(void)
{
    static int key;
    knit_duration timeouts[] = {KNIT_MILLISECOND, -KNIT_MILLISECOND, 0, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        knit_time start = knit_now();
        knit_ctx *plain = timed(knit_ctx_background(), timeouts[i]);
        knit_ctx *value = valued(plain, &key, NULL);
        knit_ctx *outer = timed(value, LONG_TIME);
        CHECK_INT(knit_ctx_wait(outer), -ETIMEDOUT);
        CHECK(timeouts[i] < 0 || knit_now() >= start + timeouts[i]);
        check_ended(plain, -ETIMEDOUT, -ETIMEDOUT);
        knit_ctx_unref(outer);
        knit_ctx_unref(value);
        knit_ctx_unref(plain);
    }
}

static void a_past_deadline_is_over_at_birth(void)
{
    knit_ctx *past, *zero = timed(knit_ctx_background(), 0);
    CHECK_INT(knit_ctx_with_deadline(knit_ctx_background(), knit_now() - 1, &past), 0);
    check_ended(past, -ETIMEDOUT, -ETIMEDOUT);
    check_ended(zero, -ETIMEDOUT, -ETIMEDOUT);
    knit_ctx_cancel(past, -EIO); /* too late */
    check_ended(past, -ETIMEDOUT, -ETIMEDOUT);
    knit_ctx_unref(past);
    knit_ctx_unref(zero);
}

static void ctx_9_a_cancel_comes_before_the_timeout(void)
{
    static int key;
    knit_ctx *inner = timed(knit_ctx_background(), 100 * KNIT_SECOND);
    knit_ctx *value = valued(inner, &key, NULL);
    knit_ctx *outer = timed(value, LONG_TIME);
    knit_ctx_cancel(outer, 0);
    check_ended(outer, -ECANCELED, -ECANCELED);
    check_ended(value, 0, 0);
    knit_ctx_unref(outer);
    knit_ctx_unref(value);
    knit_ctx_unref(inner);
}

static void the_earlier_deadline_wins(void)
{
    knit_time now = knit_now();
    knit_ctx *soon, *sooner, *later, *none;
    CHECK_INT(knit_ctx_with_deadline(knit_ctx_background(), now + 100 * KNIT_SECOND, &soon), 0);
    CHECK_INT(knit_ctx_with_deadline(soon, now + 50 * KNIT_SECOND, &sooner), 0);
    CHECK_INT(knit_ctx_with_deadline(soon, now + 200 * KNIT_SECOND, &later), 0);
    CHECK_INT(knit_ctx_with_deadline(soon, KNIT_FOREVER, &none), 0);
    CHECK_INT(knit_ctx_deadline(soon), now + 100 * KNIT_SECOND);
    CHECK_INT(knit_ctx_deadline(sooner), now + 50 * KNIT_SECOND);
    CHECK_INT(knit_ctx_deadline(later), now + 100 * KNIT_SECOND);
    CHECK_INT(knit_ctx_deadline(none), now + 100 * KNIT_SECOND);
    knit_ctx_unref(sooner);
    knit_ctx_unref(later);
    knit_ctx_unref(none);
    knit_ctx_unref(soon);

    CHECK_INT(knit_ctx_with_deadline(knit_ctx_background(), KNIT_FOREVER, &none), 0);
    CHECK_INT(knit_ctx_deadline(none), KNIT_FOREVER);
    check_ended(none, 0, 0);
    knit_ctx_cancel(none, 0);
    check_ended(none, -ECANCELED, -ECANCELED);
    knit_ctx_unref(none);
    none = timed(knit_ctx_background(), KNIT_FOREVER);
    CHECK_INT(knit_ctx_deadline(none), KNIT_FOREVER);
    knit_ctx_unref(none);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void ctx_10_values_are_found_by_the_address_of_the_key(void)
{
    static int k1 = 1, k2 = 1, k3 = 3; /* equal content, other address: another key */
    static char c1k1[] = "c1k1", c2k2[] = "c2k2", c3k3[] = "c3k3";
    knit_ctx *bg = knit_ctx_background();
    knit_ctx *c1 = valued(bg, &k1, c1k1);
    CHECK(knit_ctx_value(c1, &k1) == c1k1);
    CHECK(knit_ctx_value(c1, &k2) == NULL);
    knit_ctx *c2 = valued(c1, &k2, c2k2);
    knit_ctx *c3 = valued(c2, &k3, c3k3);
    CHECK(knit_ctx_value(c3, &k1) == c1k1);
    CHECK(knit_ctx_value(c3, &k2) == c2k2);
    CHECK(knit_ctx_value(c3, &k3) == c3k3);
    CHECK(knit_ctx_value(c2, &k3) == NULL);
    knit_ctx *c4 = valued(c3, &k1, NULL); /* hides the outer one */
    knit_ctx *o = cancelable(c4);
    CHECK(knit_ctx_value(o, &k1) == NULL);
    CHECK(knit_ctx_value(o, &k2) == c2k2);
    CHECK(knit_ctx_value(c3, &k1) == c1k1);
    CHECK(knit_ctx_value(NULL, &k1) == NULL);
    CHECK(knit_ctx_value(o, NULL) == NULL);
    knit_ctx *all[] = {c1, c2, c3, c4, o};
    for (int i = 0; i < 5; i++)
        knit_ctx_unref(all[i]);
}

static void a_value_context_cancels_its_own_children_only(void)
{
    static int key;
    knit_ctx *parent = cancelable(knit_ctx_background());
    knit_ctx *value = valued(parent, &key, NULL);
    knit_ctx *child = cancelable(value), *sibling = cancelable(parent);
    knit_ctx_cancel(value, -EIO);
    check_ended(child, -ECANCELED, -EIO);
    check_ended(parent, 0, 0);
    check_ended(sibling, 0, 0);
    knit_ctx *all[] = {parent, value, child, sibling};
    for (int i = 0; i < 4; i++)
        knit_ctx_unref(all[i]);
}

/* ---- many at once ---------------------------------------------------------------------------- */

enum { TREE = 100, FAN_OUT = 4 };

static int cancel_task(void *arg)
{
    knit_ctx_cancel(*(knit_ctx **)arg, -EIO);
    return 0;
}

static void cancel_thread(void *arg)
{
    knit_ctx_cancel(arg, -EIO);
}

static void ctx_12_simultaneous_cancels_end_the_whole_tree(void)
{
    kt_rng rng = {kt_seed()};
    for (int round = 0; round < kt_count(20); round++) {
        knit_ctx *tree[TREE];
        int order[TREE];
        for (int i = 0; i < TREE; i++) {
            tree[i] = cancelable(i ? tree[(i - 1) / FAN_OUT] : knit_ctx_background());
            order[i] = i;
        }
        knit_errgroup g = {0};
        kt_thread *threads[4];
        for (int i = 0; i < 4; i++)
            threads[i] = kt_thread_start(cancel_thread, tree[kt_below(&rng, TREE)]);
        for (int left = TREE; left > 0; left--) {
            unsigned pick = kt_below(&rng, (unsigned)left);
            CHECK_INT(knit_errgroup_go(&g, cancel_task, &tree[order[pick]]), 0);
            order[pick] = order[left - 1];
        }
        for (int i = 0; i < TREE; i++)
            CHECK_INT(knit_ctx_wait(tree[i]), -ECANCELED);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        for (int i = 0; i < 4; i++)
            kt_thread_join(threads[i]);
        for (int i = 0; i < TREE; i++) {
            check_ended(tree[i], -ECANCELED, -EIO);
            knit_ctx_unref(tree[i]);
        }
    }
}

static int cancel_when_parent_ends(void *arg)
{
    knit_ctx **pair = arg;
    if (knit_ctx_wait(pair[0]) != -ECANCELED)
        return -EPROTO;
    knit_ctx_cancel(pair[1], 0);
    return 0;
}

static void ctx_13_interlocked_cancels_do_not_deadlock(void)
{
    knit_ctx *pair[2];
    pair[0] = cancelable(knit_ctx_background());
    pair[1] = cancelable(pair[0]);
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, cancel_when_parent_ends, pair), 0);
    knit_ctx_cancel(pair[0], 0);
    check_ended(pair[1], -ECANCELED, -ECANCELED);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_ctx_unref(pair[1]);
    knit_ctx_unref(pair[0]);
}

enum { LAYERS = 40 };

/* A chain of random layers; at least one of every kind. keys[i] has the value of layer i, or
 * none. Gives one of the layers that can be cancelled. */
static knit_ctx *build_layers(kt_rng *rng, knit_ctx *layers[LAYERS], char keys[LAYERS],
                              knit_duration timeout)
{
    knit_ctx *parent = knit_ctx_background(), *chosen = NULL;
    for (int i = 0; i < LAYERS; i++) {
        unsigned kind = i < 3 ? (unsigned)i : kt_below(rng, 3);
        keys[i] = kind == 0;
        if (kind == 0) {
            layers[i] = valued(parent, &keys[i], &layers[i]);
        } else {
            layers[i] = kind == 1 ? cancelable(parent) : timed(parent, timeout);
            if (!chosen || kt_below(rng, 4) == 0)
                chosen = layers[i];
        }
        parent = layers[i];
    }
    return chosen;
}

static void check_layer_values(knit_ctx *layers[LAYERS], const char keys[LAYERS])
{
    for (int i = 0; i < LAYERS; i++)
        CHECK(knit_ctx_value(layers[LAYERS - 1], &keys[i]) == (keys[i] ? &layers[i] : NULL));
}

static void ctx_14_layers_pass_on_cancel_and_timeout(void)
{
    kt_rng rng = {kt_seed()};
    for (int round = 0; round < kt_count(100); round++) {
        bool by_cancel = round % 2 == 0;
        knit_ctx *layers[LAYERS], *leaf;
        char keys[LAYERS];
        knit_ctx *chosen =
            build_layers(&rng, layers, keys, by_cancel ? LONG_TIME : KNIT_MILLISECOND);
        leaf = layers[LAYERS - 1];
        check_layer_values(layers, keys);
        if (by_cancel) {
            check_ended(leaf, 0, 0);
            knit_ctx_cancel(chosen, -EIO);
            check_ended(leaf, -ECANCELED, -EIO);
        } else {
            CHECK_INT(knit_ctx_wait(leaf), -ETIMEDOUT);
            CHECK_INT(knit_ctx_cause(leaf), -ETIMEDOUT);
        }
        check_layer_values(layers, keys);
        for (int i = 0; i < LAYERS; i++)
            knit_ctx_unref(layers[i]);
    }
}

static void ctx_15_a_child_of_an_ended_parent_has_ended_at_birth(void)
{
    static int key;
    knit_ctx *parent = cancelable(knit_ctx_background());
    knit_ctx_cancel(parent, -EIO);
    knit_ctx *children[] = {cancelable(parent), timed(parent, LONG_TIME), timed(parent, 0),
                            valued(parent, &key, NULL)};
    for (int i = 0; i < 4; i++) {
        check_ended(children[i], -ECANCELED, -EIO);
        knit_ctx_unref(children[i]);
    }
    knit_ctx_unref(parent);
}

static void ctx_16_a_child_made_while_the_parent_ends_ends_with_its_cause(void)
{
    for (int i = 0; i < kt_count(1000); i++) {
        knit_ctx *parent = cancelable(knit_ctx_background());
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, cancel_task, &parent), 0);
        knit_ctx *child = cancelable(parent);
        CHECK_INT(knit_ctx_wait(child), -ECANCELED);
        check_ended(child, -ECANCELED, -EIO);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_ctx_unref(child);
        knit_ctx_unref(parent);
    }
}

/* ---- misuse ---------------------------------------------------------------------------------- */

/* CTX-17, CTX-18 */
static void ctx_17_18_null_is_refused(void)
{
    static int key;
    knit_ctx *bg = knit_ctx_background(), *ctx = bg;
    CHECK_INT(knit_ctx_with_value(bg, NULL, &key, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_with_value(NULL, &key, &key, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_with_cancel(NULL, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_with_deadline(NULL, 0, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_with_timeout(NULL, 0, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_without_cancel(NULL, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_shield(NULL, 0, &ctx), -EINVAL);
    CHECK_INT(knit_ctx_shield(bg, -1, &ctx), -EINVAL);
    CHECK(ctx == bg); /* untouched */
    CHECK_INT(knit_ctx_with_cancel(bg, NULL), -EINVAL);
    CHECK_INT(knit_ctx_with_deadline(bg, 0, NULL), -EINVAL);
    CHECK_INT(knit_ctx_with_timeout(bg, 0, NULL), -EINVAL);
    CHECK_INT(knit_ctx_with_value(bg, &key, &key, NULL), -EINVAL);
    CHECK_INT(knit_ctx_without_cancel(bg, NULL), -EINVAL);
    CHECK_INT(knit_ctx_shield(bg, 1, NULL), -EINVAL);
    CHECK_INT(knit_ctx_err(NULL), -EINVAL);
    CHECK_INT(knit_ctx_cause(NULL), -EINVAL);
    CHECK_INT(knit_ctx_wait(NULL), -EINVAL);
    CHECK_INT(knit_ctx_deadline(NULL), KNIT_FOREVER);
    knit_ctx_cancel(NULL, 0);
}

/* ---- err and cause --------------------------------------------------------------------------- */

enum { C = -ECANCELED, D = -ETIMEDOUT, P = -EIO, K = -ENOENT }; /* P, K: parent's, child's cause */

static void ctx_20_a_single_context_has_its_err_and_cause(void)
{
    knit_ctx *bg = knit_ctx_background();
    check_ended(bg, 0, 0);
    knit_ctx *c = cancelable(bg);
    check_ended(c, 0, 0);
    knit_ctx_cancel(c, C);
    check_ended(c, C, C);
    knit_ctx_unref(c);

    c = cancelable(bg);
    knit_ctx_cancel(c, P);
    check_ended(c, C, P);
    knit_ctx_unref(c);

    c = cancelable(bg);
    knit_ctx_cancel(c, 0);
    knit_ctx_cancel(c, P); /* the first end counts */
    check_ended(c, C, C);
    knit_ctx_unref(c);

    c = timed(bg, 0);
    check_ended(c, D, D);
    knit_ctx_unref(c);

    c = timed(bg, KNIT_FOREVER);
    knit_ctx_cancel(c, 0);
    check_ended(c, C, C);
    knit_ctx_unref(c);

    c = timed(bg, LONG_TIME);
    knit_ctx_cancel(c, P);
    check_ended(c, C, P);
    knit_ctx_unref(c);
}

typedef struct row {
    bool parent_first;
    int parent_cause, child_cause; /* 0: plain cancel */
    int want_parent, want_child;
} row;

static void ctx_20_parent_and_child_ended_in_either_order(void)
{
    static const row rows[] = {
        {true, P, K, P, P},  {false, P, K, P, K}, {true, P, 0, P, P},
        {false, P, 0, P, C}, {true, 0, K, C, C},  {false, 0, K, C, K},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        knit_ctx *parent = cancelable(knit_ctx_background());
        knit_ctx *child = cancelable(parent);
        if (rows[i].parent_first)
            knit_ctx_cancel(parent, rows[i].parent_cause);
        knit_ctx_cancel(child, rows[i].child_cause);
        if (!rows[i].parent_first)
            knit_ctx_cancel(parent, rows[i].parent_cause);
        check_ended(parent, C, rows[i].want_parent);
        check_ended(child, C, rows[i].want_child);
        knit_ctx_unref(child);
        knit_ctx_unref(parent);
    }
}

static void ctx_20_deadlines_and_causes_mixed(void)
{
    knit_ctx *over = timed(knit_ctx_background(), 0), *child = cancelable(over);
    knit_ctx_cancel(child, K);
    check_ended(child, D, D); /* the parent's end came first */
    knit_ctx_unref(child);
    knit_ctx_unref(over);

    knit_ctx *lasting = timed(knit_ctx_background(), LONG_TIME);
    child = cancelable(lasting);
    knit_ctx_cancel(child, K);
    check_ended(child, C, K);
    check_ended(lasting, 0, 0);
    knit_ctx_unref(child);
    knit_ctx_unref(lasting);
}

/* CTX-20, CTX-22 */
static void ctx_20_22_without_cancel_never_ends_by_itself(void)
{
    static int key, value;
    knit_ctx *bg = knit_ctx_background();
    knit_ctx *parent = valued(bg, &key, &value), *live = cancelable(parent);
    knit_ctx *over = timed(parent, 0), *parents[] = {bg, live, over}, *cut[3];
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_ctx_without_cancel(parents[i], &cut[i]), 0);
    knit_ctx_cancel(live, P);
    for (int i = 0; i < 3; i++) {
        check_ended(cut[i], 0, 0);
        CHECK_INT(knit_ctx_deadline(cut[i]), KNIT_FOREVER);
        CHECK(knit_ctx_value(cut[i], &key) == (i ? &value : NULL));
        knit_ctx *child = cancelable(cut[i]);
        check_ended(child, 0, 0);
        knit_ctx_cancel(cut[i], K); /* it can be cancelled itself */
        check_ended(child, C, K);
        knit_ctx_unref(child);
        knit_ctx_unref(cut[i]);
    }
    knit_ctx_unref(over);
    knit_ctx_unref(live);
    knit_ctx_unref(parent);
}

static void a_shield_outlives_its_parent_within_its_budget(void)
{
    static int key, value;
    knit_ctx *parent = valued(knit_ctx_background(), &key, &value), *shield, *none;
    knit_ctx_cancel(parent, P);
    CHECK_INT(knit_ctx_shield(parent, 100 * KNIT_SECOND, &shield), 0);
    check_ended(shield, 0, 0);
    CHECK(knit_ctx_value(shield, &key) == &value);
    CHECK(knit_ctx_deadline(shield) > knit_now());
    knit_ctx_cancel(shield, K);
    check_ended(shield, C, K);
    knit_ctx_unref(shield);

    knit_time start = knit_now();
    CHECK_INT(knit_ctx_shield(parent, KNIT_MILLISECOND, &shield), 0);
    CHECK_INT(knit_ctx_wait(shield), -ETIMEDOUT);
    CHECK(knit_now() >= start + KNIT_MILLISECOND);
    CHECK_INT(knit_ctx_shield(parent, 0, &none), 0);
    check_ended(none, D, D);
    knit_ctx_unref(none);
    knit_ctx_unref(shield);
    knit_ctx_unref(parent);
}

static int poll_cause(void *arg)
{
    int cause;
    kt_until((cause = knit_ctx_cause(arg)) != 0);
    return cause == -EIO ? 0 : -EPROTO;
}

static int poll_err(void *arg)
{
    int err;
    kt_until((err = knit_ctx_err(arg)) != 0);
    if (err != -ECANCELED || knit_ctx_cause(arg) != -EIO)
        return -EPROTO;
    return knit_ctx_wait(arg) == -ECANCELED ? 0 : -EPROTO;
}

/* CTX-21, CTX-27 */
static void ctx_21_27_err_cause_and_end_are_seen_together(void)
{
    for (int i = 0; i < kt_count(500); i++) {
        knit_ctx *ctx = cancelable(knit_ctx_background());
        knit_errgroup g = {0};
        for (int k = 0; k < 2; k++) {
            CHECK_INT(knit_errgroup_go(&g, poll_cause, ctx), 0);
            CHECK_INT(knit_errgroup_go(&g, poll_err, ctx), 0);
        }
        for (int k = 0; k < i % 8; k++)
            (void)knit_yield();
        knit_ctx_cancel(ctx, -EIO); /* golang/go#75533 */
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_ctx_unref(ctx);
    }
}

static const knittest tests[] = {
    COLD(ctx_2_cancel_ends_the_tree_before_it_returns),
    COLD(ctx_7_a_deadline_ends_the_context),
    BOTH(ctx_1_the_background_never_ends),
    BOTH(ctx_2_cancel_ends_the_tree_before_it_returns),
    BOTH(ctx_3_the_end_of_the_parent_ends_the_children),
    BOTH(ctx_4_the_end_of_a_child_leaves_the_parent_alone),
    BOTH(ctx_5_children_come_and_go),
    BOTH(a_child_keeps_its_parent_alive),
    BOTH(a_context_dropped_alive_never_ends),
    BOTH(ctx_7_a_deadline_ends_the_context),
    BOTH(ctx_8_a_timeout_ends_the_context),
    BOTH(a_past_deadline_is_over_at_birth),
    BOTH(ctx_9_a_cancel_comes_before_the_timeout),
    BOTH(the_earlier_deadline_wins),
    BOTH(ctx_10_values_are_found_by_the_address_of_the_key),
    BOTH(a_value_context_cancels_its_own_children_only),
    BOTH(ctx_12_simultaneous_cancels_end_the_whole_tree),
    BOTH(ctx_13_interlocked_cancels_do_not_deadlock),
    BOTH(ctx_14_layers_pass_on_cancel_and_timeout),
    BOTH(ctx_15_a_child_of_an_ended_parent_has_ended_at_birth),
    BOTH(ctx_16_a_child_made_while_the_parent_ends_ends_with_its_cause),
    BOTH(ctx_17_18_null_is_refused),
    BOTH(ctx_20_a_single_context_has_its_err_and_cause),
    BOTH(ctx_20_parent_and_child_ended_in_either_order),
    BOTH(ctx_20_deadlines_and_causes_mixed),
    BOTH(ctx_20_22_without_cancel_never_ends_by_itself),
    BOTH(a_shield_outlives_its_parent_within_its_budget),
    BOTH(ctx_21_27_err_cause_and_end_are_seen_together),
};
KNITTEST_MAIN(tests)
