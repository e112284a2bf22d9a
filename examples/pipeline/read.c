/* The first stage. */
#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

struct input {
    int fd;
    size_t at, end; /* what of bytes is not used */
    char bytes[1 << 16];
};

static int append(struct line *line, const char *text, size_t n)
{
    if (line->length + n > LONGEST)
        return knit_error(-E2BIG, "line %llu is longer than %d bytes",
                          (unsigned long long)line->number + 1, LONGEST);
    if (line->length + n > line->room) {
        size_t room = 2 * (line->length + n);
        char *text_now = realloc(line->text, room);
        if (!text_now)
            return -ENOMEM;
        line->text = text_now;
        line->room = room;
    }
    memcpy(line->text + line->length, text, n);
    line->length += n;
    return 0;
}

/* 1: there is one; 0: that was the last. */
static int next_line(struct input *in, struct line *line)
{
    line->length = 0;
    for (;;) {
        if (in->at == in->end) {
            ssize_t n = knit_read(in->fd, in->bytes, sizeof in->bytes);
            if (n < 0)
                return knit_error((int)n, "read");
            if (n == 0)
                return line->length > 0;
            in->at = 0;
            in->end = (size_t)n;
        }
        const char *start = in->bytes + in->at;
        const char *newline = memchr(start, '\n', in->end - in->at);
        size_t n = newline ? (size_t)(newline - start) : in->end - in->at;
        int r = n > 0 ? append(line, start, n) : 0;
        if (r < 0)
            return r;
        in->at += n + (newline != NULL);
        if (newline)
            return 1;
    }
}

static int read_all(struct pipeline *p, struct input *in)
{
    for (uint64_t number = 0;; number++) {
        struct line *line;
        int r = knit_chan_recv(p->empty, &line);
        if (r < 0)
            return r;
        line->number = number;
        r = next_line(in, line);
        if (r <= 0)
            return r;
        r = knit_chan_send(p->read, &line);
        if (r < 0)
            return r;
    }
}

int read_lines(void *arg)
{
    struct pipeline *p = arg;
    struct input *in = malloc(sizeof *in); /* too large for a task's stack */
    if (!in)
        return -ENOMEM;
    in->fd = p->in;
    in->at = in->end = 0;
    int r = read_all(p, in);
    free(in);
    if (r == 0)
        knit_chan_close(p->read);
    return r;
}
