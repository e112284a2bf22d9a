/* Knit in a libuv program: uv_poll_t watches the loop's descriptor. */
#define _POSIX_C_SOURCE 200809L /* uv.h wants it */
#include "slices.h"

#include <stdio.h>
#include <uv.h>

static void readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an eventfd has no errors */
    (void)events;
    knit_loop_dispatch(poll->data);
}

static uv_poll_t door;

/* With its last handle the libuv loop ends. */
static void close_door(struct count *count)
{
    (void)count;
    uv_close((uv_handle_t *)&door, NULL);
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
    r = uv_poll_init(uv_default_loop(), &door, knit_loop_fd(loop));
    if (r == 0) {
        door.data = loop;
        uv_poll_start(&door, UV_READABLE, readable);
        r = count_begin(&count, loop, close_door);
        if (r != 0)
            close_door(&count);
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    }
    uv_loop_close(uv_default_loop());
    knit_loop_free(loop);
    if (r != 0) {
        fprintf(stderr, "libuv: %s\n", knit_strerror(r));
        return 1;
    }
    return count_report(&count);
}
