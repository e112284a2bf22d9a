/* Descriptors in awkward moments: ends that come with the bytes, messages inside of streams, numbers
 * that were something else before. */
#define _XOPEN_SOURCE 700 /* posix_openpt */
#include "fds.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define SOON (knit_now() + 20 * KNIT_MILLISECOND) /* what is waited for does not come */
#define LATER (knit_now() + 20 * KNIT_SECOND)     /* it does */

#define JOIN(g, want)                                                                              \
    do {                                                                                           \
        CHECK_INT(knit_errgroup_wait(g), want);                                                    \
        CHECK_INT(knit_errgroup_close(g), want);                                                   \
    } while (0)

static void nothing_is_read_at_once(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        fds f = fds_new(kind);
        char c;
        CHECK_INT(knit_read_until(f.in, &c, 0, LATER), 0);
        CHECK_INT(knit_write_until(f.out, &c, 0, LATER), 0);
        fds_close(&f);
    }
}

/* ---- streams that have more to give than one call returns ---- */

static void send_with_descriptor(int s, const char *bytes, size_t n, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec iov = {(void *)(uintptr_t)bytes, n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof control.buf};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK_INT(sendmsg(s, &m, 0), n);
}

static void descriptors_in_a_stream_end_a_read_not_the_stream(void)
{
    fds f = fds_new(FDS_SOCKET_ADOPTED);
    char buf[16];
    CHECK_INT(knit_read_until(f.in, buf, 1, knit_now() + 1000), -ETIMEDOUT);
    send_with_descriptor(f.out, "ab", 2, f.out);
    CHECK_INT(write(f.out, "cd", 2), 2);
    CHECK_INT(knit_sleep(2 * KNIT_MILLISECOND), 0); /* both are known */
    CHECK_INT(knit_wait_fd(f.in, KNIT_READABLE, KNIT_FOREVER), KNIT_READABLE);
    CHECK_INT(knit_sleep(2 * KNIT_MILLISECOND), 0);
    CHECK_INT(knit_read_until(f.in, buf, sizeof buf, LATER), 2);
    CHECK_INT(knit_read_until(f.in, buf, sizeof buf, LATER), 2);
    fds_close(&f);
}

static void an_urgent_byte_ends_a_read_not_the_stream(void)
{
    if (knit_simulated(NULL))
        return; /* there is no TCP there */
    fds f = fds_new(FDS_TCP_ADOPTED);
    char buf[16];
    CHECK_INT(knit_read_until(f.in, buf, 1, knit_now() + 1000), -ETIMEDOUT);
    CHECK_INT(write(f.out, "ab", 2), 2);
    CHECK_INT(send(f.out, "!", 1, MSG_OOB), 1);
    CHECK_INT(write(f.out, "cd", 2), 2);
    CHECK_INT(knit_sleep(5 * KNIT_MILLISECOND), 0);
    CHECK_INT(knit_read_until(f.in, buf, sizeof buf, LATER), 2);
    CHECK_INT(knit_read_until(f.in, buf, sizeof buf, LATER), 2);
    fds_close(&f);
}

static int wait_priority(void *arg)
{
    const fds *f = arg;
    return knit_wait_fd(f->in, KNIT_PRIORITY, LATER) == KNIT_PRIORITY ? 0 : -ETIME;
}

static int wait_both(void *arg)
{
    const fds *f = arg;
    int r = knit_wait_fd(f->in, KNIT_READABLE, LATER);
    return r < 0 ? r : 0;
}

static void who_waits_for_urgent_bytes_is_not_forgotten(void)
{
    if (knit_simulated(NULL))
        return;
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        if (!fds_is_tcp(kind))
            continue;
        fds f = fds_new(kind);
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, wait_priority, &f), 0);
        CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
        CHECK_INT(knit_errgroup_go(&g, wait_both, &f), 0);
        CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
        CHECK_INT(send(f.out, "x!", 2, MSG_OOB), 2);
        JOIN(&g, 0);
        fds_close(&f);
    }
}

/* ---- ends ---- */

static void fill(int fd)
{
    static char zeros[65536];
    for (size_t n = sizeof zeros; n > 0; n /= 2)
        while (knit_write_until(fd, zeros, n, 1) > 0) {
        }
}

static void half_an_end_is_no_end_for_who_writes(void)
{
    for (int kind = 0; kind < FDS_KINDS; kind++) {
        if (!fds_is_socket(kind))
            continue;
        fds f = fds_new(kind);
        fill(f.out);
        CHECK_INT(shutdown(f.in, SHUT_WR), 0);
        uint64_t before = kt_parks();
        int r = knit_wait_fd(f.out, KNIT_WRITABLE, SOON);
        CHECK(r == -ETIMEDOUT || (fds_is_tcp(kind) && r == KNIT_WRITABLE));
        CHECK(kt_parks() - before < 20); /* not again and again */
        before = kt_parks();
        CHECK_INT(knit_wait_fd(f.out, KNIT_PRIORITY, SOON), -ETIMEDOUT);
        CHECK(kt_parks() - before < 20);
        fds_close(&f);
    }
}

