/* Heads and tails, and lines. See capture.h. */
#include "capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 4096 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Room for `want` bytes, or all that will be kept. */
static int grow(struct knit__capture *c, uint64_t want)
{
    size_t room = c->room ? c->room : smaller(FIRST_ROOM, c->keep);
    char *data;

    while (room < want && room < c->keep)
        room = room > c->keep / 2 ? c->keep : room * 2;
    if (c->data && room == c->room)
        return 0;
    data = realloc(c->data, room + 1);
    if (!data)
        return -ENOMEM;
    c->data = data;
    c->room = room;
    return 0;
}

int knit__capture_add(struct knit__capture *c, const char *bytes, size_t n)
{
    const size_t half = c->keep / 2, ring = c->keep - half;
    int r = grow(c, c->total + n);

    if (r < 0)
        return r;
    if (c->total < c->keep) {
        size_t fits = smaller(n, c->keep - (size_t)c->total);

        memcpy(c->data + c->total, bytes, fits);
        c->total += fits, bytes += fits, n -= fits;
    }
    while (n > 0) {
        size_t at = (size_t)((c->total - half) % ring), part = smaller(n, ring - at);

        memcpy(c->data + half + at, bytes, part);
        c->total += part, bytes += part, n -= part;
    }
    return 0;
}

int knit__capture_take(struct knit__capture *c, knit_captured *ret)
{
    const size_t half = c->keep / 2, ring = c->keep - half;
    int r = c->data ? 0 : grow(c, 1);

    if (r < 0)
        return r;
    *ret = (knit_captured){.data = c->data};
    ret->size = ret->cut = (size_t)(c->total < c->keep ? c->total : c->keep);
    if (c->total > c->keep) {
        const size_t at = (size_t)((c->total - half) % ring); /* the oldest byte of the ring */
        char *ordered = malloc(c->keep + 1);

        if (!ordered)
            return -ENOMEM;
        memcpy(ordered, c->data, half);
        memcpy(ordered + half, c->data + half + at, ring - at);
        memcpy(ordered + half + ring - at, c->data + half, at);
        free(c->data);
        ret->data = ordered;
        ret->cut = half;
        ret->lost = c->total - c->keep;
    }
    ret->data[ret->size] = 0;
    *c = (struct knit__capture){.keep = c->keep};
    return 0;
}

static int give(struct knit__lines *l, char *text, size_t size, int partial)
{
    const knit_line line = {text, size, l->stream, partial};

    text[size] = 0;
    l->open = partial != 0;
    return l->fn(&line, l->arg);
}

int knit__lines_add(struct knit__lines *l, size_t n)
{
    char *begin = l->buffer, *end = l->buffer + l->used + n, *at = l->buffer + l->used, *newline;
    int r = 0;

    while (r == 0 && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        r = give(l, begin, (size_t)(newline - begin), 0);
        begin = at = newline + 1;
    }
    if (r == 0 && (size_t)(end - begin) == KNIT_COMMAND_LINE) {
        r = give(l, begin, KNIT_COMMAND_LINE, 1);
        begin = end;
    }
    l->used = (size_t)(end - begin);
    memmove(l->buffer, begin, l->used);
    return r;
}

int knit__lines_end(struct knit__lines *l)
{
    const size_t size = l->used;

    l->used = 0;
    return size > 0 || l->open ? give(l, l->buffer, size, 0) : 0;
}
