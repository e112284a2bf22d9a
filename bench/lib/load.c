/* The load of the servers' problems: starts a server, plays its clients, and says what it cost.
 *
 *     load PROBLEM CONNECTIONS MS SERVER [ARG...]
 *
 * echo    each connection sends 64 bytes and waits for them, for MS ms. The value is processor time
 *         of the server per request, ns; rate: requests a second.
 * accept  so many at a time: connect, send a byte, wait for it, close (by a reset, which leaves no
 *         used port behind). The same values, per connection.
 * idle    CONNECTIONS are made, used once, and kept: memory of the server for each, bytes.
 * http    as echo, with requests and answers of HTTP: by wrk, or by ourselves where that is not
 *         installed (wrk=0).
 *
 * The server has the first CPU that we may use, the load the last; the server writes its port on a
 * line, and is killed in the end. Its processor time is read from here, as is its memory. */
#include "serve.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
    EVENTS = 512,
    BUFFER = 4096,
    PATIENCE_MS = 10000, /* a server that is silent for so long has failed */
    REST_NS = 5000,
    WARM_UP_MS = 200,
    ECHO_BYTES = 64,
};

struct server {
    pid_t pid;
    clockid_t cpu; /* its processor time, as a clock */
    struct sockaddr_in address;
};

struct talk { /* what each connection says, and what it hears */
    const char *request;
    size_t length;
    const char *begins; /* the answer begins so */
    size_t begin_length;
    size_t answer; /* so long is the answer */
};

struct client {
    int fd;
    size_t have; /* bytes of the answer so far */
};

struct cost {
    long requests;
    double ns;     /* elapsed */
    double cpu_ns; /* of the server */
};

struct job {
    const char *problem;
    int connections;
    long ms;
    char **server;
};

static bool alone; /* on our CPU: the server has another one */

/* ---- the server ---- */

/* Use one CPU: the first or the last of those allowed. */
static void pin(bool first)
{
    cpu_set_t allowed;
    int cpu = -1;
    bench_check(sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
    alone = CPU_COUNT(&allowed) > 1;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET((size_t)i, &allowed) && (cpu < 0 || !first))
            cpu = i;
    }
    CPU_ZERO(&allowed);
    CPU_SET((size_t)cpu, &allowed);
    bench_check(sched_setaffinity(0, sizeof allowed, &allowed), "sched_setaffinity");
}

/* In a child: become the program, whose stdout is `out`; it dies with us. */
static void become(char **program, int out, bool first_cpu)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(126);
    pin(first_cpu);
    execvp(program[0], program);
    _exit(127);
}

static FILE *start(char **program, bool first_cpu, pid_t *ret_pid)
{
    int ends[2];
    bench_check(pipe2(ends, O_CLOEXEC), "pipe");
    const pid_t pid = fork();
    bench_check(pid < 0, "fork");
    if (pid == 0)
        become(program, ends[1], first_cpu);
    close(ends[1]);
    *ret_pid = pid;
    FILE *out = fdopen(ends[0], "r");
    bench_check(out == NULL, "fdopen");
    return out;
}

static struct server server_start(char **program)
{
    struct server s = {
        .address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    unsigned short port;
    FILE *out = start(program, true, &s.pid);
    if (fscanf(out, "%hu", &port) != 1)
        bench_die("the server did not start", 0);
    fclose(out);
    s.address.sin_port = htons(port);
    bench_check(clock_getcpuclockid(s.pid, &s.cpu), "clock_getcpuclockid");
    return s;
}

static void server_stop(const struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

static double server_cpu_ns(const struct server *s)
{
    struct timespec ts;
    bench_check(clock_gettime(s->cpu, &ts), "the server's clock");
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double server_rss(const struct server *s)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)s->pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1)
        bench_die("the server's memory", errno);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* ---- the clients ---- */

/* A connection whose close is a reset. */
static int dial(const struct server *s)
{
    const struct linger reset = {.l_onoff = 1};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_check(fd < 0 ? errno : 0, "socket");
    bench_check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "SO_LINGER");
    bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    const struct sockaddr *to = (const struct sockaddr *)&s->address;
    bench_check(connect(fd, to, sizeof s->address) ? errno : 0, "connect");
    return fd;
}

static void watch(int set, struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    bench_check(epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event), "epoll_ctl");
}

static void ask(struct client *c, const struct talk *talk)
{
    c->have = 0;
    if (send(c->fd, talk->request, talk->length, MSG_NOSIGNAL) != (ssize_t)talk->length)
        bench_die("send", errno);
}

