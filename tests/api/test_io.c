/* Reading, writing and waiting at descriptors of every kind. */
#include "fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define JOIN(g, want)                                                                              \
    do {                                                                                           \
        CHECK_INT(knit_errgroup_wait(g), want);                                                    \
        CHECK_INT(knit_errgroup_close(g), want);                                                   \
    } while (0)

static void what_is_written_is_read(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        char buf[8] = "";
        CHECK_INT(knit_write(f.out, "hello", 5), 5);
        CHECK_INT(knit_read(f.in, buf, sizeof buf), 5);
        CHECK(memcmp(buf, "hello", 5) == 0);
        CHECK_INT(knit_close(f.out), 0);
        CHECK_INT(knit_read(f.in, buf, sizeof buf), 0);
        CHECK_INT(knit_close(f.in), 0);
    }
}

static int write_later(void *arg)
{
    const fds *f = arg;
    CHECK_INT(knit_yield(), 0);
    CHECK_INT(knit_write(f->out, "x", 1), 1);
    return 0;
}

static void a_reader_waits_for_bytes(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        for (int i = 0; i < 3; i++) {
            knit_errgroup g;
            char c = 0;
            CHECK_INT(knit_errgroup_init(&g, NULL), 0);
            CHECK_INT(knit_errgroup_go(&g, write_later, &f), 0);
            CHECK_INT(knit_read(f.in, &c, 1), 1);
            CHECK_INT(c, 'x');
            JOIN(&g, 0);
        }
        fds_close(&f);
    }
}

enum { MUCH = 300 * 1000 };

static int write_much(void *arg)
{
    const fds *f = arg;
    static char bytes[MUCH];
    size_t done = 0;
    for (int i = 0; i < MUCH; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    CHECK_INT(knit_write_full(f->out, bytes, MUCH, &done), 0);
    CHECK_INT(done, MUCH);
    return 0;
}

static void a_writer_waits_for_room(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        static char bytes[MUCH];
        fds f = fds_new(kind);
        knit_errgroup g;
        size_t done = 0;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, write_much, &f), 0);
        CHECK_INT(knit_read_full(f.in, bytes, MUCH, &done), 0);
        CHECK_INT(done, MUCH);
        for (int i = 0; i < MUCH; i++)
            if (bytes[i] != (char)(i * 7 + i / 251))
                CHECK_INT(bytes[i], (char)(i * 7 + i / 251));
        JOIN(&g, 0);
        fds_close(&f);
    }
}

static void the_mode_is_not_changed(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        int in = fcntl(f.in, F_GETFL), out = fcntl(f.out, F_GETFL);
        char c = 0;
        CHECK_INT(knit_read_until(f.in, &c, 1, 1), -ETIMEDOUT);
        CHECK_INT(knit_write(f.out, "x", 1), 1);
        CHECK_INT(fcntl(f.in, F_GETFL), in);
        CHECK_INT(fcntl(f.out, F_GETFL), out);
        fds_close(&f);
    }
}

static int bytes_at(int fd)
{
    int n = -1;
    CHECK_INT(ioctl(fd, FIONREAD, &n), 0);
    return n;
}

static void a_deadline_ends_the_wait(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        char c = 'o';
        size_t done = 9;
        CHECK_INT(knit_read_until(f.in, &c, 1, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
        CHECK_INT(knit_read_until(f.in, &c, 1, 1), -ETIMEDOUT);
        CHECK_INT(c, 'o');
        CHECK_INT(knit_write(f.out, "ab", 2), 2);
        char two[3];
        kt_until(bytes_at(f.in) == 2); /* TCP's way takes its time */
        knit_time soon = knit_now() + (knit_duration)(20 * kt_scale()) * KNIT_MILLISECOND;
        CHECK_INT(knit_read_full_until(f.in, two, 3, soon, &done), -ETIMEDOUT);
        CHECK_INT(done, 2);
        CHECK_INT(knit_write(f.out, "y", 1), 1);
        kt_until(bytes_at(f.in) == 1);
        CHECK_INT(knit_read_until(f.in, &c, 1, 1), 1); /* it need not wait */
        CHECK_INT(c, 'y');
        fds_close(&f);
    }
}

static int read_one(void *arg)
{
    const fds *f = arg;
    char c = 0;
    ssize_t n = knit_read(f->in, &c, 1);
    return n == 1 ? 0 : (int)n;
}

static int wait_readable(void *arg)
{
    const fds *f = arg;
    int r = knit_wait_fd(f->in, KNIT_READABLE, KNIT_FOREVER);
    return r < 0 ? r : 0;
}

static int fail_soon(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++)
        knit_yield();
    return -EDOM;
}

static void the_first_error_ends_the_waits_of_the_others(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_INT(knit_errgroup_go(&g, read_one, &f), 0);
            CHECK_INT(knit_errgroup_go(&g, wait_readable, &f), 0);
        }
        CHECK_INT(knit_errgroup_go(&g, fail_soon, NULL), 0);
        JOIN(&g, -EDOM);
        fds_close(&f);
    }
}

