/* unstarted: a member of a paused group starts SIZE tasks in it; they queue. Bytes of resident
 * memory per queued task; then the pause ends and all must run. */
#include "../lib/bench_knit.h"

struct queue {
    knit_errgroup g;
    long n;
    double bytes;
    _Atomic long ran;
};

static int count(void *arg)
{
    struct queue *q = arg;
    q->ran++;
    return 0;
}

static int member(void *arg)
{
    struct queue *q = arg;
    bench_check(knit_errgroup_set_limit(&q->g, 0), "set_limit");
    const int64_t before = bench_rss();
    for (long i = 0; i < q->n; i++)
        bench_check(knit_errgroup_go(&q->g, count, q), "go");
    q->bytes = (double)(bench_rss() - before) / (double)q->n;
    bench_check(q->ran != 0, "a task ran in a paused group");
    bench_check(knit_errgroup_set_limit(&q->g, -1), "set_limit");
    return 0;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    struct queue q = {.n = args->size};
    bench_check(knit_errgroup_go(&q.g, member, &q), "go");
    bench_check(knit_errgroup_wait(&q.g), "wait");
    bench_check(q.ran != q.n, "tasks lost");
    printf("%.2f\n", q.bytes);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
