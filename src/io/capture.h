/* What a command writes: kept, within a bound, or cut into lines. */
#ifndef KNIT_IO_CAPTURE_H
#define KNIT_IO_CAPTURE_H

#include <knit/process.h>
#include <stdbool.h>

/* A beginning and an end of a stream. While no more than `keep` bytes have come, all of them; then the
 * first half of data stays, and the second one is a ring. */
struct knit__capture {
    char *data; /* room + 1 bytes */
    size_t room, keep;
    uint64_t total;
};

/* 0 or -ENOMEM: then the new bytes are not in it. */
int knit__capture_add(struct knit__capture *c, const char *bytes, size_t n);
/* Give what there is to *ret (malloc); c is empty then. -ENOMEM. */
int knit__capture_take(struct knit__capture *c, knit_captured *ret);

/* A stream cut into lines: bytes are read to knit__lines_room, and then counted. */
struct knit__lines {
    char *buffer; /* KNIT_COMMAND_LINE + 1 bytes, the caller's */
    size_t used;
    bool open; /* a part of a line was given, and not its end */
    int stream;
    knit_line_fn *fn;
    void *arg;
};

static inline size_t knit__lines_room(const struct knit__lines *l)
{
    return KNIT_COMMAND_LINE - l->used;
}

/* n more bytes are there: give the lines that are whole, or as long as the buffer. What fn returned, if
 * not 0: no further line is given then. */
int knit__lines_add(struct knit__lines *l, size_t n);
/* The stream has ended: give the rest. */
int knit__lines_end(struct knit__lines *l);

#endif
