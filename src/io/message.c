/* Datagrams, and messages with more than bytes. */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <sys/uio.h>

struct message_call {
    struct knit__fd_call call;
    struct msghdr *m;
    int flags;
};

/* Those flags for which waiting until the socket is readable makes no sense. */
enum { ONE_ATTEMPT = MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE };

static ssize_t recv_once(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    struct message_call *m = KNIT__CONTAINER(call, struct message_call, call);
    ssize_t r = recvmsg(fd, m->m, m->flags | MSG_DONTWAIT);

    (void)slot;
    return r < 0 ? -errno : r;
}

/* To a socket that is called by name: whether its queue has room is nothing poll could tell. */
static bool names_unix(const struct msghdr *m)
{
    const struct sockaddr *to = m->msg_name;

    return to && m->msg_namelen >= sizeof to->sa_family && to->sa_family == AF_UNIX;
}

static ssize_t send_once(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    struct message_call *m = KNIT__CONTAINER(call, struct message_call, call);
    ssize_t r = sendmsg(fd, m->m, m->flags | MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)slot;
    if (r < 0)
        r = -errno;
    return r == -EAGAIN && names_unix(m->m) ? -EBUSY : r;
}

/* The system's own -EAGAIN is for who asked for it. */
static ssize_t attempt(struct message_call *m, int fd)
{
    ssize_t r = knit__fd_context();

    if (r < 0)
        return r;
    do
        r = m->call.once(&m->call, NULL, fd);
    while (r == -EINTR);
    return r == -EBUSY ? -EAGAIN : r;
}

ssize_t knit_recvmsg_until(int fd, struct msghdr *m, int flags, knit_time deadline)
{
    struct message_call c = {.call = {.once = recv_once}, .m = m, .flags = flags};

    if (!m)
        return -EINVAL;
    if (flags & ONE_ATTEMPT)
        return attempt(&c, fd);
    return knit__socket_call(fd, KNIT__IN, &c.call, deadline);
}

ssize_t knit_sendmsg_until(int fd, const struct msghdr *m, int flags, knit_time deadline)
{
    struct message_call c = {
        .call = {.once = send_once}, .m = (struct msghdr *)(uintptr_t)m, .flags = flags};

    if (!m)
        return -EINVAL;
    if (flags & ONE_ATTEMPT)
        return attempt(&c, fd);
    return knit__socket_call(fd, KNIT__OUT, &c.call, deadline);
}

ssize_t knit_recv_from_until(int fd, void *buf, size_t n, knit_time deadline,
                             knit_address *ret_from)
{
    struct iovec iov = {buf, n};
    knit_address from = {.size = 0};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t r;

    if (ret_from) {
        m.msg_name = &from.data;
        m.msg_namelen = sizeof from.data;
    }
    r = knit_recvmsg_until(fd, &m, 0, deadline);
    if (r >= 0 && ret_from) {
        from.size = m.msg_namelen;
        *ret_from = from;
    }
    return r;
}

ssize_t knit_recv_from(int fd, void *buf, size_t n, knit_address *ret_from)
{
    return knit_recv_from_until(fd, buf, n, KNIT_FOREVER, ret_from);
}

ssize_t knit_send_to_until(int fd, const void *buf, size_t n, const knit_address *to,
                           knit_time deadline)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (to) {
        m.msg_name = (void *)(uintptr_t)&to->data;
        m.msg_namelen = to->size;
    }
    return knit_sendmsg_until(fd, &m, 0, deadline);
}

ssize_t knit_send_to(int fd, const void *buf, size_t n, const knit_address *to)
{
    return knit_send_to_until(fd, buf, n, to, KNIT_FOREVER);
}
