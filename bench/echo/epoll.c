/* The server of echo, accept and idle by a plain epoll loop: a connection is its descriptor. */
#include "../lib/serve_epoll.h"

static void *opened(int fd)
{
    return (void *)(intptr_t)fd;
}

static void ready(void *conn, bool ended)
{
    static char buf[SERVE_BUFFER];
    const int fd = (int)(intptr_t)conn;
    ssize_t n;
    do {
        n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || !serve_write(fd, buf, (size_t)n)) {
            close(fd);
            return;
        }
    } while (ended || (size_t)n == sizeof buf);
}

int main(int argc, char **argv)
{
    const struct serve_kind kind = {opened, ready};
    serve_main(argc, argv, &kind);
    return 0;
}
