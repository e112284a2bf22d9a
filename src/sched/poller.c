/* Who polls. The essay is in poller.h. */
#include "poller.h"

#include "../plat/relax.h"
#include "idle.h"

struct knit__poller knit__poller;

void knit__poller_start(void)
{
    atomic_store_explicit(&knit__poller.on, false, memory_order_relaxed);
    atomic_store_explicit(&knit__poller.held, 0, memory_order_relaxed);
}

bool knit__poller_try(void)
{
    uint32_t no = 0;

    KNIT__POINT();
    /* seq_cst: a worker has counted itself as asleep before; see poller.h, "the rule" */
    return atomic_load_explicit(&knit__poller.held, memory_order_seq_cst) == 0 &&
           atomic_compare_exchange_strong_explicit(&knit__poller.held, &no, 1, memory_order_seq_cst,
                                                   memory_order_seq_cst);
}

void knit__poller_release(void)
{
    atomic_store_explicit(&knit__poller.last, knit__ticks(), memory_order_relaxed);
    KNIT__POINT();
    atomic_store_explicit(&knit__poller.held, 0, memory_order_seq_cst);
    KNIT__POINT();
}

bool knit__poller_forsaken(void)
{
    return atomic_load_explicit(&knit__poller.held, memory_order_seq_cst) == 0 &&
           knit__idle_nobody_runs();
}

bool knit__poller_look(uint64_t ticks)
{
    struct knit__batch ready = {0};
    uint64_t last = atomic_load_explicit(&knit__poller.last, memory_order_relaxed);

    if ((ticks != 0 && knit__ticks() - last < ticks) || !knit__poller_try())
        return false;
    knit__driver.poll(0, &ready);
    knit__poller_release();
    if (!ready.first && !ready.apart)
        return false;
    knit__ready_batch(&ready);
    return true;
}

/* seq_cst: something is watched, then we look who polls. A worker that is about to sleep counts
 * itself as asleep under the sleepers' lock, then looks whether something is watched: it polls, or
 * is found asleep. */
void knit__poller_needed(void)
{
    if (atomic_load_explicit(&knit__poller.held, memory_order_seq_cst) == 0)
        knit__idle_rouse_one();
}
