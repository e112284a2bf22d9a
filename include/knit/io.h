/* Input and output on descriptors, for tasks and threads alike.
 *
 * The calls look like the system's and take its plain descriptors, but a task that must wait parks:
 * its thread runs other tasks meanwhile. Each honours the ambient context and its deadline; the
 * forms with _until take a deadline of their own besides. A call that failed with -ECANCELED or
 * -ETIMEDOUT has moved no byte, where it does not say how many it moved.
 *
 * Any descriptor may be given. Sockets and pipes may be in blocking mode or not, it makes no
 * difference, and their mode is never changed. Terminals and the like are waited for in the same
 * way; files, which are always "ready", are read and written as by knit_blocking.
 *
 * Descriptors that Knit makes (knit_pipe, knit_accept, knit_dial...) must be closed by knit_close:
 * Knit remembers what it knows about them, by number. Others may be closed either way; knit_close
 * also wakes who waits for them. knit_adopt makes a descriptor one of Knit's.
 *
 * Threads wait as tasks do, but it is the workers that look after the descriptors: where all of them
 * are in blocking calls, and no spare one may be started (KNIT_SPARES), a thread waits for them too.
 *
 * The first wait opens two descriptors of Knit's own. A program that closes all there are is ended
 * when that is noticed.
 *
 * SIGPIPE never comes of a call of Knit; it returns -EPIPE. */
#ifndef KNIT_IO_H
#define KNIT_IO_H

#include "base.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iovec;

/* ---- reading and writing ---- */

/* Read at most n bytes, waiting until there are some: how many; 0 at the end of the file (and for
 * n == 0). As read(2) and readv(2).
 *
 * Parks:    yes, unless there is something to read; files: the thread blocks as read does.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; nothing was read then.
 *           With files that is looked at before the call only.
 * Errors:   -ETIMEDOUT (deadline), -EBADF (also: closed by knit_close meanwhile), -ENOMEM, -EAGAIN
 *           (no thread can be started to wait with), -EMFILE, -ENFILE (no descriptor for the first
 *           wait; fd is 2^20 or more), -ENOSPC (the user's limit of epoll watches), and what read
 *           returns: -ECONNRESET, -EIO, -EISDIR, -EINVAL, -EFAULT...; never -EINTR.
 * Pointers: buf, iov borrowed.
 * Threads:  any task, any thread; several may wait for one descriptor, each call gets what it gets. */
KNIT_API ssize_t knit_read(int fd, void *buf, size_t n);
KNIT_API ssize_t knit_read_until(int fd, void *buf, size_t n, knit_time deadline);
KNIT_API ssize_t knit_readv_until(int fd, const struct iovec *iov, int count, knit_time deadline);

/* Write at least one byte of n, waiting until there is room: how many. As write(2) and writev(2).
 *
 * Parks:    yes, unless there is room; files: the thread blocks as write does.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; nothing was written then.
 * Errors:   as knit_read; -EPIPE (the other end is closed; without a SIGPIPE), -ECONNRESET,
 *           -ENOSPC...
 * Pointers: buf, iov borrowed.
 * Threads:  any task, any thread. */
KNIT_API ssize_t knit_write(int fd, const void *buf, size_t n);
KNIT_API ssize_t knit_write_until(int fd, const void *buf, size_t n, knit_time deadline);
KNIT_API ssize_t knit_writev_until(int fd, const struct iovec *iov, int count, knit_time deadline);

/* All n bytes: 0, or why not. *ret_done (may be NULL) is how many were moved, in any case.
 *
 * Parks:    as knit_read and knit_write.
 * Cancel:   -ECANCELED or -ETIMEDOUT; *ret_done bytes were moved.
 * Errors:   read_full: -ENODATA (the file ended before; *ret_done says where). Else as above.
 * Pointers: buf borrowed; ret_done borrowed, set in any case.
 * Threads:  any task, any thread; bytes of several writers at once may mix. */
KNIT_API int knit_read_full(int fd, void *buf, size_t n, size_t *ret_done);
KNIT_API int knit_read_full_until(int fd, void *buf, size_t n, knit_time deadline,
                                  size_t *ret_done);
KNIT_API int knit_write_full(int fd, const void *buf, size_t n, size_t *ret_done);
KNIT_API int knit_write_full_until(int fd, const void *buf, size_t n, knit_time deadline,
                                   size_t *ret_done);

/* Copy from one descriptor to the other until the first ends, or `most` bytes were copied (UINT64_MAX:
 * no bound): 0, or why not. *ret_copied (may be NULL) is how many were written, in any case. The
 * kernel moves the bytes where it can (splice, sendfile, copy_file_range), else a buffer does.
 *
 * Parks:    as knit_read and knit_write.
 * Cancel:   -ECANCELED or -ETIMEDOUT; *ret_copied bytes were written. Up to 64 KiB may have been
 *           read besides, and are lost.
 * Errors:   as knit_read and knit_write.
 * Pointers: ret_copied borrowed, set in any case.
 * Threads:  any task, any thread. */
