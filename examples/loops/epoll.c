/* Knit in a program that lives in a loop of its own, around epoll: the loop's descriptor is one more
 * to watch. The thread never waits but in epoll_wait. */
#include "slices.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool running = true;

static void stop(struct count *count)
{
    (void)count;
    running = false;
}

/* Until stop: wait, and call whoever's descriptor is ready. */
static int run(int set, knit_loop *loop)
{
    while (running) {
        struct epoll_event event;
        int n = epoll_wait(set, &event, 1, -1);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && event.data.ptr == loop)
            knit_loop_dispatch(loop);
        /* and here the program's own sockets */
    }
    return 0;
}

int main(void)
{
    struct count count;
    knit_loop *loop;
    int r = knit_loop_new(&loop);
    if (r != 0) {
        fprintf(stderr, "no loop: %s\n", knit_strerror(r));
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop};
    int set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, knit_loop_fd(loop), &event) != 0)
        r = -errno;
    if (r == 0)
        r = count_begin(&count, loop, stop);
    if (r == 0)
        r = run(set, loop);
    knit_loop_free(loop);
    if (set >= 0)
        close(set);
    if (r != 0) {
        fprintf(stderr, "epoll: %s\n", knit_strerror(r));
        return 1;
    }
    return count_report(&count);
}
