/* Panics: the end of a task that cannot go on.
 *
 * The task's group says what becomes of one. By default the process stops, on the spot, so that a
 * core shows it: no deferred call is made. Otherwise the panic is an exit (sync/life.h) whose
 * failure has a code and a text of its own; so it is recorded, cancels and is waited for like every
 * failure. With PANIC_WAITER each wait for the group that finds no task left panics with its text:
 * in a task that is the affair of the waiter's group in turn, in a plain thread the process stops. */
#include "panic.h"

#include "../sched/worker.h"
#include "../sync/life.h"
#include "extra.h"
#include "record.h"

#include <knit/task.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1024, TRACE_MAX = 3072, FRAMES_HERE = 2 };

/* One line that names the task, in one write. */
static KNIT__NORETURN void stop_process(const struct knit__run *run, const char *text)
{
    const knit_site *site = run ? run->rec.site : NULL;
    const struct knit__cancel *ctx = run ? knit__run_base_ctx(run) : NULL;
    const char *group = ctx ? knit__ctx_name((const knit_ctx *)(const void *)ctx) : NULL;
    char line[2 * TEXT_MAX], place[256] = "";

    if (site && site->file)
        snprintf(place, sizeof place, " (%.200s:%d)", site->file, site->line);
    snprintf(line, sizeof line, "knit: panic in %.100s%s%s%.100s: %.1024s\n", knit_task_name(),
             place, group ? " of group " : "", group ? group : "", text);
    (void)knit__os_write(2, line, strlen(line));
    abort();
}

/* The group decides; NULL: the process stops. */
static struct knit__group *contained_in(const struct knit__run *run)
{
    struct knit__group *g = run ? run->rec.group : NULL;

    return g && (knit__group_flags(g) & (GROUP_PANIC_ERROR | GROUP_PANIC_WAITER)) ? g : NULL;
}

static KNIT__NORETURN void panic(const char *text, bool trace)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__run *run = w ? w->task->run : NULL;
    struct knit__group *g = contained_in(run);
    char calls[TRACE_MAX] = "";

    if (!g)
        stop_process(run, text);
    if (trace)
        (void)knit__os_backtrace(calls, sizeof calls, FRAMES_HERE);
    knit__group_set(g, GROUP_PANICKED); /* before the task ends: its group lives */
    (void)knit_error(KNIT_PANICKED, "%s%s", text, calls);
    knit__life_exit(w->task, KNIT_PANICKED);
}

void knit_panic(const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    if (!fmt || vsnprintf(text, sizeof text, fmt, args) < 0)
        memcpy(text, "?", 2);
    va_end(args);
    panic(text, true);
}

void knit__panic_again(const struct knit__group *g)
{
    const uint32_t wanted = GROUP_PANICKED | GROUP_PANIC_WAITER;
    char text[TEXT_MAX + TRACE_MAX];

    if ((knit__group_flags(g) & wanted) != wanted)
        return;
    if (!knit__record_text(g, KNIT_PANICKED, text, sizeof text))
        memcpy(text, "a task panicked", sizeof "a task panicked");
    panic(text, false);
}
