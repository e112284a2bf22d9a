/* Reading and writing.
 *
 * A descriptor in blocking mode must not block its thread, and its mode belongs to whoever shares it.
 * So sockets are read by recv with MSG_DONTWAIT, whatever their mode; pipes and what else the kernel
 * supports by preadv2 with RWF_NOWAIT; the rest by read, if it is in non-blocking mode, or by waiting
 * and then reading as by knit_blocking. Which of these it is is found by trying, and remembered. */
#define _GNU_SOURCE
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <knit/io.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct transfer {
    struct knit__fd_call call;
    const struct iovec *iov;
    int count;
    bool out, pipe;
    struct iovec one;
};

static ssize_t result(ssize_t n)
{
    return n < 0 ? -errno : n;
}

static ssize_t recv_now(int fd, void *buf, size_t n)
{
    return knit__os_recv(fd, buf, n, MSG_DONTWAIT);
}

static ssize_t send_now(int fd, const void *buf, size_t n)
{
    return knit__os_send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t by_socket(const struct transfer *t, int fd)
{
    if (t->count == 1)
        return t->out ? send_now(fd, t->iov->iov_base, t->iov->iov_len)
                      : recv_now(fd, t->iov->iov_base, t->iov->iov_len);
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)t->iov,
                       .msg_iovlen = (size_t)t->count};

    return result(t->out ? sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)
                         : recvmsg(fd, &m, MSG_DONTWAIT));
}

static ssize_t by_vector(const struct transfer *t, int fd, int flags)
{
    struct knit__no_sigpipe guard;
    ssize_t n;

    if (!t->out)
        return result(flags ? preadv2(fd, t->iov, t->count, -1, flags)
                            : readv(fd, t->iov, t->count));
    knit__sigpipe_off(&guard);
    n = result(flags ? pwritev2(fd, t->iov, t->count, -1, flags) : writev(fd, t->iov, t->count));
    knit__sigpipe_on(&guard, n == -EPIPE);
    return n;
}

static ssize_t by_mode(struct transfer *t, struct knit__slot *s, int fd)
{
    int mode = fcntl(fd, F_GETFL);
    struct stat st;
    ssize_t n;

    if (mode < 0)
        return -errno;
    if (mode & O_NONBLOCK)
        return by_vector(t, fd, 0);
    n = by_socket(t, fd); /* the number may have been something else when that was remembered */
    if (n != -ENOTSOCK) {
        knit__slot_hint(s, 0);
        return n;
    }
    if (fstat(fd, &st) != 0)
        return -errno;
    t->pipe = S_ISFIFO(st.st_mode);
    t->call.blocking = !S_ISREG(st.st_mode); /* files need not be waited for */
    return -EAGAIN;
}

static ssize_t once(struct knit__fd_call *call, struct knit__slot *s, int fd)
{
    struct transfer *t = (struct transfer *)(void *)call;
    uint32_t flags = knit__slot_flags(s);
    ssize_t n;

    if (!(flags & (KNIT__SLOT_VECTOR | KNIT__SLOT_PLAIN))) {
        n = by_socket(t, fd);
        if (n != -ENOTSOCK)
            return n;
        knit__slot_hint(s, KNIT__SLOT_VECTOR);
    }
    if (!(flags & KNIT__SLOT_PLAIN)) {
        n = by_vector(t, fd, RWF_NOWAIT);
        if (n != -EOPNOTSUPP && n != -ENOSYS)
            return n;
        knit__slot_hint(s, KNIT__SLOT_PLAIN);
    }
    return by_mode(t, s, fd);
}

/* A pipe with room takes PIPE_BUF bytes at once; more would block until somebody reads. */
static ssize_t block(struct knit__fd_call *call, int fd)
{
    struct transfer part = *(struct transfer *)(void *)call;
    struct iovec little;

    if (part.out && part.pipe && call->most > PIPE_BUF) {
        while (part.iov->iov_len == 0)
            part.iov++;
        little = *part.iov;
        little.iov_len = little.iov_len < PIPE_BUF ? little.iov_len : PIPE_BUF;
        part.iov = &little;
        part.count = 1;
    }
    return by_vector(&part, fd, 0);
}

/* Without a byte to put anywhere recv would wait for some, or drop a datagram. */
static ssize_t read_nothing(int fd)
{
    struct iovec none = {0};
    ssize_t r = knit__fd_context();

    return r < 0 ? r : result(readv(fd, &none, 1));
}

