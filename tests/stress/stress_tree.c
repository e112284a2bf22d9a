/* Random trees of groups: limits, cancels, deadlines, channels, sleeps, contexts, from tasks and
 * threads. Checked all the time: every task that was submitted is run or skipped exactly once, the
 * counts add up, the result is the first record, no item of a channel is lost or doubled.
 *
 * The first argument or KNIT_STRESS_SECONDS says how long (2). A failure prints the seed of its
 * round: with KNIT_SEED set to that, the run begins with this round (the interleaving of the
 * threads is not repeated, the decisions are). */
#include "knittest.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHANNELS = 3, ROOTS = 3, MOST_DEPTH = 3, CAUSE = -EXDEV, FAILURE = -1000 };

static double seconds_wanted = 2;

/* What one round shares. */
typedef struct world {
    knit_chan *channels[CHANNELS]; /* capacities 0, 1, 7 */
    atomic_int budget;             /* how many more tasks may be started */
    _Atomic uint64_t sent, received, sent_sum, received_sum;
} world;

/* One group and what is known about it. */
typedef struct tally {
    knit_errgroup g;
    atomic_size_t asked, ran;
    atomic_bool canceled; /* by knit_errgroup_cancel: set before */
} tally;

typedef struct job {
    world *w;
    tally *own;
    uint64_t seed;
    int depth;
} job;

static _Atomic uint64_t rounds_done, jobs_done, groups_done;

static int run_job(void *arg);
static int run_group(world *w, kt_rng *rng, int depth);

/* ---- actions of a task: 0, or what ended its context ----------------------------------------- */

static bool is_end(int r)
{
    return r == -ECANCELED || r == -ETIMEDOUT;
}

static int exchange(world *w, kt_rng *rng)
{
    knit_chan *ch = w->channels[kt_below(rng, CHANNELS)];
    uint64_t item = kt_next(rng);
    knit_time deadline = knit_now() + kt_below(rng, 300000);
    bool sends = kt_below(rng, 2), tries = kt_below(rng, 3) == 0;
    int r;
    if (sends)
        r = tries ? knit_chan_try_send(ch, &item) : knit_chan_send_until(ch, &item, deadline);
    else
        r = tries ? knit_chan_try_recv(ch, &item) : knit_chan_recv_until(ch, &item, deadline);
    CHECK(r == 0 || r == -EAGAIN || is_end(r));
    if (r == 0) {
        atomic_fetch_add(sends ? &w->sent : &w->received, 1);
        atomic_fetch_add(sends ? &w->sent_sum : &w->received_sum, item);
    }
    return r == -ECANCELED ? r : 0; /* -ETIMEDOUT may be the operation's own */
}

/* From outside or by a member; counts what the group has to account for. */
static int submit(world *w, tally *t, kt_rng *rng, int depth)
{
    if (atomic_fetch_sub(&w->budget, 1) <= 0)
        return 0;
    job j = {w, t, kt_next(rng), depth};
    bool tries = kt_below(rng, 4) == 0;
    int r = tries ? knit_errgroup_try_go_copy(&t->g, run_job, &j, sizeof j)
                  : knit_errgroup_go_copy(&t->g, run_job, &j, sizeof j);
    CHECK(r == 0 || is_end(r) || (tries && r == -EAGAIN));
    if (r != -EAGAIN)
        atomic_fetch_add(&t->asked, 1);
    return 0;
}

static int change_own_group(tally *t, kt_rng *rng)
{
    static const int limits[] = {-1, 1, 2, 3, 4};
    if (kt_below(rng, 8) == 0) {
        t->canceled = true;
        knit_errgroup_cancel(&t->g, CAUSE);
        return 0;
    }
    if (kt_below(rng, 4) == 0)
        CHECK_INT(knit_errgroup_set_limit(&t->g, 0), 0); /* paused, but not for long */
    CHECK_INT(knit_errgroup_set_limit(&t->g, limits[kt_below(rng, 5)]), 0);
    return 0;
}

static int act(job *j, kt_rng *rng);

static int act_in_context(job *j, kt_rng *rng)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    knit_duration timeout = kt_below(rng, 2) ? KNIT_FOREVER : (knit_duration)kt_below(rng, 200000);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), timeout, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    if (kt_below(rng, 4) == 0)
        knit_ctx_cancel(ctx, CAUSE);
    (void)act(j, rng);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    return 0;
}

static int act(job *j, kt_rng *rng)
{
    switch (kt_below(rng, 12)) {
    case 0: return knit_sleep(kt_below(rng, 100000));
    case 1:
        for (unsigned i = kt_below(rng, 2000); i > 0 && !knit_canceled(); i--)
            atomic_signal_fence(memory_order_seq_cst);
        return 0;
    case 2:
    case 3:
    case 4: return exchange(j->w, rng);
    case 5:
    case 6: return j->depth > 0 ? submit(j->w, j->own, rng, j->depth - 1) : 0;
    case 7:
    case 8: return j->depth > 0 ? run_group(j->w, rng, j->depth - 1) : 0;
    case 9: return change_own_group(j->own, rng);
    case 10: return act_in_context(j, rng);
    default: return knit_yield();
    }
}

