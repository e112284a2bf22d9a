/* The concurrent map under many tasks and threads (conformance: x/sync syncmap SM-3; Go's sync.Map
 * MAP-4, MAP-5, MAP-9; its HashTrieMap's stress tests). MAP-5 (what is deleted can be collected) is
 * about references here. */
#include "syncmap_test.h"

#include <stdatomic.h>
#include <string.h>

/* ---- SM-3, MAP-4: ranges beside writers -------------------------------------------------------- */

enum { MOST_KEYS = 1024, WRITERS = 4 };

static unsigned keys(void)
{
    return (unsigned)kt_some(MOST_KEYS);
}

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
        for (uint64_t key = 1; key < keys(); key++) {
            void *value;
            if (kt_below(&rng, keys()) == 0)
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
    CHECK(k < keys());
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
    for (uint64_t key = 0; key < keys(); key++)
        CHECK_INT(knit_syncmap_store(&map, &key, sizeof key, value_of((uintptr_t)key)), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){&map, (uint64_t)i, &stop};
        CHECK_INT(knit_errgroup_go(&g, write_multiples, &writers[i]), 0);
    }
    for (int i = 0; i < kt_count(100); i++) {
        unsigned char counts[MOST_KEYS] = {0};
        CHECK_INT(knit_syncmap_range(&map, is_a_multiple_seen_once, counts), 0);
        for (unsigned k = 0; k < keys(); k++)
            CHECK_INT(counts[k], 1);
        (void)knit_yield();
    }
    stop = true;
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_syncmap_fini(&map);
}

/* ---- MAP-9 -------------------------------------------------------------------------------------- */

static int store_all(void *arg)
{
    for (uint64_t k = 0; k < keys(); k++)
        CHECK_INT(knit_syncmap_store(arg, &k, sizeof k, value_of((uintptr_t)k)), 0);
    return 0;
}

static int load_all(void *arg)
{
    for (uint64_t k = 0; k < keys(); k++) {
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

enum { CLIMBERS = 8 };

static int shared_keys(void)
{
    return kt_some(100);
}

typedef struct climb {
    knit_syncmap *map;
    int rounds;
    atomic_long *wins;
} climb;

static int count_up(void *arg)
{
    climb *c = arg;
    for (int i = 0; i < c->rounds; i++) {
        uint64_t key = (uint64_t)(i % shared_keys());
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

/* HTM-1, HTM-2, HTM-3 */
static void htm_no_compare_and_swap_on_shared_keys_is_lost(void)
{
    for (int h = 0; h < HASHES; h++) {
        knit_syncmap map;
        knit_errgroup g = {0};
        climb c = {&map, kt_count(2000), NULL};
        uintptr_t sum = 0;
        CHECK_INT(knit_syncmap_init(&map, &hashes[h]), 0);
        for (uint64_t k = 0; k < (uint64_t)shared_keys(); k++)
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
    for (uint64_t k = 0; k < (uint64_t)shared_keys(); k++)
        atomic_fetch_add(c->wins,
                         knit_syncmap_load_or_store(c->map, &k, sizeof k, value_of(5), NULL) == 0);
    return 0;
}

static int take_first(void *arg)
{
    climb *c = arg;
    for (uint64_t k = 0; k < (uint64_t)shared_keys(); k++) {
        int r = k % 2 ? knit_syncmap_load_and_delete(c->map, &k, sizeof k, NULL)
                      : knit_syncmap_compare_and_delete(c->map, &k, sizeof k, value_of(5));
        atomic_fetch_add(c->wins, r);
    }
    return 0;
}

/* HTM-1, HTM-2, HTM-3 */
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
                CHECK_INT(atomic_exchange(&wins, 0), shared_keys());
                CHECK_INT(knit_syncmap_len(&map), k ? 0 : shared_keys());
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

/* HTM-1 */
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

static const knittest tests[] = {
    BOTH(sm_3_map_4_a_range_sees_every_key_once_beside_writers),
    BOTH(map_9_clear_beside_readers_and_writers),
    BOTH(htm_no_compare_and_swap_on_shared_keys_is_lost),
    BOTH(htm_one_of_many_stores_and_one_deletes),
    BOTH(htm_unshared_keys_do_not_disturb_each_other),
    BOTH(map_5_a_value_lives_as_long_as_somebody_uses_it),
};
KNITTEST_MAIN(tests)
