/* Addresses and their texts. Literal addresses are read here, and not by getaddrinfo, which would
 * need much of a task's stack and may open files even for them. */
#define _GNU_SOURCE
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

int knit__network_parse(const char *text, struct knit__network *ret_network)
{
    static const struct {
        const char *text;
        struct knit__network network;
    } known[] = {
        {"tcp", {AF_UNSPEC, SOCK_STREAM}}, {"udp", {AF_UNSPEC, SOCK_DGRAM}},
        {"tcp4", {AF_INET, SOCK_STREAM}},  {"udp4", {AF_INET, SOCK_DGRAM}},
        {"tcp6", {AF_INET6, SOCK_STREAM}}, {"udp6", {AF_INET6, SOCK_DGRAM}},
        {"unix", {AF_UNIX, SOCK_STREAM}},
    };

    for (size_t i = 0; text && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(text, known[i].text) == 0) {
            *ret_network = known[i].network;
            return 0;
        }
    }
    return -EINVAL;
}

/* n characters as a string; false: there is no room for them. */
static bool copy_text(char *to, size_t room, const char *from, size_t n)
{
    if (n >= room)
        return false;
    memcpy(to, from, n);
    to[n] = 0;
    return true;
}

/* A number, as getaddrinfo sees it, that is none of a port: it would take the lower 16 bits. */
static bool is_no_port(const char *service)
{
    return service[strspn(service, " \t\n\v\f\r+-0123456789")] == 0 &&
           knit__port_parse(service) < 0;
}

int knit__endpoint_parse(const char *text, struct knit__endpoint *ret_endpoint)
{
    struct knit__endpoint e = {.bracketed = text && text[0] == '['};
    const char *host = text, *end, *colon;

    if (!text)
        return -EINVAL;
    if (e.bracketed) {
        host++;
        end = strchr(host, ']');
        colon = end ? end + 1 : NULL;
    } else {
        end = colon = strchr(host, ':');
    }
    if (!colon || *colon != ':' || colon[1] == 0 || strchr(colon + 1, ':'))
        return -EINVAL;
    if (!copy_text(e.host, sizeof e.host, host, (size_t)(end - host)) ||
        !copy_text(e.service, sizeof e.service, colon + 1, strlen(colon + 1)) ||
        is_no_port(e.service))
        return -EINVAL;
    *ret_endpoint = e;
    return 0;
}

int knit__port_parse(const char *text)
{
    int port = 0;

    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = port * 10 + (*text - '0');
        if (port > UINT16_MAX)
            return -1;
    }
    return port;
}

static knit_address make_in(struct in_addr host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = host, .sin_port = htons(port)};
    knit_address a = {.size = sizeof in};

    memcpy(&a.data, &in, sizeof in);
    return a;
}

static knit_address make_in6(struct in6_addr host, uint32_t scope, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_addr = host,
                               .sin6_scope_id = scope,
                               .sin6_port = htons(port)};
    knit_address a = {.size = sizeof in6};

    memcpy(&a.data, &in6, sizeof in6);
    return a;
}

knit_address knit__address_any(int family, uint16_t port)
{
    struct in_addr any = {.s_addr = htonl(INADDR_ANY)};

    return family == AF_INET ? make_in(any, port) : make_in6(in6addr_any, 0, port);
}

