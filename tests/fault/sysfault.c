/* The wrappers. See sysfault.h; the list of symbols is in CMakeLists.txt here. */
#define _GNU_SOURCE
#include "sysfault.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { FD_MAX = 1024 };

static _Atomic(const struct sysfault *) fault;
static atomic_int left; /* calls until it happens */
static atomic_bool made_here[FD_MAX];

void sysfault_start(const struct sysfault *f, int n)
{
    atomic_store(&left, n);
    atomic_store(&fault, f);
}

bool sysfault_stop(void)
{
    atomic_store(&fault, NULL);
    return atomic_load(&left) <= 0;
}

void sysfault_foreign(int fd)
{
    atomic_store(&made_here[fd], false);
}

static int made(int fd)
{
    if (fd >= 0 && fd < FD_MAX)
        atomic_store(&made_here[fd], true);
    return fd;
}

/* What happens to this call: NULL, nothing. */
static const struct sysfault *happens(unsigned call, int fd)
{
    const struct sysfault *f = atomic_load(&fault);
    if (!f || !(f->calls & call))
        return NULL;
    if (f->foreign && (fd < 0 || fd >= FD_MAX || atomic_load(&made_here[fd])))
        return NULL;
    return atomic_fetch_sub(&left, 1) == 1 ? f : NULL;
}

/* True: the call is to fail. */
static bool fails(unsigned call, int fd)
{
    const struct sysfault *f = happens(call, fd);
    if (f && f->code)
        errno = f->code;
    return f && f->code;
}

/* The same for a call that moves n bytes. */
static bool fails_or_cuts(unsigned call, int fd, size_t *n)
{
    const struct sysfault *f = happens(call, fd);
    if (f && f->code)
        errno = f->code;
    else if (f && *n > 1)
        *n = 1;
    return f && f->code;
}

/* And for one with a vector: `one` stands in for it. */
static bool fails_or_cuts_vector(unsigned call, int fd, const struct iovec **iov, size_t *count,
                                 struct iovec *one)
{
    size_t n = *count > 0 ? (*iov)->iov_len : 0;
    if (fails_or_cuts(call, fd, &n))
        return true;
    if (*count > 0 && n < (*iov)->iov_len) {
        *one = (struct iovec){(*iov)->iov_base, n};
        *iov = one;
        *count = 1;
    }
    return false;
}

/* ---- bytes ---- */

