/* Sockets, for tasks and threads alike: TCP, UDP and Unix.
 *
 * The calls here make sockets, wait for connections and carry datagrams. Streams are read, written,
 * copied and closed by the calls of io.h, to which a socket is a descriptor like any other; what is
 * said there about waiting, contexts and deadlines holds here. The sockets are those of the system:
 * setsockopt, getsockopt and shutdown may be called on them.
 *
 *     int listener = knit_listen("tcp", ":8080");
 *     int c = knit_accept(listener, NULL);
 *     int s = knit_dial("tcp", "example.org:80");
 *
 * A network is "tcp", "udp" (IPv4 or IPv6, as the address asks for), "tcp4", "udp4", "tcp6", "udp6"
 * (one of them only), or "unix" (a stream).
 *
 * The text of an address is "host:port"; an IPv6 address stands in brackets: "[::1]:80". The host is
 * an address or a name, the port a number or the name of a service. Without a host, ":80", a
 * listener takes every address of this machine, and a call is made to this machine. With "unix" it
 * is a path, or "@name" for a name in Linux's abstract namespace, which has no file. */
#ifndef KNIT_NET_H
#define KNIT_NET_H

#include "base.h"

#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The address of a socket, as the system has it. size bytes of it count; 0: none is known. */
typedef struct knit_address {
    socklen_t size;
    struct sockaddr_storage data; /* cast its address to struct sockaddr *, _in *, _in6 *, _un * */
} knit_address;

/* ---- listening ---- */

/* Make a socket that listens ("tcp", "unix"), or that datagrams come to ("udp"), at an address. Port
 * 0 is a free one: knit_local_address tells which. It is non-blocking, closed on exec, and Knit's:
 * close it by knit_close.
 *
 * ":port" without a family takes IPv6 and IPv4 on one socket, where there is IPv6. Of a name with
 * several addresses the first that can be bound is taken, IPv4 first.
 * TCP has SO_REUSEADDR, so that a server can be started again at once, and TCP_NODELAY, which
 * accepted connections inherit: what is written goes out without waiting for more.
 * Unix: the file of a server that is gone (nobody listens to it any more) is replaced; if two
 * servers start at the same moment both may find it so, and the later one has it. A server that
 * ends leaves its file there: unlink it before knit_close if it shall not stay.
 *
 * Parks:    only for a name, as knit_resolve.
 * Cancel:   only for a name, as knit_resolve.
 * Errors:   -EINVAL (NULL, a network or an address that cannot be understood), -ENAMETOOLONG (a
 *           path), -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EAFNOSUPPORT; a path: -ENOENT, -ENOTDIR,
 *           -EROFS, -ELOOP; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM; for a name as knit_resolve.
 * Pointers: borrowed; returns a descriptor: knit_close.
 * Threads:  any task, any thread. */
KNIT_API int knit_listen(const char *network, const char *address);

/* Take a connection from a listener, waiting until there is one: its socket, non-blocking, closed on
 * exec, and Knit's: close it by knit_close. Connections that broke before they were taken are passed
 * over. *ret_peer (may be NULL) is who called; a Unix client has no address as a rule.
 *
 * -EMFILE and -ENFILE leave the connection in the queue: the next call fails the same way, at once.
 * A loop that accepts must wait before it tries again, for instance by knit_sleep.
 *
 * The listener may be any one. With one in blocking mode accept is called when a connection is there;
 * where another is faster the thread blocks in it, as by knit_blocking, for up to 50 ms.
 *
 * Parks:    yes, unless a connection is there.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; no connection was taken.
 * Errors:   -ETIMEDOUT (deadline), -EBADF (also: closed by knit_close meanwhile), -EINVAL (it does
 *           not listen), -ENOTSOCK, -EOPNOTSUPP (no stream), -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM,
 *           -EPERM (a firewall), -ENOSPC (epoll watches), -EAGAIN (no thread can be started to wait
 *           with).
 * Pointers: ret_peer borrowed, untouched on failure; returns a descriptor: knit_close.
 * Threads:  any task, any thread; several may accept from one listener, each connection goes to one. */
