/* The queue of chunks: first in first out, and a chunk belongs to whoever holds it. */
#include "core/inject.h"

#include "knittest.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { CAP = KNIT__CHUNK_CAPACITY };

static void put(uint32_t number)
{
    struct knit__rec rec = {.index = number};
    CHECK_INT(knit__inject_rec(&rec), 0);
}

static void an_empty_queue_gives_nothing(void)
{
    CHECK(!knit__inject_pending());
    CHECK(!knit__inject_take());
    knit__inject_reset(false);
    CHECK(!knit__inject_take());
}

static void records_come_out_in_order_across_chunks(void)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < 3 * CAP + 5; i++)
        put(i);
    CHECK(knit__inject_pending());
    for (struct knit__chunk *c; (c = knit__inject_take()) != NULL; knit__chunk_put(c)) {
        CHECK(c->begin < c->end);
        for (uint32_t i = c->begin; i < c->end; i++)
            CHECK_INT(c->recs[i].index, next++);
    }
    CHECK_INT(next, 3 * CAP + 5);
    CHECK(!knit__inject_pending());
    knit__inject_reset(false);
}

static void given_chunks_keep_their_place_among_records(void)
{
    struct knit__chunk *mine = knit__chunk_get();
    CHECK(mine);
    CHECK_INT(mine->begin, 0);
    CHECK_INT(mine->end, 0);
    for (uint32_t i = 0; i < CAP; i++)
        mine->recs[mine->end++] = (struct knit__rec){.index = 100 + i};
    put(1);
    knit__inject_chunk(mine);
    put(1000); /* mine is full: a chunk after it */
    struct knit__chunk *c = knit__inject_take();
    CHECK(c && c != mine);
    CHECK_INT(c->recs[c->begin].index, 1);
    knit__chunk_put(c);
    CHECK(knit__inject_take() == mine);
    CHECK_INT(mine->recs[0].index, 100);
    knit__chunk_put(mine);
    c = knit__inject_take();
    CHECK(c);
    CHECK_INT(c->recs[c->begin].index, 1000);
    CHECK_INT(c->end - c->begin, 1);
    knit__chunk_put(c);
    CHECK(!knit__inject_take());
    knit__inject_reset(false);
}

static void a_taken_chunk_is_not_written_to(void)
{
    put(1);
    struct knit__chunk *c = knit__inject_take();
    CHECK(c);
    put(2);
    CHECK_INT(c->end - c->begin, 1);
    struct knit__chunk *d = knit__inject_take();
    CHECK(d && d != c);
    CHECK_INT(d->recs[d->begin].index, 2);
    knit__chunk_put(c);
    knit__chunk_put(d);
    knit__inject_reset(false);
}

static void a_chunk_that_was_put_back_comes_out_empty(void)
{
    struct knit__chunk *c = knit__chunk_get();
    CHECK(c);
    c->begin = 3;
    c->end = 9;
    knit__chunk_put(c);
    struct knit__chunk *again = knit__chunk_get();
    CHECK(again == c);
    CHECK_INT(again->begin, 0);
    CHECK_INT(again->end, 0);
    knit__chunk_put(again);
    knit__inject_reset(false);
}

static void a_reset_drops_what_is_queued(void)
{
    for (uint32_t i = 0; i < 2 * CAP; i++)
        put(i);
    knit__inject_reset(true);
    CHECK(!knit__inject_pending());
    CHECK(!knit__inject_take());
    put(7);
    struct knit__chunk *c = knit__inject_take();
    CHECK(c);
    CHECK_INT(c->recs[c->begin].index, 7);
    knit__chunk_put(c);
    knit__inject_reset(false); /* a leak of either is LeakSanitizer's to report */
}

/* ---- several threads ------------------------------------------------------------------------- */

enum { PRODUCERS = 2, CONSUMERS = 2 };

struct match {
    uint32_t each;
    atomic_uint producer, producing;
    _Atomic unsigned char *seen; /* producer * each + number */
    atomic_uint out;
};

static void produce(void *arg)
{
    struct match *m = arg;
    uint32_t mine = atomic_fetch_add(&m->producer, 1);
    struct knit__chunk *c = NULL;
    for (uint32_t i = 0; i < m->each; i++) {
        struct knit__rec rec = {.index = i, .flags = mine};
        if (mine == 0) {
            CHECK_INT(knit__inject_rec(&rec), 0);
            continue;
        }
        c = c ? c : knit__chunk_get();
        CHECK(c);
        c->recs[c->end++] = rec;
        if (c->end == CAP || i + 1 == m->each) {
            knit__inject_chunk(c);
            c = NULL;
        }
    }
    atomic_fetch_sub(&m->producing, 1);
}

static void consume(void *arg)
{
    struct match *m = arg;
    uint32_t last[PRODUCERS] = {0};
    while (atomic_load(&m->out) < PRODUCERS * m->each) {
        struct knit__chunk *c = knit__inject_take();
        if (!c) {
            CHECK(atomic_load(&m->producing) > 0 || !knit__inject_pending() ||
                  atomic_load(&m->out) < PRODUCERS * m->each);
            sched_yield(); /* not knit_yield: it would start the runtime */
            continue;
        }
        for (uint32_t i = c->begin; i < c->end; i++) {
            const struct knit__rec *rec = &c->recs[i];
            /* each producer's own order holds for each consumer */
            CHECK(rec->index >= last[rec->flags]);
            last[rec->flags] = rec->index;
            CHECK_INT(atomic_fetch_add(&m->seen[rec->flags * m->each + rec->index], 1), 0);
        }
        atomic_fetch_add(&m->out, c->end - c->begin);
        knit__chunk_put(c);
    }
}

static void every_record_comes_out_once(void)
{
    struct match m = {.each = (uint32_t)kt_count(500000), .producing = PRODUCERS};
    kt_thread *thread[PRODUCERS + CONSUMERS];
    m.seen = calloc(PRODUCERS, m.each);
    CHECK(m.seen);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        thread[i] = kt_thread_start(i < PRODUCERS ? produce : consume, &m);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        kt_thread_join(thread[i]);
    for (uint32_t i = 0; i < PRODUCERS * m.each; i++)
        CHECK_INT(m.seen[i], 1);
    CHECK(!knit__inject_pending());
    free((void *)(uintptr_t)m.seen);
    knit__inject_reset(false);
}

static const knittest tests[] = {
    COLD(an_empty_queue_gives_nothing),
    COLD(records_come_out_in_order_across_chunks),
    COLD(given_chunks_keep_their_place_among_records),
    COLD(a_taken_chunk_is_not_written_to),
    COLD(a_chunk_that_was_put_back_comes_out_empty),
    COLD(a_reset_drops_what_is_queued),
    COLD(every_record_comes_out_once),
};
KNITTEST_MAIN(tests)
