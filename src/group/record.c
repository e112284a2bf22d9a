/* The reports behind knit_errgroup_error and knit_errgroup_format, and knit_error's texts. */
#include "record.h"

#include "extra.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_DEFAULT = 16, TEXT_MAX = 4096, DEPTH_MAX = 64 };

struct knit__note {
    int code;
    char text[];
};

struct record {
    struct record *next;
    knit_error_record view; /* its strings point into this block, or to static memory */
    struct knit__note *note;
    struct knit__report *causes;
    char name[];
};

struct knit__report {
    uint32_t refs;
    uint32_t kept;
    int code; /* first error of its group, for a task that passes it on */
    struct record *first, *last;
};

/* A task's hold on the report of a group it waited for. */
struct nested {
    struct knit__report *report;
    int code;
};

/* ---- texts ---- */

void knit__note_free(struct knit__note *note)
{
    free(note);
}

int knit_error(int code, const char *fmt, ...)
{
    struct knit__worker *w = knit__worker_self();
    struct knit__note *note;
    char text[256];
    va_list args, again;
    int length;

    if (!w || !fmt)
        return code;
    va_start(args, fmt);
    va_copy(again, args);
    length = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (length >= TEXT_MAX)
        length = TEXT_MAX - 1;
    knit__run_touch(w->task->run);
    knit__note_free(w->task->run->note);
    note = length >= 0 ? malloc(sizeof *note + (size_t)length + 1) : NULL;
    if (note) {
        note->code = code;
        if ((size_t)length < sizeof text)
            memcpy(note->text, text, (size_t)length + 1);
        else if (vsnprintf(note->text, (size_t)length + 1, fmt, again) < 0)
            note->text[0] = 0; /* printf itself ran out of memory */
    }
    w->task->run->note = note; /* or none: the last call counts */
    va_end(again);
    return code;
}

/* ---- reports; the table's lock is held ---- */

static void record_free_locked(struct record *rec)
{
    knit__report_unref_locked(rec->causes);
    knit__note_free(rec->note);
    free(rec);
}

void knit__report_unref_locked(struct knit__report *report)
{
    if (!report || --report->refs != 0)
        return;
    while (report->first) {
        struct record *rec = report->first;

        report->first = rec->next;
        record_free_locked(rec);
    }
    free(report);
}

static struct knit__report *lookup_locked(const struct knit__group *g)
{
    const struct knit__extra *x = knit__extra_find_locked(g);

    return x ? x->report : NULL;
}

/* The report of a group with a pinned block, made if need be; NULL: no memory. */
static struct knit__report *report_of_locked(struct knit__extra *x)
{
    if (!x)
        return NULL;
    if (!x->report) {
        x->report = calloc(1, sizeof *x->report);
        if (x->report)
            x->report->refs = 1; /* the block's */
    }
    return x->report;
}

/* ---- recording ---- */

static struct record *record_new(const struct knit__run *run, int code)
{
    const knit_site *site = run->rec.site;
    const char *name = knit__run_name(run);
    size_t length = strlen(name);
    struct record *rec = malloc(sizeof *rec + length + 1);

    if (!rec)
        return NULL;
    *rec = (struct record){0};
    memcpy(rec->name, name, length + 1);
    rec->view = (knit_error_record){
        .code = code,
        .index = run->rec.index,
        .text = "",
        .task = rec->name,
        .file = site && site->file ? site->file : "",
        .line = site ? site->line : 0,
        .when = knit__clock_now(),
    };
    return rec;
}

/* Move what the run has collected into its record. */
static void adopt(struct record *rec, struct knit__run *run, int code)
{
    struct knit__note *note = run->note;
    struct nested *nested = run->nested;

    if (note && note->code == code) {
        rec->note = note;
        rec->view.text = note->text;
        run->note = NULL;
    }
    if (nested && nested->code == code) {
        rec->causes = nested->report;
        rec->view.causes = nested->report->kept;
        nested->report = NULL;
    }
}

/* The group's first error stands first, whoever came first to the lock. */
static void insert_locked(struct knit__report *report, struct record *rec, bool is_first)
{
    report->kept++;
    if (is_first) {
        rec->next = report->first;
        report->first = rec;
        if (!report->last)
            report->last = rec;
        return;
    }
    if (report->last)
        report->last->next = rec;
    else
        report->first = rec;
    report->last = rec;
}

/* Room for the first error when the list was filled by others before it. */
static void drop_last_locked(struct knit__report *report)
{
    struct record **at = &report->first, *before = NULL;

    while (*at && (*at)->next) {
        before = *at;
        at = &(*at)->next;
    }
    if (!*at)
        return;
    record_free_locked(*at);
    *at = NULL;
    report->last = before;
    report->kept--;
}

