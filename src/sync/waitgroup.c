/* Wait group: a count, those that wait for 0, and reported errors, under one lock.
 *
 * Go packs count and waiters into one atomic word, and can be misused: an add that races with the
 * end of a wait is found only sometimes. Here count and queue change together, and a count of 0
 * empties the queue in the same critical section: so nobody ever waits at 0, adding again at once is
 * legal, and a waiter that gives up leaves nothing behind. The price is a lock round trip, one CAS
 * and one store, where Go has one locked add.
 *
 * The first error is stored inside; more need memory, allocated under no lock.
 *
 * A waiter sees 0 only under the lock, or is released by the one that made it 0; the unlock of that
 * one is its last touch, so the waiter may free the group. Lock rank: channel. */
#include "waitq.h"

#include <errno.h>
#include <knit/waitgroup.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WOKE_ZERO = KNIT__WOKE_SOURCE, FEW = 8 };

struct codes {
    uint32_t count, size;
    int list[];
};

struct waitgroup {
    struct knit__lock lock; /* the rest */
    int count;
    struct knit__waitq queue;
    int first;           /* error; 0: none */
    uint32_t reported;   /* errors, saturating */
    struct codes *codes; /* all errors from the second on; NULL: none kept */
};

_Static_assert(sizeof(struct waitgroup) <= sizeof(knit_waitgroup), "it is the storage");

static inline struct waitgroup *private_of(const knit_waitgroup *wg)
{
    return (struct waitgroup *)(uintptr_t)wg;
}

/* ---- the count ---- */

int knit_waitgroup_add(knit_waitgroup *public, int delta)
{
    struct waitgroup *wg = private_of(public);
    struct knit__batch batch = {0};
    int count, r = 0;

    if (KNIT__UNLIKELY(!wg))
        return -EINVAL;
    knit__lock(&wg->lock);
    if (__builtin_add_overflow(wg->count, delta, &count))
        r = -EOVERFLOW;
    else if (count < 0)
        r = -ERANGE;
    else
        wg->count = count;
    if (wg->count == 0)
        knit__waitq_wake_all(&wg->queue, WOKE_ZERO, &batch);
    knit__unlock(&wg->lock);
    knit__waitq_ready(&batch);
    return r;
}

int knit_waitgroup_done(knit_waitgroup *wg)
{
    return knit_waitgroup_add(wg, -1);
}

int knit_waitgroup_pending(const knit_waitgroup *public)
{
    struct waitgroup *wg = private_of(public);
    int count;

    if (!wg)
        return 0;
    knit__lock(&wg->lock);
    count = wg->count;
    knit__unlock(&wg->lock);
    return count;
}

/* ---- waiting ---- */

/* The lock is held and released. */
static int wait_in(struct waitgroup *wg, struct knit__task *t, int64_t deadline, bool cancelable)
{
    struct knit__waiter w = {0};
    uint32_t word;
    int r;

    knit__waitq_add(&wg->queue, &w, t, cancelable);
    knit__unlock(&wg->lock);
    word = knit__waitq_sleep(&w, deadline, cancelable);
    knit__lock(&wg->lock);
    knit__waitq_remove(&wg->queue, &w);
    r = wg->first;
    knit__unlock(&wg->lock);
    return knit__wait_reason(word) == WOKE_ZERO ? r : knit__wait_result(t, word);
}

static int wait_for_zero(knit_waitgroup *public, int64_t deadline, bool cancelable)
{
    struct waitgroup *wg = private_of(public);
    struct knit__task *t = knit__task_self();
    int r;

    if (!wg)
        return -EINVAL;
    knit__lock(&wg->lock);
    if (wg->count == 0) {
        r = wg->first;
        knit__unlock(&wg->lock);
        return r;
    }
    if (t && !knit__waitq_too_late(deadline)) {
        if (!cancelable)
            return wait_in(wg, t, deadline, false);
        knit__unlock(&wg->lock);
        r = knit__wait_begin(t);
        if (r < 0)
            return r;
        knit__lock(&wg->lock);
        if (wg->count != 0)
            return wait_in(wg, t, deadline, true);
        r = wg->first;
    } else {
        r = t ? -ETIMEDOUT : -ENOMEM;
    }
    knit__unlock(&wg->lock);
    return r;
}

int knit_waitgroup_wait(knit_waitgroup *wg)
{
    return wait_for_zero(wg, KNIT__NEVER, true);
}

int knit_waitgroup_wait_until(knit_waitgroup *wg, knit_time deadline)
{
    return wait_for_zero(wg, deadline, true);
}