KNIT_API int knit_copy(int from, int to, uint64_t most, uint64_t *ret_copied);

/* ---- waiting ---- */

enum {
    KNIT_READABLE =
        1, /* read, or accept, would not wait: there is something, an end, or an error */
    KNIT_WRITABLE = 2, /* write would not wait */
    KNIT_PRIORITY = 4, /* out-of-band data (POLLPRI) */
};

/* Wait until one of `events` holds for fd: those that do. For libraries that read and write
 * themselves, and for what is not read: timerfd, pidfd, inotify, another epoll set. An error or
 * hang-up counts as each of the events that were asked for. To wait for several descriptors at once
 * put them in an epoll set of your own, and wait for that to be readable. Plain files always are
 * ready.
 *
 * Parks:    yes, unless one of the events holds.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first.
 * Errors:   -ETIMEDOUT (deadline), -EBADF (also: closed by knit_close meanwhile), -EINVAL (no event,
 *           or others than those), -ENOMEM, -ENOSPC, -EMFILE, -ENFILE, -EAGAIN: as knit_read.
 * Threads:  any task, any thread; several may wait for one descriptor. */
KNIT_API int knit_wait_fd(int fd, unsigned events, knit_time deadline);

/* ---- descriptors ---- */

/* Close fd. Calls of Knit that wait for it, or begin to, fail with -EBADF. With an error fd is closed
 * all the same (but for -EBADF).
 *
 * Parks:    no; the thread may block where close(2) does (files on a network, SO_LINGER).
 * Cancel:   not affected.
 * Errors:   -EBADF, and what close returns: -EIO, -ENOSPC, -EDQUOT; never -EINTR.
 * Threads:  any task, any thread. As ever, a call on fd that is not waiting may meet the next
 *           descriptor of that number. */
KNIT_API int knit_close(int fd);

/* From now on fd is as if Knit had made it: waiting for it costs a system call less, and it must be
 * closed by knit_close, and by nothing else. Calls that wait for fd at that moment fail with -EBADF:
 * they may have meant another descriptor of that number.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EBADF, -ENOMEM, -EMFILE (fd is 2^20 or more).
 * Threads:  any task, any thread. */
KNIT_API int knit_adopt(int fd);

/* A pipe: ret_fds[0] is read, ret_fds[1] is written. Both are closed on exec.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EMFILE, -ENFILE, -ENOMEM, -EINVAL (NULL).
 * Pointers: ret_fds borrowed, untouched on failure.
 * Threads:  any task, any thread. */
KNIT_API int knit_pipe(int ret_fds[2]);

/* A wake-up: a descriptor that counts. knit_event_set adds one to it, and may be called anywhere, in
 * signal handlers and other processes too; knit_event_wait waits until it is not zero, and makes it
 * zero: what it was.
 *
 * Parks:    wait only, unless the count is not zero.
 * Cancel:   wait: -ECANCELED or -ETIMEDOUT when the ambient context ends first. Others: not affected.
 * Errors:   new: -EMFILE, -ENFILE, -ENOMEM; set: -EBADF; wait: as knit_read_until.
 * Pointers: new returns a descriptor: knit_close.
 * Threads:  any task, any thread. */
KNIT_API int knit_event_new(void);
KNIT_API int knit_event_set(int event);
KNIT_API int64_t knit_event_wait(int event, knit_time deadline);

/* ---- files ---- */

/* Open a file as open(2) does, with O_CLOEXEC; mode counts for new files. An open that waits (a FIFO
 * without a writer) is given up when the context ends.
 *
 * Parks:    no; the thread blocks as open does, as by knit_blocking.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; nothing is open then.
 * Errors:   what open returns: -ENOENT, -EACCES, -EMFILE...; -EINVAL (path NULL), -ENOMEM, -EAGAIN.
 * Pointers: path borrowed; returns a descriptor: knit_close.
 * Threads:  any task, any thread. */
KNIT_API int knit_open(const char *path, int flags, unsigned mode);

/* Read and write at an offset, as pread(2), pwrite(2), and fsync(2), in the way of knit_blocking.
 *
 * Parks:    no; the thread blocks as they do.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context has ended before the call.
 * Errors:   what they return: -EBADF, -EIO, -ESPIPE, -ENOSPC, -EINVAL...; never -EINTR.
 * Pointers: buf borrowed.
 * Threads:  any task, any thread. */
KNIT_API ssize_t knit_pread(int fd, void *buf, size_t n, int64_t offset);
KNIT_API ssize_t knit_pwrite(int fd, const void *buf, size_t n, int64_t offset);
KNIT_API int knit_fsync(int fd);

#ifdef __cplusplus
}
#endif
#endif
