/* A descriptor that is readable while its count is not zero: eventfd(2). */
#define _GNU_SOURCE
#include "../plat.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int knit__os_bell_open(void)
{
    int saved = errno, fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int r = fd >= 0 ? fd : -errno;

    errno = saved;
    return r;
}

void knit__os_bell_ring(int bell)
{
    static const uint64_t one = 1;
    int saved = errno;
    ssize_t n = write(bell, &one, sizeof one); /* fails only where it is readable for long */

    (void)n;
    errno = saved;
}

void knit__os_bell_silence(int bell)
{
    uint64_t count;
    int saved = errno;
    ssize_t n = read(bell, &count, sizeof count); /* fails where it is zero */

    (void)n;
    errno = saved;
}

void knit__os_bell_close(int bell)
{
    int saved = errno;

    close(bell);
    errno = saved;
}
