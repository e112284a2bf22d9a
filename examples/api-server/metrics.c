#include "api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int add(char *text, size_t size, const char *name, const char *type, const char *help,
               uint64_t value)
{
    return snprintf(text, size, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name,
                    type, name, value);
}

static void show(const struct metrics *m, struct http_request *request)
{
    knit_runtime_counts c;
    knit_runtime_stats(&c);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } all[] = {
        {"api_requests_total", "counter", "Requests that arrived.", m->api->requests},
        {"api_errors_total", "counter", "Replies of 400 and above.", m->api->errors},
        {"metrics_requests_total", "counter", "Requests for these.", m->http.requests},
        {"knit_tasks_run_total", "counter", "Tasks that have run.", c.tasks_run},
        {"knit_parks_total", "counter", "Waits of tasks.", c.parks},
        {"knit_steals_total", "counter", "Tasks taken from another worker.", c.steals},
        {"knit_wakes_total", "counter", "Worker threads woken.", c.wakes},
        {"knit_stacks", "gauge", "Stacks that were made.", c.stacks},
        {"knit_stacks_in_use", "gauge", "Stacks with a task on them.", c.stacks_in_use},
        {"knit_spare_threads", "gauge", "Threads that stand in for blocked ones.", c.spares},
    };
    char text[HTTP_LONGEST_REPLY];
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && n < sizeof text; i++) {
        int length =
            add(text + n, sizeof text - n, all[i].name, all[i].type, all[i].help, all[i].value);
        n += length > 0 ? (size_t)length : 0;
    }
    http_reply(request, 200, "text/plain; version=0.0.4", "%s", text);
}

void metrics_handle(struct http_request *request)
{
    if (strcmp(request->path, "/metrics") != 0)
        http_reply(request, 404, "text/plain", "see /metrics\n");
    else
        show((const struct metrics *)(const void *)request->server, request);
}
