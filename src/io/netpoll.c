/* Slots, and the epoll set they are watched in. The essay is in netpoll.h. */
#include "netpoll.h"

#include "../sched/idle.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PAGE = KNIT__SLOT_PAGE,
    PAGES = KNIT__SLOT_PAGES,
    OFTEN = 4, /* woken in vain */
};

enum { WOKE_READY = KNIT__WOKE_SOURCE, WOKE_CLOSED };

struct knit__slot *_Atomic knit__slot_pages[PAGES];

static struct {
    struct knit__lock lock; /* opening */
    _Atomic bool open;
    struct knit__os_poll poll;
} net;

/* ---- slots ---- */

static struct knit__slot *page_new(struct knit__slot *_Atomic *at)
{
    struct knit__slot *page = aligned_alloc(sizeof *page, PAGE * sizeof *page), *there = NULL;

    if (!page)
        return NULL;
    for (int i = 0; i < PAGE; i++)
        page[i] = (struct knit__slot){.edges = {1, 1}}; /* not dry */
    /* acq_rel: complete for who finds it */
    if (atomic_compare_exchange_strong_explicit(at, &there, page, memory_order_acq_rel,
                                                memory_order_acquire))
        return page;
    free(page);
    return there;
}

int knit__slot_of(int fd, struct knit__slot **ret_slot)
{
    struct knit__slot *slot = knit__slot_at(fd), *page;

    if (KNIT__LIKELY(slot != NULL)) {
        *ret_slot = slot;
        return 0;
    }
    if (fd < 0)
        return -EBADF;
    if (fd >= PAGE * PAGES)
        return -EMFILE;
    page = page_new(&knit__slot_pages[fd / PAGE]);
    if (!page)
        return -ENOMEM;
    *ret_slot = &page[fd % PAGE];
    return 0;
}

static void set_flags_locked(struct knit__slot *s, uint32_t flags)
{
    atomic_store_explicit(&s->flags, flags, memory_order_relaxed);
}

void knit__slot_hint(struct knit__slot *s, uint32_t kind)
{
    knit__lock(&s->lock);
    set_flags_locked(s, (knit__slot_flags(s) & ~(uint32_t)KNIT__SLOT_KINDS) | kind);
    knit__unlock(&s->lock);
}

static void count_edge_locked(struct knit__slot *s, int direction)
{
    atomic_store_explicit(&s->edges[direction], knit__slot_edges(s, direction) + 1,
                          memory_order_release);
}

/* What was known of the number is no longer true. It is taken out of the set by name: what a
 * descriptor refers to may live on, and would go on to tell of events. */
static void forget_locked(struct knit__slot *s, int fd, uint32_t flags, struct knit__batch *ready)
{
    if (knit__slot_flags(s) & KNIT__SLOT_WATCHED)
        knit__os_poll_unwatch(&net.poll, fd);
    s->sequence++;
    count_edge_locked(s, KNIT__IN);
    count_edge_locked(s, KNIT__OUT);
    set_flags_locked(s, flags);
    knit__waitq_wake_all(&s->waiters, WOKE_CLOSED, ready);
}

int knit__slot_adopt(int fd, uint32_t flags)
{
    struct knit__batch ready = {0};
    struct knit__slot *s;
    int r = knit__slot_of(fd, &s);

    if (r < 0)
        return r;
    knit__lock(&s->lock);
    forget_locked(s, fd, KNIT__SLOT_OURS | flags, &ready);
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
    return 0;
}

void knit__slot_retire(int fd)
{
    struct knit__slot *s = knit__slot_at(fd);
    struct knit__batch ready = {0};

    if (!s)
        return;
    knit__lock(&s->lock);
    forget_locked(s, fd, 0, &ready);
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
}

void knit__slot_closed(int fd)
{
    struct knit__slot *s = knit__slot_at(fd);
    struct knit__batch ready = {0};

    if (!s)
        return;
    knit__lock(&s->lock);
    knit__waitq_wake_all(&s->waiters, WOKE_READY, &ready);
    knit__unlock(&s->lock);
    knit__waitq_ready(&ready);
}

