/* The second stage: several tasks with this function. */
#include "pipeline.h"

#include <string.h>

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash(const char *text, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    return h;
}

int hash_lines(void *arg)
{
    struct pipeline *p = arg;
    struct line *line;
    int r;
    while ((r = knit_chan_recv(p->read, &line)) == 0) {
        if (line->length > 0 && memchr(line->text, 0, line->length))
            return knit_error(-EILSEQ, "line %llu is no text",
                              (unsigned long long)line->number + 1);
        line->hash = hash(line->text, line->length);
        r = knit_chan_send(p->done, &line);
        if (r < 0)
            return r;
    }
    if (r != -EPIPE)
        return r;
    if (atomic_fetch_sub(&p->workers, 1) == 1)
        knit_chan_close(p->done);
    return 0;
}
