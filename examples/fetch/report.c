/* What came of it: for people on standard error, for programs as JSON. */
#define _GNU_SOURCE
#include "fetch.h"

#include "../common/errors.h"
#include "../common/json.h"
#include "../common/terminal.h"

#include <stdio.h>

static long long milliseconds(knit_duration d)
{
    return (long long)(d / KNIT_MILLISECOND);
}

void report_attempt(const struct request *q)
{
    char size[SIZE_TEXT];
    if (q->state == REQUEST_FETCHED)
        fprintf(stderr, "%ld %8s %6lld ms  %s\n", q->status, size_format(size, (double)q->bytes),
                milliseconds(q->taken), q->url);
    else
        fprintf(stderr, "attempt %d of %d failed: %s: %s\n", q->attempts,
                q->fetch->settings->attempts, q->url, q->error);
}

static size_t count(const struct fetch *f, enum request_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += f->requests[i].state == state;
    return n;
}

void report_end(const struct fetch *f, int r)
{
    if (r < 0 && r != -EINTR)
        errors_print("fetch", &f->group, r, f->settings->keep_going);
    if (f->settings->quiet)
        return;
    char size[SIZE_TEXT];
    fprintf(stderr, "fetch: %zu of %zu fetched, %zu failed, %zu cancelled, %s, %.2f s\n",
            count(f, REQUEST_FETCHED), f->n, count(f, REQUEST_FAILED), count(f, REQUEST_CANCELLED),
            size_format(size, (double)atomic_load(&f->bytes)),
            (double)(knit_now() - f->start) / (double)KNIT_SECOND);
}

static void json_request(FILE *out, const struct request *q)
{
    static const char *const states[] = {
        [REQUEST_CANCELLED] = "cancelled",
        [REQUEST_FETCHED] = "fetched",
        [REQUEST_FAILED] = "failed",
    };
    const char *error = q->error[0] ? q->error : NULL;
    fputs("    {\"url\": ", out);
    json_string(out, q->url);
    fprintf(out, ", \"state\": \"%s\", \"status\": %ld, \"bytes\": %llu", states[q->state],
            q->status, (unsigned long long)q->bytes);
    fprintf(out, ", \"ms\": %lld, \"attempts\": %d, \"file\": ", milliseconds(q->taken),
            q->attempts);
    json_string(out, q->state == REQUEST_FETCHED ? q->file : NULL);
    fputs(", \"error\": ", out);
    json_string(out, q->state == REQUEST_FETCHED ? NULL : error ? error : "cancelled");
    fputs("}", out);
}

void report_json(FILE *out, const struct fetch *f, bool ok)
{
    fprintf(out, "{\n  \"ok\": %s,\n", ok ? "true" : "false");
    fprintf(out, "  \"fetched\": %zu,\n  \"failed\": %zu,\n  \"cancelled\": %zu,\n",
            count(f, REQUEST_FETCHED), count(f, REQUEST_FAILED), count(f, REQUEST_CANCELLED));
    fprintf(out, "  \"bytes\": %llu,\n  \"ms\": %lld,\n  \"urls\": [\n",
            (unsigned long long)atomic_load(&f->bytes), milliseconds(knit_now() - f->start));
    for (size_t i = 0; i < f->n; i++) {
        json_request(out, &f->requests[i]);
        fputs(i + 1 < f->n ? ",\n" : "\n", out);
    }
    fputs("  ]\n}\n", out);
}
