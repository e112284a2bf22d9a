/* The table of extra blocks. See extra.h. */
#include "extra.h"

#include "policy.h"
#include "record.h"

#include <stdlib.h>

enum { IDLE_MAX = 1024, FIRST = IDLE_MAX + 32 };

static struct {
    struct knit__lock lock;
    bool ready;
    uint32_t n_idle;
    struct knit__list idle; /* the oldest first */
    struct knit__list unused;
    struct knit__extra *more; /* on the heap: one beyond the first ones */
    uint32_t made;            /* of the first ones */
    struct knit__extra first[FIRST];
} table;

void knit__extras_lock(void)
{
    knit__lock(&table.lock);
}

void knit__extras_unlock(void)
{
    knit__unlock(&table.lock);
}

/* ---- with the table's lock ---- */

/* A block that was never used, or NULL. Blocks are never given back: see extra.h. */
static struct knit__extra *make_block(void)
{
    struct knit__extra *x;

    if (table.made < FIRST)
        return &table.first[table.made++];
    x = calloc(1, sizeof *x);
    if (x) {
        x->older = table.more;
        table.more = x;
    }
    return x;
}

static struct knit__extra *take_unused(void)
{
    struct knit__list *first = table.unused.next;

    if (knit__list_empty(&table.unused))
        return make_block();
    knit__list_remove(first);
    return KNIT__CONTAINER(first, struct knit__extra, link);
}

/* Nothing of it is of use to anybody. */
static void forget(struct knit__extra *x)
{
    knit__report_unref_locked(x->report);
    x->report = NULL;
    x->owner = NULL;
    for (int i = 0; i < KNIT__COUNTS; i++)
        atomic_store_explicit(&x->counts[i], 0, memory_order_relaxed);
    knit__list_append(table.unused.next, &x->link); /* in front: used again soon, and warm */
}

static void forget_oldest(void)
{
    struct knit__extra *x = KNIT__CONTAINER(table.idle.next, struct knit__extra, link);

    knit__list_remove(&x->link);
    table.n_idle--;
    forget(x);
}

static bool is_blank(const struct knit__extra *x)
{
    uint32_t sum = 0;

    for (int i = 0; i < KNIT__COUNTS; i++)
        sum |= atomic_load_explicit(&x->counts[i], memory_order_relaxed);
    return sum == 0 && !x->report;
}

static void make_idle(struct knit__extra *x)
{
    x->pinned = false;
    if (is_blank(x)) {
        forget(x);
        return;
    }
    knit__list_append(&table.idle, &x->link);
    if (++table.n_idle > IDLE_MAX)
        forget_oldest();
}

struct knit__extra *knit__extra_find_locked(const struct knit__group *g)
{
    struct knit__extra *x = atomic_load_explicit(&g->extra, memory_order_relaxed);

    return x && x->owner == g ? x : NULL;
}

/* The block of g, out of all lists, pinned or to be made idle by the caller. */
static struct knit__extra *take_locked(struct knit__group *g)
{
    struct knit__extra *x = knit__extra_find_locked(g);

    if (x && x->pinned)
        return x;
    if (x) {
        knit__list_remove(&x->link);
        table.n_idle--;
        return x;
    }
    if (!table.ready) {
        knit__list_init(&table.idle);
        knit__list_init(&table.unused);
        table.ready = true;
    }
    x = take_unused();
    if (!x)
        return NULL;
    x->owner = g;
    /* release: who finds it by the group's flag finds it made */
    atomic_store_explicit(&g->extra, x, memory_order_release);
    return x;
}

/* ---- for groups ---- */

struct knit__extra *knit__extra_get(struct knit__group *g)
{
    struct knit__extra *x = knit__extra_of(g);

    if (x)
        return x;
    knit__extras_lock();
    x = take_locked(g);
    if (x) {
        x->pinned = true;
        knit__group_set(g, GROUP_EXTRA);
    }
    knit__extras_unlock();
    return x;
}

static void note_not_all(struct knit__group *g, enum knit__count what)
{
    if (what != KNIT__COUNT_FAILED && what != KNIT__COUNT_DROPPED &&
        !(knit__group_flags(g) & GROUP_NOT_ALL))
        knit__group_set(g, GROUP_NOT_ALL);
}

void knit__extra_count(struct knit__group *g, enum knit__count what)
{
    struct knit__extra *x = knit__extra_get(g);

    note_not_all(g, what);
    if (x)
        atomic_fetch_add_explicit(&x->counts[what], 1, memory_order_relaxed);
}

/* Nothing keeps the group from being released meanwhile: count under the table's lock. */
void knit__extra_count_outside(struct knit__group *g, enum knit__count what)
{
    struct knit__extra *x;

    note_not_all(g, what);
    knit__extras_lock();
    x = take_locked(g);
    if (x) {
        atomic_fetch_add_explicit(&x->counts[what], 1, memory_order_relaxed);
        if (!x->pinned)
            make_idle(x);
    }
    knit__extras_unlock();
}

void knit__extra_counts(const struct knit__group *g, uint32_t *ret_counts)
{
    const struct knit__extra *x;

    knit__extras_lock();
    x = knit__extra_find_locked(g);
    for (int i = 0; i < KNIT__COUNTS; i++)
        ret_counts[i] = x ? atomic_load_explicit(&x->counts[i], memory_order_relaxed) : 0;
    knit__extras_unlock();
}

void knit__extra_release(struct knit__group *g)
{
    struct knit__extra *x = knit__extra_of(g);

    if (!x || x->callers.first || (x->state && knit__state_in_use(x->state)))
        return; /* who waits for room is no child, but uses it; so is who is about to start one */
    knit__state_free(x->state);
    x->state = NULL;
    knit__extras_lock();
    atomic_fetch_and_explicit(&g->scope.flags, ~(uint32_t)GROUP_EXTRA, memory_order_seq_cst);
    if (knit__extra_find_locked(g))
        make_idle(x);
    knit__extras_unlock();
}

static void drop_report(struct knit__extra *x)
{
    knit__report_unref_locked(x->report);
    x->report = NULL;
}

void knit__extras_stop(void)
{
    knit__extras_lock();
    while (table.n_idle > 0)
        forget_oldest();
    for (uint32_t i = 0; i < table.made; i++)
        drop_report(&table.first[i]);
    for (struct knit__extra *x = table.more; x; x = x->older)
        drop_report(x);
    knit__extras_unlock();
}
