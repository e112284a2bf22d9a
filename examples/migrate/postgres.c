/* PostgreSQL: a library with a socket, that does not wait if it is asked so.
 *
 * libpq says whether it waits to read or to write; the task waits for the socket by knit_wait_fd,
 * and calls libpq again. See "Asynchronous Command Processing" in the manual of libpq.
 *
 * Two things in it do block, and so are called by knit_blocking: the look-up of names when
 * connecting, and PQcancel, which makes a connection of its own to say that a statement is to be
 * ended. */
#define _GNU_SOURCE
#include "migrate.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include <knit/errno.h> /* last: a task may go on on another thread after a wait */

struct postgres {
    PGconn *conn;
    char *error; /* owned; NULL: the connection's */
};

static int wait_for(const struct postgres *db, unsigned events)
{
    return knit_wait_fd(PQsocket(db->conn), events, KNIT_FOREVER);
}

/* ---- connecting ---- */

struct connecting {
    const char *name;
    PGconn *conn;
    PostgresPollingStatusType status;
};

static int connect_start(void *arg)
{
    struct connecting *c = arg;
    const char *const keys[] = {"dbname", "fallback_application_name", NULL};
    const char *const values[] = {c->name, "migrate", NULL};
    c->conn = PQconnectStartParams(keys, values, 1);
    return 0;
}

/* A host may have several addresses, the string several hosts: here too names are looked up. */
static int connect_go_on(void *arg)
{
    struct connecting *c = arg;
    c->status = PQconnectPoll(c->conn);
    return 0;
}

static int connect_finish(struct postgres *db, struct connecting *c)
{
    /* which stands for having been told so once */
    for (c->status = PGRES_POLLING_WRITING; c->status != PGRES_POLLING_OK;) {
        if (c->status == PGRES_POLLING_FAILED)
            return -ECONNREFUSED;
        /* the socket may be another one every time */
        int r = wait_for(db, c->status == PGRES_POLLING_READING ? KNIT_READABLE : KNIT_WRITABLE);
        if (r < 0)
            return r;
        knit_blocking(connect_go_on, c);
    }
    return PQsetnonblocking(db->conn, 1) == 0 ? 0 : -EIO;
}

static void postgres_close(void *connection)
{
    struct postgres *db = connection;
    if (!db)
        return;
    PQfinish(db->conn);
    free(db->error);
    free(db);
}

static void keep_quiet(void *unused, const char *message)
{
    (void)unused;
    (void)message;
}

static const char *postgres_error(void *connection)
{
    const struct postgres *db = connection;
    return db->error ? db->error : PQerrorMessage(db->conn);
}

static int postgres_open(const char *name, bool read_only, void **ret_connection, char **ret_text)
{
    (void)read_only;
    /* libpq's messages about such a string quote it, and there may be a password in it */
    PQconninfoOption *options = PQconninfoParse(name, NULL);
    if (!options) {
        *ret_text = strdup("this is no valid connection string");
        return -EINVAL;
    }
    PQconninfoFree(options);

    struct postgres *db = calloc(1, sizeof *db);
    if (!db)
        return -ENOMEM;
    struct connecting c = {.name = name};
    knit_blocking(connect_start, &c);
    db->conn = c.conn;
    int r = !db->conn                              ? -ENOMEM
            : PQstatus(db->conn) == CONNECTION_BAD ? -ECONNREFUSED
                                                   : connect_finish(db, &c);
    if (r < 0) {
        if (db->conn && r == -ECONNREFUSED)
            *ret_text = strdup(PQerrorMessage(db->conn));
        postgres_close(db);
        return r;
    }
    PQsetNoticeProcessor(db->conn, keep_quiet, NULL);
    *ret_connection = db;
    return 0;
}

/* ---- statements ---- */

static int ask_to_cancel(void *arg)
{
    char text[256];
    return PQcancel(arg, text, sizeof text);
}

/* The connection is closed after this, so what became of the statement need not be read. */
static void statement_cancel(const struct postgres *db)
{
    PGcancel *cancel = PQgetCancel(db->conn);
    if (cancel)
        (void)knit_blocking(ask_to_cancel, cancel); /* not affected by the end of the context */
    PQfreeCancel(cancel);
}

static int statement_send(struct postgres *db, const char *sql)
{
    if (!PQsendQuery(db->conn, sql))
        return -EIO;
    for (int left; (left = PQflush(db->conn)) != 0;) {
        int r = left < 0 ? -EIO : wait_for(db, KNIT_READABLE | KNIT_WRITABLE);
        if (r < 0)
            return r;
        /* the server may wait for us to read before it reads */
        if ((r & KNIT_READABLE) && !PQconsumeInput(db->conn))
            return -EIO;
    }
    return 0;
}

/* The next result; NULL after the last. */
static int result_next(struct postgres *db, PGresult **ret_result)
{
    while (PQisBusy(db->conn)) {
        int r = wait_for(db, KNIT_READABLE);
        if (r < 0)
            return r;
        if (!PQconsumeInput(db->conn))
            return -EIO;
    }
    *ret_result = PQgetResult(db->conn);
    return 0;
}

static int rows_give(const PGresult *result, row_fn *row, void *arg)
{
    enum { COLUMNS = 8 };
    char *values[COLUMNS];
    int n = PQnfields(result) < COLUMNS ? PQnfields(result) : COLUMNS;
    for (int i = 0; i < PQntuples(result); i++) {
        for (int k = 0; k < n; k++)
            values[k] = PQgetisnull(result, i, k) ? NULL : PQgetvalue(result, i, k);
        if (row(arg, n, values, NULL) != 0)
            return -EINVAL;
    }
    return 0;
}

static int result_use(struct postgres *db, PGresult *result, row_fn *row, void *arg)
{
    switch (PQresultStatus(result)) {
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK: return 0;
    case PGRES_TUPLES_OK: return row ? rows_give(result, row, arg) : 0;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT: db->error = strdup("COPY from or to the client"); return -EOPNOTSUPP;
    default: db->error = strdup(PQresultErrorMessage(result)); return -EINVAL;
    }
}

/* Of several statements the server carries out none after one that failed. */
static int results_read(struct postgres *db, row_fn *row, void *arg)
{
    for (;;) {
        PGresult *result = NULL;
        int r = result_next(db, &result);
        if (r < 0 || !result)
            return r;
        r = result_use(db, result, row, arg);
        PQclear(result);
        if (r < 0)
            return r;
    }
}

static int postgres_run(void *connection, const char *sql, row_fn *row, void *arg)
{
    struct postgres *db = connection;
    int r = statement_send(db, sql);
    if (r == 0)
        r = results_read(db, row, arg);
    if (r == -ECANCELED || r == -ETIMEDOUT)
        statement_cancel(db);
    return r;
}

static bool postgres_in_transaction(void *connection)
{
    const struct postgres *db = connection;
    return PQtransactionStatus(db->conn) == PQTRANS_INTRANS;
}

const struct database_kind postgres_kind = {
    /* Advisory locks are per database; the second number keeps the schemas in it apart. */
    .begin = "BEGIN; SELECT pg_advisory_xact_lock(1802398068,"
             " hashtext(coalesce(current_schema(), '')))",
    .has_journal = "SELECT 1 WHERE to_regclass('schema_migrations') IS NOT NULL",
    .open = postgres_open,
    .run = postgres_run,
    .error = postgres_error,
    .in_transaction = postgres_in_transaction,
    .close = postgres_close,
};