static int run_job(void *arg)
{
    job *j = arg;
    kt_rng rng = {j->seed};
    atomic_fetch_add(&j->own->ran, 1);
    int r = 0;
    for (unsigned n = kt_below(&rng, 5); n > 0 && r == 0; n--)
        r = act(j, &rng);
    atomic_fetch_add(&jobs_done, 1);
    if (r == 0 && kt_below(&rng, 10) == 0)
        r = knit_error(FAILURE - (int)kt_below(&rng, 100), "unlucky");
    return r;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void make_group(tally *t, kt_rng *rng)
{
    knit_errgroup_options options = {
        .limit = (int)kt_below(rng, 4),
        .flags = kt_below(rng, 4), /* any of the two */
        .timeout = kt_below(rng, 4) ? 0 : 1 + (knit_duration)kt_below(rng, 1000000),
        .keep_errors = kt_below(rng, 3),
    };
    *t = (tally){0};
    if (kt_below(rng, 3) > 0)
        CHECK_INT(knit_errgroup_init(&t->g, &options), 0);
}

/* Gives the first record's code, 0 when there is none. */
static int check_counts(tally *t, int r)
{
    knit_errgroup_counts counts;
    knit_error_record record;
    CHECK_INT(knit_errgroup_stats(&t->g, &counts), 0);
    CHECK_INT(counts.pending, 0);
    CHECK_INT(counts.submitted, t->asked);
    CHECK_INT(t->ran + counts.skipped, t->asked);
    CHECK(counts.failed + counts.echoes <= t->ran);
    CHECK(counts.failed == 0 || r != 0);
    int found = knit_errgroup_error(&t->g, 0, &record);
    CHECK_INT(found, counts.failed ? 0 : -ENOENT);
    if (found == 0 && !t->canceled)
        CHECK_INT(r, record.code);
    if (counts.failed == 0)
        CHECK(r == 0 || is_end(r) || r == CAUSE);
    return found == 0 ? record.code : 0;
}

static void close_twice(tally *t, int first_error)
{
    int r = knit_errgroup_close(&t->g);
    CHECK_INT(knit_errgroup_close(&t->g), r);
    if (!t->canceled && first_error)
        CHECK_INT(r, first_error);
}

static int run_group(world *w, kt_rng *rng, int depth)
{
    tally t;
    make_group(&t, rng);
    for (unsigned n = kt_below(rng, 7); n > 0; n--)
        (void)submit(w, &t, rng, depth);
    if (kt_below(rng, 6) == 0) {
        t.canceled = true;
        knit_errgroup_cancel(&t.g, CAUSE);
    }
    if (kt_below(rng, 4) == 0)
        (void)knit_errgroup_wait_until(&t.g, knit_now() + kt_below(rng, 100000));
    int r = kt_below(rng, 3) ? knit_errgroup_wait(&t.g) : knit_errgroup_close(&t.g);
    int first_error = check_counts(&t, r);
    if (kt_below(rng, 2))
        close_twice(&t, first_error);
    atomic_fetch_add(&groups_done, 1);
    return kt_below(rng, 2) ? r : 0;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

typedef struct root {
    world *w;
    uint64_t seed;
} root;

static void run_root(void *arg)
{
    root *r = arg;
    kt_rng rng = {r->seed};
    (void)run_group(r->w, &rng, MOST_DEPTH);
}

static int run_root_in_task(void *arg)
{
    run_root(arg);
    return 0;
}

static void drain(world *w)
{
    for (int i = 0; i < CHANNELS; i++) {
        uint64_t item;
        CHECK_INT(knit_chan_close(w->channels[i]), 0);
        while (knit_chan_recv(w->channels[i], &item) == 0) {
            atomic_fetch_add(&w->received, 1);
            atomic_fetch_add(&w->received_sum, item);
        }
        knit_chan_unref(w->channels[i]);
    }
}

static void run_round(uint64_t seed)
{
    static const size_t capacities[CHANNELS] = {0, 1, 7};
    kt_rng rng = {seed};
    world w = {.budget = kt_live(400)};
    root roots[2 * ROOTS];
    kt_thread *threads[ROOTS];
    knit_errgroup g = {0};
    for (int i = 0; i < CHANNELS; i++)
        CHECK_INT(knit_chan_new(sizeof(uint64_t), capacities[i], &w.channels[i]), 0);
    for (int i = 0; i < 2 * ROOTS; i++) {
        roots[i] = (root){&w, kt_next(&rng)};
        if (i < ROOTS)
            threads[i] = kt_thread_start(run_root, &roots[i]);
        else
            CHECK_INT(knit_errgroup_go(&g, run_root_in_task, &roots[i]), 0);
    }
    for (int i = 0; i < ROOTS; i++)
        kt_thread_join(threads[i]);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    drain(&w);
    CHECK_INT(w.received, w.sent);
    CHECK_INT(w.received_sum, w.sent_sum);
    atomic_fetch_add(&rounds_done, 1);
}

static void random_trees_of_groups_keep_their_promises(void)
{
    static char words[64];
    uint64_t seed = kt_seed();
    knit_time end = knit_now() + (knit_time)(seconds_wanted * 1e9);
    do {
        snprintf(words, sizeof words, "KNIT_SEED=%llu", (unsigned long long)seed);
        kt_note(words);
        run_round(seed++);
    } while (knit_now() < end);
    kt_note(NULL);
    fprintf(stderr, "# %llu rounds, %llu groups, %llu tasks\n", (unsigned long long)rounds_done,
            (unsigned long long)groups_done, (unsigned long long)jobs_done);
}

static const knittest tests[] = {
    BOTH(random_trees_of_groups_keep_their_promises),
};

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : getenv("KNIT_STRESS_SECONDS");
    char limit[32];
    if (wanted && atof(wanted) > 0)
        seconds_wanted = atof(wanted);
    snprintf(limit, sizeof limit, "%.0f", seconds_wanted + 60);
    setenv("KNIT_TEST_SECONDS", limit, 0);
    return knittest_main(1, argv, tests, sizeof tests / sizeof tests[0]);
}
