/* The third stage: brings the lines back into their order.
 *
 * At most LINES of them are on their way, and their numbers follow one another; so each has a place
 * of its own at number % LINES. */
#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct output {
    int fd;
    size_t n;
    char bytes[OUTPUT];
};

static int flush(struct output *out)
{
    int r = knit_write_full(out->fd, out->bytes, out->n, NULL);
    out->n = 0;
    return r < 0 ? knit_error(r, "write") : 0;
}

static int put(struct output *out, const char *text, size_t n)
{
    while (n > 0) {
        size_t part = OUTPUT - out->n < n ? OUTPUT - out->n : n;
        memcpy(out->bytes + out->n, text, part);
        out->n += part;
        text += part;
        n -= part;
        int r = out->n == OUTPUT ? flush(out) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int put_line(struct output *out, const struct line *line)
{
    char head[32];
    int n = snprintf(head, sizeof head, "%016llx ", (unsigned long long)line->hash);
    int r = put(out, head, (size_t)n);
    if (r == 0 && line->length > 0)
        r = put(out, line->text, line->length);
    return r == 0 ? put(out, "\n", 1) : r;
}

/* 1: there is one; 0: that was the last. When there is nothing to do at once it is time to write what
 * there is; that may fail with -EPIPE, too, which is not the end. */
static int next_done(struct pipeline *p, struct output *out, struct line **ret_line)
{
    int r = knit_chan_try_recv(p->done, ret_line);
    if (r == -EAGAIN) {
        r = flush(out);
        if (r < 0)
            return r;
        r = knit_chan_recv(p->done, ret_line);
    }
    if (r == -EPIPE)
        return 0;
    return r < 0 ? r : 1;
}

static int write_all(struct pipeline *p, struct output *out)
{
    struct line *waiting[LINES] = {NULL}, *line;
    int r;
    while ((r = next_done(p, out, &line)) > 0) {
        waiting[line->number % LINES] = line;
        while ((line = waiting[p->written % LINES]) != NULL) {
            waiting[p->written % LINES] = NULL;
            r = put_line(out, line);
            if (r == 0)
                r = knit_chan_send(p->empty, &line);
            if (r < 0)
                return r;
            p->written++;
        }
    }
    return r == 0 ? flush(out) : r;
}

int write_lines(void *arg)
{
    struct pipeline *p = arg;
    struct output *out = malloc(sizeof *out);
    if (!out)
        return -ENOMEM;
    out->fd = p->out;
    out->n = 0;
    int r = write_all(p, out);
    free(out);
    return r;
}
