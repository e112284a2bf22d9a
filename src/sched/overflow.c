/* The report of a stack overflow.
 *
 * It runs in a signal handler, on the worker's alternate stack: no malloc, no stdio, no lock. What
 * it reads cannot change meanwhile: the runs lie on the stack that overflowed, above the guard, and
 * their groups wait for them. The stack is known by the worker that runs on it, not by searching
 * the slabs; so a stray pointer into the guard of another stack is an ordinary fault. */
#include "overflow.h"

#include "worker.h"

#include <stdlib.h>
#include <string.h>

enum { REPORT_MAX = 2048, RUNS_MAX = 8 };

struct text {
    size_t used;
    char at[REPORT_MAX];
};

static void put(struct text *x, const char *s)
{
    size_t n = strlen(s), room = REPORT_MAX - 1 - x->used; /* the last byte ends the last line */

    n = n < room ? n : room;
    memcpy(x->at + x->used, s, n);
    x->used += n;
}

static void put_number(struct text *x, uint64_t n)
{
    char digits[24], *at = digits + sizeof digits;

    *--at = 0;
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    put(x, at);
}

static const char *name_of(const struct knit__run *run)
{
    if (knit__run_touched(run) && run->name)
        return run->name;
    return run->rec.site ? run->rec.site->what : "task";
}

static void put_run(struct text *x, const struct knit__run *run)
{
    const char *group = run->rec.group ? knit__upcalls.name(run->rec.group) : NULL;
    const knit_site *site = run->rec.site;

    put(x, "task \"");
    put(x, name_of(run));
    put(x, group ? "\" of group \"" : "\" of a group without a name");
    if (group) {
        put(x, group);
        put(x, "\"");
    }
    if (site) {
        put(x, ", started at ");
        put(x, site->file);
        put(x, ":");
        put_number(x, (uint64_t)site->line);
    }
    put(x, "\n");
}

static void report(const struct knit__task *t)
{
    const struct knit__run *run = t->run;
    uint32_t cls = knit__stack_class_of(&t->stack);
    struct text x = {0};
    int shown = 0;

    put(&x, "knit: stack overflow: ");
    if (run)
        put_run(&x, run);
    else
        put(&x, "a task that has ended\n");
    for (run = run ? run->up : NULL; run && shown < RUNS_MAX; run = run->up, shown++) {
        put(&x, "knit:   on top of ");
        put_run(&x, run);
    }
    if (run)
        put(&x, "knit:   and more\n");
    put(&x, "knit: the stack has ");
    put_number(&x, (uint64_t)(t->stack.hi - t->stack.lo));
    put(&x, " usable bytes of ");
    put_number(&x, knit__stack_class_size(cls));
    put(&x, cls == knit__stack_usual() ? "; KNIT_STACK=size makes stacks larger\n"
                                       : "; its group asked for that size\n");
    if (x.at[x.used - 1] != '\n')
        x.at[x.used++] = '\n';
    knit__write_stderr(x.at, x.used);
}

bool knit__overflow_report(const void *address)
{
    const struct knit__worker *w = knit__worker_self();
    const struct knit__task *t = w ? w->task : NULL;
    const char *guard = t ? knit__stack_guard(&t->stack) : NULL;

    if (!guard || (const char *)address < guard || (const char *)address >= t->stack.lo)
        return false;
    report(t);
    return true;
}

void knit__overflow_check_slow(struct knit__task *t)
{
    if (!knit__stack_damaged(&t->stack))
        return;
    report(t);
    abort();
}