/* ---- descriptors in blocking mode that the kernel can only wait for ---- */

/* Only some of it, in time: later and later, until it had begun before the deadline. */
static void fill_until_a_deadline(int fd, size_t size)
{
    static char much[8 << 20];
    size_t done = 0;
    for (knit_duration time = 20 * KNIT_MILLISECOND; done == 0; time *= 2)
        CHECK_INT(knit_write_full_until(fd, much, size, knit_now() + time, &done), -ETIMEDOUT);
    CHECK(done < size);
}

static void a_full_fifo_does_not_outlast_a_deadline(void)
{
    char dir[] = "/tmp/knit-io-XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fifo", dir);
    CHECK_INT(mkfifo(path, 0600), 0);
    int both = open(path, O_RDWR), out = open(path, O_WRONLY);
    CHECK(both >= 0 && out >= 0);
    fill_until_a_deadline(out, 1 << 20);
    CHECK_INT(close(both) + close(out) + unlink(path) + rmdir(dir), 0);
}

static void a_stopped_terminal_does_not_outlast_a_deadline(void)
{
    static char much[1 << 20];
    if (knit_simulated(NULL))
        return; /* threads of the kernel move a terminal's bytes */
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0)
        kt_skip("no terminals here");
    CHECK_INT(grantpt(master) + unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
    size_t done = 0;
    char c;
    CHECK_INT(knit_read_until(slave, &c, 1, SOON), -ETIMEDOUT);
    CHECK_INT(knit_write_full_until(slave, much, sizeof much, SOON, &done), -ETIMEDOUT);
    CHECK(done < sizeof much);
    CHECK_INT(close(master) + close(slave), 0);
}

static void a_number_that_was_something_else_is_looked_at_anew(void)
{
    int file = open("/proc/self/status", O_RDONLY), fd = fds_none();
    char buf[10];
    CHECK_INT(dup2(file, fd), fd);
    CHECK(knit_read(fd, buf, sizeof buf) > 0);
    CHECK_INT(close(fd) + close(file), 0);
    fds f = fds_new(FDS_SOCKET_BLOCKING);
    CHECK_INT(dup2(f.out, fd), fd);
    fill_until_a_deadline(fd, 8 << 20);
    CHECK_INT(close(fd), 0);
    fds_close(&f);
}

/* ---- closing ---- */

static int read_closed(void *arg)
{
    char c;
    const fds *f = arg;
    return knit_read(f->in, &c, 1) == -EBADF ? 0 : -EIO;
}

static int close_it(void *arg)
{
    const fds *f = arg;
    CHECK_INT(knit_close(f->in), 0);
    return 0;
}

static void who_begins_to_wait_while_it_is_closed_is_told(void)
{
    if (KT_TSAN)
        return; /* it takes a close beside a call for a race, as it is */
    for (int round = 0; round < kt_count(2000); round++) {
        fds f = fds_high(round % FDS_KINDS);
        knit_errgroup g;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go(&g, read_closed, &f), 0);
        CHECK_INT(knit_errgroup_go(&g, close_it, &f), 0);
        CHECK_INT(knit_errgroup_go(&g, read_closed, &f), 0);
        JOIN(&g, 0);
        CHECK_INT(knit_close(f.out), 0);
    }
}

struct pair {
    int to;
    struct sockaddr_in from;
};

static int answer(void *arg)
{
    const struct pair *p = arg;
    CHECK_INT(knit_sleep(5 * KNIT_MILLISECOND), 0);
    CHECK_INT(sendto(p->to, "y", 1, 0, (const struct sockaddr *)&p->from, sizeof p->from), 1);
    return 0;
}

