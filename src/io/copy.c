/* Copying from one descriptor to another: by the kernel where it can, else through a buffer.
 *
 *     file -> file                        copy_file_range
 *     pipe -> or <- anything              splice
 *     file -> socket, /dev/null           sendfile
 *     the rest, and what the kernel then refuses   read and write
 *
 * A socket in blocking mode goes through the buffer: splice and sendfile would block in it.
 *
 * Waiting. Files are always ready, and so are /dev/null and the like. If one of the ends has to be
 * waited for, -EAGAIN was about that one, and it is waited for as by every call (fd.h): for an edge, or
 * in one system call. If both have to, -EAGAIN does not say which, and the kernel is asked. It may say
 * that both are ready (of a socket because its queue of errors is not empty): the buffer copes with
 * that.
 *
 * Blocking. Files block their thread if they are not in memory, which cannot be asked beforehand. To
 * say so each time (knit_blocking_enter) has the other tasks run by another thread, each time, although
 * a pipe of 64 KiB is filled from memory in some microseconds: less than waking a thread takes. So
 * a copy goes by how long its thread was kept since it last waited: after LONG it is in a blocking
 * region until it waits. As a file that was slow will be so again (but not at each call: it is read
 * ahead), so are its next ROUNDS turns, from their beginning; and the first of all, as nothing is known
 * yet. What is wrong then is noticed by the monitor, as of every call. */
#define _GNU_SOURCE
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <knit/blocking.h>
#include <knit/io.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
    AT_ONCE = 1024 * 1024,
    BUFFER = 64 * 1024,
    LONG = 100 * 1000, /* ns: many times what waking a thread takes */
    ROUNDS = 64,
    OFTEN = 4, /* said to be ready in vain */
};

/* SOCKET: and whatever else is in non-blocking mode. */
enum kind { KIND_FILE, KIND_APPENDED, KIND_MEMORY, KIND_PIPE, KIND_SOCKET, KIND_OTHER };

struct copy {
    struct knit__fd_call call;
    int from, to;
    /* moves up to n bytes: how many, 0 at the end, -EAGAIN */
    ssize_t (*move)(int from, int to, size_t n);
    size_t n;
    bool waits[2]; /* for `from`, for `to` */
    bool any;      /* something was moved this way */
    /* a call may block its thread */
    bool blocks;
    bool running, away; /* since it last waited: at all; in a blocking region */
    int64_t since;
    uint32_t slow; /* rounds */
};

/* /dev/null, zero, full */
static bool is_memory(dev_t device)
{
    return major(device) == 1 && (minor(device) == 3 || minor(device) == 5 || minor(device) == 7);
}

static enum kind kind_of(int fd)
{
    struct stat st;
    int mode = fcntl(fd, F_GETFL);

    if (mode < 0 || fstat(fd, &st) != 0)
        return KIND_OTHER;
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
        return mode & O_APPEND ? KIND_APPENDED : KIND_FILE;
    if (S_ISCHR(st.st_mode) && is_memory(st.st_rdev))
        return KIND_MEMORY;
    if (S_ISFIFO(st.st_mode))
        return KIND_PIPE;
    return mode & O_NONBLOCK ? KIND_SOCKET : KIND_OTHER;
}

/* ---- by the kernel ---- */

static ssize_t by_range(int from, int to, size_t n)
{
    ssize_t r = copy_file_range(from, NULL, to, NULL, n, 0);

    return r < 0 ? -errno : r;
}

