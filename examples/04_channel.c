/* A channel between three producers and two consumers.
 *
 * The producers are a group of their own, so that main knows when the last of them is done and can
 * close the channel. A closed channel is drained first, then its receivers get -EPIPE: that is how
 * the consumers end. */
#include <knit.h>
#include <stdio.h>

enum { PRODUCERS = 3, CONSUMERS = 2, EACH = 1000 };

struct producer {
    knit_chan *ch;
    int first;
};

struct consumer {
    knit_chan *ch;
    int received;
    long sum;
};

static int produce(void *arg)
{
    const struct producer *p = arg;
    for (int i = 0; i < EACH; i++) {
        int number = p->first + i;
        int r = knit_chan_send(p->ch, &number); /* waits while the channel is full */
        if (r < 0)
            return r;
    }
    return 0;
}

static int consume(void *arg)
{
    struct consumer *c = arg;
    int number, r;
    while ((r = knit_chan_recv(c->ch, &number)) == 0) {
        c->received++;
        c->sum += number;
    }
    return r == -EPIPE ? 0 : r;
}

int main(void)
{
    knit_chan *ch;
    if (knit_chan_new(sizeof(int), 16, &ch) < 0)
        return 1;

    struct consumer consumer[CONSUMERS];
    knit_errgroup consumers, producers;
    knit_errgroup_init(&consumers, NULL);
    knit_errgroup_init(&producers, NULL);
    for (int i = 0; i < CONSUMERS; i++) {
        consumer[i] = (struct consumer){.ch = ch};
        knit_errgroup_go(&consumers, consume, &consumer[i]);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer p = {.ch = ch, .first = i * EACH};
        knit_errgroup_go_copy(&producers, produce, &p, sizeof p);
    }

    int sent = knit_errgroup_wait(&producers);
    knit_chan_close(ch);
    int received = knit_errgroup_wait(&consumers);

    int count = 0;
    long sum = 0;
    for (int i = 0; i < CONSUMERS; i++) {
        count += consumer[i].received;
        sum += consumer[i].sum;
    }
    printf("%d producers, %d consumers: %d numbers, sum %ld\n", PRODUCERS, CONSUMERS, count, sum);
    knit_chan_unref(ch);
    return sent < 0 || received < 0;
}
