/* Files, and copying between descriptors of every kind. */
#include "fds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 200 * 1000 };

static char bytes[SIZE], got[SIZE + 10];

static void fill(void)
{
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 13 + i / 509);
}

/* A file without a name, open for reading and writing. */
static int file_new(bool full)
{
    char path[] = "/tmp/knit-io-XXXXXX";
    int fd = mkstemp(path);
    size_t done = 0;
    CHECK(fd >= 0);
    CHECK_INT(unlink(path), 0);
    fill();
    if (full) {
        CHECK_INT(knit_write_full(fd, bytes, SIZE, &done), 0);
        CHECK_INT(done, SIZE);
        CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    }
    return fd;
}

static void check_file(int fd)
{
    size_t done = 0;
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    CHECK_INT(knit_read_full(fd, got, sizeof got, &done), -ENODATA);
    CHECK_INT(done, SIZE);
    CHECK(memcmp(got, bytes, SIZE) == 0);
}

static void a_file_is_written_and_read(void)
{
    int fd = file_new(true);
    char c;
    check_file(fd);
    CHECK_INT(knit_read(fd, &c, 1), 0);
    CHECK_INT(knit_wait_fd(fd, KNIT_READABLE | KNIT_WRITABLE, 1), KNIT_READABLE | KNIT_WRITABLE);
    CHECK_INT(knit_close(fd), 0);
}

static void reads_and_writes_at_an_offset(void)
{
    int fd = file_new(true);
    char c = 0;
    CHECK_INT(knit_pread(fd, &c, 1, 777), 1);
    CHECK_INT(c, bytes[777]);
    CHECK_INT(knit_pread(fd, &c, 1, SIZE), 0);
    CHECK_INT(knit_pwrite(fd, "!", 1, 777), 1);
    CHECK_INT(knit_pread(fd, &c, 1, 777), 1);
    CHECK_INT(c, '!');
    CHECK_INT(knit_fsync(fd), 0);
    CHECK_INT(knit_pread(fd, &c, 1, -1), -EINVAL);
    CHECK_INT(knit_close(fd), 0);
    CHECK_INT(knit_pread(fds_none(), &c, 1, 0), -EBADF);
    CHECK_INT(knit_pwrite(fds_none(), &c, 1, 0), -EBADF);
    CHECK_INT(knit_fsync(fds_none()), -EBADF);
}

static void files_are_opened(void)
{
    char path[] = "/tmp/knit-io-XXXXXX";
    int fd = mkstemp(path), again;
    CHECK(fd >= 0);
    again = knit_open(path, O_RDWR, 0);
    CHECK(again >= 0);
    CHECK(fcntl(again, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(knit_close(again), 0);
    CHECK_INT(knit_open(path, O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(knit_open(path, O_RDWR, 0), -ENOENT);
    CHECK_INT(knit_open(NULL, O_RDWR, 0), -EINVAL);
    CHECK_INT(knit_close(fd), 0);
}

static void an_open_that_waits_is_given_up(void)
{
    char dir[] = "/tmp/knit-io-XXXXXX", path[64];
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fifo", dir);
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), 5 * KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_open(path, O_RDONLY, 0), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    CHECK_INT(unlink(path) + rmdir(dir), 0);
}

static void under_an_ended_context_no_file_is_touched(void)
{
    int fd = file_new(true);
    knit_ctx *ctx;
    knit_ctx_scope scope;
    char c;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_read(fd, &c, 1), -ECANCELED);
    CHECK_INT(knit_write(fd, "x", 1), -ECANCELED);
    CHECK_INT(knit_pread(fd, &c, 1, 0), -ECANCELED);
    CHECK_INT(knit_pwrite(fd, "x", 1, 0), -ECANCELED);
    CHECK_INT(knit_fsync(fd), -ECANCELED);
    CHECK_INT(knit_open("/dev/null", O_RDONLY, 0), -ECANCELED);
    CHECK_INT(knit_copy(fd, fd, 1, NULL), -ECANCELED);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    check_file(fd);
    CHECK_INT(knit_close(fd), 0);
}

/* ---- copying --------------------------------------------------------------------------------- */

static int feed(void *arg)
{
    const fds *f = arg;
    int file = file_new(true);
    uint64_t copied = 0;
    CHECK_INT(knit_copy(file, f->out, UINT64_MAX, &copied), 0);
    CHECK_INT(copied, SIZE);
    CHECK_INT(knit_close(file), 0);
    CHECK_INT(knit_close(f->out), 0);
    return 0;
}

struct relay {
    const fds *from, *to;
};

static int relay(void *arg)
{
    const struct relay *l = arg;
    uint64_t copied = 0;
    CHECK_INT(knit_copy(l->from->in, l->to->out, UINT64_MAX, &copied), 0);
    CHECK_INT(copied, SIZE);
    CHECK_INT(knit_close(l->to->out), 0);
    CHECK_INT(knit_close(l->from->in), 0);
    return 0;
}

/* file -> a -> b -> file, all at once. */
static void all_kinds_are_copied_to_all(void)
{
    fill();
    for (int kinds = 0; kinds < FDS_KINDS * FDS_KINDS; kinds++) {
        fds a = fds_new(kinds % FDS_KINDS), b = fds_new(kinds / FDS_KINDS);
        struct relay l = {&a, &b};
        int file = file_new(false);
        uint64_t copied = 0;
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, feed, &a), 0);
        CHECK_INT(knit_errgroup_go(&g, relay, &l), 0);
        CHECK_INT(knit_copy(b.in, file, UINT64_MAX, &copied), 0);
        CHECK_INT(copied, SIZE);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        check_file(file);
        CHECK_INT(knit_close(file), 0);
        CHECK_INT(knit_close(b.in), 0);
    }
}

