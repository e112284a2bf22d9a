/* The timer heap against a model: a plain array that is searched for its minimum. */
#include "core/timers.h"

#include "knittest.h"

#include <stdlib.h>

enum { ENTRIES = 300, BIG = 40000, ARITY = 4 };

struct item {
    struct knit__timer_entry entry; /* first */
    int64_t when;
};

static struct item *item_of(struct knit__timer_entry *e)
{
    return (struct item *)(void *)e;
}

static void check_heap(const struct knit__timers *h)
{
    CHECK(h->count <= h->capacity);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct knit__timer_node *node = &h->nodes[h->slots[i].node];
        CHECK_INT(node->place, i);
        CHECK_INT(node->entry->node, h->slots[i].node + 1);
        CHECK_INT(item_of(node->entry)->when, h->slots[i].when);
        if (i > 0)
            CHECK(h->slots[(i - 1) / ARITY].when <= h->slots[i].when);
    }
}

static int64_t model_next(const struct item *items, int n)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < n; i++) {
        if (items[i].entry.node != 0 && items[i].when < least)
            least = items[i].when;
    }
    return least;
}

static void an_empty_heap_has_no_next(void)
{
    struct knit__timers h = {0};
    CHECK_INT(knit__timers_next(&h), INT64_MAX);
    CHECK(!knit__timers_pop(&h, INT64_MAX));
    knit__timers_fini(&h);
}

static void what_is_not_due_stays(void)
{
    struct knit__timers h = {0};
    struct item a = {.when = 10}, b = {.when = 5};
    CHECK_INT(knit__timers_add(&h, &a.entry, a.when), 0);
    CHECK_INT(knit__timers_add(&h, &b.entry, b.when), 0);
    CHECK_INT(knit__timers_next(&h), 5);
    CHECK(!knit__timers_pop(&h, 4));
    CHECK(knit__timers_pop(&h, 5) == &b.entry);
    CHECK_INT(b.entry.node, 0);
    CHECK(!knit__timers_pop(&h, 9));
    CHECK(knit__timers_pop(&h, INT64_MAX) == &a.entry);
    CHECK_INT(h.count, 0);
    knit__timers_fini(&h);
}

static void one_random_step(struct knit__timers *h, struct item *items, kt_rng *rng)
{
    struct item *it = &items[kt_below(rng, ENTRIES)];
    if (kt_below(rng, 4) == 0) {
        int64_t least = model_next(items, ENTRIES), now = (int64_t)kt_below(rng, 200) - 50;
        struct knit__timer_entry *e = knit__timers_pop(h, now);
        CHECK_INT(e != NULL, least <= now);
        if (e) {
            CHECK_INT(item_of(e)->when, least);
            CHECK_INT(e->node, 0);
        }
    } else if (it->entry.node != 0) {
        knit__timers_remove(h, &it->entry);
        CHECK_INT(it->entry.node, 0);
    } else {
        it->when = (int64_t)kt_below(rng, 300) - 100; /* many equal ones */
        CHECK_INT(knit__timers_add(h, &it->entry, it->when), 0);
    }
    CHECK_INT(knit__timers_next(h), model_next(items, ENTRIES));
}

static void random_steps_agree_with_the_model(void)
{
    static struct item items[ENTRIES];
    struct knit__timers h = {0};
    kt_rng rng = {kt_seed()};
    for (int i = 0, n = kt_count(100000); i < n; i++) {
        one_random_step(&h, items, &rng);
        if (i % 64 == 0)
            check_heap(&h);
    }
    knit__timers_fini(&h);
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void they_come_out_sorted_and_the_memory_shrinks(void)
{
    struct item *items = calloc(BIG, sizeof *items);
    int64_t *sorted = calloc(BIG, sizeof *sorted);
    struct knit__timers h = {0};
    kt_rng rng = {kt_seed()};
    CHECK(items && sorted);
    for (int i = 0; i < BIG; i++) {
        items[i].when = sorted[i] = (int64_t)(kt_next(&rng) >> 1);
        CHECK_INT(knit__timers_add(&h, &items[i].entry, items[i].when), 0);
    }
    check_heap(&h);
    CHECK(h.capacity >= BIG);
    qsort(sorted, BIG, sizeof *sorted, compare);
    for (int i = 0; i < BIG; i++) {
        struct knit__timer_entry *e = knit__timers_pop(&h, INT64_MAX);
        CHECK(e);
        CHECK_INT(item_of(e)->when, sorted[i]);
        CHECK(h.capacity <= 4096 || h.capacity <= 8 * h.count + 8);
        if (i % 1000 == 0)
            check_heap(&h);
    }
    CHECK_INT(h.count, 0);
    CHECK(h.capacity <= 4096);
    knit__timers_fini(&h);
    CHECK(!h.slots && h.capacity == 0);
    free(items);
    free(sorted);
}

static void removing_in_any_order_keeps_the_rest(void)
{
    static struct item items[ENTRIES];
    struct knit__timers h = {0};
    kt_rng rng = {kt_seed()};
    for (int i = 0; i < ENTRIES; i++) {
        items[i].when = i % 7 == 0 ? 5 : i;
        CHECK_INT(knit__timers_add(&h, &items[i].entry, items[i].when), 0);
    }
    for (uint32_t left = ENTRIES; left > 0;) {
        struct item *it = &items[kt_below(&rng, ENTRIES)];
        if (it->entry.node == 0)
            continue;
        knit__timers_remove(&h, &it->entry);
        CHECK_INT(h.count, --left);
        check_heap(&h);
    }
    knit__timers_fini(&h);
}

/* One at 100, and so many more, `apart` from each other. */
static bool is_crowded(int more, int64_t apart, int64_t within)
{
    static struct item items[ENTRIES];
    struct knit__timers h = {0};
    bool crowded;

    for (int i = 0; i <= more; i++) {
        items[i] = (struct item){.when = 100 + i * apart};
        CHECK_INT(knit__timers_add(&h, &items[i].entry, items[i].when), 0);
    }
    crowded = knit__timers_crowded(&h, within);
    knit__timers_fini(&h);
    return crowded;
}

static void the_earliest_has_company_or_not(void)
{
    struct knit__timers none = {0};

    CHECK(!knit__timers_crowded(&none, INT64_MAX));
    CHECK(!is_crowded(0, 0, 10));
    CHECK(!is_crowded(2, 1, 10)); /* company, but no crowd */
    CHECK(is_crowded(200, 1, 10));
    CHECK(is_crowded(200, 5, 10));
    CHECK(!is_crowded(200, 6, 10));
    CHECK(!is_crowded(200, 1000, 10));
}

static void sleepers_for_ever_are_no_company_to_an_early_one(void)
{
    static struct item items[100];
    struct knit__timers h = {0};

    for (int i = 0; i < 100; i++) {
        items[i] = (struct item){.when = i == 0 ? 5 : INT64_MAX};
        CHECK_INT(knit__timers_add(&h, &items[i].entry, items[i].when), 0);
    }
    CHECK(!knit__timers_crowded(&h, 1000));
    knit__timers_fini(&h);
}

static const knittest tests[] = {
    COLD(an_empty_heap_has_no_next),
    COLD(what_is_not_due_stays),
    COLD(random_steps_agree_with_the_model),
    COLD(removing_in_any_order_keeps_the_rest),
    COLD(the_earliest_has_company_or_not),
    COLD(sleepers_for_ever_are_no_company_to_an_early_one),
    COLD(they_come_out_sorted_and_the_memory_shrinks),
};
KNITTEST_MAIN(tests)
