/* The server of http: keep-alive, requests without a body, one answer to all; a task per
 * connection. */
#include "../lib/http.h"
#include "../lib/serve_knit.h"

static int answer(int fd, int requests)
{
    int r = 0;
    for (; requests > 0 && r == 0; requests--)
        r = knit_write_full(fd, http_answer, HTTP_ANSWER, NULL);
    return r;
}

static int serve(void *arg)
{
    const int fd = serve_connection(arg);
    struct http_in in;
    in.have = 0;
    while (http_room(&in) > 0) {
        const ssize_t n = knit_read(fd, in.data + in.have, http_room(&in));
        if (n <= 0 || answer(fd, http_requests(&in, (size_t)n)) != 0)
            break;
    }
    knit_close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    return serve_main(argc, argv, serve);
}
