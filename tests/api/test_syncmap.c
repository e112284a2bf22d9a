/* The concurrent map (conformance: x/sync syncmap SM-1..SM-3; Go's sync.Map MAP-1..MAP-9; its
 * HashTrieMap HTM-1..HTM-3: the same suite with a good, a constant and a truncated hash).
 *
 * Not made anew: MAP-8, MAP-10 (allocations; see tests/fault: a range needs none), HTM-4 (weak
 * pointers). MAP-5 (what is deleted can be collected) is about references here. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t constant_hash(const void *key, size_t size)
{
    (void)key;
    (void)size;
    return 0;
}

/* Two shards, two chains each. */
static uint64_t truncated_hash(const void *key, size_t size)
{
    const unsigned char *bytes = key;
    uint64_t sum = size;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return (sum & 1) << 63 | (sum >> 1 & 1);
}

static const knit_syncmap_options hashes[] = {
    {NULL, NULL, NULL},
    {NULL, NULL, constant_hash},
    {NULL, NULL, truncated_hash},
};
enum { HASHES = sizeof hashes / sizeof hashes[0] };

static void *value_of(uintptr_t n)
{
    return (void *)n;
}

static uintptr_t number_of(const void *value)
{
    return (uintptr_t)value;
}

/* ---- SM-1, SM-2, MAP-1..MAP-3: like a simple map, whatever is done ----------------------------- */

enum { LETTERS = 3, WORDS = 1 + LETTERS + LETTERS * LETTERS + LETTERS * LETTERS * LETTERS };

/* The n-th word of 0 to 3 letters; returns its length. */
static size_t word(unsigned n, char text[4])
{
    size_t size = 0;
    for (unsigned count = 1; n >= count; count *= LETTERS, size++)
        n -= count;
    for (size_t i = 0; i < size; i++, n /= LETTERS)
        text[i] = (char)('a' + n % LETTERS);
    return size;
}

typedef struct model {
    bool there[WORDS];
    uintptr_t value[WORDS];
} model;

static int index_of(const void *key, size_t size)
{
    for (unsigned n = 0; n < WORDS; n++) {
        char text[4];
        if (word(n, text) == size && memcmp(text, key, size) == 0)
            return (int)n;
    }
    return -1;
}

typedef struct seen {
    const model *m;
    int count[WORDS];
} seen;

static int compare_with_model(const void *key, size_t size, void *value, void *arg)
{
    seen *s = arg;
    int n = index_of(key, size);
    CHECK(n >= 0);
    CHECK(s->m->there[n]);
    CHECK(number_of(value) == s->m->value[n]);
    s->count[n]++;
    return 0;
}

static void check_all(knit_syncmap *map, const model *m)
{
    seen s = {.m = m};
    size_t count = 0;
    CHECK_INT(knit_syncmap_range(map, compare_with_model, &s), 0);
    for (int n = 0; n < WORDS; n++) {
        CHECK_INT(s.count[n], m->there[n]);
        count += m->there[n];
    }
    CHECK_INT(knit_syncmap_len(map), count);
}

static void set(model *m, unsigned n, uintptr_t value)
{
    m->there[n] = true;
    m->value[n] = value;
}

