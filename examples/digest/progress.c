/* The live line: files, bytes and rate, ten times a second.
 *
 * Shown only where it does no harm: stderr is a terminal that understands escape sequences, and
 * standard output is not one too (the sums would be written over it). Colours only without NO_COLOR
 * (https://no-color.org). */
#define _GNU_SOURCE
#include "digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *size_format(char text[SIZE_TEXT], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, SIZE_TEXT, "%.*f %s", unit == 0 || bytes >= 99.95 ? 0 : 1, bytes, units[unit]);
    return text;
}

bool progress_wanted(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

static void progress_write(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* a lost picture is no error */
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
    progress_write(line);
}

static int progress_show(void *arg)
{
    const struct progress *pr = arg;
    const char *no_color = getenv("NO_COLOR");
    bool colour = !no_color || !*no_color;
    int r;
    while ((r = knit_sleep(100 * KNIT_MILLISECOND)) == 0)
        progress_draw(pr, colour);
    progress_write("\r\033[K");
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
