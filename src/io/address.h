/* Networks and addresses as text, and back; nothing is looked up here. */
#ifndef KNIT_IO_ADDRESS_H
#define KNIT_IO_ADDRESS_H

#include <knit/net.h>
#include <stdbool.h>

/* What "tcp6" and the like ask for. */
struct knit__network {
    int family; /* AF_UNSPEC: as the address asks for */
    int type;   /* SOCK_STREAM or SOCK_DGRAM */
};

/* 0, or -EINVAL. */
int knit__network_parse(const char *text, struct knit__network *ret_network);

enum { KNIT__HOST_MAX = 256, KNIT__SERVICE_MAX = 64 };

/* "host:service", taken apart. */
struct knit__endpoint {
    char host[KNIT__HOST_MAX]; /* without brackets; "": none */
    char service[KNIT__SERVICE_MAX];
    bool bracketed; /* only an IPv6 address will do */
};

/* 0, or -EINVAL. */
int knit__endpoint_parse(const char *text, struct knit__endpoint *ret_endpoint);

/* Where neither name nor service has to be looked up: the addresses of an endpoint, without a host
 * those of this machine (to call it, not to listen). Returns how many, 0: it must be looked up; or
 * -EINVAL. */
int knit__address_literal(const struct knit__network *network, const struct knit__endpoint *e,
                          knit_address ret_addresses[2]);

/* The address of all of this machine's, with a port that is a number; family AF_INET or AF_INET6. */
knit_address knit__address_any(int family, uint16_t port);

/* The number of a port: 0..65535, -1: it is none. */
int knit__port_parse(const char *text);

/* A path or "@name": 0, -EINVAL, -ENAMETOOLONG. */
int knit__address_unix(const char *text, knit_address *ret_address);

static inline struct sockaddr *knit__sockaddr(knit_address *a)
{
    return (struct sockaddr *)(void *)&a->data;
}

static inline const struct sockaddr *knit__sockaddr_const(const knit_address *a)
{
    return (const struct sockaddr *)(const void *)&a->data;
}

#endif
