/* fetch: many URLs at once, through libcurl's multi socket interface.
 *
 *     one task per URL                         the driver, one task
 *     (a group with a limit)                   (a group of its own)
 *
 *     request ──── its easy handle ──────────► inbox ──► curl_multi_add_handle
 *        : parks                                         sockets ──► an epoll set
 *        ◄──────── how it ended ─────────────            knit_wait_fd(the set, libcurl's timer)
 *
 * libcurl does not wait: it says which sockets and which time it waits for, and wants to be told of
 * them. The driver is the one task that touches the multi handle, so nothing needs a lock. What a
 * request asks for is a message to it, and it answers each request exactly once.
 *
 * A request whose group is cancelled may not just leave, since libcurl still writes to its memory:
 * it asks for its handle back, and waits for that without looking at the cancel. For this the
 * driver is no member of that group; it is closed when no request is left. */
#ifndef FETCH_H
#define FETCH_H

#include "../common/options.h"

#include <curl/curl.h>
#include <knit.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- the driver: client.c ---- */

/* libcurl and the TLS below it are written for the stacks of threads. */
enum { LIBRARY_STACK = 256 * 1024 };

struct transfer {
    CURL *easy;                    /* the driver's from client_perform to its answer */
    knit_chan *done;               /* of CURLcode; room for one, so that an answer never waits */
    struct transfer *next, **link; /* the driver's */
};

struct client {
    knit_chan *inbox;    /* of struct message (client.c) */
    int wake;            /* event: look into the inbox */
    knit_errgroup group; /* of the driver */

    /* the driver's alone */
    CURLM *multi;
    int epoll;       /* libcurl's sockets, and wake */
    knit_time timer; /* when libcurl wants to be called */
    struct transfer *active;
};

int client_start(struct client *c);
int client_stop(struct client *c); /* when no transfer is left; why the driver failed, or 0 */

/* Carry out t->easy. 0: *ret_code says how it ended. -ECANCELED, -ETIMEDOUT: the ambient context
 * has ended. In any case libcurl does not know t any more. */
int client_perform(struct client *c, struct transfer *t, CURLcode *ret_code);

/* ---- the requests: request.c ---- */

struct settings {
    struct strings urls;
    int limit;
    int attempts;
    int redirects;
    knit_duration timeout;     /* of an attempt */
    knit_duration retry_pause; /* bound of the first pause */
    const char *directory;     /* NULL: bodies are thrown away */
    const char *json;          /* NULL: no report */
    bool keep_going;
    bool quiet;
};

/* Cancelled is what a request is until an attempt has ended for good: it may not have begun, or was
 * waiting for its next attempt. */
enum request_state { REQUEST_CANCELLED, REQUEST_FETCHED, REQUEST_FAILED };

struct request {
    /* set at birth */
    struct fetch *fetch;
    const char *url;
    size_t number; /* from 1 */
    knit_retry_policy retry;

    /* its task; main when the group has ended */
    enum request_state state;
    bool temporary; /* the last failure may go away by itself */
    int attempts;
    long status;    /* HTTP; 0: there was no answer */
    uint64_t bytes; /* of the last attempt's body */
    knit_time start;
    knit_duration taken; /* with all attempts and the pauses between them */
    char *file;          /* owned; NULL: there is none */
    char error[CURL_ERROR_SIZE];
};

struct fetch {
    const struct settings *settings;
    struct client client;
    knit_errgroup group; /* of the requests */
    struct request *requests;
    size_t n;
    bool lines; /* a line for each attempt: when there is no bar */
    knit_time start;
    _Atomic uint64_t bytes; /* received; shown while it changes, so relaxed is enough */
};

int request_start(struct fetch *f, struct request *q);

/* ---- what is shown: progress.c, report.c ---- */

struct progress {
    struct fetch *fetch;
    knit_errgroup group;
};

void progress_start(struct progress *p, struct fetch *f);
void progress_stop(struct progress *p); /* the bar is gone afterwards */

void report_attempt(const struct request *q);                /* a line */
void report_end(const struct fetch *f, int r);               /* errors, and a summary */
void report_json(FILE *out, const struct fetch *f, bool ok); /* the whole of it */

#endif