/* What lies in its queue of errors says "ready" for ever. */
static void a_queue_of_errors_keeps_nobody_busy(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    struct pair pair = {socket(AF_INET, SOCK_DGRAM, 0), {0}};
    knit_errgroup g;
    char c;
    CHECK_INT(bind(pair.to, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(getsockname(pair.to, (struct sockaddr *)&a, &size), 0);
    /* from itself only: the port stays taken, and others are refused */
    CHECK_INT(connect(pair.to, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(setsockopt(s, IPPROTO_IP, 11 /* IP_RECVERR */, &on, sizeof on), 0);
    CHECK_INT(connect(s, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(send(s, "x", 1, 0), 1);
    CHECK_INT(knit_read_until(s, &c, 1, LATER), -ECONNREFUSED);
    uint64_t before = kt_parks();
    CHECK_INT(knit_read_until(s, &c, 1, SOON), -ETIMEDOUT);
    CHECK(kt_parks() - before < 50);
    CHECK_INT(getsockname(s, (struct sockaddr *)&pair.from, &size), 0);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, answer, &pair), 0);
    CHECK_INT(knit_read_until(s, &c, 1, LATER), 1); /* by an edge */
    JOIN(&g, 0);
    CHECK_INT(close(s) + close(pair.to), 0);
}

/* ---- whoever polls ---- */

static int read_all(void *arg)
{
    const fds *f = arg;
    char c;
    ssize_t n;
    while ((n = knit_read(f->in, &c, 1)) == 1) {
    }
    return (int)n;
}

static int touch(void *arg)
{
    const fds *f = arg;
    CHECK_INT(write(f->out, "x", 1), 1);
    return 0;
}

/* The writer is no task; what it writes to the other pipe nobody waits for. */
static void rests_of_any_length_end(void)
{
    fds f = fds_new(FDS_PIPE), other = fds_new(FDS_PIPE);
    knit_errgroup g;
    char c;
    CHECK_INT(knit_read_until(other.in, &c, 1, knit_now() + 1000), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, read_all, &f), 0);
    srand(1);
    for (int i = 0; i < 20; i++) {
        for (int k = rand() % 4; k > 0; k--) {
            CHECK_INT(knit_sleep(rand() % (20 * KNIT_MILLISECOND)), 0);
            if (rand() % 2)
                CHECK_INT(write(other.out, "x", 1), 1);
            else
                CHECK_INT(knit_errgroup_go(&g, touch, &other), 0);
        }
        CHECK_INT(write(f.out, "x", 1), 1);
    }
    CHECK_INT(knit_close(f.out), 0);
    JOIN(&g, 0);
    CHECK_INT(knit_close(f.in), 0);
    fds_close(&other);
}

/* A real sleep is the point: a marked call that keeps its thread. */
static int sleep_outside(void *arg)
{
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    (void)arg;
    nanosleep(&pause, NULL);
    return 0;
}

static int block_for_a_while(void *arg)
{
    return knit_blocking(sleep_outside, arg);
}

/* It polls since the only worker was in a blocking call; one that ends before the monitor has looked
 * needs no spare. */
static void a_spare_thread_that_polls_ends_too(void)
{
    fds f;
    knit_errgroup g;
    knit_runtime_counts c;
    if (knit_simulated(NULL))
        kt_skip("it sleeps outside");
    CHECK_INT(setenv("KNIT_WORKERS", "1", 1), 0);
    f = fds_new(FDS_PIPE);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, read_all, &f), 0);
    CHECK_INT(knit_sleep(5 * KNIT_MILLISECOND), 0);
    do {
        CHECK_INT(knit_errgroup_go(&g, block_for_a_while, NULL), 0);
        CHECK_INT(knit_sleep(50 * KNIT_MILLISECOND), 0);
        CHECK_INT(knit_runtime_stats(&c), 0);
    } while (c.spares_started == 0);
    while (c.spares != 0) {
        CHECK_INT(knit_sleep(50 * KNIT_MILLISECOND), 0);
        CHECK_INT(knit_runtime_stats(&c), 0);
    }
    CHECK_INT(write(f.out, "x", 1), 1); /* somebody else does now */
    CHECK_INT(knit_close(f.out), 0);
    JOIN(&g, 0);
    CHECK_INT(knit_close(f.in), 0);
}

static int nap(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_MILLISECOND);
}

/* A program that closes all descriptors there are is told, rather than stopped in its tracks. */
static void who_closes_knits_own_descriptors_is_told(void)
{
    int status = 0;
    if (knit_simulated(NULL))
        kt_skip("it forks");
    kt_needs_fork();
    pid_t child = fork();
    if (child == 0) {
        fds f = fds_new(FDS_PIPE);
        knit_errgroup g;
        close(2);
        CHECK_INT(knit_read_until(f.in, &(char){0}, 1, SOON), -ETIMEDOUT);
        for (int fd = 3; fd < 100; fd++)
            close(fd);
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        for (alarm(20);;) { /* whoever wakes a worker, or goes to sleep */
            CHECK_INT(knit_errgroup_go(&g, nap, NULL), 0);
            CHECK_INT(knit_errgroup_wait(&g), 0);
        }
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static const knittest tests[] = {
    BOTH(nothing_is_read_at_once),
    BOTH(descriptors_in_a_stream_end_a_read_not_the_stream),
    BOTH(an_urgent_byte_ends_a_read_not_the_stream),
    BOTH(who_waits_for_urgent_bytes_is_not_forgotten),
    BOTH(half_an_end_is_no_end_for_who_writes),
    BOTH(a_full_fifo_does_not_outlast_a_deadline),
    BOTH(a_stopped_terminal_does_not_outlast_a_deadline),
    BOTH(a_number_that_was_something_else_is_looked_at_anew),
    BOTH(who_begins_to_wait_while_it_is_closed_is_told),
    BOTH(rests_of_any_length_end),
    COLD(a_spare_thread_that_polls_ends_too),
    ALONE(who_closes_knits_own_descriptors_is_told),
    BOTH(a_queue_of_errors_keeps_nobody_busy),
};

KNITTEST_MAIN(tests)
