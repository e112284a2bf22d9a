/* The spawn ring: whatever owner and thieves do, every record comes out exactly once. */
#include "core/ring.h"
#include "plat/relax.h"

#include "knittest.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { THIEVES_MAX = 3, CAP = KNIT__RING_CAPACITY, BATCH = KNIT__RING_BATCH };

/* ---- one thread ------------------------------------------------------------------------------ */

static struct knit__ring *ring_new(uint32_t from)
{
    struct knit__ring *r = aligned_alloc(KNIT__CACHE_LINE, sizeof *r);
    CHECK(r);
    memset(r, 0, sizeof *r);
    r->safe_seen = from;
    r->tail = r->head = r->safe = from;
    return r;
}

static bool push(struct knit__ring *r, uint32_t number)
{
    struct knit__rec *slot = knit__ring_slot(r);
    if (!slot)
        return false;
    *slot = (struct knit__rec){.index = number};
    knit__ring_push(r);
    return true;
}

static void check_pop(struct knit__ring *r, uint32_t number)
{
    const struct knit__rec *newest = knit__ring_newest(r);
    CHECK(newest);
    CHECK_INT(newest->index, number);
    const struct knit__rec *rec = knit__ring_pop(r);
    CHECK(rec == newest);
}

static void the_owner_gets_the_newest_first(void)
{
    struct knit__ring *r = ring_new(0);
    CHECK(!knit__ring_pop(r));
    CHECK(!knit__ring_newest(r));
    for (uint32_t i = 0; i < CAP; i++)
        CHECK(push(r, i));
    CHECK_INT(knit__ring_len(r), CAP);
    for (uint32_t i = CAP; i > 0; i--)
        check_pop(r, i - 1);
    CHECK_INT(knit__ring_len(r), 0);
    CHECK(!knit__ring_pop(r));
    free(r);
}

static void a_full_ring_takes_no_more_until_one_is_gone(void)
{
    struct knit__ring *r = ring_new(0);
    struct knit__rec out[BATCH];
    for (uint32_t i = 0; i < CAP; i++)
        CHECK(push(r, i));
    CHECK(!push(r, CAP));
    check_pop(r, CAP - 1);
    CHECK(push(r, CAP));
    CHECK(!push(r, CAP + 1));
    CHECK_INT(knit__ring_steal(r, out, 1), 1);
    CHECK_INT(out[0].index, 0);
    CHECK(push(r, CAP + 1));
    CHECK(!push(r, CAP + 2));
    free(r);
}

static void a_thief_gets_the_older_half_in_order(void)
{
    struct knit__ring *r = ring_new(0);
    struct knit__rec out[BATCH];
    CHECK_INT(knit__ring_steal(r, out, BATCH), 0);
    for (uint32_t i = 0; i < 9; i++)
        CHECK(push(r, i));
    CHECK_INT(knit__ring_steal(r, out, BATCH), 5);
    for (uint32_t i = 0; i < 5; i++)
        CHECK_INT(out[i].index, i);
    check_pop(r, 8);
    CHECK_INT(knit__ring_steal(r, out, 1), 1);
    CHECK_INT(out[0].index, 5);
    for (uint32_t i = 0; i < CAP - 2; i++)
        CHECK(push(r, i));
    CHECK_INT(knit__ring_steal(r, out, BATCH), BATCH);
    CHECK_INT(knit__ring_len(r), CAP - BATCH);
    free(r);
}

static void the_last_one_can_be_stolen(void)
{
    struct knit__ring *r = ring_new(0);
    struct knit__rec out[BATCH];
    CHECK(push(r, 7));
    CHECK_INT(knit__ring_steal(r, out, BATCH), 1);
    CHECK_INT(out[0].index, 7);
    CHECK(!knit__ring_pop(r));
    CHECK_INT(knit__ring_steal(r, out, BATCH), 0);
    free(r);
}