/* Read: true when the answer is complete. */
static bool hear(struct client *c, const struct talk *talk, int flags)
{
    char buf[BUFFER];
    const ssize_t n = recv(c->fd, buf, sizeof buf, flags);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        bench_die("the server closed a connection", n < 0 ? errno : 0);
    if (c->have == 0 && (size_t)n >= talk->begin_length &&
        memcmp(buf, talk->begins, talk->begin_length) != 0)
        bench_die("a wrong answer", n);
    c->have += (size_t)n;
    if (c->have > talk->answer)
        bench_die("too long an answer", (long)c->have);
    return c->have == talk->answer;
}

/* Without ever going to sleep: to wake us would cost the server more than an answer does, and a
 * server would pay for that the more often the slower it is. Nor looking all the time: the kernel's
 * list of what is ready is shared with the server. */
static int wait_events(int set, struct epoll_event *events)
{
    const int64_t begun = bench_now();
    for (;;) {
        const int n = epoll_wait(set, events, EVENTS, alone ? 0 : 1);
        if (n > 0)
            return n;
        bench_check(n < 0 && errno != EINTR ? errno : 0, "epoll_wait");
        const int64_t looked = bench_now();
        while (alone && bench_now() - looked < REST_NS) {
        }
        if (looked - begun > (int64_t)PATIENCE_MS * 1000000)
            bench_die("the server does not answer", 0);
    }
}

/* What a client does when its answer is complete. */
typedef void next_fn(int set, struct client *c, const struct server *s, const struct talk *talk);

static void ask_again(int set, struct client *c, const struct server *s, const struct talk *talk)
{
    (void)set;
    (void)s;
    ask(c, talk);
}

static void dial_again(int set, struct client *c, const struct server *s, const struct talk *talk)
{
    close(c->fd);
    c->fd = dial(s);
    ask(c, talk);
    watch(set, c);
}

/* Let the clients, each of which waits for an answer, go on for so long: what it cost. */
static struct cost play(int set, const struct server *s, const struct talk *talk, next_fn *next,
                        long ms)
{
    struct epoll_event events[EVENTS];
    const double cpu = server_cpu_ns(s);
    const int64_t begun = bench_now();
    int64_t now = begun;
    long requests = 0;
    while (now - begun < ms * 1000000) {
        const int n = wait_events(set, events);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (hear(c, talk, MSG_DONTWAIT)) {
                next(set, c, s, talk);
                requests++;
            }
        }
        now = bench_now();
    }
    return (struct cost){requests, (double)(now - begun), server_cpu_ns(s) - cpu};
}

/* Connect, and use each once before the next: so the server's backlog stays short. */
static void connect_all(const struct server *s, const struct talk *talk, struct client *clients,
                        int n)
{
    for (int i = 0; i < n; i++) {
        clients[i].fd = dial(s);
        ask(&clients[i], talk);
        while (!hear(&clients[i], talk, 0)) {
        }
    }
}

static void close_all(struct client *clients, int n)
{
    for (int i = 0; i < n; i++)
        close(clients[i].fd);
}

static struct client *clients_new(int n)
{
    struct client *clients = calloc((size_t)n, sizeof *clients);
    bench_check(clients == NULL, "memory");
    return clients;
}

/* ---- the problems ---- */

static void print_cost(struct cost cost)
{
    if (cost.requests == 0)
        bench_die("nothing was answered", 0);
    const double n = (double)cost.requests;
    printf("%.1f rate=%.0f", cost.cpu_ns / n, n / (cost.ns / 1e9));
}

/* Connections that wait for answers, warmed up. */
static struct cost converse(const struct job *job, const struct server *s, const struct talk *talk,
                            next_fn *next)
{
    struct client *clients = clients_new(job->connections);
    const int set = epoll_create1(EPOLL_CLOEXEC);
    bench_check(set < 0 ? errno : 0, "epoll_create1");
    connect_all(s, talk, clients, job->connections);
    for (int i = 0; i < job->connections; i++) {
        watch(set, &clients[i]);
        ask(&clients[i], talk);
    }
    play(set, s, talk, next, WARM_UP_MS);
    const struct cost cost = play(set, s, talk, next, job->ms);
    close_all(clients, job->connections);
    free(clients);
    close(set);
    return cost;
}

static struct talk parrot(size_t n)
{
    static char ball[ECHO_BYTES];
    memset(ball, 'k', sizeof ball);
    return (struct talk){ball, n, ball, n, n};
}

