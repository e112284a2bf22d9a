/* Thread-locals and errno behind functions the compiler cannot look into: noinline, and the calls
 * are not const, so their results are never carried across a switch. */
#include "tls.h"

#include "../base/attr.h"

#include <knit/errno.h>

#undef errno
#define SYSTEM_ERRNO (*__errno_location())

_Thread_local struct knit__worker *knit__tls_worker KNIT__TLS;
_Thread_local struct knit__guest *knit__tls_guest KNIT__TLS;

KNIT__NOINLINE void knit__tls_set_worker(struct knit__worker *w)
{
    knit__tls_worker = w;
    knit__compiler_barrier();
}

KNIT__NOINLINE void knit__tls_set_guest(struct knit__guest *g)
{
    knit__tls_guest = g;
    knit__compiler_barrier();
}

KNIT__NOINLINE struct knit__guest *knit__guest_self(void)
{
    knit__compiler_barrier();
    return knit__tls_guest;
}

KNIT__NOINLINE int knit__errno_get(void)
{
    knit__compiler_barrier();
    return SYSTEM_ERRNO;
}

KNIT__NOINLINE void knit__errno_set(int value)
{
    knit__compiler_barrier();
    SYSTEM_ERRNO = value;
}

KNIT__NOINLINE int *knit_errno_location(void)
{
    knit__compiler_barrier();
    return &SYSTEM_ERRNO;
}
