/* syncmap with liburcu's lock-free hash table (cds_lfht, the memb flavour) and threads. A store makes
 * a new node, puts it in the old one's place and frees that after a grace period, as it must when
 * readers may hold the old one. ns of elapsed time per operation. */
#include "../lib/bench.h"

#include <pthread.h>
#define RCU_MEMBARRIER
#include <urcu.h>
#include <urcu/rculfhash.h>

enum { KEYS = 100000 };

struct item {
    struct cds_lfht_node node;
    uint64_t key;
    void *value;
    struct rcu_head head;
};

static struct cds_lfht *map;

struct user {
    pthread_t thread;
    long operations;
    long stores;
    uint64_t random;
};

static unsigned long hash_of(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static int is_key(struct cds_lfht_node *node, const void *key)
{
    return caa_container_of(node, struct item, node)->key == *(const uint64_t *)key;
}

static void free_item(struct rcu_head *head)
{
    free(caa_container_of(head, struct item, head));
}

static void store(uint64_t key, void *value)
{
    struct item *item = malloc(sizeof *item);
    bench_check(item == NULL, "malloc");
    item->key = key;
    item->value = value;
    cds_lfht_node_init(&item->node);
    rcu_read_lock();
    struct cds_lfht_node *old = cds_lfht_add_replace(map, hash_of(key), is_key, &key, &item->node);
    rcu_read_unlock();
    if (old)
        call_rcu(&caa_container_of(old, struct item, node)->head, free_item);
}

static void *load(uint64_t key)
{
    struct cds_lfht_iter iter;
    rcu_read_lock();
    cds_lfht_lookup(map, hash_of(key), is_key, &key, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    void *value = node ? caa_container_of(node, struct item, node)->value : NULL;
    rcu_read_unlock();
    return value;
}

static void *use_map(void *arg)
{
    struct user *u = arg;
    rcu_register_thread();
    uint64_t random = u->random; /* users share cache lines */
    for (long i = 0; i < u->operations; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const uint64_t key = (random >> 33) % KEYS;
        if ((long)(random >> 20 & 127) * 100 < u->stores * 128)
            store(key, u);
        else
            bench_check(load(key) == NULL, "load");
    }
    rcu_unregister_thread();
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
    rcu_register_thread();
    map = cds_lfht_new(1 << 17, 64, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
    bench_check(map == NULL, "cds_lfht_new");
    for (uint64_t key = 0; key < KEYS; key++)
        store(key, &map);
    rcu_unregister_thread();
    use(&args, args.size / 10 + 64);
    printf("%.3f\n", use(&args, args.size));
    return 0;
}
