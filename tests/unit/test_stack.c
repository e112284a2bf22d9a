/* Stacks: recycled, guarded, coloured, and none lost between cache and depot. */
#include "core/stack.h"

#include "knittest.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SLAB = 256, COLOURS = 16, SLOT = 64 * 1024, HEAD = 512, FULL = KNIT__STACK_CACHE_MAX };

static int made_calls;

static void made(struct knit__stack *s)
{
    made_calls++;
    memset((char *)s + sizeof *s, 0x5a, HEAD - sizeof *s);
}

static struct knit__stack *get(struct knit__stack_cache *c)
{
    if (knit__stack_count(c) == 0)
        CHECK_INT(knit__stack_refill(c), 0);
    return knit__stack_take(c);
}

/* Every slot made is in the cache, in the depot, or counted as out. */
static void check_all_there(const struct knit__stack_cache *c, uint64_t out)
{
    uint64_t listed = 0;
    for (const struct knit__stack *s = c->top; s; s = s->next)
        listed++;
    CHECK_INT(listed, knit__stack_count(c));
    CHECK_INT(knit__stacks_made(), listed + knit__stacks_free() + out);
    CHECK_INT(made_calls, knit__stacks_made());
}

static void a_stack_has_its_size_and_its_own_memory(void)
{
    static struct knit__stack *stack[SLAB + 10];
    struct knit__stack_cache c = {0};
    knit__stacks_start(SLOT, HEAD, made);
    for (int i = 0; i < SLAB + 10; i++) {
        struct knit__stack *s = stack[i] = get(&c);
        CHECK(s->hi == (char *)s);
        CHECK((size_t)(s->hi - s->lo) >= SLOT - knit__page_size() - HEAD - COLOURS * 128);
        CHECK_INT((uintptr_t)s % 64, 0);
        CHECK(knit__stacks_cover(s->lo) && knit__stacks_cover(s->hi - 1));
        memset(s->lo, i, 64);
        memset(s->hi - 64, i, 64);
    }
    for (int i = 0; i < SLAB + 10; i++) {
        CHECK_INT(*(unsigned char *)stack[i]->lo, i % 256);
        CHECK_INT(*(unsigned char *)(stack[i]->hi - 1), i % 256);
        CHECK_INT(((unsigned char *)stack[i])[HEAD - 1], 0x5a);
    }
    check_all_there(&c, SLAB + 10);
    CHECK(!knit__stacks_cover(&c));
    knit__stacks_stop();
}

static void the_last_one_put_is_the_first_taken(void)
{
    struct knit__stack_cache c = {0};
    knit__stacks_start(SLOT, HEAD, made);
    struct knit__stack *a = get(&c), *b = get(&c);
    knit__stack_put(&c, a);
    knit__stack_put(&c, b);
    CHECK(knit__stack_take(&c) == b);
    CHECK(knit__stack_take(&c) == a);
    knit__stack_put(&c, a);
    knit__stack_put(&c, b);
    check_all_there(&c, 0);
    knit__stacks_stop();
}

static void neighbours_have_different_colours(void)
{
    struct knit__stack_cache c = {0};
    bool seen[COLOURS] = {false};
    knit__stacks_start(SLOT, HEAD, made);
    for (int i = 0; i < COLOURS; i++) {
        struct knit__stack *s = get(&c);
        size_t below_end = SLOT - (size_t)((char *)s - (s->lo - knit__page_size())) - HEAD;
        CHECK_INT(below_end % 128, 0);
        CHECK(below_end / 128 < COLOURS);
        CHECK(!seen[below_end / 128]);
        seen[below_end / 128] = true;
    }
    knit__stacks_stop();
}

static void spilled_stacks_come_back_before_new_ones_are_made(void)
{
    static struct knit__stack *stack[FULL + 40];
    struct knit__stack_cache c = {0}, other = {0};
    knit__stacks_start(SLOT, HEAD, made);
    for (int i = 0; i < FULL + 40; i++)
        stack[i] = get(&c);
    for (int i = 0; i < FULL + 40; i++)
        knit__stack_put(&c, stack[i]);
    uint64_t total = knit__stacks_made();
    check_all_there(&c, 0);

    struct knit__stack *top = c.top;
    knit__stack_spill(&c, false);
    CHECK_INT(knit__stack_count(&c), FULL / 2);
    CHECK(c.top == top); /* it may carry the caller */
    check_all_there(&c, 0);

    while (knit__stacks_free() > 0)
        CHECK_INT(knit__stack_refill(&other), 0);
    CHECK_INT(knit__stacks_made(), total);
    CHECK_INT(knit__stack_count(&c) + knit__stack_count(&other), total);

    knit__stack_spill(&c, true);
    knit__stack_spill(&other, true);
    CHECK_INT(knit__stack_count(&c) + knit__stack_count(&other), 0);
    CHECK_INT(knit__stacks_free(), total);
    knit__stacks_stop();
    CHECK_INT(knit__stacks_made() + knit__stacks_free(), 0);
}