static void play_echo(const struct job *job, const struct server *s)
{
    const struct talk talk = parrot(ECHO_BYTES);
    print_cost(converse(job, s, &talk, ask_again));
}

static void play_accept(const struct job *job, const struct server *s)
{
    const struct talk talk = parrot(1);
    print_cost(converse(job, s, &talk, dial_again));
}

static void play_idle(const struct job *job, const struct server *s)
{
    const struct talk talk = parrot(ECHO_BYTES);
    const int n = job->connections;
    struct client *clients = clients_new(n);
    connect_all(s, &talk, clients, n / 100 + 1);
    close_all(clients, n / 100 + 1);
    const double before = server_rss(s);
    connect_all(s, &talk, clients, n);
    printf("%.1f", (server_rss(s) - before) / n);
    close_all(clients, n);
    free(clients);
}

/* The length of the server's answer, which is the same each time. */
static size_t answer_length(const struct server *s, const char *request)
{
    char buf[BUFFER];
    const int fd = dial(s);
    bench_check(send(fd, request, strlen(request), 0) < 0 ? errno : 0, "send");
    const ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
    buf[n > 0 ? n : 0] = '\0';
    const char *length = strcasestr(buf, "\r\nContent-Length: ");
    const char *body = strstr(buf, "\r\n\r\n");
    if (length == NULL || body == NULL)
        bench_die("no answer of HTTP", n);
    close(fd);
    return (size_t)(body + 4 - buf) + strtoul(length + 18, NULL, 10);
}

/* The load by wrk, for whole seconds: false when there is none. */
static bool play_wrk(const struct job *job, const struct server *s, struct cost *ret_cost)
{
    char connections[32], seconds[32], url[64], line[256];
    snprintf(connections, sizeof connections, "-c%d", job->connections);
    snprintf(seconds, sizeof seconds, "-d%lds", (job->ms + 999) / 1000);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(s->address.sin_port));
    char wrk[] = "wrk", one_thread[] = "-t1";
    char *argv[] = {wrk, one_thread, connections, seconds, url, NULL};
    struct cost cost = {0};
    double rate = 0;
    pid_t pid;
    int status = 0;
    const double cpu = server_cpu_ns(s);
    FILE *out = start(argv, false, &pid);
    while (fgets(line, sizeof line, out)) {
        if (strstr(line, "Socket errors:") || strstr(line, "Non-2xx"))
            bench_die(line, 0);
        sscanf(line, " %ld requests in", &cost.requests);
        sscanf(line, "Requests/sec: %lf", &rate);
    }
    fclose(out);
    waitpid(pid, &status, 0);
    cost.cpu_ns = server_cpu_ns(s) - cpu;
    if (status != 0 || rate <= 0)
        return false;
    cost.ns = (double)cost.requests / rate * 1e9;
    *ret_cost = cost;
    return true;
}

static void play_http(const struct job *job, const struct server *s)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    static const char begins[] = "HTTP/1.1 200 ";
    const struct talk talk = {request, sizeof request - 1, begins, sizeof begins - 1,
                              answer_length(s, request)};
    struct cost cost;
    const bool by_wrk = play_wrk(job, s, &cost);
    if (!by_wrk)
        cost = converse(job, s, &talk, ask_again);
    print_cost(cost);
    printf(" wrk=%d", by_wrk);
}

/* Room for twice as many descriptors as there may be connections; the server inherits it. */
static void raise_descriptors(int connections)
{
    struct rlimit limit;
    bench_check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    bench_check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    if (limit.rlim_cur < (rlim_t)connections + 100)
        bench_die("too few descriptors are allowed (ulimit -Hn)", (long)limit.rlim_cur);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*play)(const struct job *job, const struct server *s);
    } problems[] = {
        {"echo", play_echo}, {"accept", play_accept}, {"idle", play_idle}, {"http", play_http}};
    if (argc < 5)
        bench_die("usage: load PROBLEM CONNECTIONS MS SERVER [ARG...]", 0);
    const struct job job = {argv[1], atoi(argv[2]), atol(argv[3]), argv + 4};
    raise_descriptors(job.connections);
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        if (strcmp(problems[i].name, job.problem) != 0)
            continue;
        const struct server server = server_start(job.server);
        pin(false);
        problems[i].play(&job, &server);
        printf("\n");
        server_stop(&server);
        return 0;
    }
    bench_die("no such problem", 0);
}