static void one_random_operation(knit_syncmap *map, model *m, kt_rng *rng)
{
    char key[4];
    unsigned n = kt_below(rng, WORDS);
    size_t size = word(n, key);
    uintptr_t value = kt_below(rng, 4), old = kt_below(rng, 4), had = m->value[n];
    bool there = m->there[n], same = there && had == old;
    void *got = value_of(99);
    uintptr_t want = there ? had : 99;
    switch (kt_below(rng, 10)) {
    case 0: CHECK_INT(knit_syncmap_load(map, key, size, &got), there); break;
    case 1:
        CHECK_INT(knit_syncmap_store(map, key, size, value_of(value)), 0);
        set(m, n, value);
        want = 99;
        break;
    case 2:
        CHECK_INT(knit_syncmap_load_or_store(map, key, size, value_of(value), &got), there);
        set(m, n, there ? had : value);
        want = m->value[n];
        break;
    case 3:
        CHECK_INT(knit_syncmap_load_and_delete(map, key, size, &got), there);
        m->there[n] = false;
        break;
    case 4:
        CHECK_INT(knit_syncmap_delete(map, key, size), there);
        m->there[n] = false;
        want = 99;
        break;
    case 5:
        CHECK_INT(knit_syncmap_swap(map, key, size, value_of(value), &got), there);
        set(m, n, value);
        break;
    case 6:
        CHECK_INT(knit_syncmap_compare_and_swap(map, key, size, value_of(old), value_of(value)),
                  same);
        if (same)
            set(m, n, value);
        want = 99;
        break;
    case 7:
        CHECK_INT(knit_syncmap_compare_and_delete(map, key, size, value_of(old)), same);
        m->there[n] = there && !same;
        want = 99;
        break;
    case 8:
        check_all(map, m);
        want = 99;
        break;
    default:
        if (kt_below(rng, 50) == 0) {
            knit_syncmap_clear(map);
            memset(m->there, 0, sizeof m->there);
        }
        want = 99;
        break;
    }
    CHECK(number_of(got) == want);
}

static void sm_1_sm_2_map_1_it_does_what_a_simple_map_does(void)
{
    kt_rng rng = {kt_seed()};
    for (int h = 0; h < HASHES; h++) {
        knit_syncmap map = {0};
        model m = {{0}, {0}};
        if (h > 0)
            CHECK_INT(knit_syncmap_init(&map, &hashes[h]), 0);
        for (int i = 0; i < kt_count(20000); i++)
            one_random_operation(&map, &m, &rng);
        check_all(&map, &m);
        knit_syncmap_fini(&map);
        CHECK_INT(knit_syncmap_len(&map), 0);
    }
}

/* ---- SM-3, MAP-4: ranges beside writers -------------------------------------------------------- */

enum { KEYS = 1024, WRITERS = 4 };

typedef struct writer {
    knit_syncmap *map;
    uint64_t number;
    atomic_bool *stop;
} writer;

static int write_multiples(void *arg)
{
    writer *w = arg;
    kt_rng rng = {w->number + 1};
    for (uintptr_t i = 0; !atomic_load(w->stop); i++) {
        for (uint64_t key = 1; key < KEYS; key++) {
            void *value;
            if (kt_below(&rng, KEYS) == 0)
                CHECK_INT(knit_syncmap_store(w->map, &key, sizeof key,
                                             value_of((uintptr_t)(key * i * w->number))),
                          0);
            else
                CHECK_INT(knit_syncmap_load(w->map, &key, sizeof key, &value), 1);
        }
        (void)knit_yield();
    }
    return 0;
}

static int is_a_multiple_seen_once(const void *key, size_t size, void *value, void *arg)
{
    unsigned char *counts = arg;
    uint64_t k;
    CHECK_INT(size, sizeof k);
    memcpy(&k, key, sizeof k);
    CHECK(k < KEYS);
    CHECK_INT(counts[k]++, 0);
    CHECK(k == 0 ? number_of(value) == 0 : number_of(value) % k == 0);
    return 0;
}

static void sm_3_map_4_a_range_sees_every_key_once_beside_writers(void)
{
    knit_syncmap map = {0};
    atomic_bool stop = false;
    writer writers[WRITERS];
    knit_errgroup g = {0};
    for (uint64_t key = 0; key < KEYS; key++)
        CHECK_INT(knit_syncmap_store(&map, &key, sizeof key, value_of((uintptr_t)key)), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){&map, (uint64_t)i, &stop};
        CHECK_INT(knit_errgroup_go(&g, write_multiples, &writers[i]), 0);
    }
    for (int i = 0; i < kt_count(100); i++) {
        unsigned char counts[KEYS] = {0};
        CHECK_INT(knit_syncmap_range(&map, is_a_multiple_seen_once, counts), 0);
        for (int k = 0; k < KEYS; k++)
            CHECK_INT(counts[k], 1);
        (void)knit_yield();
    }
    stop = true;
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_syncmap_fini(&map);
}