KNIT_API int knit_accept(int fd, knit_address *ret_peer);
KNIT_API int knit_accept_until(int fd, knit_time deadline, knit_address *ret_peer);

/* ---- calling ---- */

/* Make a connection: a socket that is connected ("tcp", "unix"), or that sends to and receives from
 * that address alone ("udp"). It is non-blocking, closed on exec, and Knit's: close it by
 * knit_close. TCP has TCP_NODELAY.
 *
 * A name with several addresses is called as RFC 8305 (Happy Eyeballs) says: IPv6 and IPv4 take
 * turns; 250 ms after one attempt began, or at once when one failed, the next begins; the first that
 * is answered counts, the others are closed.
 *
 * Parks:    yes.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; every socket is closed.
 * Errors:   -ETIMEDOUT (deadline, or the network gave up), -EINVAL (NULL, a network or an address
 *           that cannot be understood), -ENAMETOOLONG (a path); for a name as knit_resolve; when all
 *           attempts failed what the first said: -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH,
 *           -ECONNRESET, -EADDRNOTAVAIL, -EACCES, -EPERM, -EAFNOSUPPORT; a path: -ENOENT, -ENOTDIR,
 *           -ELOOP, -EPROTOTYPE; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC (epoll watches),
 *           -EAGAIN (no thread can be started). The text of knit_error names the address.
 * Pointers: borrowed; returns a descriptor: knit_close.
 * Threads:  any task, any thread. */
KNIT_API int knit_dial(const char *network, const char *address);
KNIT_API int knit_dial_until(const char *network, const char *address, knit_time deadline);

/* Connect a socket of your own, as connect(2): 0, or why not. It may be in blocking mode; then the
 * thread blocks in the first 50 ms, as by knit_blocking. To a Unix listener whose queue is full the
 * attempt is repeated, after growing times of up to 50 ms.
 *
 * Parks:    yes, unless the system answers at once.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first. The system goes on with
 *           it: close the socket, or make the same call again to wait on.
 * Errors:   -ETIMEDOUT (deadline, or the network gave up), -EBADF (also: closed by knit_close
 *           meanwhile), -ENOTSOCK, -EISCONN, -EINVAL (to NULL or too short), and what connect
 *           returns: -ECONNREFUSED, -ENETUNREACH...; never -EINTR, -EINPROGRESS or -EALREADY;
 *           -ENOMEM, -ENOSPC (epoll watches), -EAGAIN (no thread can be started to wait with).
 * Pointers: to borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_connect(int fd, const knit_address *to);
KNIT_API int knit_connect_until(int fd, const knit_address *to, knit_time deadline);

/* ---- addresses ---- */

/* The addresses a call to this address would try, in the order of getaddrinfo(3). Names are looked
 * up by the system's resolver, on a thread of their own, 32 at a time; with addresses and numbers
 * nothing is looked up.
 *
 * Parks:    only for a name.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first. The look-up itself cannot
 *           be stopped: it ends by itself later, and keeps its place among the 32 until then.
 * Errors:   -ETIMEDOUT (deadline), -EINVAL (NULL, a network, address or service that cannot be
 *           understood), -ENAMETOOLONG (a path), -ENOENT (there is no such name, or it has no such
 *           address), -EAGAIN (no name server answered now, or no thread can be started), -EIO (the
 *           name server says it cannot), -EMFILE, -ENFILE, -ENOMEM. The text of knit_error has the
 *           resolver's own words.
 * Pointers: network, address borrowed; *ret_list returned, an array: knit_addresses_free.
 * Threads:  any task, any thread.
 * Returns how many there are, at least 1. */
KNIT_API int knit_resolve(const char *network, const char *address, knit_address **ret_list);
KNIT_API int knit_resolve_until(const char *network, const char *address, knit_time deadline,
                                knit_address **ret_list);

