/* The scenarios of loops, streams and results. See scenarios.h. */
#include "scenarios.h"

#include "tally.h"

#include <stdatomic.h>
#include <string.h>

enum { N = 200 };

/* ---- loops ----------------------------------------------------------------------------------- */

static int count_body(size_t index, void *arg)
{
    atomic_fetch_add(&((atomic_uchar *)arg)[index], 1);
    if (index % 50 == 7)
        (void)knit_yield();
    return 0;
}

static void loop(int limit, unsigned flags)
{
    atomic_uchar called[N] = {0};
    int codes[N];
    knit_for_each_report report;
    knit_for_each_options options = {
        .limit = limit, .flags = flags, .codes = codes, .report = &report};
    int r = bear(knit_for_each(0, N, count_body, called, &options));
    size_t done = 0;
    for (int i = 0; i < N; i++) {
        CHECK(called[i] <= 1);
        CHECK_INT(codes[i], called[i] ? 0 : -ECANCELED);
        done += called[i];
    }
    CHECK_INT(report.done, done);
    CHECK(r != 0 || done == N);
    CHECK(report.index == KNIT_NO_INDEX);
}

void loops(void)
{
    loop(0, 0);
    loop(8, 0);
    loop(-1, KNIT_ERRGROUP_KEEP_GOING);
}

/* ---- streams --------------------------------------------------------------------------------- */

struct order {
    int next;
    atomic_int ran;
};

struct item {
    struct order *order;
    int number;
};

static int run_item(void *arg)
{
    struct item *item = arg;
    atomic_fetch_add(&item->order->ran, 1);
    if (item->number % 10 == 3)
        (void)knit_yield();
    return 0;
}

static int check_item(void *arg, int result)
{
    struct item *item = arg;
    CHECK_INT(result, 0);
    CHECK_INT(item->number, item->order->next++);
    return 0;
}

static void stream(int limit)
{
    struct order order = {0};
    struct item items[40];
    knit_stream s;
    int r = bear(knit_stream_init(&s, &(knit_stream_options){.limit = limit})), accepted = 0;
    for (int i = 0; i < 40; i++) {
        items[i] = (struct item){&order, i};
        accepted += bear(knit_stream_go(&s, run_item, check_item, &items[i])) == 0;
    }
    r = bear(knit_stream_wait(&s));
    CHECK(order.next <= order.ran && order.ran <= 40);
    if (r == 0) {
        CHECK_INT(accepted, 40);
        CHECK_INT(order.next, 40);
    }
    CHECK_INT(knit_stream_close(&s), r);
}

void streams(void)
{
    stream(0);
    stream(2);
}

/* ---- results --------------------------------------------------------------------------------- */

static int succeed(void *arg)
{
    (void)arg;
    return 0;
}

void results(void)
{
    knit_errgroup g;
    knit_results rs;
    knit_result slots[N], *slot;
    int told = 0, ended = 0, r;
    CHECK_INT(knit_errgroup_init(&g, &(knit_errgroup_options){.limit = 3}), 0);
    CHECK_INT(knit_results_init(&rs, &g), 0);
    for (int i = 0; i < N; i++)
        bear(knit_results_go(&rs, &slots[i], succeed, NULL));
    while ((r = knit_results_next(&rs, &slot)) != -ENOENT) {
        if (bear(r) != 0)
            break; /* no memory for this thread's first wait: it can only be joined */
        told++;
        ended += slot->state == KNIT_RESULT_ENDED;
        CHECK(slot->state == KNIT_RESULT_ENDED ? slot->code == 0 : bear(slot->code) != 0);
    }
    r = bear(knit_errgroup_wait(&g));
    if (r == 0)
        CHECK_INT(ended, N);
    CHECK(told == N || r != 0);
}
