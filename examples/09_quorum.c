/* A write that counts when three of five replicas have confirmed it.
 *
 * The caller goes on as soon as the outcome is certain, either way: three confirmations, or three
 * failures, after which there cannot be three confirmations any more. The rest is cancelled. */
#include <knit.h>
#include <stdio.h>

enum { REPLICAS = 5, QUORUM = 3 };

struct replica {
    int delay_ms;
    int error;
    knit_chan *votes; /* of int: 0 or an error */
};

static int write_to(void *arg)
{
    const struct replica *replica = arg;
    int r = knit_sleep(replica->delay_ms * KNIT_MILLISECOND); /* stands for the network */
    if (r < 0)
        return r; /* cancelled: nobody counts votes any more */
    return knit_chan_send(replica->votes, &replica->error);
}

/* 0: QUORUM of them have confirmed. Else the error that made that impossible. */
static int write_to_quorum(const int delays_ms[REPLICAS], const int errors[REPLICAS])
{
    struct replica replicas[REPLICAS];
    int confirmed = 0, failed = 0, r, vote;
    knit_chan *votes;
    r = knit_chan_new(sizeof(int), REPLICAS, &votes);
    if (r < 0)
        return r;
    KNIT_SCOPE(group, NULL) {
        for (int i = 0; i < REPLICAS; i++) {
            replicas[i] = (struct replica){delays_ms[i], errors[i], votes};
            knit_errgroup_go(group, write_to, &replicas[i]);
        }
        while (confirmed < QUORUM && failed <= REPLICAS - QUORUM) {
            r = knit_chan_recv(votes, &vote);
            if (r == 0)
                r = vote;
            if (r == 0)
                confirmed++;
            else
                failed++;
        }
    } /* here the slow ones are cancelled and joined */
    knit_chan_unref(votes);
    return confirmed == QUORUM ? 0 : r;
}

int main(void)
{
    const int never = 3600 * 1000;
    const int two_down[REPLICAS] = {0, -EHOSTUNREACH, 0, -ENOSPC, 0};
    const int three_down[REPLICAS] = {-ENOSPC, -ENOSPC, 0, -ENOSPC, 0};

    int r = write_to_quorum((const int[REPLICAS]){2, 1, 3, never, 4}, two_down);
    printf("one failed, one is slow: %s\n", r == 0 ? "written" : knit_strerror(r));
    r = write_to_quorum((const int[REPLICAS]){1, 2, never, 3, never}, three_down);
    printf("three failed: %s\n", r == 0 ? "written" : knit_strerror(r));
    return r != -ENOSPC;
}