/* "fe80::1%eth0", "fe80::1%2": false when it is no such thing. */
static bool parse_in6(const char *text, uint16_t port, knit_address *ret_address)
{
    char host[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    struct in6_addr in6;
    unsigned scope = 0;

    if (!copy_text(host, sizeof host, text, zone ? (size_t)(zone - text) : strlen(text)) ||
        inet_pton(AF_INET6, host, &in6) != 1)
        return false;
    if (zone) {
        int number = knit__port_parse(zone + 1);

        scope = number > 0 ? (unsigned)number : if_nametoindex(zone + 1);
        if (scope == 0)
            return false;
    }
    *ret_address = make_in6(in6, scope, port);
    return true;
}

static int loopbacks(int family, uint16_t port, knit_address ret_addresses[2])
{
    struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    int n = 0;

    if (family != AF_INET6)
        ret_addresses[n++] = make_in(loopback, port);
    if (family != AF_INET)
        ret_addresses[n++] = make_in6(in6addr_loopback, 0, port);
    return n;
}

int knit__address_literal(const struct knit__network *network, const struct knit__endpoint *e,
                          knit_address ret_addresses[2])
{
    int number = knit__port_parse(e->service), family = network->family;
    uint16_t port = (uint16_t)(number < 0 ? 0 : number);
    struct in_addr in;

    if (e->host[0] == 0 && !e->bracketed)
        return number < 0 ? 0 : loopbacks(family, port, ret_addresses);
    if (parse_in6(e->host, port, ret_addresses))
        return !e->bracketed || family == AF_INET ? -EINVAL : number >= 0;
    if (e->bracketed)
        return -EINVAL;
    if (inet_pton(AF_INET, e->host, &in) != 1)
        return 0;
    ret_addresses[0] = make_in(in, port);
    return family == AF_INET6 ? -EINVAL : number >= 0;
}

int knit__address_unix(const char *text, knit_address *ret_address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = text ? strlen(text) : 0;
    bool abstract = n > 0 && text[0] == '@';

    if (n == 0 || (abstract && n == 1))
        return -EINVAL;
    if (n >= sizeof un.sun_path) /* the kernel would do without the last 0, others do not */
        return -ENAMETOOLONG;
    memcpy(un.sun_path, text, n);
    if (abstract)
        un.sun_path[0] = 0; /* and there is no 0 at its end: that would belong to the name */
    *ret_address = (knit_address){
        .size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (abstract ? 0 : 1))};
    memcpy(&ret_address->data, &un, sizeof un);
    return 0;
}

int knit_address_port(const knit_address *address)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (!address)
        return -EINVAL;
    if (address->size >= sizeof in && address->data.ss_family == AF_INET) {
        memcpy(&in, &address->data, sizeof in);
        return ntohs(in.sin_port);
    }
    if (address->size >= sizeof in6 && address->data.ss_family == AF_INET6) {
        memcpy(&in6, &address->data, sizeof in6);
        return ntohs(in6.sin6_port);
    }
    return -EAFNOSUPPORT;
}

static void text_in(const knit_address *a, char *ret_text)
{
    struct sockaddr_in in;
    char host[INET_ADDRSTRLEN];

    memcpy(&in, &a->data, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
    snprintf(ret_text, KNIT_ADDRESS_TEXT, "%s:%u", host, ntohs(in.sin_port));
}

static void text_in6(const knit_address *a, char *ret_text)
{
    struct sockaddr_in6 in6;
    char host[INET6_ADDRSTRLEN], name[IF_NAMESIZE], zone[IF_NAMESIZE + 2] = "";

    memcpy(&in6, &a->data, sizeof in6);
    inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
    if (in6.sin6_scope_id != 0 && if_indextoname(in6.sin6_scope_id, name))
        snprintf(zone, sizeof zone, "%%%s", name);
    else if (in6.sin6_scope_id != 0)
        snprintf(zone, sizeof zone, "%%%u", in6.sin6_scope_id);
    snprintf(ret_text, KNIT_ADDRESS_TEXT, "[%s%s]:%u", host, zone, ntohs(in6.sin6_port));
}

static void text_unix(const knit_address *a, char *ret_text)
{
    struct sockaddr_un un;
    size_t n = a->size - offsetof(struct sockaddr_un, sun_path);

    if (n > sizeof un.sun_path)
        n = sizeof un.sun_path;
    memcpy(&un, &a->data, sizeof un);
    if (n > 0 && un.sun_path[0] != 0)
        n = strnlen(un.sun_path, n);
    for (size_t i = 0; i < n; i++)
        ret_text[i] = un.sun_path[i];
    for (size_t i = 0; i < n; i++) {
        if (ret_text[i] == 0)
            ret_text[i] = '@';
    }
    ret_text[n] = 0;
}

int knit_address_text(const knit_address *address, char ret_text[KNIT_ADDRESS_TEXT])
{
    _Static_assert(sizeof((struct sockaddr_un){0}.sun_path) < KNIT_ADDRESS_TEXT,
                   "with a 0 at its end");

    if (!address || !ret_text)
        return -EINVAL;
    if (address->data.ss_family == AF_INET && address->size >= sizeof(struct sockaddr_in))
        text_in(address, ret_text);
    else if (address->data.ss_family == AF_INET6 && address->size >= sizeof(struct sockaddr_in6))
        text_in6(address, ret_text);
    else if (address->data.ss_family == AF_UNIX &&
             address->size >= offsetof(struct sockaddr_un, sun_path))
        text_unix(address, ret_text);
    else
        return -EAFNOSUPPORT;
    return 0;
}
