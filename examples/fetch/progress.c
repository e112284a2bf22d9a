/* The bar: how many URLs, how many bytes, how fast, ten times a second. */
#define _GNU_SOURCE
#include "fetch.h"

#include "../common/terminal.h"

#include <stdio.h>
#include <string.h>

static void bar_draw(const struct fetch *f, bool colour)
{
    knit_errgroup_counts counts;
    if (knit_errgroup_stats(&f->group, &counts) < 0)
        return;
    size_t ended = counts.done + counts.failed + counts.echoes;
    double bytes = (double)atomic_load_explicit(&f->bytes, memory_order_relaxed);
    double seconds = (double)(knit_now() - f->start) / (double)KNIT_SECOND;

    char size[SIZE_TEXT], speed[SIZE_TEXT], failed[32] = "", text[128];
    if (counts.failed > 0)
        snprintf(failed, sizeof failed, "  %zu failed", counts.failed);
    int n =
        snprintf(text, sizeof text, " %zu/%zu%s  %s  %s/s", ended, f->n, failed,
                 size_format(size, bytes), size_format(speed, seconds > 0 ? bytes / seconds : 0));

    enum { WIDEST = 40 };
    static const char full[WIDEST + 1] = "########################################";
    int width = terminal_width() - n - 3; /* the brackets, and the last column stays empty */
    if (width > WIDEST)
        width = WIDEST;
    if (width < 0)
        width = 0;
    int done = (int)((size_t)width * ended / f->n);
    char line[256];
    snprintf(line, sizeof line, "\r[%s%.*s%s%*s]%s\033[K", colour ? "\033[36m" : "", done, full,
             colour ? "\033[0m" : "", width - done, "", text);
    terminal_write(line);
}

static int bar_show(void *arg)
{
    const struct fetch *f = arg;
    bool colour = terminal_has_colour();
    int r;
    do
        bar_draw(f, colour);
    while ((r = knit_sleep(100 * KNIT_MILLISECOND)) == 0);
    terminal_write("\r\033[K");
    return r;
}

void progress_start(struct progress *p, struct fetch *f)
{
    bool live = terminal_is_live();
    p->fetch = f;
    f->lines = !f->settings->quiet && !live;
    knit_errgroup_init(&p->group, NULL);
    if (!f->settings->quiet && live)
        (void)knit_errgroup_go(&p->group, bar_show, f);
}

void progress_stop(struct progress *p)
{
    (void)knit_errgroup_close(&p->group); /* the task is cancelled out of its sleep, and joined */
}
