/* The asymmetric barrier: membarrier(2), probed once per process (and once more after a fork). */
#define _GNU_SOURCE
#include "../plat.h"
#include "../simulated.h"

#include "../../base/assert.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool knit__asymmetric;

void knit__barrier_start(bool force_fence)
{
    knit__asymmetric = false;
    if (force_fence)
        return;
    if (knit__simulated) {
        knit__asymmetric = true; /* the baton orders everything */
        knit__sim_point();       /* whatever the simulation wants to do at exit, it does last */
        return;
    }
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        return;
    knit__asymmetric = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void knit__heavy_barrier(void)
{
    if (!knit__asymmetric)
        return; /* both sides use seq_cst operations then */
    if (KNIT__UNLIKELY(knit__simulated)) {
        knit__sim_point();
        return;
    }
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
        knit__bug("membarrier stopped working");
}
