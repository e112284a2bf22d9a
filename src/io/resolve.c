/* Names to addresses.
 *
 * getaddrinfo blocks, cannot be interrupted (its waits begin again after EINTR), and uses as much
 * stack as the modules it loads like, more than a task may have. So a look-up has a thread of its
 * own, and its caller waits for an event. Who gives up before leaves the look-up alone: it has all it
 * needs by itself, and frees it. There are at most LOOKUPS of them, those left alone included:
 * a name server that does not answer does not fill the process with threads.
 *
 * Of the two that share a look-up the one that comes later frees it; `lock` decides, under which
 * nothing is taken. The thread sets off the event under the lock too: who has left has closed it.
 *
 * A look-up that was left alone gives its place back when it ends, which may be while the process does.
 * The runtime that it would wake a task of then stops: from knit__resolver_stop on places are owed
 * only. Their lock is taken with nothing held. */
#define _GNU_SOURCE
#include "resolve.h"

#include "../core/lock.h"

#include <errno.h>
#include <knit/io.h>
#include <knit/semaphore.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKUPS = 32 };

static struct {
    knit_semaphore free; /* places */
    struct knit__lock lock;
    /* lock */
    bool stopped;
    int owed;
} places;

/* All there are, the first time; and those that were owed. */
static void places_begin(void)
{
    int owed;

    (void)knit_semaphore_resize(&places.free, LOOKUPS);
    knit__lock(&places.lock);
    owed = places.owed;
    places.owed = 0;
    places.stopped = false;
    knit__unlock(&places.lock);
    if (owed > 0)
        knit_semaphore_release(&places.free, owed);
}

/* By a thread that nobody waits for. */
static void place_give_back(void)
{
    knit__lock(&places.lock);
    if (places.stopped)
        places.owed++;
    else
        knit_semaphore_release(&places.free, 1);
    knit__unlock(&places.lock);
}

void knit__resolver_stop(void)
{
    knit__lock(&places.lock);
    places.stopped = true;
    knit__unlock(&places.lock);
}

void knit__resolver_abandon(void)
{
    memset(&places, 0, sizeof places);
}

struct lookup {
    /* set at birth */
    struct knit__endpoint endpoint;
    struct addrinfo hints;
    int event;
    /* the thread, until it is done */
    struct addrinfo *found;
    int code;        /* of getaddrinfo */
    int saved_errno; /* with EAI_SYSTEM */
    /* lock */
    struct knit__lock lock;
    bool done, left;
};

static void lookup_free(struct lookup *l)
{
    if (l->found)
        freeaddrinfo(l->found);
    free(l);
}

static void *lookup_main(void *arg)
{
    struct lookup *l = arg;
    const char *host = l->endpoint.host[0] ? l->endpoint.host : NULL;
    bool left;

    knit__os_thread_name("knit-lookup");
    l->code = getaddrinfo(host, l->endpoint.service, &l->hints, &l->found);
    l->saved_errno = errno;
    if (l->code != 0)
        l->found = NULL;
    knit__lock(&l->lock);
    l->done = true;
    left = l->left;
    if (!left)
        knit_event_set(l->event);
    knit__unlock(&l->lock);
    if (left) {
        lookup_free(l);
        place_give_back();
    }
    return NULL;
}

/* With all signals blocked: the program's handlers run on the program's threads. */
static int lookup_start(struct lookup *l)
{
    sigset_t all, old;
    pthread_attr_t attr;
    pthread_t id;
    int r;

    r = pthread_attr_init(&attr);
    if (r != 0)
        return -r;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&id, &attr, lookup_main, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

/* A look-up of its own thread's, which holds one of the places. */
static int lookup_new(const struct knit__network *network, const struct knit__endpoint *e,
                      bool to_listen, struct lookup **ret_lookup)
{
    struct lookup *l = calloc(1, sizeof *l);
    int r = -ENOMEM;

    if (!l)
        return r;
    l->endpoint = *e;
    l->hints = (struct addrinfo){.ai_family = network->family,
                                 .ai_socktype = network->type,
                                 .ai_flags = to_listen ? AI_PASSIVE : 0};
    r = l->event = knit_event_new();
    if (r < 0)
        goto free_lookup;
    r = lookup_start(l);
    if (r < 0)
        goto close_event;
    *ret_lookup = l;
    return 0;

close_event:
    knit_close(l->event);
free_lookup:
    free(l);
    return r;
}

/* The event is closed; true: the look-up has ended, and is the caller's alone. */
static bool lookup_leave(struct lookup *l)
{
    int event = l->event;
    bool done;

    knit__lock(&l->lock);
    done = l->done;
    l->left = true;
    knit__unlock(&l->lock);
    knit_close(event);
    return done;
}

int knit__resolver_code(int code, int saved_errno)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return -ENOENT;
    case EAI_SERVICE:
    case EAI_SOCKTYPE:
    case EAI_FAMILY:
    case EAI_BADFLAGS: return -EINVAL;
    case EAI_AGAIN: return -EAGAIN;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM:
        if (saved_errno == EMFILE || saved_errno == ENFILE || saved_errno == ENOMEM)
            return -saved_errno;
        return -EIO;
    default: return -EIO;
    }
}