static void the_owner_takes_the_oldest_of_several(void)
{
    struct knit__ring *r = ring_new(0);
    struct knit__rec rec;
    CHECK(!knit__ring_pop_oldest(r, &rec));
    CHECK(push(r, 0));
    CHECK(!knit__ring_pop_oldest(r, &rec)); /* the newest, too: pop it */
    for (uint32_t i = 1; i < CAP; i++)
        CHECK(push(r, i));
    CHECK(!push(r, CAP));
    CHECK(knit__ring_pop_oldest(r, &rec));
    CHECK_INT(rec.index, 0);
    CHECK(push(r, CAP)); /* its slot is free again */
    CHECK(knit__trylock(&r->lock));
    CHECK(!knit__ring_pop_oldest(r, &rec)); /* a thief is at it */
    knit__unlock(&r->lock);
    CHECK(knit__ring_pop_oldest(r, &rec));
    CHECK_INT(rec.index, 1);
    for (uint32_t i = CAP; i > 1; i--)
        check_pop(r, i);
    CHECK_INT(knit__ring_len(r), 0);
    free(r);
}

static void a_ring_with_a_thief_at_it_looks_empty(void)
{
    struct knit__ring *r = ring_new(0);
    struct knit__rec out[BATCH];
    CHECK(push(r, 7));
    knit__lock(&r->lock);
    atomic_store(&r->head, 1); /* a thief between its store and its look at the tail */
    CHECK(!knit__ring_pop(r));
    CHECK_INT(knit__ring_steal(r, out, BATCH), 0);
    CHECK(!knit__ring_pop_conflict(r, 0));
    atomic_store(&r->head, 0); /* it gives back */
    knit__unlock(&r->lock);
    check_pop(r, 7);
    free(r);
}

static void an_owner_in_conflict_keeps_what_the_thief_gave_back(void)
{
    struct knit__ring *r = ring_new(0);
    CHECK(push(r, 7));
    atomic_store(&r->tail, 0); /* as pop does before it sees a head that is gone again */
    CHECK(knit__ring_pop_conflict(r, 0));
    CHECK_INT(knit__ring_len(r), 0);
    CHECK(push(r, 8));
    check_pop(r, 8);
    free(r);
}

static void indices_wrap_around(void)
{
    struct knit__ring *r = ring_new(UINT32_MAX - 300);
    struct knit__rec out[BATCH];
    uint32_t in = 0, stolen = 0;
    for (int round = 0; round < 20; round++) {
        while (push(r, in))
            in++;
        CHECK_INT(knit__ring_len(r), CAP);
        uint32_t n = knit__ring_steal(r, out, BATCH);
        CHECK_INT(n, BATCH);
        for (uint32_t i = 0; i < n; i++)
            CHECK_INT(out[i].index, stolen++);
    }
    CHECK(atomic_load(&r->tail) < CAP * 20);
    free(r);
}

/* ---- owner and thieves ----------------------------------------------------------------------- */

struct match {
    struct knit__ring *ring;
    uint32_t total;
    _Atomic unsigned char *seen; /* by number of the record */
    atomic_bool over;
    atomic_int ready;
    _Atomic uint64_t stolen;
};

static void see(struct match *m, const struct knit__rec *rec)
{
    CHECK(rec->index < m->total);
    /* the arguments travel with the number: a torn copy shows */
    CHECK(rec->arg == (void *)(uintptr_t)(rec->index * 3u) && rec->flags == ~rec->index);
    CHECK_INT(atomic_fetch_add_explicit(&m->seen[rec->index], 1, memory_order_relaxed), 0);
}

static void thief(void *arg)
{
    struct match *m = arg;
    struct knit__rec out[BATCH];
    kt_rng rng = {(uintptr_t)&rng};
    atomic_fetch_add(&m->ready, 1);
    while (!atomic_load_explicit(&m->over, memory_order_acquire)) {
        uint32_t n = knit__ring_steal(m->ring, out, kt_below(&rng, 4) ? BATCH : 1);
        for (uint32_t i = 0; i < n; i++)
            see(m, &out[i]);
        atomic_fetch_add_explicit(&m->stolen, n, memory_order_relaxed);
        if (n == 0)
            sched_yield(); /* not knit_yield: it would start the runtime */
    }
}

static bool put(struct match *m, uint32_t number)
{
    struct knit__rec *slot = knit__ring_slot(m->ring);
    if (!slot)
        return false;
    *slot = (struct knit__rec){
        .arg = (void *)(uintptr_t)(number * 3u), .index = number, .flags = ~number};
    knit__ring_push(m->ring);
    return true;
}

static bool take(struct match *m)
{
    const struct knit__rec *rec = knit__ring_pop(m->ring);
    if (!rec)
        return false;
    see(m, rec);
    return true;
}