static void a_file_is_copied_to_a_file(void)
{
    int from = file_new(true), to = file_new(false);
    uint64_t copied = 0;
    CHECK_INT(knit_copy(from, to, UINT64_MAX, &copied), 0);
    CHECK_INT(copied, SIZE);
    check_file(to);
    CHECK_INT(knit_close(from) + knit_close(to), 0);
}

static void a_file_of_the_kernel_is_copied(void)
{
    int from = knit_open("/proc/self/stat", O_RDONLY, 0), to = file_new(false);
    uint64_t copied = 0;
    CHECK(from >= 0);
    CHECK_INT(knit_copy(from, to, UINT64_MAX, &copied), 0); /* its size is said to be 0 */
    CHECK(copied > 0);
    CHECK_INT(knit_close(from) + knit_close(to), 0);
}

static void a_file_is_appended_to_a_file(void)
{
    int from = file_new(true), to = file_new(false);
    uint64_t copied = 0;
    CHECK_INT(fcntl(to, F_SETFL, O_APPEND), 0); /* which the kernel's ways all refuse */
    CHECK_INT(knit_copy(from, to, SIZE / 2, &copied), 0);
    CHECK_INT(copied, SIZE / 2);
    CHECK_INT(lseek(to, 0, SEEK_SET), 0);
    CHECK_INT(knit_copy(from, to, UINT64_MAX, &copied), 0);
    CHECK_INT(copied, SIZE - SIZE / 2);
    check_file(to);
    CHECK_INT(knit_close(from) + knit_close(to), 0);
}

static int feed_and_close(void *arg)
{
    const fds *f = arg;
    CHECK_INT(knit_write_full(f->out, bytes, SIZE, NULL), 0);
    return knit_close(f->out);
}

/* Copy from what holds or brings SIZE bytes to null, which takes all, then from zero, which ends only
 * at the bound. */
static void all_kinds_are_copied_to_devices(void)
{
    int null = knit_open("/dev/null", O_RDWR, 0), zero = knit_open("/dev/zero", O_RDWR, 0);
    CHECK(null >= 0 && zero >= 0);
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        uint64_t copied = 9;
        knit_errgroup g;
        CHECK_INT(knit_copy(null, f.out, UINT64_MAX, &copied), 0);
        CHECK_INT(copied, 0);
        CHECK_INT(knit_copy(zero, f.out, 500, &copied), 0);
        CHECK_INT(copied, 500);
        CHECK_INT(knit_read_full(f.in, got, 500, NULL), 0);
        CHECK_INT(got[499], 0);
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, feed_and_close, &f), 0);
        CHECK_INT(knit_copy(f.in, kind % 2 ? null : zero, UINT64_MAX, &copied), 0);
        CHECK_INT(copied, SIZE);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(knit_close(f.in), 0);
    }
    CHECK_INT(knit_close(null) + knit_close(zero), 0);
}

static void files_and_devices_are_copied(void)
{
    int null = knit_open("/dev/null", O_RDWR, 0), zero = knit_open("/dev/zero", O_RDWR, 0);
    int file = file_new(true);
    uint64_t copied = 9;
    CHECK_INT(knit_copy(null, file, UINT64_MAX, &copied), 0);
    CHECK_INT(copied, 0);
    CHECK_INT(knit_copy(file, null, UINT64_MAX, &copied), 0);
    CHECK_INT(copied, SIZE);
    CHECK_INT(knit_copy(zero, null, SIZE, &copied), 0);
    CHECK_INT(copied, SIZE);
    CHECK_INT(lseek(file, 0, SEEK_SET), 0);
    CHECK_INT(knit_copy(zero, file, SIZE, &copied), 0);
    CHECK_INT(copied, SIZE);
    memset(bytes, 0, sizeof bytes);
    check_file(file);
    CHECK_INT(knit_close(null) + knit_close(zero) + knit_close(file), 0);
}

static void a_copy_to_a_full_device_fails(void)
{
    int full = knit_open("/dev/full", O_WRONLY, 0), file = file_new(true);
    uint64_t copied = 9;
    CHECK_INT(knit_copy(file, full, UINT64_MAX, &copied), -ENOSPC);
    CHECK_INT(copied, 0);
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        CHECK_INT(knit_write(f.out, "abc", 3), 3);
        CHECK_INT(knit_copy(f.in, full, UINT64_MAX, &copied), -ENOSPC);
        CHECK_INT(copied, 0);
        fds_close(&f);
    }
    CHECK_INT(knit_close(full) + knit_close(file), 0);
}

