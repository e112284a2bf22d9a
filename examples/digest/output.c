/* Lines in the format of sha256sum, and their way to standard output. */
#define _GNU_SOURCE
#include "digest.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <knit/errno.h> /* last: a task may go on on another thread after a sleep */

enum { OUTPUT_SIZE = 64 * 1024 };

int output_init(struct output *out)
{
    *out = (struct output){.buffer = malloc(OUTPUT_SIZE), .eager = isatty(STDOUT_FILENO) == 1};
    return out->buffer ? 0 : -ENOMEM;
}

void output_fini(struct output *out)
{
    free(out->buffer);
    out->buffer = NULL;
}

/* How much to write next: as many whole lines as a pipe takes at once, or one longer line. */
static size_t output_piece(const struct output *out)
{
    const char *text = out->buffer + out->start;
    size_t size = out->end - out->start;
    if (size <= PIPE_BUF)
        return size;
    const char *last = memrchr(text, '\n', PIPE_BUF);
    if (!last)
        last = memchr(text, '\n', size);
    return last ? (size_t)(last - text) + 1 : size;
}

/* 1 written (perhaps in part), 0 would block, or an error. */
static int output_try(struct output *out)
{
    struct pollfd pfd = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (poll(&pfd, 1, 0) == 0)
        return 0;
    ssize_t n = write(STDOUT_FILENO, out->buffer + out->start, output_piece(out));
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    out->start += (size_t)n;
    return 1;
}

int output_flush(struct output *out)
{
    while (out->start < out->end) {
        int r = output_try(out);
        if (r == 0)
            r = knit_sleep(2 * KNIT_MILLISECOND);
        if (r < 0)
            return r;
    }
    out->start = out->end = 0;
    return 0;
}

/* The letter that stands for c after a backslash, 0 for itself. */
static char escape_of(char c)
{
    switch (c) {
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    default:
        return 0;
    }
}

static char *put_name(char *to, const char *name)
{
    for (; *name; name++) {
        char letter = escape_of(*name);
        if (letter)
            *to++ = '\\';
        *to++ = letter ? letter : *name;
    }
    return to;
}

static char *put_hex(char *to, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    return to;
}

int output_sum(struct output *out, const struct job *job)
{
    /* a backslash, the sum, two spaces, the name with every character escaped, the end of line */
    size_t longest = 1 + 2 * (size_t)EVP_MAX_MD_SIZE + 2 + 2 * strlen(job->path) + 1;
    if (longest > OUTPUT_SIZE)
        return -ENAMETOOLONG;
    if (longest > OUTPUT_SIZE - out->end) {
        int r = output_flush(out);
        if (r < 0)
            return r;
    }
    char *to = out->buffer + out->end;
    if (strpbrk(job->path, "\\\n\r"))
        *to++ = '\\';
    to = put_hex(to, job->sum, job->sum_size);
    *to++ = ' ';
    *to++ = ' ';
    to = put_name(to, job->path);
    *to++ = '\n';
    out->end = (size_t)(to - out->buffer);
    return 0;
}
