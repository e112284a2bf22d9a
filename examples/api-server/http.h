/* An HTTP server as one task, made of libmicrohttpd.
 *
 * libmicrohttpd does not wait by itself here. It has all its sockets in an epoll set, the task waits
 * for that set as for any descriptor, and lets it do what it can do without waiting. So the server
 * costs no thread, and ends when the context of its task does.
 *
 * What takes time is done by a task for each such request; its connection is suspended meanwhile.
 * These tasks are a group of the server's. When the server is to end it takes no more connections,
 * the requests in flight have `grace` to end, and what is left then is cancelled. */
#ifndef HTTP_H
#define HTTP_H

#include <knit.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { HTTP_LONGEST_BODY = 1 << 20, HTTP_LONGEST_REPLY = 4096 };

struct http;

struct http_request {
    struct http *server;
    struct MHD_Connection *connection;
    char method[8], path[256];
    char *body;
    size_t length, room;
    knit_fn *work; /* set by the handler: a task to make the reply; its argument is the request */
    unsigned status;
    const char *type; /* of the reply; static */
    char reply[HTTP_LONGEST_REPLY];
    enum { HTTP_ARRIVING, HTTP_WORKING, HTTP_ANSWERED } state;
};

struct http {
    /* set by the caller */
    const char *name;
    unsigned short port; /* 0: any; then which one it is */
    knit_duration grace;
    unsigned patience; /* seconds after which a connection that does nothing is closed */
    unsigned tasks;    /* at most so many requests work at once */
    void (*handle)(struct http_request *request); /* makes the reply, or sets work */
    bool fail;                                    /* by a request for /fail, for the tests */

    /* the server's task */
    struct MHD_Daemon *daemon;
    int listener, set, wake;
    bool ending, failed;
    size_t in_flight; /* requests that have arrived, without those whose reply was sent */
    knit_errgroup work;

    /* any task */
    atomic_ullong requests, errors, cut_off;
};

/* The task; its argument is the server. It says knit_task_ready when it listens. */
int http_serve(void *server);

/* Set the reply: as printf. It is cut to HTTP_LONGEST_REPLY bytes. */
void http_reply(struct http_request *request, unsigned status, const char *type, const char *format,
                ...) KNIT_PRINTF(4, 5);

#endif