/* ---- MAP-6 and other things to do in a range ---------------------------------------------------- */

static int delete_it(const void *key, size_t size, void *value, void *arg)
{
    (void)value;
    return knit_syncmap_delete(arg, key, size) == 1 ? 0 : -EPROTO;
}

static int use_everything(const void *key, size_t size, void *value, void *arg)
{
    knit_syncmap *map = arg;
    uint64_t other = 42;
    void *got;
    (void)value;
    CHECK(knit_syncmap_load_or_store(map, &other, sizeof other, NULL, &got) >= 0);
    CHECK_INT(knit_syncmap_store(map, key, size, value_of(7)), 0);
    CHECK_INT(knit_syncmap_load_and_delete(map, key, size, &got), 1);
    CHECK(number_of(got) == 7);
    CHECK_INT(knit_syncmap_range(map, delete_it, map), 0);
    return 0;
}

static void map_6_a_range_may_change_the_map_and_range_again(void)
{
    knit_syncmap map = {0};
    for (uint64_t key = 0; key < 3; key++)
        CHECK_INT(knit_syncmap_store(&map, &key, sizeof key, value_of(1)), 0);
    CHECK_INT(knit_syncmap_range(&map, use_everything, &map), 0);
    CHECK_INT(knit_syncmap_len(&map), 0);
    knit_syncmap_fini(&map);
}

typedef struct pass {
    knit_syncmap *map;
    int calls;
    unsigned char seen[100];
} pass;

/* Removes and stores again every key there is: none is seen twice, and it comes to an end. */
static int renew_all(const void *key, size_t size, void *value, void *arg)
{
    pass *p = arg;
    uint64_t k;
    (void)value;
    memcpy(&k, key, size);
    CHECK_INT(p->seen[k]++, 0);
    p->calls++;
    for (k = 0; k < 100; k++) {
        CHECK_INT(knit_syncmap_delete(p->map, &k, sizeof k), 1);
        CHECK_INT(knit_syncmap_store(p->map, &k, sizeof k, value_of(1)), 0);
    }
    (void)knit_yield(); /* it may park */
    return 0;
}

static int stop_at_third(const void *key, size_t size, void *value, void *arg)
{
    pass *p = arg;
    (void)key;
    (void)size;
    (void)value;
    return ++p->calls == 3 ? 33 : 0;
}

static void no_key_is_seen_twice_even_if_it_comes_again(void)
{
    for (int h = 0; h < HASHES; h++) {
        knit_syncmap map;
        pass p = {.map = &map}, third = {.map = &map};
        CHECK_INT(knit_syncmap_init(&map, &hashes[h]), 0);
        for (uint64_t k = 0; k < 100; k++)
            CHECK_INT(knit_syncmap_store(&map, &k, sizeof k, value_of(1)), 0);
        CHECK_INT(knit_syncmap_range(&map, renew_all, &p), 0);
        CHECK(p.calls > 0 && p.calls <= 100);
        CHECK_INT(knit_syncmap_range(&map, stop_at_third, &third), 33);
        CHECK_INT(third.calls, 3);
        CHECK_INT(knit_syncmap_len(&map), 100);
        knit_syncmap_fini(&map);
    }
}

static int clear_all(const void *key, size_t size, void *value, void *arg)
{
    pass *p = arg;
    unsigned char copy[sizeof(uint64_t)];
    (void)value;
    p->calls++;
    knit_syncmap_clear(p->map);
    memcpy(copy, key, size); /* still there for us */
    return knit_syncmap_load(p->map, key, size, NULL);
}

