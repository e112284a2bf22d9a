/* One shard: what is missing there, and how it gets there. See migrate.h. */
#define _GNU_SOURCE
#include "migrate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* How long a COMMIT may take although the run was cancelled. */
#define COMMIT_BUDGET (30 * KNIT_SECOND)

static const char journal_create[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                     " version BIGINT PRIMARY KEY,"
                                     " name TEXT NOT NULL,"
                                     " checksum TEXT NOT NULL,"
                                     " applied_at TIMESTAMP NOT NULL)";
static const char journal_read[] = "SELECT version, checksum FROM schema_migrations";

/* ---- failing ---- */

/* The shard fails with this text; the first one counts. */
static int fail(struct shard *s, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct shard *s, int code, const char *format, ...)
{
    if (s->error)
        return code;
    va_list args;
    va_start(args, format);
    if (vasprintf(&s->error, format, args) < 0)
        s->error = NULL;
    va_end(args);
    for (char *end = s->error ? strchr(s->error, 0) : NULL; end > s->error && end[-1] == '\n';)
        *--end = 0; /* as libpq's texts end */
    return code;
}

/* An error of the database. The end of the context is none. */
static int fail_in(struct shard *s, int code, const char *doing)
{
    if (code == -ECANCELED)
        return code;
    if (code == -ETIMEDOUT)
        return fail(s, -EBUSY, "%s: somebody else has locked it", doing);
    return fail(s, code, "%s: %s", doing, s->kind->error(s->connection));
}

/* ---- steps with an end ---- */

typedef int step_fn(struct shard *s);

/* Make a step under a context, which is given. */
static int step_under(struct shard *s, step_fn *step, knit_ctx *ctx)
{
    knit_ctx_scope scope;
    knit_ctx_enter(ctx, &scope);
    int r = step(s);
    knit_ctx_leave(&scope);
    knit_ctx_unref(ctx);
    return r;
}

static int step_until_timeout(struct shard *s, step_fn *step)
{
    knit_ctx *ctx;
    int r = knit_ctx_with_timeout(knit_ctx_current(), s->settings->wait, &ctx);
    return r < 0 ? r : step_under(s, step, ctx);
}

/* What has begun must come to an end that is known, also when everything is cancelled. */
static int step_shielded(struct shard *s, step_fn *step)
{
    knit_ctx *ctx;
    int r = knit_ctx_shield(knit_ctx_current(), COMMIT_BUDGET, &ctx);
    return r < 0 ? r : step_under(s, step, ctx);
}

static int step_open(struct shard *s)
{
    char *text = NULL;
    int r = s->kind->open(s->name, s->settings->dry_run, &s->connection, &text);
    if (r < 0 && r != -ECANCELED)
        fail(s, r, "connect: %s", text ? text : r == -ETIMEDOUT ? "no answer" : knit_strerror(r));
    free(text);
    return r;
}

static int step_begin(struct shard *s)
{
    int r = s->kind->run(s->connection, s->kind->begin, NULL, NULL);
    return r < 0 ? fail_in(s, r, "begin") : 0;
}

static int step_commit(struct shard *s)
{
    int r = s->kind->run(s->connection, "COMMIT", NULL, NULL);
    if (r == -ETIMEDOUT)
        return fail(s, r, "no answer to a COMMIT: run this again to see what became of it");
    return r < 0 ? fail_in(s, r, "commit") : 0;
}

/* ---- the journal ---- */

static int see_row(void *seen, int n, char **values, char **names)
{
    (void)n;
    (void)values;
    (void)names;
    *(bool *)seen = true;
    return 0;
}

static int compare_row(void *arg, int n, char **values, char **names)
{
    (void)n;
    (void)names;
    struct shard *s = arg;
    const char *sum = values[1] ? values[1] : "";
    int64_t version = values[0] ? strtoll(values[0], NULL, 10) : 0;
    size_t i = 0;
    while (i < s->plan->n && s->plan->at[i].version != version)
        i++;
    if (i == s->plan->n)
        return fail(s, -EINVAL, "version %" PRId64 " is applied, but not in %s", version,
                    s->settings->directory);
    if (strcmp(sum, s->plan->at[i].checksum) != 0)
        return fail(s, -EINVAL, "%s has changed since it was applied", s->plan->at[i].name);
    s->has[i] = true;
    if (version > s->version)
        s->version = version;
    return 0;
}

static int step_compare(struct shard *s)
{
    int r = s->kind->run(s->connection, journal_read, compare_row, s);
    return r < 0 ? fail_in(s, r, "read schema_migrations") : 0;
}

static int step_look(struct shard *s)
{
    int r = s->kind->run(s->connection, s->kind->has_journal, see_row, &s->has_journal);
    return r < 0 ? fail_in(s, r, "look for schema_migrations") : 0;
}

/* Fills s->has, from a journal that may not exist yet. */
static int journal_open(struct shard *s)
{
    int r = step_until_timeout(s, step_look);
    if (r == 0 && s->has_journal)
        r = step_until_timeout(s, step_compare);
    if (r < 0 || s->has_journal || s->settings->dry_run)
        return r;
    r = step_until_timeout(s, step_begin);
    if (r < 0)
        return r;
    r = s->kind->run(s->connection, journal_create, NULL, NULL);
    return r < 0 ? fail_in(s, r, "create schema_migrations") : step_shielded(s, step_commit);
}

/* ---- migrations ---- */

/* In a transaction: the migration and its row. */
static int apply_both(struct shard *s, const struct migration *m)
{
    int r = s->kind->run(s->connection, m->sql, NULL, NULL);
    if (r < 0)
        return fail_in(s, r, m->name);
    if (!s->kind->in_transaction(s->connection))
        return fail(s, -EINVAL, "%s ends its transaction itself", m->name);
    char *row; /* no character of it needs quoting: see name_parse */
    if (asprintf(&row,
                 "INSERT INTO schema_migrations (version, name, checksum, applied_at)"
                 " VALUES (%" PRId64 ", '%s', '%s', CURRENT_TIMESTAMP)",
                 m->version, m->name, m->checksum) < 0)
        return -ENOMEM;
    r = s->kind->run(s->connection, row, NULL, NULL);
    free(row);
    return r < 0 ? fail_in(s, r, "write schema_migrations") : 0;
}

static int apply(struct shard *s, size_t i)
{
    const struct migration *m = &s->plan->at[i];
    knit_time start = knit_now();
    int r = step_until_timeout(s, step_begin);
    if (r == 0)
        r = step_until_timeout(s, step_compare);
    bool mine = r == 0 && !s->has[i]; /* else another run has done it since we looked */
    if (mine)
        r = apply_both(s, m);
    if (r == 0)
        r = step_shielded(s, step_commit);
    if (r < 0 || !mine)
        return r;
    s->has[i] = true;
    s->applied++;
    if (m->version > s->version)
        s->version = m->version;
    if (!s->settings->quiet)
        fprintf(stderr, "%s: %s, %lld ms\n", s->label, m->name,
                (long long)((knit_now() - start) / KNIT_MILLISECOND));
    return 0;
}

static int bring_up_to_date(struct shard *s)
{
    int r = step_until_timeout(s, step_open);
    if (r == 0)
        r = journal_open(s);
    for (size_t i = 0; i < s->plan->n && r == 0 && !s->settings->dry_run; i++) {
        if (!s->has[i])
            r = apply(s, i);
    }
    s->kind->close(s->connection);
    size_t there = 0;
    for (size_t i = 0; i < s->plan->n; i++)
        there += s->has[i];
    s->already = there - s->applied;
    return r;
}

int shard_migrate(void *shard)
{
    struct shard *s = shard;
    knit_time start = knit_now();
    s->state = SHARD_STOPPED;
    int r = bring_up_to_date(s);
    s->taken = knit_now() - start;
    if (r == -ECANCELED)
        return r;
    if (r < 0) {
        s->state = SHARD_FAILED;
        fail(s, r, "%s", knit_strerror(r)); /* if there was no text before */
        return knit_error(r, "%s: %s", s->label, s->error ? s->error : "");
    }
    s->state =
        s->already + s->applied < s->plan->n && s->settings->dry_run ? SHARD_PENDING : SHARD_DONE;
    return 0;
}

/* ---- names ---- */

static bool is_postgres(const char *name)
{
    return strncmp(name, "postgresql://", 13) == 0 || strncmp(name, "postgres://", 11) == 0;
}

static void blot(char *from, const char *end)
{
    if (from == end)
        return;
    *from = '*';
    memmove(from + 1, end, strlen(end) + 1);
}

/* Blot out USER:PASSWORD@ and password=PASSWORD, and rather too much than too little where the URL
 * makes no sense: labels are printed, and kept in reports. */
static void hide_password(char *url)
{
    char *host = strstr(url, "://") + 3;
    const char *at = strrchr(host, '@');
    char *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    if (colon)
        blot(colon + 1, at);
    for (char *p = host; (p = strstr(p, "password="));) {
        p += strlen("password=");
        blot(p, p + strcspn(p, "&"));
    }
}

int shard_init(struct shard *s, const struct settings *settings, const struct plan *plan,
               const char *name)
{
    bool postgres = is_postgres(name);
    *s = (struct shard){
        .settings = settings,
        .plan = plan,
        .name = name,
        .kind = postgres ? &postgres_kind : &sqlite_kind,
        .label = strdup(name),
        .has = calloc(plan->n + 1, sizeof *s->has),
    };
    if (!s->label || !s->has)
        return -ENOMEM;
    if (postgres)
        hide_password(s->label);
    return 0;
}

void shard_fini(struct shard *s)
{
    free(s->label);
    free(s->has);
    free(s->error);
}
