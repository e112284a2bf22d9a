/* Clock: CLOCK_MONOTONIC through the vDSO, or the simulated one. */
#define _GNU_SOURCE
#include "../simulated.h"
#include "host.h"

#include <time.h>

int64_t knit__host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t knit__clock_now(void)
{
    return KNIT__UNLIKELY(knit__simulated) ? knit__sim_clock() : knit__host_now();
}
