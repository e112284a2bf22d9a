/* Everything a task waits for. See scenarios.h. */
#include "tally.h"

/* ---- channels -------------------------------------------------------------------------------- */

enum { PARKED = 300 }; /* more than a slab of stacks (256) */

typedef struct waiters {
    tally tally; /* first */
    knit_chan *ch;
    atomic_int arrived;
} waiters;

static int receive_end(void *arg)
{
    waiters *w = arg;
    atomic_fetch_add(&w->arrived, 1);
    CHECK_INT(knit_chan_recv(w->ch, NULL), -EPIPE);
    atomic_fetch_add(&w->tally.ran, 1);
    return 0;
}

/* Every task is in its wait, or will never run. */
static bool all_there(waiters *w)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(&w->tally.group, &counts), 0);
    return atomic_load(&w->arrived) + (int)(counts.failed + counts.skipped) >= w->tally.accepted;
}

void parked_tasks(void)
{
    waiters w = {0};
    if (bear(knit_chan_new(0, 0, &w.ch)) != 0)
        return;
    for (int i = 0; i < PARKED; i++)
        start(&w.tally, receive_end, &w);
    kt_until(all_there(&w));
    CHECK_INT(knit_chan_close(w.ch), 0);
    finish(&w.tally);
    knit_chan_unref(w.ch);
}

typedef struct pair {
    tally tally; /* first */
    knit_chan *ch;
} pair;

static int send_ten(void *arg)
{
    pair *p = arg;
    int r = 0;
    for (int i = 0; r == 0 && i < 10; i++)
        r = knit_chan_send(p->ch, &i);
    if (r == 0)
        knit_chan_close(p->ch);
    atomic_fetch_add(&p->tally.ran, 1);
    return r == -EPIPE && !expect_success ? 0 : r;
}

static int receive_ten(void *arg)
{
    pair *p = arg;
    int r, n = 0, i;
    while ((r = knit_chan_recv(p->ch, &i)) == 0)
        CHECK_INT(i, n++);
    CHECK(n == 10 || !expect_success);
    atomic_fetch_add(&p->tally.ran, 1);
    return r == -EPIPE ? 0 : r;
}

