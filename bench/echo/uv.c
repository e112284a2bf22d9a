/* The server of echo, accept and idle with libuv. */
#include "../lib/serve_uv.h"

static void give_buffer(uv_handle_t *conn, size_t wanted, uv_buf_t *buf)
{
    static char shared[SERVE_BUFFER];
    (void)conn;
    (void)wanted;
    *buf = uv_buf_init(shared, sizeof shared);
}

static void echo(uv_stream_t *conn, ssize_t n, const uv_buf_t *buf)
{
    if (n < 0)
        serve_close(conn);
    else if (n > 0)
        serve_write(conn, buf->base, (size_t)n);
}

int main(int argc, char **argv)
{
    struct serve_kind kind = {sizeof(uv_tcp_t), give_buffer, echo};
    return serve_main(argc, argv, &kind);
}
