/* The collector: jobs come in the order in which they were finished and are printed in the order
 * of the walk. */
#define _GNU_SOURCE
#include "digest.h"

#include <stdlib.h>
#include <unistd.h>

/* Print one job and hand it back to the walk. */
static int collect_job(struct pipeline *p, struct output *out, struct job *job)
{
    int r = 0;
    if (job->code == 0) {
        r = output_sum(out, job);
        if (r == 0)
            atomic_fetch_add_explicit(&p->files, 1, memory_order_relaxed);
    }
    free(job->path);
    job->path = NULL;
    if (r < 0)
        return r;
    return knit_chan_send(p->unused, &job);
}

/* `ring` is the reorder window: the job with number n waits at n % WINDOW. There are only WINDOW
 * jobs and the oldest one not printed is among them, so no place is ever needed twice. */
static int collect_in_order(struct pipeline *p, struct output *out, struct job **ring)
{
    for (uint64_t next = 0;;) {
        struct job *job;
        int r = knit_chan_recv(p->done, &job);
        if (r < 0)
            return r;
        ring[job->number % WINDOW] = job;

        while ((job = ring[next % WINDOW])) {
            ring[next++ % WINDOW] = NULL;
            if (!job->path)
                return 0; /* the end marker: everything has been printed */
            r = collect_job(p, out, job);
            if (r < 0)
                return r;
        }
        if (out->eager) {
            r = output_flush(out);
            if (r < 0)
                return r;
        }
    }
}

/* After a cancel: the lines that are complete are still worth printing. A cancelled task cannot
 * wait, so this is done under a shield, with a budget in case nobody reads. */
static void collect_rest(struct output *out)
{
    knit_ctx *shield;
    if (knit_ctx_shield(knit_ctx_current(), 500 * KNIT_MILLISECOND, &shield) < 0)
        return;
    knit_ctx_scope scope;
    knit_ctx_enter(shield, &scope);
    (void)output_flush(out);
    knit_ctx_leave(&scope);
    knit_ctx_unref(shield);
}

int collect_sums(void *arg)
{
    struct pipeline *p = arg;
    struct output out;
    int r = output_init(&out);
    struct job **ring = calloc(WINDOW, sizeof(struct job *));
    if (r == 0 && !ring)
        r = -ENOMEM;
    if (r == 0)
        r = collect_in_order(p, &out, ring);
    if (r == 0)
        r = output_flush(&out);
    else if (r == -ECANCELED)
        collect_rest(&out);
    free(ring);
    output_fini(&out);

    if (r == -ENOMEM)
        return pipeline_abort(p, knit_error(r, "collect"));
    if (r < 0 && r != -ECANCELED)
        return pipeline_abort(p, knit_error(r, "write standard output"));
    return r;
}