static ssize_t transfer(int fd, bool out, const struct iovec *iov, int count, size_t n,
                        int64_t deadline)
{
    struct transfer t = {
        .call = {.once = once, .block = block, .most = n}, .iov = iov, .count = count, .out = out};

    if (KNIT__UNLIKELY(n == 0) && !out)
        return read_nothing(fd);
    return knit__fd_call(fd, out ? KNIT__OUT : KNIT__IN, &t.call, deadline);
}

static size_t bytes_of(const struct iovec *iov, int count)
{
    size_t n = 0;

    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}

/* ---- streams ---- */

/* What most calls are for, a TCP socket of Knit's own: knit__fd_call with the attempt in it, and
 * without what can only happen to others. Like there the context comes first, a dry slot is not
 * tried but for a deadline that has passed, and a short count makes it dry. False: it is something
 * else, or the context has ended, or nothing is asked for: the general way, from its beginning. */
static inline __attribute__((always_inline)) bool stream(int fd, int direction, void *buf, size_t n,
                                                         int64_t deadline, ssize_t *ret_n)
{
    struct knit__slot *s = knit__slot_at(fd);
    uint32_t seen;
    ssize_t r;

    if (KNIT__UNLIKELY(!s || n == 0) || KNIT__UNLIKELY(knit__fd_context() != 0))
        return false;
    while (KNIT__LIKELY(knit__slot_is_stream(s))) {
        seen = knit__slot_edges(s, direction);
        r = -EAGAIN;
        if (!knit__slot_is_dry(s, direction, seen) || knit__waitq_too_late(deadline)) {
            do
                r = direction == KNIT__OUT ? send_now(fd, buf, n) : recv_now(fd, buf, n);
            while (r == -EINTR);
            knit__slot_moved(s, direction, seen, r, n);
        }
        *ret_n = r;
        if (r != -EAGAIN)
            return r != -ENOTSOCK;
        *ret_n = knit__slot_wait(s, fd, direction, seen, 0, deadline);
        if (*ret_n < 0)
            return true;
    }
    return false;
}

/* ---- the calls ---- */

ssize_t knit_read_until(int fd, void *buf, size_t n, knit_time deadline)
{
    ssize_t r;

    if (KNIT__LIKELY(stream(fd, KNIT__IN, buf, n, deadline, &r)))
        return r;
    return transfer(fd, false, &(struct iovec){buf, n}, 1, n, deadline);
}

ssize_t knit_read(int fd, void *buf, size_t n)
{
    return knit_read_until(fd, buf, n, KNIT_FOREVER);
}

ssize_t knit_write_until(int fd, const void *buf, size_t n, knit_time deadline)
{
    void *bytes = (void *)(uintptr_t)buf;
    ssize_t r;

    if (KNIT__LIKELY(stream(fd, KNIT__OUT, bytes, n, deadline, &r)))
        return r;
    return transfer(fd, true, &(struct iovec){bytes, n}, 1, n, deadline);
}

ssize_t knit_write(int fd, const void *buf, size_t n)
{
    return knit_write_until(fd, buf, n, KNIT_FOREVER);
}

ssize_t knit_readv_until(int fd, const struct iovec *iov, int count, knit_time deadline)
{
    if (!iov || count < 0)
        return -EINVAL;
    return transfer(fd, false, iov, count, bytes_of(iov, count), deadline);
}

ssize_t knit_writev_until(int fd, const struct iovec *iov, int count, knit_time deadline)
{
    if (!iov || count < 0)
        return -EINVAL;
    return transfer(fd, true, iov, count, bytes_of(iov, count), deadline);
}

int knit_read_full_until(int fd, void *buf, size_t n, knit_time deadline, size_t *ret_done)
{
    size_t done = 0;
    ssize_t r = 1;

    while (done < n && r > 0) {
        r = knit_read_until(fd, (char *)buf + done, n - done, deadline);
        done += r > 0 ? (size_t)r : 0;
    }
    if (ret_done)
        *ret_done = done;
    if (r < 0)
        return (int)r;
    return done < n ? -ENODATA : 0;
}

int knit_read_full(int fd, void *buf, size_t n, size_t *ret_done)
{
    return knit_read_full_until(fd, buf, n, KNIT_FOREVER, ret_done);
}

int knit_write_full_until(int fd, const void *buf, size_t n, knit_time deadline, size_t *ret_done)
{
    size_t done = 0;
    ssize_t r = 0;

    while (done < n && r >= 0) {
        r = knit_write_until(fd, (const char *)buf + done, n - done, deadline);
        done += r > 0 ? (size_t)r : 0;
    }
    if (ret_done)
        *ret_done = done;
    return r < 0 ? (int)r : 0;
}

int knit_write_full(int fd, const void *buf, size_t n, size_t *ret_done)
{
    return knit_write_full_until(fd, buf, n, KNIT_FOREVER, ret_done);
}
