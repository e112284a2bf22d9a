/* Names to addresses: what knit_resolve, knit_dial and knit_listen share. */
#ifndef KNIT_IO_RESOLVE_H
#define KNIT_IO_RESOLVE_H

#include "address.h"

/* knit_resolve_until; to_listen: the addresses to bind, where there is no host. */
int knit__resolve(const struct knit__network *network, const char *address, bool to_listen,
                  knit_time deadline, knit_address **ret_list);

/* What a result of getaddrinfo (not 0), and errno after it, are as a code of ours. */
int knit__resolver_code(int code, int saved_errno);

/* The runtime stops: look-ups that were left alone wake nobody from now on. The child of a fork: there
 * are none of them. */
void knit__resolver_stop(void);
void knit__resolver_abandon(void);

#endif