/* Sometimes give thieves the time to come close. */
static void dawdle(kt_rng *rng)
{
    uint32_t dice = kt_below(rng, 1000);
    if (dice == 0)
        sched_yield();
    for (uint32_t i = dice < 300 ? kt_below(rng, 150) : 0; i > 0; i--)
        knit__cpu_relax();
}

/* Fill, drain, fill: long runs of either. */
static void play_flat(struct match *m, kt_rng *rng)
{
    for (uint32_t next = 0; next < m->total;) {
        uint32_t n = 1 + kt_below(rng, CAP);
        while (n-- > 0 && next < m->total && put(m, next))
            next++;
        dawdle(rng);
        n = kt_below(rng, CAP);
        while (n-- > 0 && take(m))
            ;
    }
}

/* As fork and join do: mostly one or two records in the ring, the last one fought for. */
static void play_tree(struct match *m, kt_rng *rng)
{
    for (uint32_t next = 0; next < m->total;) {
        uint32_t n = 1 + kt_below(rng, 3);
        while (n-- > 0 && next < m->total && put(m, next))
            next++;
        dawdle(rng);
        while (take(m))
            ;
    }
}

/* A single record each time: owner and thief always want the same one. */
static void play_single(struct match *m, kt_rng *rng)
{
    for (uint32_t next = 0; next < m->total;) {
        if (knit__ring_len(m->ring) == 0 && put(m, next))
            next++;
        dawdle(rng);
        (void)take(m);
    }
}

static void play(void (*owner)(struct match *m, kt_rng *rng), bool fence, int thieves, int total)
{
    kt_rng rng = {kt_seed()};
    kt_thread *thread[THIEVES_MAX];
    struct match m = {.ring = ring_new((uint32_t)kt_next(&rng)), .total = (uint32_t)total};
    m.seen = calloc(m.total, 1);
    CHECK(m.seen);
    knit__barrier_start(fence);
    CHECK(!fence || !knit__asymmetric);
    for (int i = 0; i < thieves; i++)
        thread[i] = kt_thread_start(thief, &m);
    while (atomic_load(&m.ready) < thieves)
        sched_yield();
    owner(&m, &rng);
    while (knit__ring_len(m.ring) > 0)
        (void)take(&m);
    atomic_store_explicit(&m.over, true, memory_order_release);
    for (int i = 0; i < thieves; i++)
        kt_thread_join(thread[i]);
    CHECK(!knit__ring_pop(m.ring));
    CHECK(!fence || !knit__asymmetric);
    for (uint32_t i = 0; i < m.total; i++)
        CHECK_INT(m.seen[i], 1);
    free((void *)(uintptr_t)m.seen);
    free(m.ring);
}

static void play_all(void (*owner)(struct match *m, kt_rng *rng), bool fence, int total)
{
    for (int thieves = 1; thieves <= THIEVES_MAX; thieves++)
        play(owner, fence, thieves, kt_count(total));
}

/* POL-6, a queue */
static void every_record_comes_out_once_flat(void)
{
    play_all(play_flat, false, 1000000);
}

static void every_record_comes_out_once_flat_with_fences(void)
{
    play_all(play_flat, true, 1000000);
}

/* POL-6, a chain */
static void every_record_comes_out_once_tree(void)
{
    play_all(play_tree, false, 100000);
}

static void every_record_comes_out_once_tree_with_fences(void)
{
    play_all(play_tree, true, 100000);
}

static void a_single_record_goes_to_one_of_them(void)
{
    play_all(play_single, false, 100000);
}

static void a_single_record_goes_to_one_of_them_with_fences(void)
{
    play_all(play_single, true, 100000);
}

static const knittest tests[] = {
    COLD(the_owner_gets_the_newest_first),
    COLD(a_full_ring_takes_no_more_until_one_is_gone),
    COLD(a_thief_gets_the_older_half_in_order),
    COLD(the_last_one_can_be_stolen),
    COLD(the_owner_takes_the_oldest_of_several),
    COLD(a_ring_with_a_thief_at_it_looks_empty),
    COLD(an_owner_in_conflict_keeps_what_the_thief_gave_back),
    COLD(indices_wrap_around),
    COLD(every_record_comes_out_once_flat),
    COLD(every_record_comes_out_once_flat_with_fences),
    COLD(every_record_comes_out_once_tree),
    COLD(every_record_comes_out_once_tree_with_fences),
    COLD(a_single_record_goes_to_one_of_them),
    COLD(a_single_record_goes_to_one_of_them_with_fences),
};
KNITTEST_MAIN(tests)
