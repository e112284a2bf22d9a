/* The live line: files, bytes and rate, ten times a second.
 *
 * Shown only where it does no harm: stderr is a terminal that understands escape sequences, and
 * standard output is not one too (the sums would be written over it). Colours only without NO_COLOR
 * (https://no-color.org). */
#define _GNU_SOURCE
#include "digest.h"

#include "../common/terminal.h"

#include <stdio.h>
#include <unistd.h>

bool progress_wanted(void)
{
    return terminal_is_live() && !isatty(STDOUT_FILENO);
}

static void progress_draw(const struct progress *pr, bool colour)
{
    double seconds = (double)(knit_now() - pr->start) / (double)KNIT_SECOND;
    uint64_t files = atomic_load_explicit(&pr->pipeline->files, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&pr->pipeline->bytes, memory_order_relaxed);
    double rate = seconds > 0 ? (double)bytes / seconds : 0;

    char size[SIZE_TEXT], speed[SIZE_TEXT], line[160];
    snprintf(line, sizeof line, "\r%s%llu files  %s  %s/s%s\033[K", colour ? "\033[36m" : "",
             (unsigned long long)files, size_format(size, (double)bytes), size_format(speed, rate),
             colour ? "\033[0m" : "");
    terminal_write(line);
}

static int progress_show(void *arg)
{
    const struct progress *pr = arg;
    bool colour = terminal_has_colour();
    int r;
    while ((r = knit_sleep(100 * KNIT_MILLISECOND)) == 0)
        progress_draw(pr, colour);
    terminal_write("\r\033[K");
    return r;
}

void progress_start(struct progress *pr, struct pipeline *p)
{
    pr->pipeline = p;
    pr->start = knit_now();
    knit_errgroup_init(&pr->group, NULL);
    if (progress_wanted())
        (void)knit_errgroup_go(&pr->group, progress_show, pr);
}

void progress_stop(struct progress *pr)
{
    (void)knit_errgroup_close(&pr->group); /* the task is cancelled out of its sleep, and joined */
}
