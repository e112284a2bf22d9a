/* Sockets inside: what dial.c and net.c share. */
#ifndef KNIT_IO_NET_H
#define KNIT_IO_NET_H

#include "address.h"
#include "fd.h"

/* One attempt of connect(2) that does not block, whatever the socket's mode: 0, -EAGAIN (it is under
 * way: again when the socket is writable), -EBUSY (a Unix listener's queue is full: again later), or
 * why not. Made again while it is under way it tells how that ended. */
int knit__connect_once(int fd, const knit_address *to);

/* A socket, non-blocking and closed on exec, with TCP_NODELAY where it can have it. */
int knit__socket(int family, int type);

/* fd is Knit's from now on: returns it, or why not; it is closed then. tcp: a short count means that
 * there is no more. Unix streams end a read where descriptors were sent, others at messages. */
int knit__socket_adopt(int fd, bool tcp);
static inline bool knit__is_tcp(int family, int type)
{
    return type == SOCK_STREAM && family != AF_UNIX;
}

/* knit__fd_call for what a descriptor cannot tell: a Unix socket is "writable" while the queue of the
 * one it calls is full. `once` returns -EBUSY then, and is repeated after growing pauses. */
ssize_t knit__socket_call(int fd, int direction, struct knit__fd_call *call, knit_time deadline);

/* Connect to the first of n addresses that answers: its socket, Knit's already, or the first error; *ret_index is the address that is meant, -1: none in particular. */
int knit__race(const knit_address *list, int n, int type, knit_duration stagger, knit_time deadline,
               int *ret_index);

/* IPv6 and IPv4 by turns, each in its order; the family of the first one comes first. */
void knit__interleave(knit_address *list, int n);

#endif
