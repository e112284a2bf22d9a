/* api-server [--port N] [--metrics-port N] [--grace MS] [--patience S] [--tasks N]
 *            [--fail api|metrics|watcher]
 *
 * An HTTP API, its metrics, and who watches for signals: three tasks of one group. If one of them
 * fails the others end, and what it failed with is the program's error. SIGINT and SIGTERM end it
 * in order: exit status 0; a second one ends it at once. */
#define _POSIX_C_SOURCE 200809L
#include "api.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct options {
    long port, metrics_port, grace, patience, tasks;
    const char *fail;
};

/* Fails because of SIGUSR1, if told to; otherwise until SIGINT or SIGTERM. */
static int watch(void *arg)
{
    static const int number = SIGUSR1;
    const struct options *o = arg;
    knit_signals *signals;
    if (strcmp(o->fail, "watcher") != 0)
        return knit_until_signal(NULL);
    int r = knit_signals_new(&number, 1, &signals);
    if (r < 0)
        return r;
    r = knit_signals_wait(signals);
    knit_signals_free(signals);
    return r < 0 ? r : knit_error(-EIO, "watcher: as it was told to");
}

/* Sockets are what a server needs most. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void report(const knit_errgroup *g)
{
    char text[4096];
    knit_errgroup_format(g, text, sizeof text);
    fprintf(stderr, "api-server: %s", text);
}

static int run(struct options *o)
{
    struct http api = {.name = "api",
                       .port = (unsigned short)o->port,
                       .grace = o->grace * KNIT_MILLISECOND,
                       .patience = (unsigned)o->patience,
                       .tasks = (unsigned)o->tasks,
                       .handle = api_handle,
                       .fail = strcmp(o->fail, "api") == 0};
    struct metrics metrics = {.http = {.name = "metrics",
                                       .port = (unsigned short)o->metrics_port,
                                       .grace = o->grace * KNIT_MILLISECOND,
                                       .patience = (unsigned)o->patience,
                                       .tasks = 1,
                                       .handle = metrics_handle,
                                       .fail = strcmp(o->fail, "metrics") == 0},
                              .api = &api};
    knit_errgroup g;
    int r =
        knit_errgroup_init(&g, &(knit_errgroup_options){.name = "api-server", .stack = 256 * 1024});
    if (r < 0)
        return r;
    knit_errgroup_go(&g, watch, o);
    r = knit_errgroup_start(&g, http_serve, &api, NULL);
    if (r == 0)
        r = knit_errgroup_start(&g, http_serve, &metrics.http, NULL);
    if (r == 0) {
        printf("http://127.0.0.1:%d http://127.0.0.1:%d/metrics\n", api.port, metrics.http.port);
        fflush(stdout);
    }
    r = knit_errgroup_wait(&g);
    if (r == -EINTR)
        fprintf(stderr, "api-server: ended by a signal; %llu requests, %llu cut off\n",
                (unsigned long long)api.requests, (unsigned long long)api.cut_off);
    else
        report(&g);
    knit_errgroup_close(&g);
    return r == -EINTR ? 0 : r;
}

static long *number_of(struct options *o, const char *name)
{
    if (strcmp(name, "--port") == 0)
        return &o->port;
    if (strcmp(name, "--metrics-port") == 0)
        return &o->metrics_port;
    if (strcmp(name, "--grace") == 0)
        return &o->grace;
    if (strcmp(name, "--patience") == 0)
        return &o->patience;
    return strcmp(name, "--tasks") == 0 ? &o->tasks : NULL;
}

int main(int argc, char **argv)
{
    struct options o = {.grace = 5000, .patience = 10, .tasks = 1000, .fail = ""};
    for (int i = 1; i < argc; i += 2) {
        long *number = number_of(&o, argv[i]);
        if (i + 1 < argc && number) {
            *number = strtol(argv[i + 1], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--fail") == 0) {
            o.fail = argv[i + 1];
        } else {
            fprintf(stderr, "usage: api-server [--port N] [--metrics-port N] [--grace MS] "
                            "[--patience S] [--tasks N] [--fail api|metrics|watcher]\n");
            return 2;
        }
    }
    raise_limit();
    return run(&o) == 0 ? 0 : 1;
}
