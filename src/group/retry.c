/* knit_retry, and the decisions behind it. All state is the caller's; there are no locks. */
#include "retry.h"

#include "../sync/ctx.h"
#include "../sync/random.h"
#include "record.h"

#include <errno.h>
#include <knit/task.h>

static const knit_duration BASE = 100 * KNIT_MILLISECOND, MAX = 30 * KNIT_SECOND;
static const double MULTIPLIER = 2;

/* ---- the policy ---- */

bool knit__retry_valid(const knit_retry_policy *p)
{
    return p->attempts >= 0 && p->max >= 0 && (p->flags & ~(unsigned)KNIT_RETRY_NO_JITTER) == 0 &&
           (p->multiplier == 0 || p->multiplier >= 1); /* a NaN is neither */
}

/* Any time from 0 to bound, with 32 random bits: pauses of hours come out in steps of a ms. */
static knit_duration any_below(struct knit__task *t, double bound)
{
    knit__random_begin(t);
    return (knit_duration)(bound * (knit__random_below(t, UINT32_MAX) * 0x1p-32));
}

/* The pause that follows now; the bound grows for the next. */
static knit_duration next_pause(struct knit__retry *retry, struct knit__task *t)
{
    const knit_retry_policy *p = retry->policy;
    double max = (double)(p->max ? p->max : MAX), bound = retry->bound;

    if (p->base < 0)
        return 0;
    if (retry->failures == 1)
        bound = (double)(p->base ? p->base : BASE);
    if (bound > max)
        bound = max;
    retry->bound = bound * (p->multiplier != 0 ? p->multiplier : MULTIPLIER);
    if (bound >= 0x1p62) /* a bound of 146 years: do not ask what it is as an integer */
        bound = 0x1p62;
    return p->flags & KNIT_RETRY_NO_JITTER ? (knit_duration)bound : any_below(t, bound);
}

bool knit__retry_again(struct knit__retry *retry, struct knit__task *t, int code,
                       knit_duration *ret_pause)
{
    const knit_retry_policy *p = retry->policy;

    retry->failures++;
    if (p->attempts > 0 && retry->failures >= p->attempts)
        return false;
    if (p->retry_if && !p->retry_if(code, p->arg))
        return false;
    *ret_pause = next_pause(retry, t);
    return true;
}

/* ---- in the caller ---- */

/* The context ended after failures. Its error says nothing of them, so the text does. */
static int gave_up(const struct knit__retry *retry, int err, int code)
{
    return knit_error(err, "gave up after %lld failed attempts, the last: %s",
                      (long long)retry->failures,
                      code < 0 ? knit_strerror(code) : "a positive result");
}

/* 0: call again. Else the error of the context. */
static int pause_for(knit_duration pause)
{
    return pause > 0 ? knit_sleep(pause) : knit_yield();
}

int knit_retry(knit_fn *fn, void *arg, const knit_retry_policy *policy)
{
    static const knit_retry_policy all_zero;
    struct knit__retry retry = {.policy = policy ? policy : &all_zero};
    struct knit__task *t = knit__task_self();
    knit_duration pause;
    int r, err;

    if (!fn || !knit__retry_valid(retry.policy))
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    err = knit__ctx_ended(t->run->ctx);
    if (err != 0)
        return err;
    for (;;) {
        r = fn(arg);
        if (r == 0 || !knit__retry_again(&retry, t, r, &pause))
            return r;
        if (knit__run_touched(t->run))
            knit__record_drop(t->run); /* what this call said of its failure */
        err = pause_for(pause);
        if (err != 0)
            return err == -ECANCELED || err == -ETIMEDOUT ? gave_up(&retry, err, r) : err;
    }
}
