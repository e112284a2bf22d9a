/* An echo server of one task per connection, and clients that behave badly: they leave at once, send
 * garbage, stall, close by halves, reset. In between some talk as they should, and get every byte
 * back. At the end the server still answers, and then nothing is left: no descriptor and no stack
 * (the fixture), no task, no memory.
 *
 * Argument, or KNIT_STRESS_CONNECTIONS: how many connections; 1,000 if not said. Seed: KNIT_SEED. */
#include "sockets.h"

#include <errno.h>
#include <malloc.h>

enum { SERVED_AT_ONCE = 500, CLIENTS = 100, STAYING = 60, SEND = 20000, FLOOD = 1000000 };

static int connections_wanted = 1000;

/* ---- the server ---- */

typedef struct server {
    int listener;
    char text[KNIT_ADDRESS_TEXT];
    knit_errgroup acceptor, served;
    atomic_long accepted, begun, ended;
} server;

static server echo; /* of the only test of this process */

/* What a client may do to us. */
static bool is_their_doing(ssize_t r)
{
    return r == -ECONNRESET || r == -EPIPE || r == -ETIMEDOUT;
}

static int serve(void *arg)
{
    int fd = *(int *)arg;
    char buf[4096];
    ssize_t n, r = 0;
    atomic_fetch_add(&echo.begun, 1);
    while (r == 0 && (n = knit_read(fd, buf, sizeof buf)) != 0)
        r = n > 0 ? knit_write_full(fd, buf, (size_t)n, NULL) : n;
    CHECK(r == 0 || r == -ECANCELED || is_their_doing(r));
    CHECK_INT(knit_close(fd), 0);
    atomic_fetch_add(&echo.ended, 1);
    return 0;
}

static int accept_calls(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = knit_accept(echo.listener, NULL);
        CHECK(fd >= 0 || fd == -ECANCELED);
        if (fd < 0)
            return fd;
        atomic_fetch_add(&echo.accepted, 1);
        CHECK_INT(knit_errgroup_go_copy(&echo.served, serve, &fd, sizeof fd), 0);
    }
}

static void server_start(void)
{
    knit_errgroup_options options = {.limit = SERVED_AT_ONCE};
    echo.listener = listen_here("tcp", echo.text);
    CHECK_INT(knit_errgroup_init(&echo.served, &options), 0);
    CHECK_INT(knit_errgroup_init(&echo.acceptor, NULL), 0);
    CHECK_INT(knit_errgroup_go(&echo.acceptor, accept_calls, NULL), 0);
}

/* Who has not begun when the group is cancelled would not close its descriptor. */
static void server_stop(void)
{
    knit_errgroup_counts counts;
    knit_errgroup_cancel(&echo.acceptor, 0);
    CHECK_INT(knit_errgroup_close(&echo.acceptor), -ECANCELED);
    kt_until(echo.begun == echo.accepted);
    knit_errgroup_cancel(&echo.served, 0);
    CHECK_INT(knit_errgroup_wait(&echo.served), -ECANCELED);
    CHECK_INT(knit_errgroup_stats(&echo.served, &counts), 0);
    CHECK_INT(counts.pending, 0);
    CHECK_INT(echo.ended, echo.accepted);
    CHECK_INT(knit_errgroup_close(&echo.served), -ECANCELED);
    CHECK_INT(knit_close(echo.listener), 0);
}

/* ---- the clients ---- */

static atomic_long to_do, called, talked;
static atomic_int may_stay = STAYING;
static knit_waitgroup busy; /* with clients that have not left, and do not stay for ever */

static int call(void)
{
    int fd = knit_dial("tcp", echo.text);
    CHECK(fd >= 0);
    atomic_fetch_add(&called, 1);
    return fd;
}

static void fill(char *bytes, size_t n, kt_rng *rng)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)kt_next(rng);
}

static void leave_at_once(int fd, kt_rng *rng)
{
    (void)fd, (void)rng;
}

/* As it should be. */
static void talk(int fd, kt_rng *rng)
{
    char said[1000], heard[1000];
    for (int i = 0; i < 5; i++) {
        size_t n = 1 + kt_below(rng, sizeof said);
        fill(said, n, rng);
        CHECK_INT(knit_write_full(fd, said, n, NULL), 0);
        CHECK_INT(knit_read_full(fd, heard, n, NULL), 0);
        CHECK(memcmp(said, heard, n) == 0);
    }
    atomic_fetch_add(&talked, 1);
}

/* And nothing is read. */
static void send_garbage(int fd, kt_rng *rng)
{
    size_t n = kt_below(rng, FLOOD);
    char *bytes = malloc(n + 1);
    CHECK(bytes);
    fill(bytes, n < 100 ? n : 100, rng);
    int r = knit_write_full_until(fd, bytes, n, knit_now() + 5 * KNIT_MILLISECOND, NULL);
    CHECK(r == 0 || r == -ETIMEDOUT);
    free(bytes);
}

static bool stays(kt_rng *rng)
{
    int left = atomic_load(&may_stay);
    if (kt_below(rng, 10) != 0)
        return false;
    while (left > 0) {
        if (atomic_compare_exchange_weak(&may_stay, &left, left - 1))
            return true;
    }
    return false;
}

