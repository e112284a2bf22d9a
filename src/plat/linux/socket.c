/* Bytes of a socket. */
#define _GNU_SOURCE
#include "../fiber.h"
#include "../plat.h"
#include "../syscall.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* A sanitizer must know what the kernel writes and reads, and learns it from libc's calls alone. */
#if !defined(KNIT__ASAN) && !defined(KNIT__TSAN) && !defined(KNIT__MSAN)

long knit__os_recv(int fd, void *buf, size_t n, int flags)
{
    return knit__syscall(SYS_recvfrom, fd, (long)buf, (long)n, flags, 0, 0);
}

long knit__os_send(int fd, const void *buf, size_t n, int flags)
{
    return knit__syscall(SYS_sendto, fd, (long)buf, (long)n, flags, 0, 0);
}

#else

long knit__os_recv(int fd, void *buf, size_t n, int flags)
{
    ssize_t r = recv(fd, buf, n, flags);

    return r < 0 ? -errno : r;
}

long knit__os_send(int fd, const void *buf, size_t n, int flags)
{
    ssize_t r = send(fd, buf, n, flags);

    return r < 0 ? -errno : r;
}

#endif
