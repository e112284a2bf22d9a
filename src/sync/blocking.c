/* Blocking calls in tasks: the public side of sched/handoff.h and sched/nudge.h. */
#include "../plat/plat.h"
#include "../plat/tls.h"
#include "../sched/handoff.h"
#include "../sched/nudge.h"
#include "wait.h"

#include <errno.h>
#include <knit/blocking.h>
#include <stdio.h>
#include <string.h>

int knit_blocking_enter_at(const knit_site *site)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__task *t;

    if (!w)
        return 0;
    t = w->task;
    if (t->blocking_depth++ > 0)
        return 0;
    t->blocking = t->run;
    knit__run_touch(t->run); /* its end looks whether it has left */
    knit__away_enter(w, site);
    return 0;
}

int knit_blocking_leave(void)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__task *t;

    if (!w)
        return 0;
    t = w->task;
    if (t->blocking_depth == 0)
        return -EPERM;
    if (--t->blocking_depth > 0)
        return 0;
    t->blocking = NULL;
    knit__away_leave(w); /* not the worker that was entered on if the task parked: no harm */
    return 0;
}

int knit_blocking_at(knit_fn *fn, void *arg, const knit_site *site)
{
    int r;

    if (!fn)
        return -EINVAL;
    knit_blocking_enter_at(site);
    r = fn(arg);
    knit_blocking_leave();
    return r;
}

static void context_ended(void *nudge)
{
    knit__nudge(nudge);
}

/* The after handle is the race-free half: once it is stopped, knit__nudge has returned or will
 * never be called. Then the region is closed, with nobody left who could send. */
int knit_blocking_interruptible_at(knit_fn *fn, void *arg, const knit_site *site)
{
    struct knit__task *t = knit__task_self();
    knit_ctx *ctx = knit_ctx_current();
    knit_ctx_after_handle handle;
    struct knit__nudge nudge;
    int r;

    if (!fn)
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    r = knit_ctx_err(ctx);
    if (r != 0)
        return r;
    r = knit__nudge_open(&nudge);
    if (r < 0)
        return r;
    knit_ctx_after(ctx, context_ended, &nudge, &handle);
    r = knit_blocking_at(fn, arg, site);
    knit_ctx_after_stop(&handle);
    knit__nudge_close(&nudge);
    if (r == -EINTR && knit_ctx_err(ctx) != 0)
        r = knit_ctx_err(ctx);
    return r;
}

/* ---- statistics ---- */

/* Entry i of the table; false: nothing is in it. */
static bool site_at(uint32_t i, knit_blocking_site *ret)
{
    uint64_t n[KNIT__SITE_EVENTS];
    const knit_site *site = knit__site_get(i, n);

    *ret = (knit_blocking_site){site, n[KNIT__SITE_CALL], n[KNIT__SITE_HANDOFF],
                                n[KNIT__SITE_BLOCKED], n[KNIT__SITE_COMPUTED]};
    return site || ret->calls + ret->handoffs + ret->blocked + ret->computed != 0;
}

int knit_blocking_sites(knit_blocking_site *ret_sites, size_t n)
{
    size_t found = 0;

    if (!ret_sites && n > 0)
        return -EINVAL;
    for (uint32_t i = 0; i < knit__site_entries(); i++) {
        knit_blocking_site site;

        if (!site_at(i, &site))
            continue;
        if (found < n)
            ret_sites[found] = site;
        found++;
    }
    return (int)found;
}

/* A line of the dump; a long path is cut. */
static bool dump_site(int fd, const knit_blocking_site *s)
{
    static const knit_site elsewhere = {"elsewhere", "", 0};
    const knit_site *site = s->site ? s->site : &elsewhere;
    char line[512];

    snprintf(line, sizeof line,
             "knit: %.200s:%d %.100s: calls %llu, handed off %llu, blocked %llu, computed %llu\n",
             site->file, site->line, site->what, (unsigned long long)s->calls,
             (unsigned long long)s->handoffs, (unsigned long long)s->blocked,
             (unsigned long long)s->computed);
    return knit__os_write(fd, line, strlen(line));
}

int knit_blocking_dump(int fd)
{
    for (uint32_t i = 0; i < knit__site_entries(); i++) {
        knit_blocking_site s;

        if (site_at(i, &s) && !dump_site(fd, &s))
            return -EIO;
    }
    return 0;
}
