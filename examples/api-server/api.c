#include "api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int sleep_and_tell(void *arg)
{
    struct http_request *request = arg;
    long ms = strtol(request->path + strlen("/sleep/"), NULL, 10);
    int r = knit_sleep(ms * KNIT_MILLISECOND);
    if (r == 0)
        http_reply(request, 200, "application/json", "{\"slept_ms\": %ld}\n", ms);
    return r;
}

static int hash_body(void *arg)
{
    struct http_request *request = arg;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < request->length; i++)
        h = (h ^ (unsigned char)request->body[i]) * 1099511628211u;
    http_reply(request, 200, "application/json", "{\"hash\": \"%016" PRIx64 "\"}\n", h);
    return 0;
}

void api_handle(struct http_request *request)
{
    static const struct {
        const char *method, *path;
        size_t compared;
        knit_fn *work;
    } routes[] = {
        {"GET", "/hello", sizeof "/hello", NULL},
        {"GET", "/sleep/", sizeof "/sleep/" - 1, sleep_and_tell}, /* and what follows */
        {"POST", "/hash", sizeof "/hash", hash_body},
    };
    http_reply(request, 404, "text/plain", "no such thing\n");
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strncmp(request->path, routes[i].path, routes[i].compared) != 0)
            continue;
        if (strcmp(request->method, routes[i].method) != 0) {
            http_reply(request, 405, "text/plain", "not with %s\n", request->method);
            return;
        }
        request->work = routes[i].work;
        http_reply(request, 200, "application/json", "{\"hello\": \"world\"}\n");
        return;
    }
}
