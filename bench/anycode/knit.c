/* anycode: a task calls C code that knows nothing of tasks and holds its thread for 50 ms, while
 * SIZE short tasks wait. us from its begin until all of them have run: the median and the 99th
 * percentile of EXTRA rounds (default 100). The first value: getaddrinfo, whose name server (one of
 * this process) takes its time to answer.
 * fread   of a FIFO whose writer takes its time; usleep; and busy, a computation
 * ..._p99 the same, 99th percentile */
#include "../lib/bench_knit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { HOLD_US = 50 * 1000 };

static struct {
    int socket;
    struct sockaddr_in address;
    char directory[64], fifo[80];
    long steps;
} world;

/* ---- the other ends, on threads of their own ---- */

/* Says after a while that there is no such name. */
static void *name_server(void *unused)
{
    unsigned char packet[512];
    struct sockaddr_in from;

    for (;;) {
        socklen_t size = sizeof from;
        ssize_t n =
            recvfrom(world.socket, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
        if (n < 12)
            break;
        usleep(HOLD_US);
        packet[2] |= 0x80; /* an answer */
        packet[3] = 3;     /* no such name */
        sendto(world.socket, packet, (size_t)n, 0, (struct sockaddr *)&from, size);
    }
    return unused;
}

static void *fifo_writer(void *unused)
{
    FILE *f = fopen(world.fifo, "w"); /* waits for the reader */

    if (!f)
        bench_die("open the FIFO", errno);
    usleep(HOLD_US);
    fputc('x', f);
    fclose(f);
    return unused;
}

static void open_world(void)
{
    socklen_t size = sizeof world.address;
    pthread_t thread;

    world.address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    world.socket = socket(AF_INET, SOCK_DGRAM, 0);
    bench_check(bind(world.socket, (struct sockaddr *)&world.address, size), "bind");
    bench_check(getsockname(world.socket, (struct sockaddr *)&world.address, &size), "getsockname");
    bench_check(pthread_create(&thread, NULL, name_server, NULL), "thread");
    pthread_detach(thread);

    snprintf(world.directory, sizeof world.directory, "/tmp/knit-bench-XXXXXX");
    bench_check(mkdtemp(world.directory) == NULL, "mkdtemp");
    snprintf(world.fifo, sizeof world.fifo, "%s/fifo", world.directory);
    bench_check(mkfifo(world.fifo, 0600), "mkfifo");
    world.steps = bench_spin_steps((int64_t)HOLD_US * 1000);
}

static void close_world(void)
{
    unlink(world.fifo);
    rmdir(world.directory);
}

/* ---- what holds the thread ---- */

static void call_getaddrinfo(void)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    bench_check(res_init(), "res_init"); /* this thread's settings, if it is new */
    _res.nscount = 1;
    _res.nsaddr_list[0] = world.address;
    _res.options &= ~(unsigned long)(RES_DNSRCH | RES_DEFNAMES);
    if (getaddrinfo("nobody.knit.test.", NULL, &hints, &found) == 0)
        bench_die("there is a nobody", 0);
}

static void call_fread(void)
{
    char byte;
    FILE *f = fopen(world.fifo, "r");

    if (!f || fread(&byte, 1, 1, f) != 1)
        bench_die("read the FIFO", errno);
    fclose(f);
}

static void call_usleep(void)
{
    usleep(HOLD_US);
}

static void call_busy(void)
{
    bench_spin(world.steps);
}

static const struct {
    const char *name;
    void (*call)(void);
} kinds[] = {
    {"getaddrinfo", call_getaddrinfo},
    {"fread", call_fread},
    {"usleep", call_usleep},
    {"busy", call_busy},
};
enum { KINDS = sizeof kinds / sizeof *kinds, FREAD = 1 };

/* ---- measuring ---- */

struct round {
    int64_t began, ended;
    long left;
    void (*call)(void);
};

static int hold(void *arg)
{
    struct round *r = arg;

    r->began = bench_now();
    r->call();
    return bench_now() - r->began < (int64_t)HOLD_US * 1000 / 2 ? -EIO : 0; /* it did not hold */
}

static int short_task(void *arg)
{
    struct round *r = arg;

    if (__atomic_sub_fetch(&r->left, 1, __ATOMIC_RELAXED) == 0)
        r->ended = bench_now();
    return 0;
}

static double one_round(int kind, long tasks)
{
    struct round r = {.left = tasks, .call = kinds[kind].call};
    knit_errgroup g = {0};
    pthread_t writer;

    if (kind == FREAD)
        bench_check(pthread_create(&writer, NULL, fifo_writer, NULL), "thread");
    bench_check(knit_sleep(5 * KNIT_MILLISECOND), "sleep");
    bench_check(knit_errgroup_go(&g, hold, &r), "go");
    bench_check(knit_yield(), "yield"); /* it begins; this task is behind it as well */
    for (long i = 0; i < tasks; i++)
        bench_check(knit_errgroup_go(&g, short_task, &r), "go");
    bench_check(knit_errgroup_wait(&g), "wait");
    if (kind == FREAD)
        pthread_join(writer, NULL);
    return (double)(r.ended - r.began) / 1e3;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    const size_t rounds = args->extra ? (size_t)args->extra : 100;
    double p50[KINDS], p99[KINDS];
    double *took = calloc(rounds, sizeof *took);

    bench_check(took == NULL, "memory");
    for (int kind = 0; kind < KINDS; kind++) {
        one_round(kind, args->size);
        for (size_t i = 0; i < rounds; i++)
            took[i] = one_round(kind, args->size);
        p50[kind] = bench_median(took, rounds); /* sorts */
        p99[kind] = took[rounds - 1 - rounds / 100];
    }
    printf("%.1f p99=%.1f", p50[0], p99[0]);
    for (int kind = 1; kind < KINDS; kind++)
        printf(" %s=%.1f %s_p99=%.1f", kinds[kind].name, p50[kind], kinds[kind].name, p99[kind]);
    printf("\n");
    free(took);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);

    open_world();
    bench_root(root, &args);
    close_world();
    return 0;
}