static ssize_t by_splice(int from, int to, size_t n)
{
    ssize_t r = splice(from, NULL, to, NULL, n, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    return r < 0 ? -errno : r;
}

static ssize_t by_sendfile(int from, int to, size_t n)
{
    ssize_t r = sendfile(to, from, NULL, n);

    return r < 0 ? -errno : r;
}

static void choose(struct copy *c)
{
    enum kind from = kind_of(c->from), to = kind_of(c->to);

    c->blocks = from <= KIND_APPENDED || to <= KIND_APPENDED;
    c->waits[KNIT__IN] = from >= KIND_PIPE;
    c->waits[KNIT__OUT] = to >= KIND_PIPE;
    if (from == KIND_OTHER || to == KIND_OTHER || to == KIND_APPENDED)
        return;
    if (from == KIND_PIPE || to == KIND_PIPE)
        c->move = by_splice;
    else if (from <= KIND_APPENDED)
        c->move = to == KIND_FILE ? by_range : by_sendfile;
}

/* ---- blocking regions ---- */

static void set_out(struct copy *c)
{
    if (!c->blocks)
        return;
    if (!c->running) {
        c->running = true;
        c->since = knit_now();
    }
    if (c->slow > 0 && !c->away) {
        knit_blocking_enter();
        c->away = true;
    }
}

/* After each call. */
static void look(struct copy *c)
{
    if (c->blocks && knit_now() - c->since > LONG)
        c->slow = ROUNDS;
}

/* It is about to wait, or ends. */
static void rest(struct copy *c)
{
    if (c->away)
        knit_blocking_leave();
    if (c->running && c->slow > 0)
        c->slow--;
    c->running = c->away = false;
}

/* ---- steps ---- */

static KNIT__NOINLINE ssize_t move_once(struct copy *c)
{
    struct knit__no_sigpipe guard;
    ssize_t r;

    set_out(c);
    knit__sigpipe_off(&guard);
    do
        r = c->move(c->from, c->to, c->n);
    while (r == -EINTR);
    knit__sigpipe_on(&guard, r == -EPIPE);
    look(c);
    if (r == -EAGAIN)
        rest(c);
    return r;
}

static ssize_t move_or_wait(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    (void)slot, (void)fd;
    return move_once((struct copy *)(void *)call);
}

/* 1: a call would not wait for fd. */
static KNIT__NOINLINE ssize_t is_ready(int fd, short what)
{
    struct pollfd p = {.fd = fd, .events = what};

    return poll(&p, 1, 0) < 0 ? -errno : p.revents != 0 ? 1 : -EAGAIN;
}

static ssize_t is_readable(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    (void)call, (void)slot;
    return is_ready(fd, POLLIN);
}

static ssize_t is_writable(struct knit__fd_call *call, struct knit__slot *slot, int fd)
{
    (void)call, (void)slot;
    return is_ready(fd, POLLOUT);
}

static ssize_t wait_for_both(const struct copy *c)
{
    struct knit__fd_call in = {.once = is_readable}, out = {.once = is_writable};
    ssize_t r = knit__fd_call(c->from, KNIT__IN, &in, KNIT__NEVER);

    return r < 0 ? r : knit__fd_call(c->to, KNIT__OUT, &out, KNIT__NEVER);
}

/* Either end may have to be waited for, or none. -EAGAIN: waiting does not help. */
static ssize_t move_or_wait_for_both(struct copy *c)
{
    ssize_t r = knit__fd_context();

    for (int vain = 0; r >= 0 && vain < OFTEN; vain++) {
        ssize_t n = move_once(c);

        if (n != -EAGAIN)
            return n;
        r = wait_for_both(c);
    }
    return r < 0 ? r : -EAGAIN;
}

/* One step. How many bytes were written; 0 at the end. */
static ssize_t step_by_kernel(struct copy *c, uint64_t most)
{
    c->n = most < AT_ONCE ? (size_t)most : AT_ONCE;
    if (c->waits[KNIT__IN] == c->waits[KNIT__OUT])
        return move_or_wait_for_both(c);
    if (c->waits[KNIT__IN])
        return knit__fd_call(c->from, KNIT__IN, &c->call, KNIT__NEVER);
    return knit__fd_call(c->to, KNIT__OUT, &c->call, KNIT__NEVER);
}

/* The kernel cannot copy between these two in this way, or (a file that is made while it is read)
 * says that there is nothing, or that it should be waited for what is ready. */
static bool is_refused(const struct copy *c, ssize_t r)
{
    return r == -EINVAL || r == -EXDEV || r == -ENOSYS || r == -EOPNOTSUPP || r == -EAGAIN ||
           (c->move == by_range && (r == -EBADF || (r == 0 && !c->any)));
}

/* ---- by a buffer ---- */

static ssize_t step_by_buffer(const struct copy *c, char *buf, uint64_t most, uint64_t *copied)
{
    ssize_t n = knit_read(c->from, buf, most < BUFFER ? (size_t)most : BUFFER);
    size_t done = 0;
    int r;

    if (n <= 0)
        return n;
    r = knit_write_full(c->to, buf, (size_t)n, &done);
    *copied += done;
    return r < 0 ? r : n;
}

static int copy_by_buffer(const struct copy *c, uint64_t most, uint64_t *copied)
{
    char *buf = malloc(BUFFER);
    ssize_t r = 1;

    if (!buf)
        return -ENOMEM;
    while (r > 0 && *copied < most)
        r = step_by_buffer(c, buf, most - *copied, copied);
    free(buf);
    return r < 0 ? (int)r : 0;
}

static int copy_all(struct copy *c, uint64_t most, uint64_t *copied)
{
    ssize_t r = 1;

    while (c->move && *copied < most && r > 0) {
        r = step_by_kernel(c, most - *copied);
        if (is_refused(c, r))
            c->move = NULL;
        else if (r > 0) {
            *copied += (uint64_t)r;
            c->any = true;
        }
    }
    rest(c);
    if (c->move)
        return r < 0 ? (int)r : 0;
    return *copied < most ? copy_by_buffer(c, most, copied) : 0;
}

int knit_copy(int from, int to, uint64_t most, uint64_t *ret_copied)
{
    struct copy c = {.call = {.once = move_or_wait}, .from = from, .to = to, .slow = 1};
    uint64_t copied = 0;
    int r = knit__fd_context();

    if (r == 0) {
        choose(&c);
        r = copy_all(&c, most, &copied);
    }
    if (ret_copied)
        *ret_copied = copied;
    return r;
}