void knit__record_failure(struct knit__group *g, struct knit__run *run, int code)
{
    uint32_t keep = g->keep ? g->keep : KEEP_DEFAULT;
    bool is_first = run->rec.flags & KNIT__REC_FIRST;
    struct knit__report *report;
    struct knit__extra *x;
    struct record *rec;

    knit__run_touch(run);
    rec = record_new(run, code);
    x = knit__extra_get(g);
    knit__extras_lock();
    report = rec ? report_of_locked(x) : NULL;
    if (report && report->kept >= keep && is_first)
        drop_last_locked(report);
    if (report && report->kept < keep) {
        adopt(rec, run, code);
        insert_locked(report, rec, is_first);
        rec = NULL;
    }
    knit__extras_unlock();
    free(rec);
    knit__record_drop(run);
}

void knit__record_drop(struct knit__run *run)
{
    struct nested *nested = run->nested;

    knit__note_free(run->note);
    run->note = NULL;
    run->nested = NULL;
    if (!nested)
        return;
    knit__extras_lock();
    knit__report_unref_locked(nested->report);
    knit__extras_unlock();
    free(nested);
}

void knit__record_nest(struct knit__run *run, struct knit__group *g, int code)
{
    struct knit__report *report;
    struct nested *nested;

    if (!run->rec.group || !atomic_load_explicit(&g->extra, memory_order_relaxed))
        return;
    knit__run_touch(run);
    nested = run->nested ? run->nested : calloc(1, sizeof *nested);
    if (!nested)
        return;
    run->nested = nested;
    knit__extras_lock();
    report = lookup_locked(g);
    if (report)
        report->refs++;
    knit__report_unref_locked(nested->report);
    nested->report = report;
    nested->code = report ? code : 0;
    knit__extras_unlock();
}

/* ---- reading ---- */

int knit_errgroup_error(const knit_errgroup *group, size_t i, knit_error_record *ret_record)
{
    const struct knit__group *g = knit__group_of(group);
    const struct knit__report *report;
    const struct record *rec = NULL;

    if (!g || !ret_record || !knit__group_valid(g))
        return -EINVAL;
    knit__extras_lock();
    report = lookup_locked(g);
    if (report)
        rec = report->first;
    for (; rec && i > 0; i--)
        rec = rec->next;
    if (rec)
        *ret_record = rec->view;
    knit__extras_unlock();
    return rec ? 0 : -ENOENT;
}

bool knit__record_text(const struct knit__group *g, int code, char *ret_text, size_t size)
{
    const struct knit__report *report;
    const struct record *rec;

    knit__extras_lock();
    report = lookup_locked(g);
    rec = report ? report->first : NULL;
    while (rec && rec->view.code != code)
        rec = rec->next;
    if (rec)
        snprintf(ret_text, size, "%s", rec->view.text);
    knit__extras_unlock();
    return rec != NULL;
}

struct out {
    char *buffer;
    size_t size, length;
};

static KNIT_PRINTF(2, 3) void out_print(struct out *o, const char *fmt, ...)
{
    size_t left = o->length < o->size ? o->size - o->length : 0;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(left ? o->buffer + o->length : NULL, left, fmt, args);
    va_end(args);
    o->length += n > 0 ? (size_t)n : 0;
}

static void out_report(struct out *o, const struct knit__report *report, int depth)
{
    for (const struct record *rec = report->first; rec; rec = rec->next) {
        const knit_error_record *v = &rec->view;

        out_print(o, "%*s#%zu %s", depth * 2, "", v->index, v->task);
        if (*v->file)
            out_print(o, " (%s:%d)", v->file, v->line);
        if (v->code < 0)
            out_print(o, ": %s", knit_strerror(v->code));
        else
            out_print(o, ": result %d", v->code);
        if (*v->text)
            out_print(o, ": %s", v->text);
        out_print(o, "\n");
        if (rec->causes && depth < DEPTH_MAX)
            out_report(o, rec->causes, depth + 1);
    }
}

int knit_errgroup_format(const knit_errgroup *group, char *buffer, size_t size)
{
    const struct knit__group *g = knit__group_of(group);
    const struct knit__report *report;
    struct out o = {buffer, size, 0};

    if (!g || (!buffer && size > 0) || !knit__group_valid(g))
        return -EINVAL;
    if (size > 0)
        buffer[0] = 0;
    knit__extras_lock();
    report = lookup_locked(g);
    if (report)
        out_report(&o, report, 0);
    knit__extras_unlock();
    return o.length > INT32_MAX ? INT32_MAX : (int)o.length;
}