/* Give back a list of knit_resolve. NULL does nothing.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: given.  Threads: any task, any thread. */
KNIT_API void knit_addresses_free(knit_address *list);

/* The address of a socket's own end, and of the other end.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EBADF, -ENOTSOCK, -ENOTCONN (peer), -EINVAL (NULL), -ENOBUFS.
 * Pointers: borrowed, untouched on failure.
 * Threads:  any task, any thread. */
KNIT_API int knit_local_address(int fd, knit_address *ret_address);
KNIT_API int knit_peer_address(int fd, knit_address *ret_address);

enum { KNIT_ADDRESS_TEXT = 120 }; /* bytes that any text of an address fits in */

/* An address as text that knit_dial understands: "127.0.0.1:80", "[::1]:80", a path, "@name"; "" for
 * a Unix socket without a name. In abstract names bytes of zero are shown as '@'.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL), -EAFNOSUPPORT (another family, or too short).
 * Pointers: borrowed; ret_text untouched on failure.
 * Threads:  any task, any thread. */
KNIT_API int knit_address_text(const knit_address *address, char ret_text[KNIT_ADDRESS_TEXT]);

/* The port, 0..65535.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL), -EAFNOSUPPORT (it has none).
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_address_port(const knit_address *address);

/* ---- datagrams ---- */

/* Receive one datagram: its size. What does not fit into n bytes is lost; a datagram may be empty.
 * *ret_from (may be NULL) is who sent it. On a stream 0 is its end.
 *
 * Parks:    yes, unless one is there.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; none was taken then.
 * Errors:   -ETIMEDOUT (deadline), -EBADF (also: closed by knit_close meanwhile), -ENOTSOCK, and
 *           what recvmsg returns: -ECONNREFUSED (a connected socket, nobody is there), -ENOTCONN,
 *           -EINVAL, -EFAULT, -ENOMEM...; never -EINTR; -ENOSPC (epoll watches), -EAGAIN (no
 *           thread can be started to wait with).
 * Pointers: buf, ret_from borrowed; ret_from untouched on failure.
 * Threads:  any task, any thread; several may wait, each datagram goes to one. */
KNIT_API ssize_t knit_recv_from(int fd, void *buf, size_t n, knit_address *ret_from);
KNIT_API ssize_t knit_recv_from_until(int fd, void *buf, size_t n, knit_time deadline,
                                      knit_address *ret_from);

/* Send one datagram: n. to NULL: to whom the socket is connected.
 *
 * Parks:    yes, unless there is room for it.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; it was not sent then.
 * Errors:   as knit_recv_from; -EMSGSIZE (too large), -EDESTADDRREQ, -EPIPE (without a SIGPIPE),
 *           -ENETUNREACH, -EHOSTUNREACH, -EACCES, -EPERM, -ENOBUFS...
 * Pointers: buf, to borrowed.
 * Threads:  any task, any thread. */
KNIT_API ssize_t knit_send_to(int fd, const void *buf, size_t n, const knit_address *to);
KNIT_API ssize_t knit_send_to_until(int fd, const void *buf, size_t n, const knit_address *to,
                                    knit_time deadline);

/* recvmsg(2) and sendmsg(2) that wait: for several buffers, and for what goes beside the bytes
 * (descriptors, credentials, time stamps). flags as there; MSG_DONTWAIT, MSG_OOB and MSG_ERRQUEUE
 * make it one attempt, which fails with -EAGAIN where it would have to wait. MSG_NOSIGNAL is always on.
 *
 * The rest as knit_recv_from and knit_send_to, on streams too; with MSG_WAITALL what has come when
 * it must wait is returned as it is. m (NULL: -EINVAL) is borrowed; recvmsg fills it in as the system
 * does, and leaves it as it was on failure. */
KNIT_API ssize_t knit_recvmsg_until(int fd, struct msghdr *m, int flags, knit_time deadline);
KNIT_API ssize_t knit_sendmsg_until(int fd, const struct msghdr *m, int flags, knit_time deadline);

#ifdef __cplusplus
}
#endif
#endif
