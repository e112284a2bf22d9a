/* digest: see digest.h for how it works, digest --help for how it is used. */
#define _GNU_SOURCE
#include "digest.h"

#include "../common/errors.h"
#include "../common/interrupt.h"
#include "../common/terminal.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS_MAX = 1024 };

struct settings {
    char **roots;
    const char *algorithm;
    int jobs; /* 0: one for each worker */
    bool keep_going;
};

static const char usage[] =
    "Usage: digest [OPTION]... [FILE OR DIRECTORY]...\n"
    "Print the checksums of all regular files below the directories, in the format of sha256sum.\n"
    "Without arguments: of the files below the current directory.\n"
    "\n"
    "  -j, --jobs=N            read N files at once (default: the number of processors)\n"
    "  -a, --algorithm=NAME    any digest OpenSSL knows (default: SHA256)\n"
    "      --md5               the same as --algorithm=MD5\n"
    "  -k, --keep-going        go on after a file that cannot be read; list all errors at the end\n"
    "  -h, --help              this text\n"
    "\n"
    "The order is that of the names in each directory, byte by byte, whatever -j says. Symbolic\n"
    "links are followed only when they are named on the command line.\n"
    "\n"
    "Exit status: 0 all sums were printed; 1 a file could not be read, or the sums could not be\n"
    "written; 2 wrong usage; 128 + number after SIGINT (130), SIGTERM (143) or SIGHUP (129).\n";

