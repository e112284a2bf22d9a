/* Looking up names, with a resolver of the test's own in the place of getaddrinfo. */
#define _GNU_SOURCE /* EAI_NODATA */
#include "io/resolve.h"

#include "sockets.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>

/* What the resolver says. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool waits; /* until it is false */
    int code;
    const char *addresses[4];
    int in, most, lists; /* calls at once, the most of them, lists not given back */
} resolver = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, {NULL}, 0, 0, 0};

static struct addrinfo *one_address(const char *host, const char *service)
{
    struct addrinfo *a = calloc(1, sizeof *a);
    struct sockaddr_in *in = calloc(1, sizeof *in);
    CHECK(a && in);
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)atoi(service));
    CHECK_INT(inet_pton(AF_INET, host, &in->sin_addr), 1);
    *a = (struct addrinfo){.ai_addr = (struct sockaddr *)in, .ai_addrlen = sizeof *in};
    return a;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    struct addrinfo **end = ret_list;
    int code;
    CHECK(host && hints);
    *ret_list = NULL;
    CHECK(!knit_in_task());
    pthread_mutex_lock(&resolver.lock);
    if (++resolver.in > resolver.most)
        resolver.most = resolver.in;
    while (resolver.waits)
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    resolver.in--;
    code = resolver.code;
    if (code == EAI_SYSTEM)
        errno = EMFILE;
    for (int i = 0; code == 0 && i < 4 && resolver.addresses[i]; i++) {
        *end = one_address(resolver.addresses[i], service);
        end = &(*end)->ai_next;
    }
    resolver.lists += *ret_list != NULL;
    pthread_mutex_unlock(&resolver.lock);
    return code;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_addr);
        free(list);
        list = next;
    }
    pthread_mutex_lock(&resolver.lock);
    resolver.lists--;
    pthread_mutex_unlock(&resolver.lock);
}

static void resolver_set(bool waits, int code, const char *first, const char *second)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.waits = waits;
    resolver.code = code;
    resolver.addresses[0] = first;
    resolver.addresses[1] = second;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
}

static int resolver_in(void)
{
    pthread_mutex_lock(&resolver.lock);
    int in = resolver.in;
    pthread_mutex_unlock(&resolver.lock);
    return in;
}

static int resolver_lists(void)
{
    pthread_mutex_lock(&resolver.lock);
    int lists = resolver.lists;
    pthread_mutex_unlock(&resolver.lock);
    return lists;
}

static void every_answer_is_in_the_list(void)
{
    char text[KNIT_ADDRESS_TEXT];
    knit_address *list;
    resolver_set(false, 0, "127.0.0.9", "127.0.0.8");
    CHECK_INT(knit_resolve("tcp", "name.test:7", &list), 2);
    CHECK_INT(knit_address_text(&list[0], text), 0);
    CHECK_HAS(text, "127.0.0.9:7");
    CHECK_INT(knit_address_text(&list[1], text), 0);
    CHECK_HAS(text, "127.0.0.8:7");
    knit_addresses_free(list);
    kt_until(resolver_lists() == 0);
}

static void each_failure_has_a_code(void)
{
    static const int codes[][2] = {
        {EAI_NONAME, -ENOENT},  {EAI_NODATA, -ENOENT}, {EAI_ADDRFAMILY, -ENOENT},
        {EAI_SERVICE, -EINVAL}, {EAI_FAMILY, -EINVAL}, {EAI_SOCKTYPE, -EINVAL},
        {EAI_AGAIN, -EAGAIN},   {EAI_FAIL, -EIO},      {EAI_MEMORY, -ENOMEM},
        {EAI_SYSTEM, -EMFILE},  {EAI_OVERFLOW, -EIO},  {-12345, -EIO},
    };
    knit_address *list = NULL;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        resolver_set(false, codes[i][0], NULL, NULL);
        CHECK_INT(knit_resolve("tcp", "name.test:7", &list), codes[i][1]);
        CHECK_INT(knit_dial("tcp", "name.test:7"), codes[i][1]);
        CHECK_INT(knit_listen("tcp", "name.test:7"), codes[i][1]);
    }
    CHECK(!list);
    CHECK_INT(knit__resolver_code(EAI_SYSTEM, EPERM), -EIO);
}

static void a_name_without_an_address_is_none(void)
{
    knit_address *list;
    resolver_set(false, 0, NULL, NULL);
    CHECK_INT(knit_resolve("tcp", "name.test:7", &list), -ENOENT);
    kt_until(resolver_lists() == 0);
}

