/* A write that counts when three of five replicas have confirmed it.
 *
 * The outcome is known as soon as it is certain, either way: three confirmations, or three failures,
 * after which there cannot be three confirmations any more. The rest is cancelled, and has ended when
 * knit_take returns. */
#include <knit.h>
#include <stdio.h>

enum { REPLICAS = 5, QUORUM = 3 };

struct replica {
    int delay_ms;
    int error; /* 0: it confirms */
};

static int write_to(void *arg)
{
    const struct replica *replica = arg;
    int r = knit_sleep(replica->delay_ms * KNIT_MILLISECOND); /* stands for the network */
    return r < 0 ? r : replica->error;
}

/* Prints who has confirmed, fastest first; or the error that made a quorum impossible, which it
 * returns. */
static int write_to_quorum(struct replica replicas[REPLICAS])
{
    knit_call calls[REPLICAS];
    size_t confirmed[QUORUM];
    for (int i = 0; i < REPLICAS; i++)
        calls[i] = (knit_call){write_to, &replicas[i]};
    int r = knit_take(calls, REPLICAS, NULL, QUORUM, confirmed);
    if (r < 0) {
        printf("not written: %s\n", knit_strerror(r));
        return r;
    }
    printf("written, confirmed by");
    for (int i = 0; i < r; i++)
        printf(" %zu", confirmed[i]);
    printf("\n");
    return 0;
}

int main(void)
{
    const int never = 3600 * 1000;
    struct replica one_down[REPLICAS] = {{2, 0}, {1, -EHOSTUNREACH}, {3, 0}, {never, 0}, {4, 0}};
    struct replica three_down[REPLICAS] = {
        {1, -ENOSPC}, {2, -ENOSPC}, {never, 0}, {3, -ENOSPC}, {never, 0}};

    int one = write_to_quorum(one_down);
    int three = write_to_quorum(three_down);
    return one != 0 || three != -ENOSPC;
}
