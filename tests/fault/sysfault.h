/* Calls to the system that go wrong to order: the program is linked with --wrap for what src/io asks
 * of the system, and the n-th of the calls that are meant fails, or moves one byte alone. */
#ifndef SYSFAULT_H
#define SYSFAULT_H

#include <stdbool.h>

enum {
    SYS_RECV = 1 << 0, /* knit__os_recv, recvmsg, preadv2, readv */
    SYS_SEND = 1 << 1, /* knit__os_send, sendmsg, pwritev2, writev */
    SYS_COPY = 1 << 2, /* splice, sendfile, copy_file_range */
    SYS_ACCEPT = 1 << 3,
    SYS_CONNECT = 1 << 4, /* EINTR: it has begun all the same */
    SYS_SOCKET = 1 << 5,
    SYS_CLOSE = 1 << 6, /* it is closed all the same */
    SYS_EPOLL = 1 << 7, /* epoll_create1 */
    SYS_WATCH = 1 << 8, /* epoll_ctl, but for DEL */
    SYS_WAIT = 1 << 9,  /* epoll_wait */
    SYS_POLL = 1 << 10,
    SYS_MAKE = 1 << 11, /* pipe2, eventfd */
};

struct sysfault {
    const char *name;
    int code;       /* errno; 0: not a failure, but a single byte */
    unsigned calls; /* that it happens to */
    bool harmless;  /* to be made up for: nobody is to see it */
    /* Not of descriptors that the library makes: it waits for their edges, and without a reason for
     * the failure there would be none. */
    bool foreign;
};

/* From now on the n-th call that f may happen to goes wrong, counted from 1. */
void sysfault_start(const struct sysfault *f, int n);
bool sysfault_stop(void); /* it happened */

/* fd is the test's own. */
void sysfault_foreign(int fd);

#endif
