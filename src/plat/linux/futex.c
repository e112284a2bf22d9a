/* Futex: private, absolute deadlines on the monotonic clock (FUTEX_WAIT_BITSET). */
#define _GNU_SOURCE
#include "../simulated.h"
#include "host.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void knit__host_futex_wait(const _Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    struct timespec ts;
    int saved = errno;

    if (deadline != KNIT__NEVER) {
        if (deadline < 0)
            deadline = 0;
        ts.tv_sec = deadline / 1000000000;
        ts.tv_nsec = deadline % 1000000000;
    }
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
            deadline == KNIT__NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
    errno = saved;
}

void knit__host_futex_wake(const _Atomic uint32_t *word, int n)
{
    int saved = errno;

    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
    errno = saved;
}

void knit__futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_futex_wait(word, value, deadline);
    else
        knit__host_futex_wait(word, value, deadline);
}

void knit__futex_wake(const _Atomic uint32_t *word, int n)
{
    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_futex_wake(word, n);
    else
        knit__host_futex_wake(word, n);
}