/* 0 go on, else the exit status + 1. */
static int settings_parse(struct settings *s, int argc, char **argv)
{
    enum { OPTION_MD5 = 256 };
    static const struct option options[] = {
        {"jobs", required_argument, NULL, 'j'}, {"algorithm", required_argument, NULL, 'a'},
        {"md5", no_argument, NULL, OPTION_MD5}, {"keep-going", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    static char *here[] = {".", NULL};

    for (int c; (c = getopt_long(argc, argv, "j:a:kh", options, NULL)) >= 0;) {
        char *end;
        long n;
        switch (c) {
        case 'j':
            n = strtol(optarg, &end, 10);
            if (*end || end == optarg || n < 1 || n > JOBS_MAX) {
                fprintf(stderr, "digest: --jobs takes a number from 1 to %d\n", JOBS_MAX);
                return 1 + 2;
            }
            s->jobs = (int)n;
            break;
        case 'a':
            s->algorithm = optarg;
            break;
        case OPTION_MD5:
            s->algorithm = "MD5";
            break;
        case 'k':
            s->keep_going = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return fflush(stdout) == 0 ? 1 + 0 : 1 + 1;
        default:
            fputs("Try 'digest --help'.\n", stderr);
            return 1 + 2;
        }
    }
    s->roots = optind < argc ? argv + optind : here;
    return 0;
}

int pipeline_abort(struct pipeline *p, int code)
{
    if (p->keep_going)
        knit_errgroup_cancel(&p->group, code);
    return code; /* the task that returns it cancels the group */
}

static void pipeline_fini(struct pipeline *p)
{
    for (size_t i = 0; p->jobs && i < WINDOW; i++)
        free(p->jobs[i].path);
    free(p->jobs);
    knit_chan_unref(p->unused);
    knit_chan_unref(p->work);
    knit_chan_unref(p->done);
    EVP_MD_free(p->algorithm);
}

static int pipeline_init(struct pipeline *p, const struct settings *s)
{
    *p = (struct pipeline){.roots = s->roots, .keep_going = s->keep_going};
    p->algorithm = EVP_MD_fetch(NULL, s->algorithm, NULL); /* once: a fetch is slow */
    if (!p->algorithm || EVP_MD_get_size(p->algorithm) <= 0) {
        fprintf(stderr, "digest: unknown algorithm: %s\n", s->algorithm);
        return -EINVAL;
    }
    p->jobs = calloc(WINDOW, sizeof *p->jobs);
    int r = p->jobs ? 0 : -ENOMEM;
    if (r == 0)
        r = knit_chan_new(sizeof(struct job *), WINDOW, &p->unused);
    if (r == 0)
        r = knit_chan_new(sizeof(struct job *), WINDOW, &p->work);
    if (r == 0)
        r = knit_chan_new(sizeof(struct job *), WINDOW, &p->done);
    for (size_t i = 0; r == 0 && i < WINDOW; i++)
        r = knit_chan_send(p->unused, &(struct job *){&p->jobs[i]});
    if (r < 0)
        fprintf(stderr, "digest: %s\n", knit_strerror(r));
    return r;
}

/* Run all tasks to their end. Returns what the group's wait returned; *ret_signal is the signal
 * that ended it, or 0. */
static int pipeline_run(struct pipeline *p, int n_hash_tasks, int *ret_signal)
{
    knit_errgroup *g = &p->group;
    knit_errgroup_init(g, &(knit_errgroup_options){
                              .name = "digest",
                              .flags = p->keep_going ? KNIT_ERRGROUP_KEEP_GOING : 0,
                              .keep_errors = p->keep_going ? KEEP_ERRORS : 0,
                          });
    int watching = interrupt_watch(g);
    if (watching < 0)
        return watching;

    /* What go returns needs no look: a task that could not start is an error of the group. */
    (void)knit_errgroup_go(g, collect_sums, p);
    (void)knit_errgroup_go(g, walk_roots, p);
    for (int i = 0; i < n_hash_tasks; i++)
        (void)knit_errgroup_go(g, hash_files, p);

    int r = knit_errgroup_wait(g);
    *ret_signal = interrupt_end();
    return r;
}

static void report_summary(const struct pipeline *p, knit_duration taken)
{
    uint64_t files = atomic_load(&p->files), bytes = atomic_load(&p->bytes);
    double seconds = (double)taken / (double)KNIT_SECOND;
    char size[SIZE_TEXT], speed[SIZE_TEXT];
    fprintf(stderr, "digest: %llu file%s, %s, %.2f s, %s/s\n", (unsigned long long)files,
            files == 1 ? "" : "s", size_format(size, (double)bytes), seconds,
            size_format(speed, seconds > 0 ? (double)bytes / seconds : 0));
}

/* A file opened in the place of a closed standard stream would be taken for it: fill the gaps. What
 * stands in for standard output cannot be written to, so that the sums are not lost silently. */
static int fill_streams(void)
{
    static const int mode[] = {O_RDONLY, O_RDONLY, O_RDWR};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode[fd]) != fd)
            return -errno;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int r = fill_streams();
    if (r < 0)
        return 1; /* there is nowhere to say why */

    struct settings settings = {.algorithm = "SHA256"};
    int end = settings_parse(&settings, argc, argv);
    if (end)
        return end - 1;

    interrupt_block(); /* before the first Knit call: it starts threads */
    static struct pipeline pipeline;
    r = pipeline_init(&pipeline, &settings);
    if (r < 0) {
        pipeline_fini(&pipeline);
        return 1;
    }

    int signal = 0;
    struct progress progress;
    progress_start(&progress, &pipeline);
    r = pipeline_run(&pipeline, settings.jobs ? settings.jobs : knit_workers(), &signal);
    knit_duration taken = knit_now() - progress.start;
    progress_stop(&progress);

    /* some file systems tell only now that there was no room */
    bool closed = close(STDOUT_FILENO) == 0 || r < 0;
    if (!closed)
        fprintf(stderr, "digest: close standard output: %s\n", strerror(errno));
    if (signal)
        fprintf(stderr, "digest: interrupted: %s\n", strsignal(signal));
    if (r < 0 && r != -EINTR)
        errors_print("digest", &pipeline.group, r, pipeline.keep_going);
    report_summary(&pipeline, taken);
    pipeline_fini(&pipeline);
    if (r < 0 && signal)
        return 128 + signal;
    return r < 0 || !closed;
}
