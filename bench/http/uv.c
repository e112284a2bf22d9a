/* The server of http with libuv. */
#include "../lib/http.h"
#include "../lib/serve_uv.h"

struct conn {
    uv_tcp_t tcp; /* first */
    struct http_in in;
};

static void give_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct http_in *in = &((struct conn *)handle)->in;
    (void)wanted;
    *buf = uv_buf_init(in->data + in->have, (unsigned)http_room(in));
}

static void serve(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_in *in = &((struct conn *)stream)->in;
    (void)buf;
    if (n < 0) { /* an error, the end, or no room: UV_ENOBUFS */
        serve_close(stream);
        return;
    }
    for (int requests = http_requests(in, (size_t)n); requests > 0; requests--)
        serve_write(stream, http_answer, HTTP_ANSWER);
}

int main(int argc, char **argv)
{
    struct serve_kind kind = {sizeof(struct conn), give_room, serve};
    return serve_main(argc, argv, &kind);
}
