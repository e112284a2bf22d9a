/* One URL. The group calls request_run once for each attempt; between two of them it holds none of
 * the group's places. */
#define _GNU_SOURCE
#include "fetch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <knit/errno.h> /* last: a task may go on on another thread after a wait */

/* ---- the body ---- */

struct body {
    struct request *request;
    int fd;    /* -1: it is thrown away */
    int error; /* of a write */
};

/* libcurl's write callback: in the driver. A file is written at once, so nothing here parks. */
static size_t body_write(char *data, size_t size, size_t n, void *arg)
{
    (void)size; /* always 1 */
    struct body *b = arg;
    for (size_t done = 0; b->fd >= 0 && done < n;) {
        ssize_t written = write(b->fd, data + done, n - done);
        if (written < 0 && errno != EINTR) {
            b->error = -errno;
            return CURL_WRITEFUNC_ERROR;
        }
        done += written < 0 ? 0 : (size_t)written;
    }
    b->request->bytes += n;
    atomic_fetch_add_explicit(&b->request->fetch->bytes, n, memory_order_relaxed);
    return n;
}

/* DIRECTORY/NUMBER-NAME: the last part of the URL's path, for whoever looks into the directory. */
static char *body_path(const struct request *q)
{
    char *path;
    const char *rest = strstr(q->url, "://");
    const char *slash = rest ? strrchr(rest + 3, '/') : NULL;
    const char *name = slash ? slash + 1 : "";
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (asprintf(&path, "%s/%zu-%.*s", q->fetch->settings->directory, q->number,
                 n < 100 ? (int)n : 100, name) < 0)
        return NULL;
    return path;
}

static int body_open(struct body *b)
{
    struct request *q = b->request;
    if (!q->fetch->settings->directory)
        return 0;
    if (!q->file)
        q->file = body_path(q);
    if (!q->file)
        return -ENOMEM;
    b->fd = open(q->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return b->fd < 0 ? -errno : 0;
}

/* A file is there in full or not at all. */
static int body_close(struct body *b, int r)
{
    if (b->fd < 0)
        return r;
    if (close(b->fd) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        unlink(b->request->file);
    return r;
}

/* ---- an attempt ---- */

/* Failures a later attempt may not meet: those on the way, and what servers call temporary. */
static bool is_temporary(CURLcode code, long status)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return true;
    case CURLE_HTTP_RETURNED_ERROR: return status == 408 || status == 429 || status >= 500;
    default: return false;
    }
}

/* The nearest errno value; the text says more. */
static int code_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK: return 0;
    case CURLE_OUT_OF_MEMORY: return -ENOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return -EINVAL;
    case CURLE_COULDNT_RESOLVE_HOST: return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT: return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
    case CURLE_TOO_MANY_REDIRECTS: return -ELOOP;
    case CURLE_HTTP_RETURNED_ERROR: return -EREMOTEIO;
    default: return -EIO;
    }
}

static bool easy_setup(CURL *easy, struct request *q, struct body *b)
{
    const struct settings *s = q->fetch->settings;
    long ms = (long)(s->timeout / KNIT_MILLISECOND);
    return curl_easy_setopt(easy, CURLOPT_URL, q->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "knit-fetch/" KNIT_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK && /* there are threads */
           curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, s->redirects > 0 ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)s->redirects) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, s->timeout > 0 && ms == 0 ? 1L : ms) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, q->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_write) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, b) == CURLE_OK;
}

static int transfer_run(struct request *q, struct transfer *t, struct body *b)
{
    if (!easy_setup(t->easy, q, b))
        return -ENOMEM;
    CURLcode code;
    int r = client_perform(&q->fetch->client, t, &code);
    if (r < 0)
        return r;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &q->status);
    q->temporary = is_temporary(code, q->status);
    if (b->error)
        return b->error;
    if (code == CURLE_HTTP_RETURNED_ERROR)
        snprintf(q->error, sizeof q->error, "HTTP %ld", q->status);
    else if (code != CURLE_OK && !q->error[0])
        snprintf(q->error, sizeof q->error, "%s", curl_easy_strerror(code));
    return code_of(code);
}

static int attempt(struct request *q)
{
    struct transfer t = {.easy = curl_easy_init()};
    struct body b = {.request = q, .fd = -1};
    int r = t.easy ? knit_chan_new(sizeof(CURLcode), 1, &t.done) : -ENOMEM;
    if (r == 0)
        r = body_open(&b);
    if (r == 0)
        r = body_close(&b, transfer_run(q, &t, &b));
    knit_chan_unref(t.done);
    curl_easy_cleanup(t.easy);
    return r;
}

/* ---- the task ---- */

static int request_run(void *arg)
{
    struct request *q = arg;
    if (q->attempts++ == 0)
        q->start = knit_now();
    q->temporary = false;
    q->status = 0;
    q->bytes = 0;
    q->error[0] = 0;
    int r = attempt(q);
    q->taken = knit_now() - q->start;

    if (r == -ECANCELED) {
        q->state = REQUEST_CANCELLED;
        return r;
    }
    q->state = r < 0 ? REQUEST_FAILED : REQUEST_FETCHED;
    if (r < 0 && !q->error[0])
        snprintf(q->error, sizeof q->error, "%s", knit_strerror(r));
    if (q->fetch->lines)
        report_attempt(q);
    return r < 0 ? knit_error(r, "%s: %s", q->url, q->error) : 0;
}

/* Asked while attempts are left. */
static int is_tried_again(int code, void *arg)
{
    (void)code;
    struct request *q = arg;
    if (q->temporary)
        q->state = REQUEST_CANCELLED; /* should the group be cancelled in the pause */
    return q->temporary;
}

int request_start(struct fetch *f, struct request *q)
{
    q->retry = (knit_retry_policy){
        .attempts = f->settings->attempts,
        .base = f->settings->retry_pause > 0 ? f->settings->retry_pause : -1,
        .retry_if = is_tried_again,
        .arg = q,
    };
    return knit_errgroup_go_with(&f->group, request_run, q,
                                 &(knit_task_options){.retry = &q->retry});
}