static void under_an_ended_context_nothing_is_moved(void)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    knit_ctx_cancel(ctx, 0);
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        char c = 'o';
        CHECK_INT(write(f.out, "x", 1), 1);
        CHECK_INT(knit_read(f.in, &c, 1), -ECANCELED);
        CHECK_INT(knit_write(f.out, "y", 1), -ECANCELED);
        CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE, KNIT_FOREVER), -ECANCELED);
        CHECK_INT(read(f.in, &c, 1), 1);
        CHECK_INT(c, 'x');
        fds_close(&f);
    }
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

typedef struct closing {
    fds f;
    uint64_t parks; /* of tasks, before somebody began to wait */
    bool by_task;
} closing;

/* When a task waits can be seen. A thread may be early: the number is not used again. */
static int close_later(void *arg)
{
    const closing *c = arg;
    for (int i = 0; i < 3; i++)
        knit_yield();
    if (c->by_task)
        kt_until(kt_parks() > c->parks);
    CHECK_INT(knit_close(c->f.in), 0);
    return 0;
}

static void close_wakes_who_waits(void)
{
    if (KT_TSAN && !knit_in_task())
        return; /* it takes a close beside a call for a race, as it is */
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        closing c = {.f = fds_high(kind), .parks = kt_parks(), .by_task = knit_in_task()};
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, close_later, &c), 0);
        CHECK_INT(read_one(&c.f), -EBADF);
        JOIN(&g, 0);
        CHECK_INT(knit_close(c.f.out), 0);
    }
}

/* A number that is used again is not taken for what it was. */
static void a_number_may_be_used_again(void)
{
    for (int round = 0; round < kt_count(100); round++) {
        fds f = fds_new(round % FDS_KINDS);
        char c = 0;
        CHECK_INT(knit_read_until(f.in, &c, 1, knit_now() + 1000), -ETIMEDOUT);
        CHECK_INT(knit_write(f.out, "ab", 2), 2);
        CHECK_INT(knit_read(f.in, &c, 1), 1);
        if (f.ours)
            fds_close(&f);
        else /* a foreign one may be closed behind our back */
            CHECK_INT(close(f.in) + close(f.out), 0);
    }
}

static void several_wait_for_one(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        for (int i = 0; i < 4; i++)
            CHECK_INT(knit_errgroup_go(&g, read_one, &f), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_INT(knit_yield(), 0);
            CHECK_INT(knit_write(f.out, "x", 1), 1);
        }
        JOIN(&g, 0);
        fds_close(&f);
    }
}

static void the_end_of_the_file_is_seen_after_the_last_bytes(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        char buf[8];
        size_t done = 0;
        CHECK_INT(knit_read_until(f.in, buf, 1, knit_now() + 1000), -ETIMEDOUT);
        CHECK_INT(knit_write(f.out, "abc", 3), 3);
        CHECK_INT(knit_close(f.out), 0);
        CHECK_INT(knit_read_full(f.in, buf, sizeof buf, &done), -ENODATA);
        CHECK_INT(done, 3);
        CHECK_INT(knit_read(f.in, buf, sizeof buf), 0);
        CHECK_INT(knit_close(f.in), 0);
    }
}

static void who_writes_where_nobody_reads_gets_epipe(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        CHECK_INT(knit_close(f.in), 0);
        ssize_t r = knit_write(f.out, "x", 1); /* and no SIGPIPE, which would end us */
        while (r == 1 && fds_is_tcp(kind))     /* which learns of it by an answer */
            r = knit_write(f.out, "x", 1);
        CHECK(r == -EPIPE || (r == -ECONNRESET && fds_is_tcp(kind)));
        CHECK_INT(knit_write_full(f.out, "x", 1, NULL), -EPIPE);
        CHECK_INT(knit_close(f.out), 0);
    }
}

static void vectors_are_read_and_written(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        char a[2] = "", b[4] = "", here[] = "he", there[] = "llo";
        struct iovec out[] = {{here, 2}, {there, 3}}, in[] = {{a, 2}, {b, 4}};
        CHECK_INT(knit_writev_until(f.out, out, 2, KNIT_FOREVER), 5);
        CHECK_INT(knit_readv_until(f.in, in, 2, KNIT_FOREVER), 5);
        CHECK(memcmp(a, "he", 2) == 0 && memcmp(b, "llo", 3) == 0);
        CHECK_INT(knit_readv_until(f.in, in, 2, 1), -ETIMEDOUT);
        CHECK_INT(knit_readv_until(f.in, NULL, 1, KNIT_FOREVER), -EINVAL);
        CHECK_INT(knit_writev_until(f.out, out, -1, KNIT_FOREVER), -EINVAL);
        fds_close(&f);
    }
}