/* A word, and then nothing: for a while, or until the server ends. */
static void stall(int fd, kt_rng *rng)
{
    char heard[4];
    CHECK_INT(knit_write_full(fd, "well", 4, NULL), 0);
    CHECK_INT(knit_read_full(fd, heard, 4, NULL), 0);
    if (!stays(rng)) {
        CHECK_INT(knit_sleep(kt_below(rng, 2000000)), 0);
        return;
    }
    CHECK_INT(knit_waitgroup_done(&busy), 0);
    ssize_t r = knit_read(fd, heard, sizeof heard);
    CHECK(r == 0 || r == -ECONNRESET);
    CHECK_INT(knit_waitgroup_add(&busy, 1), 0);
}

/* What was sent comes back, and then the end. */
static void close_by_halves(int fd, kt_rng *rng)
{
    size_t n = kt_below(rng, SEND), got = 0;
    char *bytes = malloc(SEND), heard[1000];
    ssize_t r;
    CHECK(bytes);
    fill(bytes, n, rng);
    CHECK_INT(knit_write_full(fd, bytes, n, NULL), 0);
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    while ((r = knit_read(fd, heard, sizeof heard)) > 0) {
        CHECK(got + (size_t)r <= n && memcmp(bytes + got, heard, (size_t)r) == 0);
        got += (size_t)r;
    }
    CHECK_INT(r, 0);
    CHECK_INT(got, n);
    free(bytes);
}

static void reset(int fd, kt_rng *rng)
{
    struct linger now = {.l_onoff = 1};
    if (kt_below(rng, 2))
        CHECK_INT(knit_write_full(fd, "well", 4, NULL), 0);
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
}

/* Urgent data, which the server does not know of: it ends no read for good. */
static void hurry(int fd, kt_rng *rng)
{
    char heard[6];
    (void)rng;
    CHECK_INT(send(fd, "abc", 3, MSG_NOSIGNAL), 3);
    CHECK_INT(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    CHECK_INT(send(fd, "def", 3, MSG_NOSIGNAL), 3);
    CHECK_INT(knit_read_full(fd, heard, sizeof heard, NULL), 0);
    CHECK(memcmp(heard, "abcdef", sizeof heard) == 0);
}

static int behave(void *arg)
{
    static void (*const ways[])(int fd, kt_rng *rng) = {
        leave_at_once, talk, send_garbage, stall, close_by_halves, reset, hurry,
    };
    kt_rng rng = {*(uint64_t *)arg};
    while (atomic_fetch_sub(&to_do, 1) > 0) {
        int fd = call();
        ways[kt_below(&rng, sizeof ways / sizeof ways[0])](fd, &rng);
        CHECK_INT(knit_close(fd), 0);
    }
    CHECK_INT(knit_waitgroup_done(&busy), 0);
    return 0;
}

/* Heap in use when only those are served that stay, bytes. With a sanitizer 0: it looks after leaks
 * itself. */
static long long heap_at_rest(void)
{
    kt_until(echo.accepted == called && echo.accepted - echo.ended == STAYING - may_stay);
    return (long long)mallinfo2().uordblks;
}

typedef struct crowd {
    knit_errgroup g;
    uint64_t seeds[CLIENTS];
} crowd;

static void crowd_start(crowd *c, kt_rng *rng, long connections)
{
    *c = (crowd){.seeds = {0}};
    atomic_store(&to_do, connections);
    CHECK_INT(knit_waitgroup_add(&busy, CLIENTS), 0);
    for (int i = 0; i < CLIENTS; i++) {
        c->seeds[i] = kt_next(rng);
        CHECK_INT(knit_errgroup_go(&c->g, behave, &c->seeds[i]), 0);
    }
}

static void the_server_outlives_its_clients(void)
{
    kt_rng rng = {kt_seed()};
    static crowd first, second;
    knit_runtime_counts counts;
    long long before, after;
    long n = connections_wanted;

    server_start();
    crowd_start(&first, &rng, n / 2);
    CHECK_INT(knit_waitgroup_wait(&busy), 0);
    before = heap_at_rest();
    crowd_start(&second, &rng, n - n / 2);
    CHECK_INT(knit_waitgroup_wait(&busy), 0);
    after = heap_at_rest();
    for (int i = 0; i < 20; i++) {
        int fd = call();
        talk(fd, &rng);
        CHECK_INT(knit_close(fd), 0);
    }
    server_stop();
    CHECK_INT(knit_errgroup_wait(&first.g), 0);
    CHECK_INT(knit_errgroup_wait(&second.g), 0);
    CHECK_INT(knit_runtime_stats(&counts), 0);
    fprintf(stderr, "# %ld connections, %ld talked, %d stayed, heap %+lld bytes, %llu stacks\n",
            echo.accepted, talked, STAYING - may_stay, after - before,
            (unsigned long long)counts.stacks);
    CHECK(after - before < 256 * 1024 + n / 2 * 8); /* queues of the runtime may have grown */
}

static const knittest tests[] = {
    BOTH(the_server_outlives_its_clients),
};

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : getenv("KNIT_STRESS_CONNECTIONS");
    connections_wanted = wanted && atoi(wanted) > 0 ? atoi(wanted) : kt_count(1000);
    setenv("KNIT_TEST_SECONDS", wanted ? "300" : "60", 0);
    return knittest_main(1, argv, tests, sizeof tests / sizeof tests[0]);
}
