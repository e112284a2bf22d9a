/* digest: checksums of whole directory trees, as a pipeline of tasks in one group.
 *
 *                  work                    done
 *      walk ───────────────► hash (N) ─────────────► collect ──► stdout
 *        ▲                                              │
 *        └──────────────────────────────────────────────┘
 *                             unused
 *
 * A job is the record of one file. There are WINDOW of them, and they go round in a circle of three
 * channels, each with room for all: no send ever waits. The walk takes an unused job, gives it the
 * next number and a path; one of N hash tasks reads the file; the collector puts the jobs back into
 * the order of their numbers, prints them, and hands them back. When a large file holds up the
 * order, the walk runs out of unused jobs and waits, and so memory stays bounded.
 *
 * All of them are tasks of one group. An unreadable file makes its hash task fail, which cancels
 * the group: every receive that waits returns -ECANCELED, and all tasks end. A signal does the same
 * by knit_errgroup_cancel. With --keep-going errors do not cancel; then a hash task that fails is
 * replaced by a new one, and the group keeps the errors.
 *
 * A job is touched only by the task that received it last. */
#ifndef DIGEST_H
#define DIGEST_H

#include <knit.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WINDOW = 4096,            /* files between the walk and the printed line */
    BUFFER_SIZE = 256 * 1024, /* of each hash task */
};

struct job {
    uint64_t number;   /* place in the walk */
    char *path;        /* owned; NULL marks the end of the walk */
    bool follow;       /* named on the command line: follow a symbolic link */
    int code;          /* < 0: there is no sum; from the walk or from the hash task */
    const char *doing; /* static: what the walk could not do, "open directory" */
    unsigned sum_size;
    unsigned char sum[EVP_MAX_MD_SIZE];
};

struct pipeline {
    /* set before the first task starts, then constant */
    char **roots; /* NULL at the end */
    EVP_MD *algorithm;
    bool keep_going;
    struct job *jobs; /* WINDOW of them */
    knit_chan *unused, *work, *done;

    /* any task, atomic: shown while they change, so relaxed is enough */
    _Atomic uint64_t files; /* printed */
    _Atomic uint64_t bytes; /* read */

    knit_errgroup group;
};

/* Tasks; arg is the pipeline. */
int walk_roots(void *arg);
int hash_files(void *arg);
int collect_sums(void *arg);

/* End the whole pipeline with `code`, also with --keep-going: for errors that are not about one
 * file. Returns code. */
int pipeline_abort(struct pipeline *p, int code);

/* Standard output, in whole lines.
 *
 * Written in pieces that a pipe takes at once; while a pipe is full the task sleeps, so a reader
 * that has stopped neither blocks a worker nor keeps a cancel from coming through. */
struct output {
    char *buffer;
    size_t start, end; /* what is in the buffer and not written */
    bool eager;        /* a terminal: do not keep lines back */
};

int output_init(struct output *out);
void output_fini(struct output *out);
int output_sum(struct output *out, const struct job *job);
int output_flush(struct output *out);

/* The live line on stderr, a task in a group of its own. */
struct progress {
    struct pipeline *pipeline;
    knit_time start;
    knit_errgroup group;
};

bool progress_wanted(void);
void progress_start(struct progress *pr, struct pipeline *p);
void progress_stop(struct progress *pr); /* the line is gone afterwards */

#endif
