/* Calls that block their thread, inside tasks.
 *
 * Any C function may be called from a task. One that blocks the thread (getaddrinfo, read from a
 * file, a database client, a lock of some library) or computes for long keeps the other tasks of
 * that worker waiting only until the runtime notices: about a millisecond for a blocked call, 4 ms
 * for a computation with tasks queued behind it. Then a spare thread runs the other tasks. Say it
 * beforehand, by knit_blocking, and they go on at once; it costs some tens of nanoseconds.
 *
 *     static int resolve(void *arg) { struct query *q = arg; return getaddrinfo(q->name, ...); }
 *     r = knit_blocking(resolve, &query);
 *
 * Spare threads are started when they are needed, used again, and end after two seconds without
 * use. There are at most KNIT_SPARES of them (256 by default); beyond that tasks wait until a call
 * returns. The number of threads that *run* tasks stays the configured one: the thread whose call
 * returned goes on with its task, and a spare one steps aside when it gets there. Computations that
 * were noticed are the exception: they go on, beside the thread that took over. */
#ifndef KNIT_BLOCKING_H
#define KNIT_BLOCKING_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Call fn(arg), which may block, on the calling thread, and return what it returns; other tasks of
 * this worker are run by another one meanwhile. fn may call anything, other functions of Knit
 * included; if it parks in one of them the advantage is lost, nothing else. On a plain thread it is
 * just a call. errno is as fn left it.
 *
 * Parks:    no; the thread blocks as fn does.
 * Cancel:   not affected: fn is always called (so that clean-up can be done in it).
 * Errors:   what fn returns; -EINVAL (fn NULL).
 * Pointers: arg borrowed.
 * Threads:  any task, any thread. */
#define knit_blocking(fn, arg) knit_blocking_at((fn), (arg), KNIT_SITE(#fn))

/* The same around any code: calls between enter and leave may block. They nest; what counts is the
 * outermost pair. A task that ends without leave has left. leave keeps errno.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   leave: -EPERM, there was no enter (a plain thread always gets 0).
 * Threads:  any task, any thread; leave in the task that entered. */
#define knit_blocking_enter() knit_blocking_enter_at(KNIT_SITE("knit_blocking_enter"))
KNIT_API int knit_blocking_leave(void);

/* knit_blocking for a call that is to be interrupted when the ambient context ends.
 *
 * From that moment on a signal (SIGURG; see below) is sent to the thread, at once and again until
 * fn returns. A system call that it blocks in fails with EINTR; fn should then return -EINTR (or
 * whatever it likes). Calls that begin again by themselves after EINTR, as some of the C library
 * do, are not ended by it: fn must check, for instance by knit_canceled(), between them.
 *
 *     static int read_line(void *arg)
 *     {
 *         struct input *in = arg;
 *         in->n = read(in->fd, in->buf, sizeof in->buf);
 *         return in->n < 0 ? -errno : 0;
 *     }
 *     r = knit_blocking_interruptible(read_line, &in);
 *
 * SIGURG: ignored by default, so hardly any program uses it. The handler is installed at the first
 * such call and hands on every SIGURG that is not ours to the one that was there before; at exit
 * that one is put back. The signal is unblocked for the thread during the call only, and never
 * comes after it. fn must not wait in other functions of Knit: a task that parks may go on on
 * another thread, and a task that runs here meanwhile may see an EINTR without a reason.
 *
 * Parks:    no; the thread blocks as fn does.
 * Cancel:   -ECANCELED or -ETIMEDOUT at once, without a call, when the ambient context has ended;
 *           the same when fn returned -EINTR and the context has ended; otherwise what fn returned.
 * Errors:   what fn returns; -ECANCELED, -ETIMEDOUT; -EINVAL (fn NULL); -ENOMEM, -EAGAIN: no
 *           memory, or the thread that repeats the signal cannot be started; fn was not called.
 * Pointers: arg borrowed.
 * Threads:  any task, any thread. */
#define knit_blocking_interruptible(fn, arg)                                                       \
    knit_blocking_interruptible_at((fn), (arg), KNIT_SITE(#fn))

/* The functions behind the macros, for callers with a site of their own. site may be NULL.
 * Pointers: site kept: static storage. */
KNIT_API int knit_blocking_at(knit_fn *fn, void *arg, const knit_site *site);
KNIT_API int knit_blocking_enter_at(const knit_site *site);
KNIT_API int knit_blocking_interruptible_at(knit_fn *fn, void *arg, const knit_site *site);

/* What happened at one place of the program. */
typedef struct knit_blocking_site {
    const knit_site *site; /* the call; for noticed ones where the task was started; NULL: others */
    uint64_t calls;        /* knit_blocking and its relatives, in tasks */
    uint64_t handoffs;     /* another thread was woken or started because of it, at once */
    uint64_t blocked;      /* noticed: blocked without having said so */
    uint64_t computed;     /* noticed: computed for long with tasks behind it */
} knit_blocking_site;

/* The places where tasks blocked, in no order: up to n of them to ret_sites. Returns how many there
 * are. The table has room for 127 places; what comes later is counted in one without a site.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (ret_sites NULL and n > 0).
 * Pointers: ret_sites borrowed; the sites in it are static.
 * Threads:  any task, any thread. */
KNIT_API int knit_blocking_sites(knit_blocking_site *ret_sites, size_t n);

/* The same as text, a line for each, to a file descriptor.
 *
 * Parks:    no; the thread blocks as write does.
 * Cancel:   not affected.
 * Errors:   -EIO: it could not be written.
 * Threads:  any task, any thread. */
KNIT_API int knit_blocking_dump(int fd);

#ifdef __cplusplus
}
#endif
#endif
