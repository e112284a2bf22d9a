/* SQLite: a library that blocks the thread it is called on.
 *
 * Everything that may touch the file is called by knit_blocking. A cancel comes from another
 * thread, by sqlite3_interrupt, the one call that is allowed there. SQLite forgets an interrupt
 * that meets no running statement, for instance between two of a script; so a handler, which SQLite
 * calls every some thousand steps, looks at the context too.
 *
 * Nothing here parks inside of SQLite's callbacks: it would do so with locks of the library held,
 * and might go on on another thread. */
#define _GNU_SOURCE
#include "migrate.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 10000, LOCK_PAUSE_MS = 5 };

static int stop_when_cancelled(void *unused)
{
    (void)unused;
    return knit_canceled();
}

/* The file is locked by somebody. SQLite's own handler (sqlite3_busy_timeout) knows of no cancel;
 * how long to wait is the context's matter too. */
static int wait_for_lock(void *unused, int tries)
{
    (void)unused;
    (void)tries;
    if (knit_canceled())
        return 0;
    nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000}, NULL);
    return 1;
}

/* What a code means; the end of the context is the reason for some of them. */
static int result_of(int code)
{
    int ended = knit_ctx_err(knit_ctx_current());
    switch (code & 0xff) {
    case SQLITE_OK: return 0;
    case SQLITE_INTERRUPT:
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ended ? ended : -EBUSY;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_CANTOPEN: return -ENOENT;
    case SQLITE_READONLY:
    case SQLITE_PERM: return -EACCES;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_IOERR: return -EIO;
    default: return -EINVAL;
    }
}

struct opening {
    const char *name;
    int flags;
    sqlite3 *db;
};

static int open_file(void *arg)
{
    struct opening *o = arg;
    return sqlite3_open_v2(o->name, &o->db, o->flags, NULL);
}

/* A dry run makes no file: a database that is not there is an empty one. */
static int sqlite_open(const char *name, bool read_only, void **ret_connection, char **ret_text)
{
    bool missing = read_only && access(name, F_OK) < 0 && errno == ENOENT;
    struct opening o = {
        .name = missing ? ":memory:" : name,
        .flags = read_only && !missing ? SQLITE_OPEN_READONLY
                                       : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
    };
    int code = knit_blocking(open_file, &o);
    if (code != SQLITE_OK) {
        *ret_text = strdup(o.db ? sqlite3_errmsg(o.db) : sqlite3_errstr(code));
        sqlite3_close(o.db);
        return result_of(code);
    }
    sqlite3_progress_handler(o.db, STEPS, stop_when_cancelled, NULL);
    sqlite3_busy_handler(o.db, wait_for_lock, NULL);
    *ret_connection = o.db;
    return 0;
}

struct execution {
    sqlite3 *db;
    const char *sql;
    row_fn *row;
    void *arg;
};

static int execute(void *arg)
{
    const struct execution *e = arg;
    return sqlite3_exec(e->db, e->sql, e->row, e->arg, NULL);
}

static void interrupt(void *db)
{
    sqlite3_interrupt(db);
}

static int sqlite_run(void *connection, const char *sql, row_fn *row, void *arg)
{
    struct execution e = {.db = connection, .sql = sql, .row = row, .arg = arg};
    knit_ctx_after_handle handle;
    int r = knit_ctx_after(knit_ctx_current(), interrupt, connection, &handle);
    if (r < 0)
        return r;
    r = result_of(knit_blocking(execute, &e));
    knit_ctx_after_stop(&handle); /* interrupt has returned, or will not be called */
    return r;
}

static const char *sqlite_error(void *connection)
{
    return sqlite3_errmsg(connection);
}

static bool sqlite_in_transaction(void *connection)
{
    return !sqlite3_get_autocommit(connection);
}

static int close_file(void *connection)
{
    return sqlite3_close(connection);
}

static void sqlite_close(void *connection)
{
    (void)knit_blocking(close_file, connection);
}

const struct database_kind sqlite_kind = {
    .begin = "BEGIN IMMEDIATE", /* the lock for writing is the lock of the run */
    .has_journal = "SELECT 1 FROM sqlite_master"
                   " WHERE type = 'table' AND name = 'schema_migrations'",
    .open = sqlite_open,
    .run = sqlite_run,
    .error = sqlite_error,
    .in_transaction = sqlite_in_transaction,
    .close = sqlite_close,
};
