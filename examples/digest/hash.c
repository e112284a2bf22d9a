/* The hash tasks: N of them take jobs from one channel until it is closed and drained. */
#define _GNU_SOURCE
#include "digest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <knit/errno.h> /* last: a task may go on on another thread after a yield */

/* What a hash task needs beside its stack, which has 64 KiB: reused from file to file. */
struct tools {
    EVP_MD_CTX *ctx;
    unsigned char *buffer;
};

static int open_regular(const struct job *job, int *ret_fd)
{
    /* Non-blocking matters only where no file is meant: a FIFO would wait for its writer. */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (job->follow ? 0 : O_NOFOLLOW);
    int fd = open(job->path, flags);
    if (fd < 0)
        return knit_error(-errno, "open %s", job->path);

    struct stat st;
    int r = 0;
    if (fstat(fd, &st) < 0)
        r = knit_error(-errno, "stat %s", job->path);
    else if (!S_ISREG(st.st_mode))
        r = knit_error(-EINVAL, "%s is neither a regular file nor a directory", job->path);
    if (r < 0) {
        close(fd);
        return r;
    }
    if (st.st_size > BUFFER_SIZE)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *ret_fd = fd;
    return 0;
}

static int read_some(int fd, unsigned char *buffer, size_t *ret_n)
{
    ssize_t n;
    do
        n = read(fd, buffer, BUFFER_SIZE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *ret_n = (size_t)n;
    return 0;
}

static int hash_descriptor(struct pipeline *p, struct tools *t, const struct job *job, int fd)
{
    for (;;) {
        size_t n = 0;
        int r = read_some(fd, t->buffer, &n);
        if (r < 0)
            return knit_error(r, "read %s", job->path);
        if (n == 0)
            return 0;
        if (!EVP_DigestUpdate(t->ctx, t->buffer, n))
            return knit_error(-EIO, "digest %s", job->path);
        atomic_fetch_add_explicit(&p->bytes, n, memory_order_relaxed);

        /* A large file computes for long. Give the walk, the collector and the progress line a
         * chance on this worker after every buffer; and look whether the group still wants it. */
        if (knit_canceled())
            return -ECANCELED;
        if (n == BUFFER_SIZE)
            knit_yield();
    }
}

static int hash_job(struct pipeline *p, struct tools *t, struct job *job)
{
    if (job->code < 0)
        return knit_error(job->code, "%s %s", job->doing, job->path);

    int fd = -1;
    int r = open_regular(job, &fd);
    if (r < 0)
        return r;
    if (!EVP_DigestInit_ex2(t->ctx, p->algorithm, NULL))
        r = knit_error(-EIO, "start of the digest of %s", job->path);
    if (r == 0)
        r = hash_descriptor(p, t, job, fd);
    if (r == 0 && !EVP_DigestFinal_ex(t->ctx, job->sum, &job->sum_size))
        r = knit_error(-EIO, "end of the digest of %s", job->path);
    close(fd);
    return r;
}

/* Until there is no more work (-EPIPE, from the closed channel) or a file fails. */
static int hash_until_error(struct pipeline *p, struct tools *t)
{
    for (;;) {
        struct job *job;
        int r = knit_chan_recv(p->work, &job);
        if (r < 0)
            return r;

        int code = hash_job(p, t, job);
        if (code == -ECANCELED)
            return code;
        job->code = code;
        r = knit_chan_send(p->done, &job); /* from here on the job is the collector's */
        if (code < 0)
            return code;
        if (r < 0)
            return r;
        knit_yield(); /* the walk and the collector may be waiting for this worker */
    }
}

int hash_files(void *arg)
{
    struct pipeline *p = arg;
    struct tools t = {.ctx = EVP_MD_CTX_new(), .buffer = malloc(BUFFER_SIZE)};
    int r;
    if (t.ctx && t.buffer)
        r = hash_until_error(p, &t);
    else
        r = pipeline_abort(p, knit_error(-ENOMEM, "buffers of a hash task"));
    EVP_MD_CTX_free(t.ctx);
    free(t.buffer);

    if (r == -EPIPE)
        return 0;
    /* The error of one file ends one task. Where it shall not end the others, this task is
     * replaced, so that there are always N of them. */
    if (r < 0 && p->keep_going && !knit_canceled()) {
        int started = knit_errgroup_go(&p->group, hash_files, p);
        if (started < 0 && started != -ECANCELED)
            return pipeline_abort(p, r);
    }
    return r;
}
