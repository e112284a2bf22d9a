/* Clock: CLOCK_MONOTONIC through the vDSO, or the simulated one. */
#define _GNU_SOURCE
#include "../simulated.h"
#include "host.h"

#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t knit__host_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t knit__host_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t knit__clock_now(void)
{
    return KNIT__UNLIKELY(knit__simulated) ? knit__sim_clock() : knit__host_now();
}
