/* The server of echo, accept and idle: what comes goes back, a task per connection. */
#include "../lib/serve_knit.h"

static int echo(void *arg)
{
    const int fd = serve_connection(arg);
    char buf[SERVE_BUFFER];
    for (;;) {
        const ssize_t n = knit_read(fd, buf, sizeof buf);
        if (n <= 0 || knit_write_full(fd, buf, (size_t)n, NULL) != 0)
            break;
    }
    knit_close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    return serve_main(argc, argv, echo);
}