/* 127.0.0.2 refuses. */
static void dial_goes_on_to_the_next_address(void)
{
    char text[KNIT_ADDRESS_TEXT], name[KNIT_ADDRESS_TEXT];
    int listener = listen_here("tcp", text), c;
    knit_address at;
    CHECK_INT(knit_local_address(listener, &at), 0);
    snprintf(name, sizeof name, "name.test:%d", knit_address_port(&at));
    resolver_set(false, 0, "127.0.0.2", "127.0.0.1");
    c = knit_dial("tcp", name);
    CHECK(c >= 0);
    CHECK_INT(knit_peer_address(c, &at), 0);
    CHECK_INT(knit_address_text(&at, name), 0);
    CHECK(strcmp(name, text) == 0);
    CHECK_INT(knit_close(c) | knit_close(listener), 0);
}

/* ---- waiting ---- */

static int resolve_name(void *arg)
{
    knit_address *list = NULL;
    int n = knit_resolve("tcp", "name.test:7", &list);
    (void)arg;
    if (n < 0) {
        CHECK(!list);
        return n;
    }
    knit_addresses_free(list);
    return 0;
}

static void look_ups_have_threads_of_their_own_but_few(void)
{
    knit_errgroup g = {0};
    resolver_set(true, 0, "127.0.0.1", NULL);
    for (int i = 0; i < 50; i++)
        CHECK_INT(knit_errgroup_go(&g, resolve_name, NULL), 0);
    kt_until(resolver_in() == 32);
    resolver_set(false, 0, "127.0.0.1", NULL);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(resolver.most, 32);
    kt_until(resolver_lists() == 0);
}

static void a_look_up_that_is_given_up_ends_by_itself(void)
{
    knit_address *list = NULL;
    knit_errgroup g;
    resolver_set(true, 0, "127.0.0.1", NULL);
    CHECK_INT(knit_resolve_until("tcp", "name.test:7", knit_now() + KNIT_MILLISECOND, &list),
              -ETIMEDOUT);
    CHECK_INT(knit_dial_until("tcp", "name.test:7", knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 40; i++)
        CHECK_INT(knit_errgroup_go(&g, resolve_name, NULL), 0);
    kt_until(resolver_in() == 32);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_close(&g), -ECANCELED);
    CHECK_INT(resolver_in(), 32);
    /* their places are taken until they end */
    CHECK_INT(knit_resolve_until("tcp", "name.test:7", knit_now() + KNIT_MILLISECOND, &list),
              -ETIMEDOUT);
    CHECK(!list);
    resolver_set(false, 0, "127.0.0.1", NULL);
    CHECK_INT(knit_resolve("tcp", "name.test:7", &list), 1);
    knit_addresses_free(list);
    kt_until(resolver_in() == 0 && resolver_lists() == 0);
}

static int resolve_in_child(void *arg)
{
    resolver_set(false, 0, "127.0.0.1", NULL);
    return resolve_name(arg);
}

/* The look-ups of the parent are not there, nor do they take the child's places. */
static void the_child_of_a_fork_looks_up_as_ever(void)
{
    knit_address *list;
    knit_errgroup g;
    kt_needs_fork();
    resolver_set(true, 0, "127.0.0.1", NULL);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 32; i++)
        CHECK_INT(knit_errgroup_go(&g, resolve_name, NULL), 0);
    kt_until(resolver_in() == 32);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_close(&g), -ECANCELED);
    CHECK_INT(kt_child(resolve_in_child, NULL), 0);
    CHECK_INT(knit_resolve_until("tcp", "name.test:7", knit_now() + KNIT_MILLISECOND, &list),
              -ETIMEDOUT);
    resolver_set(false, 0, "127.0.0.1", NULL);
    CHECK_INT(resolve_name(NULL), 0);
    kt_until(resolver_in() == 0 && resolver_lists() == 0);
}

static const knittest tests[] = {
    BOTH(every_answer_is_in_the_list),
    BOTH(each_failure_has_a_code),
    BOTH(a_name_without_an_address_is_none),
    BOTH(dial_goes_on_to_the_next_address),
    BOTH(look_ups_have_threads_of_their_own_but_few),
    BOTH(a_look_up_that_is_given_up_ends_by_itself),
    ALONE(the_child_of_a_fork_looks_up_as_ever),
};

KNITTEST_MAIN(tests)
