/* syncmap: THREADS tasks use one map of 100,000 keys (8 bytes), SIZE operations in all, EXTRA of 100
 * of them stores of keys that are there, the rest loads. ns of elapsed time per operation. */
#include "../lib/bench_knit.h"

enum { KEYS = 100000 };

static knit_syncmap map;

struct user {
    long operations;
    long stores; /* of 100 operations */
    uint64_t random;
};

static int use_map(void *arg)
{
    struct user *u = arg;
    uint64_t random = u->random; /* users share cache lines */
    for (long i = 0; i < u->operations; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const uint64_t key = (random >> 33) % KEYS;
        void *value = u;
        if ((long)(random >> 20 & 127) * 100 < u->stores * 128)
            bench_check(knit_syncmap_store(&map, &key, sizeof key, value), "store");
        else
            bench_check(knit_syncmap_load(&map, &key, sizeof key, &value) != 1, "load");
    }
    return 0;
}

static double use(const struct bench_args *args, long operations)
{
    struct user users[64];
    const int64_t start = bench_now();
    knit_errgroup g = {0};
    for (int i = 0; i < args->threads; i++) {
        users[i] = (struct user){operations / args->threads, args->extra, (uint64_t)i * 977 + 1};
        bench_check(knit_errgroup_go(&g, use_map, &users[i]), "go");
    }
    bench_check(knit_errgroup_wait(&g), "wait");
    return (double)(bench_now() - start) / (double)operations;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    for (uint64_t key = 0; key < KEYS; key++)
        bench_check(knit_syncmap_store(&map, &key, sizeof key, &map), "store");
    use(args, args->size / 10 + 64);
    printf("%.3f\n", use(args, args->size));
    knit_syncmap_fini(&map);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    if (args.threads > 64)
        bench_die("too many threads", args.threads);
    bench_root(root, &args);
    return 0;
}
