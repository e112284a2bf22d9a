/* The first answer wins: one file, four mirrors.
 *
 * All are asked at once. A mirror that fails is no loss as long as another answers, so the group
 * keeps going; the first that answers ends it for the others, who are cancelled in the middle of
 * their waiting, and joined: when the group is closed nobody writes to `answers` any more. */
#include <knit.h>
#include <stdio.h>

enum { MIRRORS = 4, LENGTH = 64 };

struct mirror {
    const char *name;
    int delay_ms; /* stands for its distance */
    int error;    /* 0, or how it fails */
    char answer[LENGTH];
    knit_chan *answered; /* of const struct mirror * */
};

static int fetch(void *arg)
{
    struct mirror *m = arg;
    int r = knit_sleep(m->delay_ms * KNIT_MILLISECOND);
    if (r == 0)
        r = m->error;
    if (r < 0)
        return r == m->error ? knit_error(r, "%s", m->name) : r;
    snprintf(m->answer, LENGTH, "README, as %s has it", m->name);
    return knit_chan_send(m->answered, &m); /* there is room for all answers */
}

/* Wait for all, then say that there will be no more answers. */
static int close_when_done(void *arg)
{
    struct mirror *m = arg;
    knit_errgroup mirrors;
    knit_errgroup_init(&mirrors, &(knit_errgroup_options){.flags = KNIT_ERRGROUP_KEEP_GOING});
    for (int i = 0; i < MIRRORS; i++)
        knit_errgroup_go(&mirrors, fetch, &m[i]);
    int r = knit_errgroup_wait(&mirrors);
    knit_chan_close(m->answered);
    return r;
}

int main(void)
{
    struct mirror mirrors[MIRRORS] = {
        {.name = "far.example", .delay_ms = 3600 * 1000},
        {.name = "broken.example", .error = -ECONNREFUSED},
        {.name = "near.example", .delay_ms = 5},
        {.name = "slow.example", .delay_ms = 3600 * 1000},
    };
    knit_chan *answered;
    if (knit_chan_new(sizeof(struct mirror *), MIRRORS, &answered) < 0)
        return 1;
    for (int i = 0; i < MIRRORS; i++)
        mirrors[i].answered = answered;

    knit_errgroup group;
    knit_errgroup_init(&group, NULL);
    knit_errgroup_go(&group, close_when_done, mirrors);
    const struct mirror *winner = NULL;
    int r = knit_chan_recv(answered, &winner); /* -EPIPE: all have failed */
    int error = knit_errgroup_close(&group);   /* cancels the others and waits for them */

    if (r == 0)
        printf("%s\n", winner->answer);
    else
        printf("no mirror answered: %s\n", knit_strerror(error));
    knit_chan_unref(answered);
    return r != 0;
}