static void every_class_has_its_size(void)
{
    struct knit__stack_cache c = {0};
    knit__stacks_start(SLOT, HEAD, made);
    CHECK_INT(knit__stack_class_size(knit__stack_usual()), SLOT);
    CHECK_INT(knit__stack_class((size_t)1 << KNIT__STACK_MAX_BITS), KNIT__STACK_CLASSES - 1);
    CHECK_INT(knit__stack_class(((size_t)1 << KNIT__STACK_MAX_BITS) + 1), 0);
    CHECK_INT(knit__stack_class_of(get(&c)), knit__stack_usual());
    for (uint32_t cls = 1; cls < KNIT__STACK_CLASSES; cls++) {
        size_t size = knit__stack_class_size(cls);
        struct knit__stack *s = knit__stack_get(cls), *t = knit__stack_get(cls);
        CHECK(s && t && s != t);
        CHECK_INT(knit__stack_class(size), cls);
        CHECK_INT(knit__stack_class(size - 1), cls);
        CHECK_INT(knit__stack_class_of(s), cls);
        CHECK_INT(knit__stack_class_of(t), cls);
        CHECK((size_t)(s->hi - s->lo) >= size - knit__page_size() - HEAD - COLOURS * 128);
        *s->lo = *(s->hi - 1) = 1;
        knit__stack_give(s);
        CHECK(knit__stack_get(cls) == s);
    }
    knit__stacks_stop();
}

static void many_idle_ones_of_a_class_give_their_pages_back(void)
{
    enum { MANY = 30, SIZE = 1024 * 1024 };
    struct knit__stack *stack[MANY];
    int full = 0;
    knit__stacks_start(SLOT, HEAD, made);
    uint32_t cls = knit__stack_class(SIZE);
    for (int i = 0; i < MANY; i++) {
        stack[i] = knit__stack_get(cls);
        memset(stack[i]->lo, 1, SIZE / 2);
    }
    for (int i = 0; i < MANY; i++)
        knit__stack_give(stack[i]);
    for (int i = 0; i < MANY; i++) {
        struct knit__stack *s = knit__stack_get(cls);
        CHECK_INT(((unsigned char *)s)[HEAD - 1], 0x5a); /* the head stays */
        full += s->lo[SIZE / 4] == 1;
    }
    CHECK_INT(full, 8);
    knit__stacks_stop();
}

/* ---- guards ---------------------------------------------------------------------------------- */

struct touch {
    int which;  /* stack of the slab */
    int offset; /* from lo */
};

static int touch(void *arg)
{
    const struct touch *t = arg;
    struct knit__stack_cache c = {0};
    struct knit__stack *s = NULL;
    struct rlimit none = {0};
    CHECK_INT(setrlimit(RLIMIT_CORE, &none), 0);
    signal(SIGSEGV, SIG_DFL); /* no report of a sanitizer */
    knit__stacks_start(SLOT, HEAD, made);
    for (int i = 0; i <= t->which; i++)
        s = get(&c);
    *(volatile char *)(s->lo + t->offset) = 1;
    knit__stacks_stop();
    return 0;
}

static void touching_a_guard_ends_the_process(void)
{
    static const int which[] = {0, 1, 17, SLAB - 1, SLAB, SLAB + 1};
    int page = (int)knit__page_size();
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        CHECK_INT(kt_child(touch, &(struct touch){which[i], 0}), 0);
        CHECK_INT(kt_child(touch, &(struct touch){which[i], -1}), -SIGSEGV);
        CHECK_INT(kt_child(touch, &(struct touch){which[i], -page}), -SIGSEGV);
    }
}

static void a_bare_stack_has_a_canary_and_others_a_guard(void)
{
    struct knit__stack_cache c = {0};
    knit__stacks_start(SLOT, HEAD, made);
    knit__stacks_limit_guards(2);
    for (int i = 0; i < 4; i++) {
        struct knit__stack *s = get(&c);
        bool bare = !knit__stack_guard(s);
        CHECK(!knit__stack_damaged(s));
        memset(s->lo, 0x5a, (size_t)(s->hi - s->lo));
        CHECK(!knit__stack_damaged(s));
        if (!bare)
            continue;
        CHECK(knit__stacks_bare);
        s->lo[-1] = 1;
        CHECK(knit__stack_damaged(s));
        s->lo[-1] = 0;
        s->lo[-(int)knit__page_size()] = 1;
        CHECK(knit__stack_damaged(s));
    }
    knit__stacks_stop();
}

/* All slots of a slab beyond the limit are bare, and no guard is lost or invented. */
static void the_limit_of_guards_is_kept(void)
{
    struct knit__stack_cache c = {0};
    int guards = 0;
    knit__stacks_start(SLOT, HEAD, made);
    knit__stacks_limit_guards(SLAB + 3);
    for (int i = 0; i < 3 * SLAB; i++)
        guards += knit__stack_guard(get(&c)) != NULL;
    CHECK_INT(guards, SLAB + 3);
    knit__stacks_stop();
}

static const knittest tests[] = {
    COLD(a_stack_has_its_size_and_its_own_memory),
    COLD(the_last_one_put_is_the_first_taken),
    COLD(neighbours_have_different_colours),
    COLD(spilled_stacks_come_back_before_new_ones_are_made),
    COLD(every_class_has_its_size),
    COLD(many_idle_ones_of_a_class_give_their_pages_back),
    COLD(touching_a_guard_ends_the_process),
    COLD(a_bare_stack_has_a_canary_and_others_a_guard),
    COLD(the_limit_of_guards_is_kept),
};
KNITTEST_MAIN(tests)
