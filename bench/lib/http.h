/* What the HTTP servers in C share: requests without a body, whose heads may arrive in pieces or
 * several at once, and one answer to all. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include "bench.h"

struct http_in {
    size_t have;
    char data[2048]; /* a head that does not fit ends the connection */
};

static const char http_answer[] = "HTTP/1.1 200 OK\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 6\r\n"
                                  "\r\n"
                                  "hello\n";
enum { HTTP_ANSWER = sizeof http_answer - 1 };

static inline size_t http_room(const struct http_in *in)
{
    return sizeof in->data - in->have;
}

/* n bytes were put behind those that were there: how many requests are complete. They are removed. */
static inline int http_requests(struct http_in *in, size_t n)
{
    int requests = 0;
    char *from = in->data;
    in->have += n;
    for (;;) {
        char *end = memmem(from, in->have, "\r\n\r\n", 4);
        if (end == NULL)
            break;
        in->have -= (size_t)(end + 4 - from);
        from = end + 4;
        requests++;
    }
    if (in->have > 0 && requests > 0)
        memmove(in->data, from, in->have);
    return requests;
}

#endif
