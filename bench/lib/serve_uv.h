/* The frame of the servers with libuv: one loop, one thread. An answer is written at once by
 * uv_try_write, which saves the request object, and only what the socket did not take by uv_write. */
#ifndef BENCH_SERVE_UV_H
#define BENCH_SERVE_UV_H

#include "serve.h"

#include <uv.h>

struct serve_kind {
    size_t size; /* of a connection, whose first member is a uv_tcp_t */
    uv_alloc_cb alloc;
    uv_read_cb read;
};

struct serve_rest {
    uv_write_t write; /* first */
    char data[];
};

static inline void serve_freed(uv_handle_t *conn)
{
    free(conn);
}

static inline void serve_close(uv_stream_t *conn)
{
    if (!uv_is_closing((uv_handle_t *)conn))
        uv_close((uv_handle_t *)conn, serve_freed);
}

static inline void serve_wrote(uv_write_t *write, int status)
{
    if (status < 0)
        serve_close(write->handle);
    free(write);
}

static inline void serve_write(uv_stream_t *conn, const char *data, size_t n)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)n);
    const int r = uv_try_write(conn, &buf, 1);
    const size_t done = r < 0 ? 0 : (size_t)r;
    if (done == n)
        return;
    struct serve_rest *rest = malloc(sizeof *rest + n - done);
    bench_check(rest == NULL, "memory");
    memcpy(rest->data, data + done, n - done);
    buf = uv_buf_init(rest->data, (unsigned)(n - done));
    if (uv_write(&rest->write, conn, &buf, 1, serve_wrote) < 0) {
        free(rest);
        serve_close(conn);
    }
}

static inline void serve_opened(uv_stream_t *listening, int status)
{
    const struct serve_kind *kind = listening->data;
    bench_check(status, "listen");
    uv_tcp_t *conn = calloc(1, kind->size);
    bench_check(conn == NULL, "memory");
    bench_check(uv_tcp_init(listening->loop, conn), "tcp_init");
    bench_check(uv_accept(listening, (uv_stream_t *)conn), "accept");
    bench_check(uv_read_start((uv_stream_t *)conn, kind->alloc, kind->read), "read_start");
}

/* All of main. */
static inline int serve_main(int argc, char **argv, struct serve_kind *kind)
{
    bench_parse(argc, argv);
    uv_tcp_t listening;
    uv_loop_t *loop = uv_default_loop();
    bench_check(uv_tcp_init(loop, &listening), "tcp_init");
    listening.data = kind;
    bench_check(uv_tcp_open(&listening, serve_listen()), "tcp_open");
    bench_check(uv_listen((uv_stream_t *)&listening, SERVE_BACKLOG, serve_opened), "listen");
    return uv_run(loop, UV_RUN_DEFAULT);
}

#endif