long __real_knit__os_recv(int fd, void *buf, size_t n, int flags);
long __real_knit__os_send(int fd, const void *buf, size_t n, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __real_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t __real_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __real_writev(int fd, const struct iovec *iov, int count);
long __wrap_knit__os_recv(int fd, void *buf, size_t n, int flags);
long __wrap_knit__os_send(int fd, const void *buf, size_t n, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);

/* These two return the error themselves. */
long __wrap_knit__os_recv(int fd, void *buf, size_t n, int flags)
{
    return fails_or_cuts(SYS_RECV, fd, &n) ? -errno : __real_knit__os_recv(fd, buf, n, flags);
}

long __wrap_knit__os_send(int fd, const void *buf, size_t n, int flags)
{
    return fails_or_cuts(SYS_SEND, fd, &n) ? -errno : __real_knit__os_send(fd, buf, n, flags);
}

/* Datagrams are not cut. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
    return fails(SYS_RECV, fd) ? -1 : __real_recvmsg(fd, m, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    return fails(SYS_SEND, fd) ? -1 : __real_sendmsg(fd, m, flags);
}

ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct iovec one;
    size_t n = (size_t)count;
    if (fails_or_cuts_vector(SYS_RECV, fd, &iov, &n, &one))
        return -1;
    return __real_preadv2(fd, iov, (int)n, at, flags);
}

ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    struct iovec one;
    size_t n = (size_t)count;
    if (fails_or_cuts_vector(SYS_SEND, fd, &iov, &n, &one))
        return -1;
    return __real_pwritev2(fd, iov, (int)n, at, flags);
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    return fails(SYS_RECV, fd) ? -1 : __real_readv(fd, iov, count);
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
    return fails(SYS_SEND, fd) ? -1 : __real_writev(fd, iov, count);
}

ssize_t __real_splice(int from, off_t *at, int to, off_t *to_at, size_t n, unsigned flags);
ssize_t __real_sendfile(int to, int from, off_t *at, size_t n);
ssize_t __real_copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t n, unsigned flags);
ssize_t __wrap_splice(int from, off_t *at, int to, off_t *to_at, size_t n, unsigned flags);
ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t n);
ssize_t __wrap_copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t n, unsigned flags);

ssize_t __wrap_splice(int from, off_t *at, int to, off_t *to_at, size_t n, unsigned flags)
{
    return fails_or_cuts(SYS_COPY, from, &n) ? -1 : __real_splice(from, at, to, to_at, n, flags);
}

ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t n)
{
    return fails_or_cuts(SYS_COPY, from, &n) ? -1 : __real_sendfile(to, from, at, n);
}

ssize_t __wrap_copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t n, unsigned flags)
{
    if (fails_or_cuts(SYS_COPY, from, &n))
        return -1;
    return __real_copy_file_range(from, at, to, to_at, n, flags);
}

/* ---- descriptors ---- */

int __real_accept4(int fd, struct sockaddr *peer, socklen_t *size, int flags);
int __real_connect(int fd, const struct sockaddr *to, socklen_t size);
int __real_socket(int family, int type, int protocol);
int __real_close(int fd);
int __real_pipe2(int fds[2], int flags);
int __real_eventfd(unsigned count, int flags);
int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *size, int flags);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t size);
int __wrap_socket(int family, int type, int protocol);
int __wrap_close(int fd);
int __wrap_pipe2(int fds[2], int flags);
int __wrap_eventfd(unsigned count, int flags);

int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *size, int flags)
{
    return fails(SYS_ACCEPT, fd) ? -1 : made(__real_accept4(fd, peer, size, flags));
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t size)
{
    const struct sysfault *f = happens(SYS_CONNECT, fd);
    int r = f && f->code != EINTR ? -1 : __real_connect(fd, to, size);
    if (f && (f->code != EINTR || (r < 0 && errno == EINPROGRESS))) {
        errno = f->code;
        r = -1;
    }
    return r;
}

int __wrap_socket(int family, int type, int protocol)
{
    return fails(SYS_SOCKET, -1) ? -1 : made(__real_socket(family, type, protocol));
}

int __wrap_close(int fd)
{
    const struct sysfault *f = happens(SYS_CLOSE, fd);
    int r = __real_close(fd);
    if (f && r == 0) {
        errno = f->code;
        r = -1;
    }
    return r;
}

int __wrap_pipe2(int fds[2], int flags)
{
    int r = fails(SYS_MAKE, -1) ? -1 : __real_pipe2(fds, flags);
    if (r == 0) {
        made(fds[0]);
        made(fds[1]);
    }
    return r;
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fails(SYS_MAKE, -1) ? -1 : made(__real_eventfd(count, flags));
}

/* ---- waiting ---- */

int __real_epoll_create1(int flags);
int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __real_epoll_wait(int set, struct epoll_event *events, int n, int timeout);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int set, struct epoll_event *events, int n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

int __wrap_epoll_create1(int flags)
{
    return fails(SYS_EPOLL, -1) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
    bool watches = op != EPOLL_CTL_DEL;
    return watches && fails(SYS_WATCH, fd) ? -1 : __real_epoll_ctl(set, op, fd, event);
}

int __wrap_epoll_wait(int set, struct epoll_event *events, int n, int timeout)
{
    return fails(SYS_WAIT, set) ? -1 : __real_epoll_wait(set, events, n, timeout);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    return fails(SYS_POLL, -1) ? -1 : __real_poll(fds, n, timeout);
}
