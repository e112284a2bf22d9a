/* Which shards are where: a line for each, or JSON. */
#define _GNU_SOURCE
#include "migrate.h"

#include "../common/json.h"

#include <inttypes.h>

static const char *const states[] = {
    [SHARD_UNTOUCHED] = "untouched", [SHARD_STOPPED] = "stopped", [SHARD_FAILED] = "failed",
    [SHARD_PENDING] = "pending",     [SHARD_DONE] = "done",
};
enum { STATES = sizeof states / sizeof states[0] };

static size_t count(const struct summary *s, enum shard_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->shards[i].state == state;
    return n;
}

/* The migrations that are missing; only known once the shard was looked at. */
static size_t missing(const struct shard *s)
{
    return s->plan->n - s->already - s->applied;
}

static long long milliseconds(knit_duration d)
{
    return (long long)(d / KNIT_MILLISECOND);
}

static void shard_text(FILE *out, const struct shard *s)
{
    fprintf(out, "%-9s  %s", states[s->state], s->label);
    if (s->state != SHARD_UNTOUCHED)
        fprintf(out, ": version %" PRId64 ", %zu applied, %zu before, %zu missing", s->version,
                s->applied, s->already, missing(s));
    if (s->error)
        fprintf(out, ": %s", s->error);
    fputs("\n", out);
    if (s->state != SHARD_PENDING)
        return;
    for (size_t i = 0; i < s->plan->n; i++) {
        if (!s->has[i])
            fprintf(out, "           would apply %s\n", s->plan->at[i].name);
    }
}

void report_text(FILE *out, const struct summary *s)
{
    for (size_t i = 0; i < s->n; i++)
        shard_text(out, &s->shards[i]);
    fprintf(out, "%zu shard%s:", s->n, s->n == 1 ? "" : "s");
    for (int state = STATES; state-- > 0;) {
        size_t n = count(s, (enum shard_state)state);
        if (n > 0)
            fprintf(out, " %zu %s,", n, states[state]);
    }
    fprintf(out, " %.2f s\n", (double)s->taken / (double)KNIT_SECOND);
}

static void shard_json(FILE *out, const struct shard *s)
{
    fputs("    {\"shard\": ", out);
    json_string(out, s->label);
    fprintf(out, ", \"state\": \"%s\", \"version\": %" PRId64, states[s->state], s->version);
    fprintf(out, ", \"applied\": %zu, \"before\": %zu, \"missing\": %zu, \"ms\": %lld", s->applied,
            s->already, missing(s), milliseconds(s->taken));
    fputs(", \"error\": ", out);
    json_string(out, s->error);
    fputs("}", out);
}

void report_json(FILE *out, const struct summary *s)
{
    fprintf(out, "{\n  \"ok\": %s,\n  \"dry_run\": %s,\n", s->ok ? "true" : "false",
            s->settings->dry_run ? "true" : "false");
    for (int state = STATES; state-- > 0;)
        fprintf(out, "  \"%s\": %zu,\n", states[state], count(s, (enum shard_state)state));
    fprintf(out, "  \"migrations\": %zu,\n  \"ms\": %lld,\n  \"shards\": [\n", s->plan->n,
            milliseconds(s->taken));
    for (size_t i = 0; i < s->n; i++) {
        shard_json(out, &s->shards[i]);
        fputs(i + 1 < s->n ? ",\n" : "\n", out);
    }
    fputs("  ]\n}\n", out);
}
