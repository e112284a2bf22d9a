/* pipeline [-j WORKERS] [FILE]: each line of FILE, or of the standard input, with its hash before it.
 *
 * Exit status: 0; 1 after an error; 128 + the number of a signal that interrupted it. */
#include "pipeline.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_channels(struct pipeline *p)
{
    int r = knit_chan_new(sizeof(struct line *), LINES, &p->empty);
    if (r == 0)
        r = knit_chan_new(sizeof(struct line *), LINES / 4, &p->read);
    if (r == 0)
        r = knit_chan_new(sizeof(struct line *), LINES / 4, &p->done);
    for (int i = 0; i < LINES && r == 0; i++) {
        struct line *line = &p->lines[i];
        r = knit_chan_send(p->empty, &line);
    }
    return r;
}

static void free_all(struct pipeline *p)
{
    knit_chan_unref(p->empty);
    knit_chan_unref(p->read);
    knit_chan_unref(p->done);
    for (int i = 0; i < LINES; i++)
        free(p->lines[i].text);
    free(p);
}

/* *ret_signal: the one that ended it, or 0. What a go returns need not be looked at: if it is not 0,
 * the group has failed with it. */
static int run(struct pipeline *p, int workers, int *ret_signal)
{
    static const knit_task_options service = {.flags = KNIT_TASK_SERVICE};
    knit_errgroup g;
    int r = knit_errgroup_init(&g, &(knit_errgroup_options){.name = "pipeline"});
    if (r < 0)
        return r;
    atomic_init(&p->workers, workers);
    knit_errgroup_go_with(&g, knit_until_signal, ret_signal, &service);
    knit_errgroup_go(&g, read_lines, p);
    for (int i = 0; i < workers; i++)
        knit_errgroup_go(&g, hash_lines, p);
    knit_errgroup_go(&g, write_lines, p);
    r = knit_errgroup_wait(&g);
    if (r != 0 && *ret_signal == 0) {
        char text[4096];
        knit_errgroup_format(&g, text, sizeof text);
        fprintf(stderr, "pipeline: %s", text);
    }
    knit_errgroup_close(&g);
    return r;
}

static int usage(void)
{
    fprintf(stderr, "usage: pipeline [-j WORKERS] [FILE]\n");
    return 2;
}

int main(int argc, char **argv)
{
    int workers = 4, at = 1, signal_number = 0;
    if (argc > at + 1 && strcmp(argv[at], "-j") == 0) {
        workers = atoi(argv[at + 1]);
        at += 2;
    }
    if (workers < 1 || workers > 1000 || argc > at + 1)
        return usage();

    struct pipeline *p = calloc(1, sizeof *p);
    if (!p) {
        fprintf(stderr, "pipeline: %s\n", knit_strerror(-ENOMEM));
        return 1;
    }
    p->out = 1;
    p->in = argc > at ? knit_open(argv[at], O_RDONLY, 0) : 0;
    int r = p->in < 0 ? p->in : make_channels(p);
    if (r < 0)
        fprintf(stderr, "pipeline: %s: %s\n", argc > at ? argv[at] : "start", knit_strerror(r));
    else
        r = run(p, workers, &signal_number);
    if (p->in > 0)
        knit_close(p->in);
    fprintf(stderr, "pipeline: %llu lines written\n", (unsigned long long)p->written);
    free_all(p);
    return signal_number != 0 ? 128 + signal_number : r != 0;
}