/* ---- the set ---- */

static int open_slow(void)
{
    int r = 0;

    knit__lock(&net.lock);
    if (!atomic_load_explicit(&net.open, memory_order_relaxed)) {
        r = knit__os_poll_open(&net.poll);
        if (r == 0) {
            atomic_store_explicit(&net.open, true, memory_order_release);
            /* seq_cst: before anything is watched; see knit__poller_needed */
            atomic_store_explicit(&knit__poller.on, true, memory_order_seq_cst);
        }
    }
    knit__unlock(&net.lock);
    return r;
}

/* There is a set, and somebody to poll it. */
static int open_set(const struct knit__task *t)
{
    int r = t->is_thread ? knit__idle_ensure_started() : 0;

    if (r == 0 && KNIT__UNLIKELY(!atomic_load_explicit(&net.open, memory_order_acquire)))
        r = open_slow();
    if (r == 0 && t->is_thread)
        knit__poller_needed();
    return r;
}

static void close_set(void)
{
    if (atomic_load_explicit(&net.open, memory_order_relaxed))
        knit__os_poll_close(&net.poll);
    atomic_store_explicit(&net.open, false, memory_order_relaxed);
}

/* No other thread is known; one that only ever opens and closes must not do so at exit. */
void knit__netpoll_stop(void)
{
    close_set();
    for (int i = 0; i < PAGES; i++)
        free(atomic_exchange_explicit(&knit__slot_pages[i], NULL, memory_order_relaxed));
}

/* The set is shared with the parent: only our descriptors of it go. Who held a lock is not here. */
void knit__netpoll_abandon(void)
{
    struct knit__slot *page;

    close_set();
    atomic_store_explicit(&net.lock.word, 0, memory_order_relaxed);
    for (int i = 0; i < PAGES; i++) {
        page = atomic_load_explicit(&knit__slot_pages[i], memory_order_relaxed);
        for (int k = 0; page && k < PAGE; k++)
            page[k] = (struct knit__slot){.edges = {1, 1}};
    }
}

/* ---- waiting ---- */

/* Parks; the lock is held before, and released. */
static int park_in(struct knit__slot *s, struct knit__task *t, uint32_t what, int64_t deadline)
{
    struct knit__waiter w = {.task = t, .amount = what};
    uint32_t word;

    knit__waitq_append(&s->waiters, &w);
    word = knit__wait_locked(t, knit__lock_word(&s->lock), deadline);
    if (!knit__wait_unlinked(word)) {
        knit__lock(&s->lock);
        knit__waitq_remove(&s->waiters, &w);
        knit__unlock(&s->lock);
    }
    switch (knit__wait_reason(word)) {
    case WOKE_READY: return 0;
    case WOKE_CLOSED: return -EBADF;
    default: return knit__wait_result(t, word);
    }
}

static uint64_t name_of(const struct knit__slot *s, int fd)
{
    return (uint64_t)s->sequence << 32 | (uint32_t)fd;
}

/* What all who wait at s want. */
static uint32_t wanted_locked(const struct knit__slot *s)
{
    uint32_t what = 0;

    for (const struct knit__waiter *w = s->waiters.first; w; w = w->next)
        what |= (uint32_t)w->amount;
    return what;
}

/* Watch fd for the next wait. level: it may be ready already, since whenever. */
static int watch_locked(struct knit__slot *s, int fd, uint32_t what, bool level)
{
    uint32_t flags = knit__slot_flags(s), now = flags | KNIT__SLOT_WATCHED;
    bool once = level && !(flags & KNIT__SLOT_OURS);
    int r = 0;

    if (once)
        now &= ~(uint32_t)KNIT__SLOT_EDGES;
    else if (!(flags & KNIT__SLOT_OURS))
        now |= KNIT__SLOT_EDGES;
    what = once ? what | wanted_locked(s) : KNIT__POLL_IN | KNIT__POLL_OUT | KNIT__POLL_PRI;
    if (level || now != flags)
        r = knit__os_poll_watch(&net.poll, fd, name_of(s, fd), what, once,
                                flags & KNIT__SLOT_WATCHED);
    if (r == 0)
        set_flags_locked(s, now);
    return r;
}

