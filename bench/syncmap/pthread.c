/* syncmap with POSIX threads: one mutex around a table of chains that never grows. ns of elapsed time
 * per operation. */
#include "../lib/bench.h"

#include <pthread.h>

enum { KEYS = 100000, BUCKETS = 1 << 17 };

struct item {
    struct item *next;
    uint64_t key;
    void *value;
};

struct user {
    pthread_t thread;
    long operations;
    long stores;
    uint64_t random;
};

static struct item *buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct item **find(uint64_t key)
{
    uint64_t x = key;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    struct item **at = &buckets[(x ^ x >> 31) % BUCKETS];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static void store(uint64_t key, void *value)
{
    pthread_mutex_lock(&lock);
    struct item **at = find(key);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        bench_check(*at == NULL, "calloc");
        (*at)->key = key;
    }
    (*at)->value = value;
    pthread_mutex_unlock(&lock);
}

static void *load(uint64_t key)
{
    pthread_mutex_lock(&lock);
    const struct item *item = *find(key);
    void *value = item ? item->value : NULL;
    pthread_mutex_unlock(&lock);
    return value;
}

static void *use_map(void *arg)
{
    struct user *u = arg;
    uint64_t random = u->random; /* users share cache lines */
    for (long i = 0; i < u->operations; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const uint64_t key = (random >> 33) % KEYS;
        if ((long)(random >> 20 & 127) * 100 < u->stores * 128)
            store(key, u);
        else
            bench_check(load(key) == NULL, "load");
    }
    return NULL;
}

static double use(const struct bench_args *args, long operations)
{
    struct user users[64];
    const int64_t start = bench_now();
    for (int i = 0; i < args->threads; i++) {
        users[i] = (struct user){.operations = operations / args->threads,
                                 .stores = args->extra,
                                 .random = (uint64_t)i * 977 + 1};
        bench_check(pthread_create(&users[i].thread, NULL, use_map, &users[i]), "pthread_create");
    }
    for (int i = 0; i < args->threads; i++)
        pthread_join(users[i].thread, NULL);
    return (double)(bench_now() - start) / (double)operations;
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    if (args.threads > 64)
        bench_die("too many threads", args.threads);
    bench_limit_cpus(args.threads);
    for (uint64_t key = 0; key < KEYS; key++)
        store(key, buckets);
    use(&args, args.size / 10 + 64);
    printf("%.3f\n", use(&args, args.size));
    return 0;
}
