/* Making descriptors, closing them; files. */
#define _GNU_SOURCE
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <knit/blocking.h>
#include <knit/io.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int knit_close(int fd)
{
    int r;

    if (fd < 0)
        return -EBADF;
    knit__slot_retire(fd);
    r = close(fd) == 0 ? 0 : -errno;
    knit__slot_closed(fd);
    return r == -EINTR || r == -EINPROGRESS ? 0 : r; /* it is closed all the same */
}

/* Of TCP alone a short read means that there is no more: Unix streams end one where descriptors were
 * sent, other protocols at messages. */
static uint32_t kind_of(int fd)
{
    socklen_t size = sizeof(int);
    int protocol = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0)
        return KNIT__SLOT_VECTOR;
    return KNIT__SLOT_SOCKET | (protocol == IPPROTO_TCP ? KNIT__SLOT_STREAM : 0);
}

int knit_adopt(int fd)
{
    int saved = errno, r;

    if (fcntl(fd, F_GETFD) < 0) {
        errno = saved;
        return -EBADF;
    }
    r = knit__slot_adopt(fd, kind_of(fd));
    errno = saved;
    return r;
}

/* What was just made is ours, or not there. */
static int keep(int fd, uint32_t flags)
{
    int r = knit__slot_adopt(fd, flags);

    if (r < 0)
        close(fd);
    return r;
}

/* In blocking mode: one end often is for a child process. */
int knit_pipe(int ret_fds[2])
{
    int fds[2], r;

    if (!ret_fds)
        return -EINVAL;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -errno;
    r = keep(fds[0], KNIT__SLOT_VECTOR);
    if (r < 0) {
        close(fds[1]);
        return r;
    }
    r = keep(fds[1], KNIT__SLOT_VECTOR);
    if (r < 0) {
        knit_close(fds[0]);
        return r;
    }
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return 0;
}

int knit_event_new(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r;

    if (fd < 0)
        return -errno;
    r = keep(fd, KNIT__SLOT_PLAIN);
    return r < 0 ? r : fd;
}

int knit_event_set(int event)
{
    int saved = errno, r = eventfd_write(event, 1) == 0 ? 0 : -errno;

    errno = saved;
    return r == -EAGAIN ? 0 : r; /* full: it is set */
}

int64_t knit_event_wait(int event, knit_time deadline)
{
    uint64_t count = 0;
    ssize_t n = knit_read_until(event, &count, sizeof count, deadline);

    if (n < 0)
        return n;
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

/* ---- files ---- */

struct opening {
    const char *path;
    int flags;
    unsigned mode;
    int fd;
};

static int open_it(void *arg)
{
    struct opening *o = arg;

    o->fd = open(o->path, o->flags | O_CLOEXEC, o->mode);
    return o->fd < 0 ? -errno : 0;
}

int knit_open(const char *path, int flags, unsigned mode)
{
    struct opening o = {path, flags, mode, -1};
    int r;

    if (!path)
        return -EINVAL;
    do
        r = knit_blocking_interruptible(open_it, &o);
    while (r == -EINTR);
    return r < 0 ? r : o.fd;
}

struct at_offset {
    struct knit__fd_call call;
    void *buf;
    size_t n;
    int64_t offset;
};

static ssize_t read_there(struct knit__fd_call *call, int fd)
{
    struct at_offset *a = (struct at_offset *)(void *)call;
    ssize_t n = pread(fd, a->buf, a->n, a->offset);

    return n < 0 ? -errno : n;
}

static ssize_t write_there(struct knit__fd_call *call, int fd)
{
    struct at_offset *a = (struct at_offset *)(void *)call;
    ssize_t n = pwrite(fd, a->buf, a->n, a->offset);

    return n < 0 ? -errno : n;
}

static ssize_t sync_it(struct knit__fd_call *call, int fd)
{
    (void)call;
    return fsync(fd) == 0 ? 0 : -errno;
}

static ssize_t on_file(int fd, ssize_t (*block)(struct knit__fd_call *call, int fd), void *buf,
                       size_t n, int64_t offset)
{
    struct at_offset a = {.call = {.block = block}, .buf = buf, .n = n, .offset = offset};
    int r = knit__fd_context();

    return r < 0 ? r : knit__fd_block(fd, &a.call, false); /* repeats -EINTR itself */
}

ssize_t knit_pread(int fd, void *buf, size_t n, int64_t offset)
{
    return on_file(fd, read_there, buf, n, offset);
}

ssize_t knit_pwrite(int fd, const void *buf, size_t n, int64_t offset)
{
    return on_file(fd, write_there, (void *)(uintptr_t)buf, n, offset);
}

int knit_fsync(int fd)
{
    return (int)on_file(fd, sync_it, NULL, 0, 0);
}
