/* What the two servers answer. */
#ifndef API_H
#define API_H

#include "http.h"

/* GET /hello                  at once
 * GET /sleep/MILLISECONDS     a task that waits
 * POST /hash                  a task that computes: the FNV-1a hash of the body */
void api_handle(struct http_request *request);

/* GET /metrics: the counters of these servers, and of the runtime, for Prometheus. */
struct metrics {
    struct http http; /* first: the server that shows them */
    struct http *api;
};
void metrics_handle(struct http_request *request);

#endif