static int wait_at(struct knit__slot *s, int fd, uint32_t what, const uint32_t *seen,
                   int64_t deadline)
{
    struct knit__task *t = knit__task_self();
    bool level = !seen;
    int r;

    if (KNIT__UNLIKELY(!t))
        return -ENOMEM;
    r = knit__wait_begin(t);
    if (r == 0)
        r = open_set(t);
    if (r < 0)
        return r;
    knit__lock(&s->lock);
    if (seen && *seen != knit__slot_edges(s, what == KNIT__POLL_OUT)) {
        knit__unlock(&s->lock);
        return 0;
    }
    r = watch_locked(s, fd, what, level);
    if (r < 0 || knit__waitq_too_late(deadline)) {
        knit__unlock(&s->lock);
        return r < 0 ? r : -ETIMEDOUT;
    }
    return park_in(s, t, what, deadline);
}

int knit__slot_wait(struct knit__slot *s, int fd, int direction, uint32_t seen, uint32_t vain,
                    int64_t deadline)
{
    bool level = vain < OFTEN && !(knit__slot_flags(s) & KNIT__SLOT_OURS);

    return wait_at(s, fd, direction == KNIT__IN ? KNIT__POLL_IN : KNIT__POLL_OUT,
                   level ? NULL : &seen, deadline);
}

int knit__slot_wait_level(struct knit__slot *s, int fd, uint32_t what, int64_t deadline)
{
    return wait_at(s, fd, what, NULL, deadline);
}

/* ---- events ---- */

/* After an event at a foreign descriptor, that found somebody or did not. A level was for one event;
 * edges go on until one finds nobody. */
static void rearm_locked(struct knit__slot *s, int fd, bool found, struct knit__batch *ready)
{
    uint32_t flags = knit__slot_flags(s), rest = wanted_locked(s);

    if (flags & KNIT__SLOT_EDGES ? found || rest != 0 : rest == 0)
        return;
    set_flags_locked(s, flags & ~(uint32_t)KNIT__SLOT_EDGES);
    /* who waits for something else learns what is wrong by trying again */
    if (knit__os_poll_watch(&net.poll, fd, name_of(s, fd), rest, true, true) < 0)
        knit__waitq_wake_all(&s->waiters, WOKE_READY, ready);
}

static void deliver_locked(struct knit__slot *s, int fd, uint32_t what, struct knit__batch *ready)
{
    uint32_t flags = knit__slot_flags(s);
    bool found = false;

    /* before the edges: a call that has seen them must not trust its short count */
    if (what & (KNIT__POLL_ENDED | KNIT__POLL_PRI))
        set_flags_locked(s, flags |= KNIT__SLOT_UNSURE);
    if (what & KNIT__POLL_IN)
        count_edge_locked(s, KNIT__IN);
    if (what & KNIT__POLL_OUT)
        count_edge_locked(s, KNIT__OUT);
    for (struct knit__waiter *w = s->waiters.first, *next; w; w = next) {
        next = w->next;
        if ((uint32_t)w->amount & what)
            found |= knit__waitq_claim(&s->waiters, w, WOKE_READY, ready);
    }
    if (!(flags & KNIT__SLOT_OURS))
        rearm_locked(s, fd, found, ready);
}

/* Who holds the poller is alone with what the set has told. */
void knit__netpoll_poll(int64_t deadline, struct knit__batch *ready)
{
    uint32_t n = knit__os_poll_wait(&net.poll, deadline);

    for (uint32_t i = 0; i < n; i++) {
        struct knit__os_event e = knit__os_poll_event(&net.poll, i);
        int fd = (int)(uint32_t)e.data;
        struct knit__slot *s = knit__slot_at(fd);

        if (e.what == 0)
            continue;
        knit__lock(&s->lock);
        if (s->sequence == (uint32_t)(e.data >> 32))
            deliver_locked(s, fd, e.what, ready);
        knit__unlock(&s->lock);
    }
}

void knit__netpoll_ring(void)
{
    knit__os_poll_wake(&net.poll);
}