static void a_range_may_clear_the_map(void)
{
    knit_syncmap map = {0};
    pass p = {.map = &map};
    for (uint64_t k = 0; k < 100; k++)
        CHECK_INT(knit_syncmap_store(&map, &k, sizeof k, value_of(1)), 0);
    CHECK_INT(knit_syncmap_range(&map, clear_all, &p), 0);
    CHECK_INT(p.calls, 1);
    CHECK_INT(knit_syncmap_len(&map), 0);
    knit_syncmap_fini(&map);
}

/* ---- MAP-7 -------------------------------------------------------------------------------------- */

static void map_7_an_absent_key_has_no_value_not_null_either(void)
{
    knit_syncmap map = {0};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(knit_syncmap_compare_and_swap(&map, "k", 1, NULL, value_of(42)), 0);
        CHECK_INT(knit_syncmap_compare_and_delete(&map, "k", 1, NULL), 0);
        CHECK_INT(knit_syncmap_load(&map, "k", 1, NULL), 0);
        CHECK_INT(knit_syncmap_store(&map, "other", 5, NULL), 0);
    }
    CHECK_INT(knit_syncmap_load(&map, "other", 5, NULL), 1); /* NULL is a value */
    CHECK_INT(knit_syncmap_compare_and_swap(&map, "other", 5, NULL, value_of(1)), 1);
    knit_syncmap_fini(&map);
}

/* ---- MAP-9 -------------------------------------------------------------------------------------- */

static int store_all(void *arg)
{
    for (uint64_t k = 0; k < 1000; k++)
        CHECK_INT(knit_syncmap_store(arg, &k, sizeof k, value_of((uintptr_t)k)), 0);
    return 0;
}

static int load_all(void *arg)
{
    for (uint64_t k = 0; k < 1000; k++) {
        void *value = value_of((uintptr_t)k);
        (void)knit_syncmap_load(arg, &k, sizeof k, &value);
        CHECK(number_of(value) == k);
    }
    return 0;
}

static int clear_it(void *arg)
{
    knit_syncmap_clear(arg);
    return 0;
}

static void map_9_clear_beside_readers_and_writers(void)
{
    for (int h = 0; h < HASHES; h += 2) {
        knit_syncmap map;
        knit_errgroup g = {0};
        CHECK_INT(knit_syncmap_init(&map, &hashes[h]), 0);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(knit_errgroup_go(&g, store_all, &map), 0);
            CHECK_INT(knit_errgroup_go(&g, load_all, &map), 0);
            CHECK_INT(knit_errgroup_go(&g, clear_it, &map), 0);
        }
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_syncmap_clear(&map);
        CHECK_INT(knit_syncmap_len(&map), 0);
        knit_syncmap_fini(&map);
    }
}

/* ---- HTM: many at the same keys ------------------------------------------------------------------ */

enum { SHARED = 100, CLIMBERS = 8 };

typedef struct climb {
    knit_syncmap *map;
    int rounds;
    atomic_long *wins;
} climb;

static int count_up(void *arg)
{
    climb *c = arg;
    for (int i = 0; i < c->rounds; i++) {
        uint64_t key = (uint64_t)i % SHARED;
        void *old = NULL;
        do {
            CHECK_INT(knit_syncmap_load(c->map, &key, sizeof key, &old), 1);
        } while (knit_syncmap_compare_and_swap(c->map, &key, sizeof key, old,
                                               value_of(number_of(old) + 1)) != 1);
    }
    return 0;
}

static int sum_values(const void *key, size_t size, void *value, void *arg)
{
    (void)key;
    (void)size;
    *(uintptr_t *)arg += number_of(value);
    return 0;
}