int knit_waitgroup_wait_nocancel(knit_waitgroup *wg)
{
    return wait_for_zero(wg, KNIT__NEVER, false);
}

/* ---- errors ---- */

/* Keep one more; false: there is no room for it. */
static bool keep_locked(struct waitgroup *wg, int code)
{
    struct codes *codes = wg->codes;

    if (wg->reported == 0) {
        wg->first = code;
    } else {
        /* a place each, so that a code that was lost to -ENOMEM leaves a hole, not a shift */
        if (!codes || wg->reported > codes->size)
            return false;
        codes->list[wg->reported - 1] = code;
        codes->count = wg->reported;
    }
    wg->reported++;
    return true;
}

/* Room for the error after `reported` ones; holes are filled. */
static struct codes *bigger(uint32_t reported)
{
    uint32_t size = reported < FEW ? FEW : reported * 2;
    struct codes *codes = malloc(sizeof *codes + size * sizeof codes->list[0]);

    if (!codes)
        return NULL;
    *codes = (struct codes){.size = size};
    for (uint32_t i = 0; i < size; i++)
        codes->list[i] = -ENOMEM;
    return codes;
}

int knit_waitgroup_error(knit_waitgroup *public, int code)
{
    struct waitgroup *wg = private_of(public);
    struct codes *room = NULL, *old;
    uint32_t reported;

    if (!wg || code == 0)
        return -EINVAL;
    for (;;) {
        old = NULL;
        knit__lock(&wg->lock);
        if (room && (!wg->codes || wg->codes->size < room->size)) {
            old = wg->codes;
            if (old)
                memcpy(room->list, old->list, old->count * sizeof old->list[0]);
            wg->codes = room;
            room = NULL;
        }
        if (wg->reported >= INT_MAX / 4 || keep_locked(wg, code))
            break;
        reported = wg->reported;
        knit__unlock(&wg->lock);
        free(old);
        free(room);
        room = bigger(reported);
        if (room)
            continue;
        knit__lock(&wg->lock);
        wg->reported++;
        knit__unlock(&wg->lock);
        return -ENOMEM;
    }
    knit__unlock(&wg->lock);
    free(old);
    free(room);
    return 0;
}

/* Error i of the reported ones; lock held. */
static int code_at(const struct waitgroup *wg, uint32_t i)
{
    if (i == 0)
        return wg->first;
    return wg->codes && i <= wg->codes->count ? wg->codes->list[i - 1] : -ENOMEM;
}

int knit_waitgroup_errors(const knit_waitgroup *public, int *ret_codes, size_t n)
{
    struct waitgroup *wg = private_of(public);
    uint32_t reported;

    if (!wg || (!ret_codes && n > 0))
        return -EINVAL;
    knit__lock(&wg->lock);
    reported = wg->reported;
    for (uint32_t i = 0; i < reported && i < n; i++)
        ret_codes[i] = code_at(wg, i);
    knit__unlock(&wg->lock);
    return (int)reported;
}

/* Append text at *length; what does not fit is counted. */
static void put(char *buffer, size_t size, size_t *length, const char *text)
{
    for (; *text; text++, (*length)++) {
        if (*length + 1 < size)
            buffer[*length] = *text;
    }
}

int knit_waitgroup_format(const knit_waitgroup *public, char *buffer, size_t size)
{
    struct waitgroup *wg = private_of(public);
    size_t length = 0;
    uint32_t reported;

    if (!wg || (!buffer && size > 0))
        return -EINVAL;
    knit__lock(&wg->lock);
    reported = wg->reported;
    if (reported > 1)
        put(buffer, size, &length, "multiple errors: ");
    for (uint32_t i = 0; i < reported; i++) {
        if (i > 0)
            put(buffer, size, &length, " | ");
        put(buffer, size, &length, knit_strerror(code_at(wg, i)));
    }
    knit__unlock(&wg->lock);
    if (size > 0)
        buffer[length < size ? length : size - 1] = '\0';
    return length < INT_MAX ? (int)length : INT_MAX;
}

int knit_waitgroup_fini(knit_waitgroup *public)
{
    struct waitgroup *wg = private_of(public);
    struct codes *codes;

    if (!wg)
        return 0;
    knit__lock(&wg->lock);
    if (wg->count != 0) {
        knit__unlock(&wg->lock);
        return -EBUSY;
    }
    codes = wg->codes;
    wg->codes = NULL;
    wg->first = 0;
    wg->reported = 0;
    knit__unlock(&wg->lock);
    free(codes);
    return 0;
}
