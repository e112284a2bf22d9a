/* Tasks that begin later. See scenarios.h. */
#include "tally.h"

enum { PLANNED = 300 }; /* and parked: more than a slab of stacks (256) */

struct later {
    knit_schedgroup s;
    knit_chan *ch;
    atomic_int accepted, ran;
};

/* Keeps its stack: the next one needs another. */
static int run_later(void *arg)
{
    struct later *l = arg;
    atomic_fetch_add(&l->ran, 1);
    int r = knit_chan_recv(l->ch, NULL);
    return r == -EPIPE ? 0 : r;
}

static void later_accepts(struct later *l, int r)
{
    atomic_fetch_add(&l->accepted, bear(r) == 0);
}

/* One more, from whatever worker this is, while others wait for the timer. */
static int run_copy(void *arg)
{
    struct later *l = *(struct later **)arg;
    later_accepts(l, knit_schedgroup_delay(&l->s, 0, run_later, l));
    return run_later(l);
}

static knit_errgroup_counts look_at(struct later *l)
{
    knit_errgroup_counts counts;
    CHECK_INT(knit_errgroup_stats(knit_schedgroup_errgroup(&l->s), &counts), 0);
    return counts;
}

static bool all_begun(struct later *l)
{
    knit_errgroup_counts counts = look_at(l);
    return atomic_load(&l->ran) + (int)(counts.failed + counts.skipped) >= l->accepted;
}

static void schedule_all(struct later *l)
{
    if (bear(knit_chan_new(0, 0, &l->ch)) != 0)
        return;
    for (int i = 0; i < PLANNED; i++) {
        knit_duration delay = i % 4 * 20 * KNIT_MICROSECOND;
        int r = i % 100 != 0 ? knit_schedgroup_delay(&l->s, delay, run_later, l)
                             : knit_schedgroup_delay_copy(&l->s, delay, run_copy, &l, sizeof l);
        later_accepts(l, r);
    }
    kt_until(all_begun(l));
    CHECK_INT(knit_chan_close(l->ch), 0);
    int r = bear(knit_schedgroup_wait(&l->s));
    int ran = atomic_load(&l->ran);
    knit_errgroup_counts counts = look_at(l);
    CHECK_INT(counts.pending, 0);
    CHECK((int)(counts.skipped + counts.failed) >= l->accepted - ran);
    CHECK(ran <= l->accepted);
    if (r == 0)
        CHECK_INT(ran, PLANNED + PLANNED / 100);
    bear(knit_schedgroup_close(&l->s));
    knit_chan_unref(l->ch);
}

/* First a group that goes on whatever fails, then one that does not. */
void schedules(void)
{
    struct later keeps_going = {0}, cancels = {0};
    schedule_all(&keeps_going);
    CHECK_INT(knit_schedgroup_init(&cancels.s, NULL), 0);
    schedule_all(&cancels);
}
