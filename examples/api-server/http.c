#define _GNU_SOURCE
#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { CONNECTIONS = 4096, BACKLOG = 1024 };

/* ---- requests -------------------------------------------------------------------------------- */

void http_reply(struct http_request *request, unsigned status, const char *type, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(request->reply, sizeof request->reply, format, args);
    va_end(args);
    request->status = status;
    request->type = type;
}

/* The reply is there. Whoever polls for libmicrohttpd must wake itself when a connection goes on. */
static void resume(struct http_request *request)
{
    struct http *h = request->server;
    request->state = HTTP_ANSWERED;
    MHD_resume_connection(request->connection); /* the request may be gone after that */
    knit_event_set(h->wake);
}

/* The task of a request. Whatever becomes of it, the client gets an answer and its connection goes
 * on: a suspended one would be there for ever. */
static int work_on(void *arg)
{
    struct http_request *request = arg;
    int r = request->work(request);
    if (r == -ECANCELED || r == -ETIMEDOUT)
        http_reply(request, 503, "text/plain", "shutting down\n");
    else if (r < 0)
        http_reply(request, 500, "text/plain", "%s\n", knit_strerror(r));
    resume(request);
    return 0;
}

static enum MHD_Result send_reply(struct http_request *request)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(request->reply), request->reply, MHD_RESPMEM_PERSISTENT); /* lives as long */
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->type);
    if (request->server->ending)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (request->status >= 400)
        atomic_fetch_add(&request->server->errors, 1);
    enum MHD_Result r = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return r;
}

/* Its connection is suspended until the task, or this function, has made the reply; then
 * libmicrohttpd asks again. */
static enum MHD_Result start_work(struct http_request *request)
{
    request->state = HTTP_WORKING;
    MHD_suspend_connection(request->connection);
    if (knit_errgroup_try_go(&request->server->work, work_on, request) != 0) {
        http_reply(request, 503, "text/plain", "busy\n");
        resume(request);
    }
    return MHD_YES;
}

static enum MHD_Result dispatch(struct http_request *request)
{
    struct http *h = request->server;
    h->in_flight++;
    atomic_fetch_add(&h->requests, 1);
    h->failed = h->fail && strcmp(request->path, "/fail") == 0;
    if (h->ending)
        http_reply(request, 503, "text/plain", "shutting down\n");
    else if (request->length > HTTP_LONGEST_BODY)
        http_reply(request, 413, "text/plain", "too large\n");
    else
        h->handle(request);
    if (request->work)
        return start_work(request);
    request->state = HTTP_ANSWERED;
    return send_reply(request);
}

/* What is too long is counted, not kept. */
static enum MHD_Result take_body(struct http_request *request, const char *data, size_t n)
{
    size_t length = request->length + n;
    if (length <= HTTP_LONGEST_BODY) {
        if (length > request->room) {
            char *body = realloc(request->body, 2 * length);
            if (!body)
                return MHD_NO;
            request->body = body;
            request->room = 2 * length;
        }
        memcpy(request->body + request->length, data, n);
    }
    request->length = length;
    return MHD_YES;
}

/* libmicrohttpd calls this when the head of a request is there, for each part of its body, when all
 * is there, and again when the connection was resumed. */
static enum MHD_Result on_request(void *server, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **cls)
{
    struct http_request *request = *cls;
    (void)version;
    if (!request) {
        request = calloc(1, sizeof *request);
        if (!request)
            return MHD_NO;
        request->server = server;
        request->connection = connection;
        snprintf(request->method, sizeof request->method, "%s", method);
        snprintf(request->path, sizeof request->path, "%s", url);
        *cls = request;
        return MHD_YES;
    }
    if (*n > 0) {
        size_t all = *n;
        *n = 0;
        return take_body(request, data, all);
    }
    return request->state == HTTP_ARRIVING ? dispatch(request) : send_reply(request);
}

/* The reply was sent, or the client has gone. */
static void on_completed(void *server, struct MHD_Connection *connection, void **cls,
                         enum MHD_RequestTerminationCode why)
{
    struct http *h = server;
    struct http_request *request = *cls;
    (void)connection;
    (void)why;
    if (!request)
        return;
    if (request->state != HTTP_ARRIVING)
        h->in_flight--;
    free(request->body);
    free(request);
    *cls = NULL;
}

/* ---- the server ------------------------------------------------------------------------------ */