/* As an array. */
static int convert(const struct addrinfo *found, knit_address **ret_list)
{
    knit_address *list;
    int n = 0;

    for (const struct addrinfo *a = found; a; a = a->ai_next)
        n++;
    list = n > 0 ? calloc((size_t)n, sizeof *list) : NULL;
    if (!list)
        return n > 0 ? -ENOMEM : -ENOENT;
    n = 0;
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        if (a->ai_addrlen > sizeof list[n].data)
            continue;
        list[n].size = a->ai_addrlen;
        memcpy(&list[n++].data, a->ai_addr, a->ai_addrlen);
    }
    *ret_list = list;
    return n;
}

static int lookup_result(const struct lookup *l, knit_address **ret_list)
{
    int code = l->code;

    if (code == 0)
        return convert(l->found, ret_list);
    return knit_error(knit__resolver_code(code, l->saved_errno), "look up %s:%s: %s",
                      l->endpoint.host, l->endpoint.service,
                      code == EAI_SYSTEM ? knit_strerror(l->saved_errno) : gai_strerror(code));
}

static int look_up(const struct knit__network *network, const struct knit__endpoint *e,
                   bool to_listen, knit_time deadline, knit_address **ret_list)
{
    struct lookup *l;
    int64_t woken;
    int r;

    places_begin();
    r = knit_semaphore_acquire_until(&places.free, 1, deadline);
    if (r < 0)
        return r;
    r = lookup_new(network, e, to_listen, &l);
    if (r == 0) {
        woken = knit_event_wait(l->event, deadline);
        if (!lookup_leave(l))
            return (int)woken; /* woken < 0: nobody else sets it off. It keeps the place */
        r = lookup_result(l, ret_list);
        lookup_free(l);
    }
    knit_semaphore_release(&places.free, 1);
    return r;
}

static int literal(const struct knit__network *network, const struct knit__endpoint *e,
                   bool to_listen, knit_address ret_addresses[2])
{
    int port = knit__port_parse(e->service);

    if (!to_listen || e->host[0] != 0 || e->bracketed || port < 0)
        return knit__address_literal(network, e, ret_addresses);
    ret_addresses[0] = knit__address_any(network->family == AF_UNSPEC ? AF_INET6 : network->family,
                                         (uint16_t)port);
    if (network->family != AF_UNSPEC)
        return 1;
    ret_addresses[1] = knit__address_any(AF_INET, (uint16_t)port);
    return 2;
}

/* A list of what is known already. */
static int list_of(const knit_address *found, int n, knit_address **ret_list)
{
    knit_address *list = calloc((size_t)n, sizeof *list);

    if (!list)
        return -ENOMEM;
    memcpy(list, found, (size_t)n * sizeof *list);
    *ret_list = list;
    return n;
}

static int resolve_unix(const char *address, knit_address **ret_list)
{
    knit_address found;
    int r = knit__address_unix(address, &found);

    return r < 0 ? r : list_of(&found, 1, ret_list);
}

int knit__resolve(const struct knit__network *network, const char *address, bool to_listen,
                  knit_time deadline, knit_address **ret_list)
{
    struct knit__endpoint e;
    knit_address found[2];
    int r;

    if (network->family == AF_UNIX)
        return resolve_unix(address, ret_list);
    r = knit__endpoint_parse(address, &e);
    if (r < 0)
        return r;
    r = literal(network, &e, to_listen, found);
    if (r == 0)
        return look_up(network, &e, to_listen, deadline, ret_list);
    return r < 0 ? r : list_of(found, r, ret_list);
}

int knit_resolve_until(const char *network, const char *address, knit_time deadline,
                       knit_address **ret_list)
{
    struct knit__network net;
    int r = knit__network_parse(network, &net);

    if (r < 0 || !ret_list)
        return -EINVAL;
    return knit__resolve(&net, address, false, deadline, ret_list);
}

int knit_resolve(const char *network, const char *address, knit_address **ret_list)
{
    return knit_resolve_until(network, address, KNIT_FOREVER, ret_list);
}

void knit_addresses_free(knit_address *list)
{
    free(list);
}
