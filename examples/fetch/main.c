/* fetch: see fetch.h for how it works, fetch --help for how it is used. */
#define _GNU_SOURCE
#include "fetch.h"

#include "../common/errors.h"
#include "../common/interrupt.h"
#include "../common/json.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LIMIT_MOST = 1024, RETRIES_MOST = 100, REDIRECTS_MOST = 100 };

static const char usage[] =
    "Usage: fetch [OPTION]... [URL]...\n"
    "Fetch many http and https URLs at once.\n"
    "\n"
    "  -i, --input=FILE        also the URLs in FILE, one a line; - is standard input\n"
    "  -o, --output=DIRECTORY  write the bodies to DIRECTORY/NUMBER-NAME (default: throw them "
    "away)\n"
    "  -l, --limit=N           at most N at once (default: 16)\n"
    "  -t, --timeout=SECONDS   for each attempt (default: 30; 0: none)\n"
    "  -r, --retry=N           try N times more after failures that may be temporary (default: "
    "0):\n"
    "                          of the connection, timeouts, and the statuses 408, 429 and 5xx\n"
    "      --retry-pause=SECONDS  the first pause takes at most so long, each one twice as long "
    "as\n"
    "                          the last, up to 30 seconds; drawn at random (default: 0.5)\n"
    "      --redirects=N       follow at most N redirects (default: 10; 0: none)\n"
    "  -k, --keep-going        go on after a failure; list all of them at the end\n"
    "      --json[=FILE]       a report on each URL, to standard output or FILE\n"
    "  -q, --quiet             no progress and no summary\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0 all were fetched; 1 one was not, or the report could not be written; 2 wrong\n"
    "usage; 128 + number after SIGINT (130), SIGTERM (143) or SIGHUP (129).\n";

enum { OPTION_RETRY_PAUSE = 256, OPTION_REDIRECTS, OPTION_JSON };
enum { GO_ON = -1, WRONG_USAGE = 2 }; /* else: the exit status */

static int option_apply(struct settings *s, int c)
{
    int retries = 0;
    bool fine = true;
    switch (c) {
    case 'i': fine = strings_read("fetch", &s->urls, optarg); break;
    case 'o': s->directory = optarg; break;
    case 'l': fine = option_number("fetch", "--limit", optarg, 1, LIMIT_MOST, &s->limit); break;
    case 't': fine = option_seconds("fetch", "--timeout", optarg, &s->timeout); break;
    case 'r':
        fine = option_number("fetch", "--retry", optarg, 0, RETRIES_MOST, &retries);
        s->attempts = retries + 1;
        break;
    case OPTION_RETRY_PAUSE:
        fine = option_seconds("fetch", "--retry-pause", optarg, &s->retry_pause);
        break;
    case OPTION_REDIRECTS:
        fine = option_number("fetch", "--redirects", optarg, 0, REDIRECTS_MOST, &s->redirects);
        break;
    case 'k': s->keep_going = true; break;
    case OPTION_JSON: s->json = optarg ? optarg : "-"; break;
    case 'q': s->quiet = true; break;
    case 'h': fputs(usage, stdout); return fflush(stdout) == 0 ? 0 : 1;
    default: fine = false;
    }
    return fine ? GO_ON : WRONG_USAGE;
}

static int settings_parse(struct settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"input", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"limit", required_argument, NULL, 'l'},
        {"timeout", required_argument, NULL, 't'},
        {"retry", required_argument, NULL, 'r'},
        {"retry-pause", required_argument, NULL, OPTION_RETRY_PAUSE},
        {"redirects", required_argument, NULL, OPTION_REDIRECTS},
        {"keep-going", no_argument, NULL, 'k'},
        {"json", optional_argument, NULL, OPTION_JSON},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int end = GO_ON;
    for (int c; end == GO_ON && (c = getopt_long(argc, argv, "i:o:l:t:r:kqh", options, NULL)) >= 0;)
        end = option_apply(s, c);
    for (int i = optind; end == GO_ON && i < argc; i++)
        end = strings_add(&s->urls, argv[i]) < 0 ? 1 : GO_ON;
    if (end == GO_ON && s->urls.n == 0) {
        fputs("fetch: no URL is given\n", stderr);
        end = WRONG_USAGE;
    }
    if (end == WRONG_USAGE)
        fputs("Try 'fetch --help'.\n", stderr);
    return end;
}

static int fetch_init(struct fetch *f, const struct settings *s)
{
    *f = (struct fetch){.settings = s, .start = knit_now()};
    f->requests = calloc(s->urls.n, sizeof *f->requests);
    if (!f->requests)
        return -ENOMEM;
    f->n = s->urls.n;
    for (size_t i = 0; i < f->n; i++) {
        f->requests[i].fetch = f;
        f->requests[i].url = s->urls.at[i];
        f->requests[i].number = i + 1;
    }
    return knit_errgroup_init(&f->group, &(knit_errgroup_options){
                                             .name = "fetch",
                                             .limit = s->limit,
                                             .flags = s->keep_going ? KNIT_ERRGROUP_KEEP_GOING : 0,
                                             .keep_errors = s->keep_going ? KEEP_ERRORS : 0,
                                         });
}

static void fetch_fini(struct fetch *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->requests[i].file);
    free(f->requests);
}

/* All requests, to their end; what the group's wait returned. *ret_signal: the signal that ended
 * it, or 0. */
static int fetch_run(struct fetch *f, int *ret_signal)
{
    int r = client_start(&f->client);
    if (r < 0)
        return r;
    r = interrupt_watch(&f->group);
    if (r == 0) {
        struct progress progress;
        progress_start(&progress, f);
        for (size_t i = 0; i < f->n && r == 0; i++)
            r = request_start(f, &f->requests[i]); /* waits for room; after a failure it fails */
        r = knit_errgroup_wait(&f->group);
        progress_stop(&progress);
        *ret_signal = interrupt_end();
    }
    int driver = client_stop(&f->client);
    if (driver < 0)
        fprintf(stderr, "fetch: the driver of libcurl: %s\n", knit_strerror(driver));
    return r;
}

static int fetch_main(const struct settings *s)
{
    if (s->directory && mkdir(s->directory, 0777) < 0 && errno != EEXIST) {
        fprintf(stderr, "fetch: make %s: %s\n", s->directory, strerror(errno));
        return 1;
    }
    FILE *json = s->json ? json_open("fetch", s->json) : NULL;
    if (s->json && !json)
        return 1;

    struct fetch f;
    int signal = 0;
    int r = fetch_init(&f, s);
    if (r == 0)
        r = fetch_run(&f, &signal);
    if (signal)
        fprintf(stderr, "fetch: interrupted: %s\n", strsignal(signal));
    report_end(&f, r);
    if (json)
        report_json(json, &f, r == 0);
    bool reported = !json || json_close("fetch", s->json, json) == 0;
    fetch_fini(&f);
    if (r < 0 && signal)
        return 128 + signal;
    return r < 0 || !reported;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .limit = 16,
        .attempts = 1,
        .redirects = 10,
        .timeout = 30 * KNIT_SECOND,
        .retry_pause = KNIT_SECOND / 2,
    };
    int end = settings_parse(&settings, argc, argv);
    if (end == GO_ON) {
        interrupt_block();
        curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
        end = fetch_main(&settings);
        curl_global_cleanup();
    }
    strings_fini(&settings.urls);
    return end;
}
