/* The concurrent map by itself (conformance: x/sync syncmap SM-1, SM-2; Go's sync.Map MAP-1..MAP-7;
 * its HashTrieMap HTM-1..HTM-3: the same suite with a good, a constant and a truncated hash). Beside
 * others: test_syncmap_shared.c. */
#include "syncmap_test.h"

#include <string.h>

/* ---- like a simple map, whatever is done ------------------------------------------------------- */

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

/* SM-1, SM-2, MAP-1, MAP-2, MAP-3, HTM-1, HTM-2, HTM-3 */
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
    CHECK_INT(knit_syncmap_range(NULL, delete_it, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_range(&map, NULL, NULL), -EINVAL);
    CHECK_INT(knit_syncmap_store(&map, "k", SIZE_MAX - 1, NULL), -EINVAL);
    knit_syncmap_clear(NULL);
    knit_syncmap_fini(NULL);
    CHECK_INT(knit_syncmap_len(NULL), 0);
    CHECK_INT(knit_syncmap_range(&map, delete_it, &map), 0);
    knit_syncmap_clear(&map);
    knit_syncmap_fini(&map);
    knit_syncmap_fini(&map);
}

static const knittest tests[] = {
    BOTH(sm_1_sm_2_map_1_it_does_what_a_simple_map_does),
    BOTH(map_6_a_range_may_change_the_map_and_range_again),
    BOTH(no_key_is_seen_twice_even_if_it_comes_again),
    BOTH(a_range_may_clear_the_map),
    BOTH(map_7_an_absent_key_has_no_value_not_null_either),
    BOTH(keys_are_bytes),
    THREAD(a_million_keys_are_found_again),
    BOTH(misuse_is_refused),
};
KNITTEST_MAIN(tests)