static void wait_fd_tells_what_holds(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        CHECK_INT(knit_wait_fd(f.out, KNIT_WRITABLE, KNIT_FOREVER), KNIT_WRITABLE);
        CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
        CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE, 1), -ETIMEDOUT);
        CHECK_INT(knit_write(f.out, "x", 1), 1);
        for (int i = 0; i < 2; i++) /* a level: it holds until it is read */
            CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE, KNIT_FOREVER), KNIT_READABLE);
        CHECK_INT(read_one(&f), 0);
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, write_later, &f), 0);
        CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE, KNIT_FOREVER), KNIT_READABLE);
        JOIN(&g, 0);
        CHECK_INT(read_one(&f), 0);
        CHECK_INT(knit_close(f.out), 0);
        CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE | KNIT_PRIORITY, KNIT_FOREVER) & KNIT_READABLE,
                  KNIT_READABLE);
        CHECK_INT(knit_close(f.in), 0);
    }
}

static void what_is_no_descriptor_is_ebadf(void)
{
    fds f = fds_new(0);
    int fd = fds_none();
    char c = 0;
    CHECK_INT(knit_read(-1, &c, 1), -EBADF);
    CHECK_INT(knit_write(-1, &c, 1), -EBADF);
    CHECK_INT(knit_wait_fd(-1, KNIT_READABLE, KNIT_FOREVER), -EBADF);
    CHECK_INT(knit_close(-1), -EBADF);
    CHECK_INT(knit_adopt(-1), -EBADF);
    CHECK_INT(knit_event_set(-1), -EBADF);
    CHECK_INT(dup2(f.in, fd), fd);
    CHECK_INT(knit_adopt(fd), 0);
    CHECK_INT(knit_close(fd), 0);
    fds_close(&f);
    CHECK_INT(knit_read(fd, &c, 1), -EBADF);
    CHECK_INT(knit_write(fd, &c, 1), -EBADF);
    CHECK_INT(knit_wait_fd(fd, KNIT_READABLE, KNIT_FOREVER), -EBADF);
    CHECK_INT(knit_close(fd), -EBADF);
    CHECK_INT(knit_adopt(fd), -EBADF);
    CHECK_INT(knit_wait_fd(0, 0, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_wait_fd(0, 8, KNIT_FOREVER), -EINVAL);
    CHECK_INT(knit_pipe(NULL), -EINVAL);
}

static int add_events(void *event)
{
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_event_set(*(int *)event), 0);
    return 0;
}

static void an_event_counts(void)
{
    int event = knit_event_new();
    int64_t sum = 0;
    knit_errgroup g;
    CHECK(event >= 0);
    CHECK_INT(knit_event_wait(event, knit_now() + 1000), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, add_events, &event), 0);
    while (sum < 300) {
        int64_t n = knit_event_wait(event, KNIT_FOREVER);
        CHECK(n > 0);
        sum += n;
    }
    CHECK_INT(sum, 300);
    JOIN(&g, 0);
    CHECK_INT(knit_close(event), 0);
}

/* With one worker too: a task that computes keeps nobody from a descriptor for long. */
static atomic_bool arrived;

static int read_and_tell(void *arg)
{
    int r = read_one(arg);
    atomic_store(&arrived, true);
    return r;
}

static int compute(void *arg)
{
    const fds *f = arg;
    CHECK_INT(write(f->out, "x", 1), 1);
    while (!atomic_load(&arrived)) { /* without a call of Knit */
    }
    return 0;
}

static void who_waits_is_woken_while_others_compute(void)
{
    fds f = fds_new(0);
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, read_and_tell, &f), 0);
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    CHECK_INT(knit_errgroup_go(&g, compute, &f), 0);
    JOIN(&g, 0);
    fds_close(&f);
}

/* A real sleep is the point: the thread is in the kernel, and has not said so. */
static int block_until_arrived(void *arg)
{
    struct timespec pause = {.tv_nsec = 100 * 1000};
    const fds *f = arg;
    CHECK_INT(write(f->out, "x", 1), 1);
    while (!atomic_load(&arrived))
        nanosleep(&pause, NULL);
    return 0;
}

static int block_marked(void *arg)
{
    return knit_blocking(block_until_arrived, arg);
}

static void who_waits_is_woken_while_others_block(void)
{
    fds f = fds_new(1);
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, read_and_tell, &f), 0);
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(knit_errgroup_go(&g, i ? block_until_arrived : block_marked, &f), 0);
    JOIN(&g, 0);
    fds_close(&f);
}

static const knittest tests[] = {
    BOTH(what_is_written_is_read),
    BOTH(a_reader_waits_for_bytes),
    BOTH(a_writer_waits_for_room),
    BOTH(the_mode_is_not_changed),
    BOTH(a_deadline_ends_the_wait),
    BOTH(the_first_error_ends_the_waits_of_the_others),
    BOTH(under_an_ended_context_nothing_is_moved),
    BOTH(close_wakes_who_waits),
    BOTH(a_number_may_be_used_again),
    BOTH(several_wait_for_one),
    BOTH(the_end_of_the_file_is_seen_after_the_last_bytes),
    BOTH(who_writes_where_nobody_reads_gets_epipe),
    BOTH(vectors_are_read_and_written),
    BOTH(wait_fd_tells_what_holds),
    BOTH(what_is_no_descriptor_is_ebadf),
    BOTH(an_event_counts),
    REAL(who_waits_is_woken_while_others_compute),
    REAL(who_waits_is_woken_while_others_block),
};

KNITTEST_MAIN(tests)