/* A listening socket on the loopback interface. */
static int listen_at(unsigned short *port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        int r = -errno;
        knit_close(fd);
        return r;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

/* What the task waits for: libmicrohttpd's sockets, and to be woken. */
static int open_set(struct http *h, int sockets)
{
    struct epoll_event event = {.events = EPOLLIN};
    h->wake = knit_event_new();
    if (h->wake < 0)
        return h->wake;
    h->set = epoll_create1(EPOLL_CLOEXEC);
    if (h->set < 0 || epoll_ctl(h->set, EPOLL_CTL_ADD, sockets, &event) != 0 ||
        epoll_ctl(h->set, EPOLL_CTL_ADD, h->wake, &event) != 0)
        return -errno;
    return 0;
}

static void close_set(struct http *h)
{
    if (h->set >= 0)
        knit_close(h->set);
    if (h->wake >= 0)
        knit_close(h->wake);
}

static int open_server(struct http *h)
{
    h->set = h->wake = -1;
    h->listener = listen_at(&h->port);
    if (h->listener < 0)
        return knit_error(h->listener, "%s: listen at port %d", h->name, h->port);
    h->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
                         MHD_OPTION_LISTEN_SOCKET, h->listener, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, h, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, h->patience, MHD_OPTION_END);
    if (!h->daemon) {
        knit_close(h->listener);
        return knit_error(-EIO, "%s: libmicrohttpd does not start", h->name);
    }
    int r = open_set(h, MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    if (r < 0) {
        MHD_stop_daemon(h->daemon);
        close_set(h);
    }
    return r;
}

/* Let libmicrohttpd do what can be done now, once there is something: also at the times it asks for,
 * or what it has read already would be left lying. */
static int step(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    knit_time deadline = KNIT_FOREVER;
    if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
        deadline = ms == 0 ? 0 : knit_now() + (knit_duration)ms * KNIT_MILLISECOND;
    int r = knit_wait_fd(h->set, KNIT_READABLE, deadline);
    if (knit_canceled())
        return knit_ctx_err(knit_ctx_current());
    if (r < 0 && r != -ETIMEDOUT)
        return knit_error(r, "%s: wait", h->name);
    (void)knit_event_wait(h->wake, 0); /* does not wait */
    return MHD_run(h->daemon) == MHD_YES ? 0 : knit_error(-EIO, "%s: run", h->name);
}

static int serve(struct http *h)
{
    int r = 0;
    while (r == 0 && !h->failed)
        r = step(h);
    return r == 0 ? knit_error(-EIO, "%s: as it was told to", h->name) : r;
}

/* Under a context that ends after the grace period. */
static void drain(struct http *h)
{
    int r = 0;
    while (h->in_flight > 0 && r == 0)
        r = step(h);
    atomic_store(&h->cut_off, h->in_flight);
    knit_errgroup_close(&h->work); /* the last of them answer, and their connections go on */
    for (int i = 0; i < 5 && h->in_flight > 0; i++)
        MHD_run(h->daemon);
}

static void close_server(struct http *h)
{
    knit_ctx *shield;
    knit_ctx_scope scope;
    h->ending = true;
    int listener = MHD_quiesce_daemon(h->daemon);
    if (listener >= 0)
        knit_close(listener);
    if (knit_ctx_shield(knit_ctx_current(), h->grace, &shield) == 0) {
        knit_ctx_enter(shield, &scope);
        drain(h);
        knit_ctx_leave(&scope);
        knit_ctx_unref(shield);
    } else {
        drain(h);
    }
    MHD_stop_daemon(h->daemon);
    close_set(h);
}

/* The requests are not told when the server is: their group's context is another one. */
static int begin_work(struct http *h)
{
    knit_ctx *apart;
    int r = knit_ctx_without_cancel(knit_ctx_current(), &apart);
    if (r < 0)
        return r;
    r = knit_errgroup_init(&h->work, &(knit_errgroup_options){.name = h->name,
                                                              .limit = (int)h->tasks,
                                                              .ctx = apart,
                                                              .flags = KNIT_ERRGROUP_KEEP_GOING});
    if (r == 0 && !knit_errgroup_ctx(&h->work)) /* now it has a reference of its own */
        r = -ENOMEM;
    knit_ctx_unref(apart);
    return r;
}

int http_serve(void *server)
{
    struct http *h = server;
    int r = begin_work(h);
    if (r == 0)
        r = open_server(h);
    if (r < 0)
        return r;
    knit_task_ready(NULL);
    r = serve(h);
    close_server(h);
    return r;
}
