/* Writing text to a descriptor of the caller. */
#define _GNU_SOURCE
#include "../plat.h"

#include <errno.h>
#include <unistd.h>

bool knit__os_write(int fd, const char *text, size_t n)
{
    int saved = errno;
    bool ok = true;

    while (ok && n > 0) {
        ssize_t done = write(fd, text, n);

        if (done > 0) {
            text += done;
            n -= (size_t)done;
        } else {
            ok = done < 0 && errno == EINTR;
        }
    }
    errno = saved;
    return ok;
}