static void a_copy_has_a_bound(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        int file = file_new(true);
        uint64_t copied = 9;
        CHECK_INT(knit_copy(file, f.out, 100, &copied), 0);
        CHECK_INT(copied, 100);
        CHECK_INT(lseek(file, 0, SEEK_CUR), 100);
        CHECK_INT(knit_read(f.in, got, sizeof got), 100);
        CHECK_INT(knit_copy(file, f.out, 0, &copied), 0);
        CHECK_INT(copied, 0);
        CHECK_INT(knit_close(file), 0);
        fds_close(&f);
    }
}

struct three_there {
    int file;
    knit_ctx *ctx;
};

static int cancel_when_three_are_there(void *arg)
{
    const struct three_there *t = arg;
    struct stat now = {0};
    kt_until(fstat(t->file, &now) < 0 || now.st_size == 3);
    CHECK_INT(now.st_size, 3);
    knit_ctx_cancel(t->ctx, 0);
    return 0;
}

static void a_copy_says_how_far_it_came(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        int file = file_new(false);
        uint64_t copied = 0;
        struct three_there t = {.file = file};
        knit_ctx_scope scope;
        knit_errgroup g = {0};
        CHECK_INT(knit_write(f.out, "abc", 3), 3);
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &t.ctx), 0);
        CHECK_INT(knit_errgroup_go(&g, cancel_when_three_are_there, &t), 0);
        CHECK_INT(knit_ctx_enter(t.ctx, &scope), 0);
        CHECK_INT(knit_copy(f.in, file, UINT64_MAX, &copied), -ECANCELED);
        CHECK_INT(knit_ctx_leave(&scope), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_ctx_unref(t.ctx);
        CHECK_INT(copied, 3);
        CHECK_INT(knit_copy(-1, file, 1, &copied), -EBADF);
        CHECK_INT(knit_pwrite(file, "x", 1, 0), 1);
        CHECK_INT(lseek(file, 0, SEEK_SET), 0);
        CHECK_INT(knit_copy(file, -1, 1, NULL), -EBADF);
        CHECK_INT(knit_close(file), 0);
        fds_close(&f);
    }
}

static void a_copy_to_where_nobody_reads_is_epipe(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        int file = file_new(true), r;
        CHECK_INT(knit_close(f.in), 0);
        do
            r = knit_copy(file, f.out, 100, NULL);
        while (r == 0 && fds_is_tcp(kind));
        CHECK(r == -EPIPE || (r == -ECONNRESET && fds_is_tcp(kind)));
        CHECK_INT(knit_close(file), 0);
        CHECK_INT(knit_close(f.out), 0);
    }
}

struct closed_copy {
    int file, out, result;
    uint64_t copied;
};

static int copy_until_closed(void *arg)
{
    struct closed_copy *c = arg;
    c->result = knit_copy(c->file, c->out, UINT64_MAX, &c->copied);
    return 0;
}

/* And what was read was written: a file is not read on to find that out. The copy waits when its end
 * is closed: the pipe is full. */
static void a_copy_ends_when_one_closes_its_end(void)
{
    static const int kinds[] = {FDS_PIPE, FDS_PIPE_BLOCKING, FDS_PIPE_NONBLOCKING};
    for (int i = 0; i < 3; i++) {
        fds f = fds_new(kinds[i]);
        struct closed_copy c = {file_new(true), f.out, 0, 0};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        uint64_t before = kt_parks();
        CHECK_INT(knit_errgroup_go(&g, copy_until_closed, &c), 0);
        kt_until(kt_parks() > before);
        CHECK_INT(knit_close(f.out), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(c.result, -EBADF);
        CHECK(c.copied > 0);
        CHECK_INT(c.copied, lseek(c.file, 0, SEEK_CUR));
        CHECK_INT(knit_close(c.file) + knit_close(f.in), 0);
    }
}

static const knittest tests[] = {
    BOTH(a_file_is_written_and_read),
    BOTH(reads_and_writes_at_an_offset),
    BOTH(files_are_opened),
    BOTH(an_open_that_waits_is_given_up),
    BOTH(under_an_ended_context_no_file_is_touched),
    BOTH(all_kinds_are_copied_to_all),
    BOTH(a_file_is_copied_to_a_file),
    BOTH(a_file_of_the_kernel_is_copied),
    BOTH(a_file_is_appended_to_a_file),
    BOTH(all_kinds_are_copied_to_devices),
    BOTH(files_and_devices_are_copied),
    BOTH(a_copy_to_a_full_device_fails),
    BOTH(a_copy_has_a_bound),
    BOTH(a_copy_says_how_far_it_came),
    BOTH(a_copy_to_where_nobody_reads_is_epipe),
    BOTH(a_copy_ends_when_one_closes_its_end),
};

KNITTEST_MAIN(tests)
