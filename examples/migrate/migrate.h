/* migrate: SQL migrations, applied to many databases at once.
 *
 * Each shard is a task of one group:
 *
 *     connect ─► read schema_migrations ─► for each migration that is missing there
 *                                              BEGIN, and the lock of this database
 *                                              look again: another run may have been faster
 *                                              the migration, and its row in schema_migrations
 *                                              COMMIT, whatever is cancelled meanwhile
 *
 * So a migration is there with its row or not at all, and a run that was stopped anywhere can be
 * repeated. The first failure cancels the group: the statements of the other shards are
 * interrupted, and their connections closed; what was not committed is gone with them.
 *
 * The two kinds of database stand for the two kinds of library. SQLite blocks the thread it is
 * called on: knit_blocking (sqlite.c). libpq has a socket and never waits, if it is asked so:
 * knit_wait_fd (postgres.c). What is above them does not know the difference. */
#ifndef MIGRATE_H
#define MIGRATE_H

#include "../common/options.h"

#include <knit.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- what is to be applied: plan.c ---- */

enum { CHECKSUM_TEXT = 17 };

struct migration {
    int64_t version;
    char *name; /* of the file */
    char *sql;
    char checksum[CHECKSUM_TEXT];
};

struct plan {
    struct migration *at; /* in the order of their versions */
    size_t n;
};

int plan_read(struct plan *p, const char *directory); /* 0, or -1 after a message */
void plan_fini(struct plan *p);

/* ---- a connection: sqlite.c, postgres.c ---- */

/* A row of a result. Must not park. Anything but 0 is an error of the query. */
typedef int row_fn(void *arg, int n, char **values, char **names);

/* Every function that may wait gives up when the ambient context ends, with its error. After any
 * error the connection is good for close alone, and that takes back what was not committed. */
struct database_kind {
    const char *begin;       /* a transaction, and the lock that keeps other runs out */
    const char *has_journal; /* a row if there is a table schema_migrations */
    /* Connect. false: *ret_text (owned by the caller) says why, if there was memory. */
    int (*open)(const char *name, bool read_only, void **ret_connection, char **ret_text);
    /* Statements, one or more; row may be NULL. */
    int (*run)(void *connection, const char *sql, row_fn *row, void *arg);
    const char *(*error)(void *connection); /* text of the last error */
    bool (*in_transaction)(void *connection);
    void (*close)(void *connection); /* NULL: nothing */
};

extern const struct database_kind sqlite_kind, postgres_kind;

/* ---- the shards: shard.c ---- */

struct settings {
    const char *directory;
    struct strings shards;
    int limit;
    knit_duration wait; /* for a connection, for a lock */
    const char *json;   /* NULL: no report */
    bool dry_run;
    bool keep_going;
    bool quiet;
};

enum shard_state {
    SHARD_UNTOUCHED, /* its task has not begun */
    SHARD_STOPPED,   /* because of another one, or a signal; what was committed stays */
    SHARD_FAILED,
    SHARD_PENDING, /* of a dry run: migrations are missing */
    SHARD_DONE,
};

struct shard {
    /* set at birth */
    const struct settings *settings;
    const struct plan *plan;
    const char *name;
    char *label; /* owned: the name without a password */

    /* its task; main when the group has ended */
    const struct database_kind *kind;
    void *connection;
    enum shard_state state;
    bool has_journal;
    bool *has;       /* for each migration: it is applied; owned */
    size_t already;  /* so many are by others, before this run or meanwhile */
    size_t applied;  /* by this run */
    int64_t version; /* the highest that is applied */
    knit_duration taken;
    char *error; /* owned; NULL: there is none */
};

int shard_init(struct shard *s, const struct settings *settings, const struct plan *plan,
               const char *name); /* 0 or -ENOMEM */
void shard_fini(struct shard *s);
int shard_migrate(void *shard); /* the task */

/* ---- report.c ---- */

struct summary {
    const struct settings *settings;
    const struct plan *plan;
    const struct shard *shards;
    size_t n;
    knit_duration taken;
    bool ok;
};

void report_text(FILE *out, const struct summary *s);
void report_json(FILE *out, const struct summary *s);

#endif