static void htm_no_compare_and_swap_on_shared_keys_is_lost(void)
{
    for (int h = 0; h < HASHES; h++) {
        knit_syncmap map;
        knit_errgroup g = {0};
        climb c = {&map, kt_count(2000), NULL};
        uintptr_t sum = 0;
        CHECK_INT(knit_syncmap_init(&map, &hashes[h]), 0);
        for (uint64_t k = 0; k < SHARED; k++)
            CHECK_INT(knit_syncmap_store(&map, &k, sizeof k, value_of(0)), 0);
        for (int i = 0; i < CLIMBERS; i++)
            CHECK_INT(knit_errgroup_go(&g, count_up, &c), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(knit_syncmap_range(&map, sum_values, &sum), 0);
        CHECK_INT(sum, CLIMBERS * c.rounds);
        knit_syncmap_fini(&map);
    }
}

/* Every key is stored by one and taken by one, in every round. */
static int store_first(void *arg)
{
    climb *c = arg;
    for (uint64_t k = 0; k < SHARED; k++)
        atomic_fetch_add(c->wins,
                         knit_syncmap_load_or_store(c->map, &k, sizeof k, value_of(5), NULL) == 0);
    return 0;
}

static int take_first(void *arg)
{
    climb *c = arg;
    for (uint64_t k = 0; k < SHARED; k++) {
        int r = k % 2 ? knit_syncmap_load_and_delete(c->map, &k, sizeof k, NULL)
                      : knit_syncmap_compare_and_delete(c->map, &k, sizeof k, value_of(5));
        atomic_fetch_add(c->wins, r);
    }
    return 0;
}

static void htm_one_of_many_stores_and_one_deletes(void)
{
    for (int h = 0; h < HASHES; h++) {
        knit_syncmap map;
        atomic_long wins = 0;
        climb c = {&map, 0, &wins};
        CHECK_INT(knit_syncmap_init(&map, &hashes[h]), 0);
        for (int round = 0; round < kt_count(10); round++) {
            for (int k = 0; k < 2; k++) {
                knit_errgroup g = {0};
                for (int i = 0; i < CLIMBERS; i++)
                    CHECK_INT(knit_errgroup_go(&g, k ? take_first : store_first, &c), 0);
                CHECK_INT(knit_errgroup_wait(&g), 0);
                CHECK_INT(atomic_exchange(&wins, 0), SHARED);
                CHECK_INT(knit_syncmap_len(&map), k ? 0 : SHARED);
            }
        }
        knit_syncmap_fini(&map);
    }
}

typedef struct own {
    knit_syncmap *map;
    uint64_t first;
    int n;
} own;

static int come_and_go(void *arg)
{
    own *o = arg;
    for (int i = 0; i < o->n; i++) {
        uint64_t key = o->first + (uint64_t)i;
        void *value = NULL;
        CHECK_INT(knit_syncmap_load_or_store(o->map, &key, sizeof key, value_of(1), &value), 0);
        CHECK_INT(knit_syncmap_swap(o->map, &key, sizeof key, value_of(2), &value), 1);
        CHECK(number_of(value) == 1);
        CHECK_INT(knit_syncmap_compare_and_swap(o->map, &key, sizeof key, value_of(1), NULL), 0);
        if (i % 2)
            CHECK_INT(knit_syncmap_delete(o->map, &key, sizeof key), 1);
    }
    return 0;
}

static void htm_unshared_keys_do_not_disturb_each_other(void)
{
    knit_syncmap map = {0};
    own owners[CLIMBERS];
    knit_errgroup g = {0};
    int n = kt_count(4000) / 2 * 2;
    for (int i = 0; i < CLIMBERS; i++) {
        owners[i] = (own){&map, (uint64_t)i << 32, n};
        CHECK_INT(knit_errgroup_go(&g, come_and_go, &owners[i]), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_syncmap_len(&map), CLIMBERS * n / 2);
    knit_syncmap_fini(&map);
}

/* ---- MAP-5: references ---------------------------------------------------------------------------- */

typedef struct page {
    atomic_int refs;
    int number;
} page;

static atomic_int pages;

static page *page_new(int number)
{
    page *p = malloc(sizeof *p);
    CHECK(p);
    atomic_init(&p->refs, 1);
    p->number = number;
    atomic_fetch_add(&pages, 1);
    return p;
}

static void page_ref(void *value)
{
    atomic_fetch_add(&((page *)value)->refs, 1);
}

static void page_unref(void *value)
{
    page *p = value;
    if (atomic_fetch_sub(&p->refs, 1) == 1) {
        free(p);
        atomic_fetch_sub(&pages, 1);
    }
}

static const knit_syncmap_options counted = {page_ref, page_unref, NULL};

static int check_page(const void *key, size_t size, void *value, void *arg)
{
    const page *p = value;
    (void)size;
    (void)knit_yield();
    CHECK_INT(p->number, *(const unsigned char *)key);
    return arg ? p->number : 0;
}

static void use_pages(knit_syncmap *map, kt_rng *rng)
{
    unsigned char key = (unsigned char)kt_below(rng, 16);
    page *mine, *got = NULL;
    switch (kt_below(rng, 8)) {
    case 0: CHECK_INT(knit_syncmap_store(map, &key, 1, page_new(key)), 0); return;
    case 1:
        mine = page_new(key);
        if (knit_syncmap_load_or_store(map, &key, 1, mine, (void **)&got) == 1)
            page_unref(mine);
        break;
    case 2: (void)knit_syncmap_load_and_delete(map, &key, 1, (void **)&got); break;
    case 3: (void)knit_syncmap_delete(map, &key, 1); break;
    case 4: (void)knit_syncmap_swap(map, &key, 1, page_new(key), (void **)&got); break;
    case 5:
        if (knit_syncmap_load(map, &key, 1, (void **)&got) == 1) {
            mine = page_new(key);
            if (knit_syncmap_compare_and_swap(map, &key, 1, got, mine) != 1)
                page_unref(mine);
        }
        break;
    case 6: CHECK(knit_syncmap_range(map, check_page, kt_below(rng, 2) ? map : NULL) >= 0); break;
    default: (void)knit_syncmap_load(map, &key, 1, (void **)&got); break;
    }
    if (got) {
        CHECK_INT(got->number, key);
        page_unref(got);
    }
    if (kt_below(rng, 200) == 0)
        knit_syncmap_clear(map);
}

typedef struct reader {
    knit_syncmap *map;
    uint64_t seed;
    int rounds;
} reader;

static void use_pages_often(void *arg)
{
    reader *r = arg;
    kt_rng rng = {r->seed};
    for (int i = 0; i < r->rounds; i++)
        use_pages(r->map, &rng);
}

static int use_pages_in_task(void *arg)
{
    use_pages_often(arg);
    return 0;
}

static void map_5_a_value_lives_as_long_as_somebody_uses_it(void)
{
    knit_syncmap map;
    reader readers[CLIMBERS];
    kt_thread *threads[2];
    knit_errgroup g = {0};
    uint64_t seed = kt_seed();
    pages = 0;
    CHECK_INT(knit_syncmap_init(&map, &counted), 0);
    for (int i = 0; i < CLIMBERS; i++) {
        readers[i] = (reader){&map, seed + (uint64_t)i, kt_count(3000)};
        if (i < 2)
            threads[i] = kt_thread_start(use_pages_often, &readers[i]);
        else
            CHECK_INT(knit_errgroup_go(&g, use_pages_in_task, &readers[i]), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < 2; i++)
        kt_thread_join(threads[i]);
    CHECK_INT(pages, knit_syncmap_len(&map));
    knit_syncmap_fini(&map);
    CHECK_INT(pages, 0);
}

/* ---- the rest -------------------------------------------------------------------------------------- */

static void keys_are_bytes(void)
{
    knit_syncmap map = {0};
    char big[1000], zeroes[20] = {0};
    void *value;
    memset(big, 'x', sizeof big);
    for (size_t size = 0; size <= sizeof zeroes; size++)
        CHECK_INT(knit_syncmap_store(&map, zeroes, size, value_of(size)), 0);
    CHECK_INT(knit_syncmap_store(&map, big, sizeof big, value_of(77)), 0);
    big[999] = 'y'; /* it was copied */
    CHECK_INT(knit_syncmap_load(&map, big, sizeof big, &value), 0);
    big[999] = 'x';
    CHECK_INT(knit_syncmap_load(&map, big, sizeof big, &value), 1);
    CHECK(number_of(value) == 77);
    for (size_t size = 0; size <= sizeof zeroes; size++) {
        CHECK_INT(knit_syncmap_load(&map, size ? zeroes : NULL, size, &value), 1);
        CHECK(number_of(value) == size);
    }
    CHECK_INT(knit_syncmap_len(&map), sizeof zeroes + 2);
    knit_syncmap_fini(&map);
}

static void a_million_keys_are_found_again(void)
{
    knit_syncmap map = {0};
    uint64_t n = (uint64_t)kt_count(KT_TSAN ? 50000 : 300000);
    void *value;
    for (uint64_t k = 0; k < n; k++)
        CHECK_INT(knit_syncmap_store(&map, &k, sizeof k, value_of((uintptr_t)k)), 0);
    CHECK_INT(knit_syncmap_len(&map), n);
    for (uint64_t k = 0; k < n; k++) {
        CHECK_INT(knit_syncmap_load(&map, &k, sizeof k, &value), 1);
        CHECK(number_of(value) == k);
    }
    CHECK_INT(knit_syncmap_load(&map, &n, sizeof n, &value), 0);
    knit_syncmap_fini(&map);
    CHECK_INT(knit_syncmap_load(&map, &n, sizeof n, &value), 0); /* usable again */
    CHECK_INT(knit_syncmap_store(&map, &n, sizeof n, NULL), 0);
    knit_syncmap_fini(&map);
}

static void misuse_is_refused(void)
{
    knit_syncmap map = {0};
    CHECK_INT(knit_syncmap_init(NULL, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_init(&map, NULL), 0);
    CHECK_INT(knit_syncmap_load(NULL, "k", 1, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_load(&map, NULL, 1, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_store(&map, NULL, 1, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_store(NULL, "k", 1, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_load_or_store(&map, NULL, 1, NULL, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_swap(NULL, "k", 1, NULL, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_load_and_delete(&map, NULL, 1, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_delete(NULL, "k", 1), -EINVAL);
    CHECK_INT(knit_syncmap_compare_and_swap(&map, NULL, 1, NULL, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_compare_and_delete(NULL, "k", 1, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_range(NULL, check_page, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_range(&map, NULL, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_store(&map, "k", SIZE_MAX - 1, NULL), -EINVAL);
    knit_syncmap_clear(NULL);
    knit_syncmap_fini(NULL);
    CHECK_INT(knit_syncmap_len(NULL), 0);
    CHECK_INT(knit_syncmap_range(&map, check_page, NULL), 0);
    knit_syncmap_clear(&map);
    knit_syncmap_fini(&map);
    knit_syncmap_fini(&map);
}

static const knittest tests[] = {
    BOTH(sm_1_sm_2_map_1_it_does_what_a_simple_map_does),
    BOTH(sm_3_map_4_a_range_sees_every_key_once_beside_writers),
    BOTH(map_6_a_range_may_change_the_map_and_range_again),
    BOTH(no_key_is_seen_twice_even_if_it_comes_again),
    BOTH(a_range_may_clear_the_map),
    BOTH(map_7_an_absent_key_has_no_value_not_null_either),
    BOTH(map_9_clear_beside_readers_and_writers),
    BOTH(htm_no_compare_and_swap_on_shared_keys_is_lost),
    BOTH(htm_one_of_many_stores_and_one_deletes),
    BOTH(htm_unshared_keys_do_not_disturb_each_other),
    BOTH(map_5_a_value_lives_as_long_as_somebody_uses_it),
    BOTH(keys_are_bytes),
    THREAD(a_million_keys_are_found_again),
    BOTH(misuse_is_refused),
};
KNITTEST_MAIN(tests)
