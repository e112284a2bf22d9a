/* The server of http by a plain epoll loop. */
#include "../lib/http.h"
#include "../lib/serve_epoll.h"

struct conn {
    int fd;
    struct http_in in;
};

static void *opened(int fd)
{
    struct conn *conn = malloc(sizeof *conn);
    bench_check(conn == NULL, "memory");
    conn->fd = fd;
    conn->in.have = 0;
    return conn;
}

/* Read once and answer: 0 when there may be more, 1 when not, less than 0 to close. */
static int serve_some(struct conn *conn)
{
    const size_t room = http_room(&conn->in);
    const ssize_t n = read(conn->fd, conn->in.data + conn->in.have, room);
    if (n < 0 && errno == EAGAIN)
        return 1;
    if (n <= 0) /* the end, an error, or no room */
        return -1;
    for (int requests = http_requests(&conn->in, (size_t)n); requests > 0; requests--) {
        if (!serve_write(conn->fd, http_answer, HTTP_ANSWER))
            return -1;
    }
    return (size_t)n < room;
}

static void ready(void *arg, bool ended)
{
    struct conn *conn = arg;
    int r;
    do {
        r = serve_some(conn);
    } while (r == 0 || (r > 0 && ended));
    if (r < 0) {
        close(conn->fd);
        free(conn);
    }
}

int main(int argc, char **argv)
{
    const struct serve_kind kind = {opened, ready};
    serve_main(argc, argv, &kind);
    return 0;
}