/* Two that need each other: where one cannot run the group's failure must end the other. */
void rendezvous(void)
{
    for (size_t capacity = 0; capacity <= 3; capacity += 3) {
        pair p = {0};
        if (bear(knit_chan_new(sizeof(int), capacity, &p.ch)) != 0)
            return;
        CHECK_INT(knit_errgroup_init(&p.tally.group, NULL), 0);
        start(&p.tally, send_ten, &p);
        start(&p.tally, receive_ten, &p);
        finish(&p.tally);
        knit_chan_unref(p.ch);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

static int sleep_a_little(void *arg)
{
    tally *t = tally_of(arg);
    knit_time wake = knit_now() + KNIT_MILLISECOND;
    if (bear(knit_sleep_until(wake)) == 0)
        CHECK(knit_now() >= wake);
    atomic_fetch_add(&t->ran, 1);
    return 0;
}

/* A wait with a deadline that ends by it, unless its timer could not be stored. */
static void bear_timeout(int r)
{
    CHECK(r == -ETIMEDOUT || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
}

static void wait_in_vain(void)
{
    knit_chan *ch = NULL;
    knit_ctx *ctx = NULL;
    if (bear(knit_chan_new(1, 0, &ch)) != 0)
        return;
    char c = 0;
    bear_timeout(knit_chan_recv_until(ch, &c, knit_now() + KNIT_MILLISECOND));
    bear_timeout(knit_chan_send_until(ch, &c, knit_now() + KNIT_MILLISECOND));
    knit_chan_unref(ch);
    if (bear(knit_ctx_with_timeout(knit_ctx_background(), KNIT_MILLISECOND, &ctx)) != 0)
        return;
    bear_timeout(knit_ctx_wait(ctx));
    knit_ctx_unref(ctx);
}

/* More sleepers than the first size of a heap (64). */
void timed_waits(void)
{
    tally t = {0};
    for (int i = 0; i < 150; i++)
        start(&t, sleep_a_little, &t.group);
    int r = knit_errgroup_wait_until(&t.group, knit_now() + 10 * KNIT_MICROSECOND);
    if (r != -ETIMEDOUT)
        bear(r);
    wait_in_vain();
    finish(&t);
    bear(knit_sleep(KNIT_MICROSECOND));
}

/* ---- select ---------------------------------------------------------------------------------- */

enum { FEW = 16, MANY = 40 };

/* A wait with a time needs a timer, more than FEW cases a block; nothing else asks for memory. */
void selects(void)
{
    knit_case cases[MANY];
    knit_chan *ch;
    int item = 1, got = 0;
    if (bear(knit_chan_new(sizeof item, 1, &ch)) != 0)
        return;
    for (int i = 0; i < MANY; i++)
        cases[i] = knit_case_recv(ch, &got);
    int r = knit_select_until(cases, FEW, knit_now() + 20 * KNIT_MICROSECOND);
    CHECK(r == -ETIMEDOUT || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
    CHECK_INT(knit_chan_try_send(ch, &item), 0);
    r = knit_try_select(cases, MANY);
    CHECK(r >= 0 || (!expect_success && r == -ENOMEM));
    CHECK_INT(got, r >= 0); /* what failed has received nothing */
    CHECK_INT(knit_chan_len(ch), r < 0);
    if (knit_in_task()) { /* a thread's first use may want memory */
        CHECK_INT(r < 0 ? 0 : knit_chan_try_send(ch, &item), 0);
        CHECK(knit_select(cases, FEW) >= 0);
        CHECK_INT(knit_try_select(cases, FEW), -EAGAIN);
    }
    knit_chan_unref(ch);
}

/* ---- the map --------------------------------------------------------------------------------- */

static int count_keys(const void *key, size_t size, void *value, void *arg)
{
    CHECK_INT(size, sizeof(int));
    CHECK(value && *(const int *)key >= 0);
    ++*(int *)arg;
    return 0;
}

/* Only a new key asks for memory. What is not stored is not there; a shard that cannot grow works. */
void maps(void)
{
    enum { KEYS = 300 };
    knit_syncmap map = {0};
    int stored = 0, seen = 0;
    for (int k = 0; k < KEYS; k++) {
        bool there = bear(knit_syncmap_store(&map, &k, sizeof k, NULL)) == 0;
        CHECK_INT(knit_syncmap_load(&map, &k, sizeof k, NULL), there);
        CHECK_INT(knit_syncmap_compare_and_swap(&map, &k, sizeof k, NULL, &map), there);
        stored += there;
    }
    CHECK_INT(knit_syncmap_len(&map), stored);
    CHECK_INT(knit_syncmap_range(&map, count_keys, &seen), 0);
    CHECK_INT(seen, stored);
    for (int k = 0; k < KEYS; k += 2)
        stored -= knit_syncmap_delete(&map, &k, sizeof k);
    CHECK_INT(knit_syncmap_len(&map), stored);
    knit_syncmap_fini(&map);
}

/* ---- locks and counts ------------------------------------------------------------------------- */

typedef struct held {
    tally tally; /* first */
    knit_mutex m;
    knit_rwlock l;
    knit_cond c;
    knit_semaphore s;
    knit_waitgroup wg;
} held;

/* All of it is held by another: each wait ends by its deadline, or without its timer. */
static int wait_for_what_is_held(void *arg)
{
    held *h = arg;
    knit_mutex own = {0};
    bear_timeout(knit_mutex_lock_until(&h->m, knit_now() + 20 * KNIT_MICROSECOND));
    bear_timeout(knit_rwlock_read_until(&h->l, knit_now() + 20 * KNIT_MICROSECOND));
    bear_timeout(knit_rwlock_write_until(&h->l, knit_now() + 20 * KNIT_MICROSECOND));
    bear_timeout(knit_semaphore_acquire_until(&h->s, 1, knit_now() + 20 * KNIT_MICROSECOND));
    bear_timeout(knit_waitgroup_wait_until(&h->wg, knit_now() + 20 * KNIT_MICROSECOND));
    if (bear(knit_mutex_lock(&own)) == 0) {
        bear_timeout(knit_cond_wait_until(&h->c, &own, knit_now() + 20 * KNIT_MICROSECOND));
        CHECK_INT(knit_mutex_unlock(&own), 0); /* held again, whatever happened */
    }
    atomic_fetch_add(&h->tally.ran, 1);
    return 0;
}

/* A task's first uses of all. */
static int take_all(void *arg)
{
    held *h = arg;
    if (bear(knit_mutex_lock(&h->m)) == 0)
        CHECK_INT(knit_mutex_unlock(&h->m), 0);
    if (bear(knit_rwlock_read(&h->l)) == 0)
        CHECK_INT(knit_rwlock_read_unlock(&h->l), 0);
    if (bear(knit_rwlock_write(&h->l)) == 0)
        CHECK_INT(knit_rwlock_write_unlock(&h->l), 0);
    if (bear(knit_semaphore_acquire(&h->s, 2)) == 0)
        CHECK_INT(knit_semaphore_release(&h->s, 2), 0);
    bear(knit_waitgroup_wait(&h->wg));
    atomic_fetch_add(&h->tally.ran, 1);
    return 0;
}

void locks(void)
{
    held h = {0};
    CHECK_INT(knit_semaphore_init(&h.s, 2), 0);
    if (bear(knit_mutex_lock(&h.m)) != 0)
        return;
    bool written = bear(knit_rwlock_write(&h.l)) == 0;
    bool taken = bear(knit_semaphore_acquire(&h.s, 2)) == 0;
    CHECK_INT(knit_waitgroup_add(&h.wg, 1), 0);
    if (written && taken)
        for (int i = 0; i < 3; i++)
            start(&h.tally, wait_for_what_is_held, &h);
    finish(&h.tally);
    h.tally = (tally){0};
    CHECK_INT(knit_mutex_unlock(&h.m), 0);
    CHECK_INT(knit_rwlock_write_unlock(&h.l), written ? 0 : -EPERM);
    CHECK_INT(knit_semaphore_release(&h.s, 2), taken ? 0 : -ERANGE);
    CHECK_INT(knit_waitgroup_done(&h.wg), 0);
    for (int i = 0; i < 10; i++)
        start(&h.tally, take_all, &h);
    finish(&h.tally);
    CHECK_INT(knit_semaphore_held(&h.s), 0);
}

/* ---- errors of a wait group -------------------------------------------------------------------- */

/* Every code is counted; the first is always kept. */
void waitgroup_errors(void)
{
    enum { CODES = 40 };
    knit_waitgroup wg = {0};
    int codes[CODES], kept = 0;
    char text[2048];
    for (int i = 0; i < CODES; i++)
        kept += bear(knit_waitgroup_error(&wg, i % 2 ? -EIO : -EPIPE)) == 0;
    CHECK_INT(knit_waitgroup_errors(&wg, codes, CODES), CODES);
    for (int i = 0; i < CODES; i++) {
        bool lost = codes[i] == -ENOMEM;
        CHECK(!lost || !expect_success);
        CHECK(lost || codes[i] == (i % 2 ? -EIO : -EPIPE));
        kept -= !lost;
    }
    CHECK(kept == 0 || kept == -1); /* the first one is kept, and may say -ENOMEM */
    CHECK_INT(codes[0], -EPIPE);
    CHECK(knit_waitgroup_format(&wg, text, sizeof text) > 0);
    int r = knit_waitgroup_wait(&wg);
    CHECK(r == -EPIPE || (!expect_success && r == -ENOMEM));
    CHECK_INT(knit_waitgroup_fini(&wg), 0);
    CHECK_INT(knit_waitgroup_errors(&wg, NULL, 0), 0);
}

/* ---- one call for many ------------------------------------------------------------------------- */

typedef struct calls {
    tally tally; /* first */
    knit_once o;
    knit_singleflight sf;
    atomic_int called, fetched;
} calls;

static int compute(void *arg, void **ret_value)
{
    calls *c = arg;
    atomic_fetch_add(&c->called, 1);
    *ret_value = c;
    return knit_yield();
}

static int fetch(void *arg, void **ret_value)
{
    calls *c = arg;
    atomic_fetch_add(&c->fetched, 1);
    *ret_value = c;
    return knit_yield();
}

/* Nothing is used up by a call that has failed before its function. */
static int call_both(void *arg)
{
    calls *c = arg;
    void *value = NULL;
    knit_singleflight_result result = {0};
    if (bear(knit_once_value(&c->o, compute, c, &value)) == 0)
        CHECK(value == c);
    CHECK_INT(knit_once_done(&c->o) == 0 || atomic_load(&c->called) == 1, 1);
    if (bear(knit_singleflight_do(&c->sf, "key", fetch, c, &result)) == 0)
        CHECK(result.value == c);
    atomic_fetch_add(&c->tally.ran, 1);
    return 0;
}

static void fetch_over_channels(calls *c, knit_errgroup *g)
{
    for (int i = 0; i < 4; i++) {
        knit_chan *ch = NULL;
        knit_singleflight_result result = {0};
        if (bear(knit_singleflight_do_chan(&c->sf, g, "key", fetch, c, &ch)) != 0) {
            CHECK(!ch);
            continue;
        }
        if (bear(knit_chan_recv(ch, &result)) == 0)
            CHECK(bear(result.error) != 0 || result.value == c);
        knit_chan_unref(ch);
    }
}

void one_call_for_many(void)
{
    calls c = {0};
    knit_errgroup g = {0};
    for (int i = 0; i < 6; i++)
        start(&c.tally, call_both, &c);
    finish(&c.tally);
    if (!knit_once_done(&c.o)) {
        CHECK_INT(atomic_load(&c.called), 0);
        CHECK(!expect_success);
    }
    fetch_over_channels(&c, &g);
    bear(knit_errgroup_wait(&g));
    CHECK(atomic_load(&c.fetched) > 0 || !expect_success);
}
