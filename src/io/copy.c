/* Copying from one descriptor to another: by the kernel where it can, else through a buffer.
 *
 *     file -> file            copy_file_range
 *     file -> pipe, and pipe -> or <- anything     splice
 *     file -> socket          sendfile
 *     the rest, and what the kernel then refuses   read and write
 *
 * A socket in blocking mode goes through the buffer: splice and sendfile would block in it. */
#define _GNU_SOURCE
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <knit/blocking.h>
#include <knit/io.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AT_ONCE = 1024 * 1024, BUFFER = 64 * 1024 };

enum kind { KIND_FILE, KIND_PIPE, KIND_NONBLOCKING, KIND_OTHER };

struct copy {
    int from, to;
    /* moves up to n bytes: how many, 0 at the end, -EAGAIN */
    ssize_t (*move)(int from, int to, size_t n);
    bool blocks; /* its thread: there is a file */
    bool any;    /* something was moved this way */
};

static enum kind kind_of(int fd)
{
    struct stat st;
    int mode = fcntl(fd, F_GETFL);

    if (mode < 0 || fstat(fd, &st) != 0)
        return KIND_OTHER;
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
        return mode & O_APPEND ? KIND_OTHER : KIND_FILE;
    if (S_ISFIFO(st.st_mode))
        return KIND_PIPE;
    return mode & O_NONBLOCK ? KIND_NONBLOCKING : KIND_OTHER;
}

static ssize_t by_range(int from, int to, size_t n)
{
    n = (size_t)copy_file_range(from, NULL, to, NULL, n, 0);
    return (ssize_t)n < 0 ? -errno : (ssize_t)n;
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

    c->move = NULL;
    c->blocks = from == KIND_FILE || to == KIND_FILE;
    if (from == KIND_OTHER || to == KIND_OTHER)
        return;
    if (from == KIND_FILE && to == KIND_FILE)
        c->move = by_range;
    else if (from == KIND_PIPE || to == KIND_PIPE)
        c->move = by_splice;
    else if (from == KIND_FILE)
        c->move = by_sendfile;
}

static KNIT__NOINLINE ssize_t move_once(struct copy *c, size_t n)
{
    struct knit__no_sigpipe guard;
    ssize_t r;

    knit__sigpipe_off(&guard);
    if (c->blocks)
        knit_blocking_enter();
    do
        r = c->move(c->from, c->to, n);
    while (r == -EINTR);
    if (c->blocks)
        knit_blocking_leave();
    knit__sigpipe_on(&guard, r == -EPIPE);
    return r;
}

/* The kernel cannot copy between these two in this way, or (a file that is made while it is read)
 * says that there is nothing. */
static bool is_refused(const struct copy *c, ssize_t r)
{
    return r == -EINVAL || r == -EXDEV || r == -ENOSYS || r == -EOPNOTSUPP || r == -EBADF ||
           (r == 0 && !c->any && c->move == by_range);
}

/* EAGAIN does not say which end it was. */
static int wait_for_both(const struct copy *c)
{
    int r = knit_wait_fd(c->from, KNIT_READABLE, KNIT_FOREVER);

    return r < 0 ? r : knit_wait_fd(c->to, KNIT_WRITABLE, KNIT_FOREVER);
}

/* One step. How many bytes were written; 0 at the end. */
static ssize_t step_by_kernel(struct copy *c, uint64_t most)
{
    for (;;) {
        ssize_t r = knit__fd_context();

        if (r == 0)
            r = move_once(c, most < AT_ONCE ? (size_t)most : AT_ONCE);
        if (r == -EAGAIN)
            r = wait_for_both(c);
        else
            return r;
        if (r < 0)
            return r;
    }
}

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
    while (c->move && *copied < most) {
        ssize_t r = step_by_kernel(c, most - *copied);

        if (is_refused(c, r))
            break;
        if (r <= 0)
            return (int)r;
        *copied += (uint64_t)r;
        c->any = true;
    }
    return *copied < most ? copy_by_buffer(c, most, copied) : 0;
}

int knit_copy(int from, int to, uint64_t most, uint64_t *ret_copied)
{
    struct copy c = {.from = from, .to = to};
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
