/* Guests: plain threads that use the library. A guest has a task structure to wait with, and an
 * open chunk in which it collects the tasks it starts. */
#ifndef KNIT_SCHED_GUEST_H
#define KNIT_SCHED_GUEST_H

#include "worker.h"

struct knit__guest {
    struct knit__task task;
    struct knit__run run;   /* what a plain thread "runs": no scope */
    struct knit__list link; /* in the list of all guests; its lock */
    /* lock: the thread itself and the workers that collect */
    struct knit__lock lock;
    struct knit__chunk *chunk; /* may be NULL */
    _Atomic uint32_t pending;  /* records in chunk; written under the lock */
    uint32_t seen; /* of pending, by a collector that left it for another look; the list's lock */
};

/* Starts the runtime at first use: 0 or -ENOMEM. Set by the roof (runtime.c). */
extern int (*const knit__start_runtime)(void);

/* Queue a record of the calling plain thread. 0, -ENOMEM, -EAGAIN (no thread can be started). */
int knit__guest_submit(const struct knit__rec *rec);
/* Move what guests have collected to the inject queue, at the second look at each; true: something
 * moved. */
bool knit__guests_collect(void);
/* Whether any guest has records. seq_cst: pairs with going to sleep. */
bool knit__guests_pending(void);
void knit__guests_start(void);
/* Free the calling thread's guest, and the list if no other is left. */
void knit__guests_stop(void);
/* Another thread than the caller has used the library, and lives. */
bool knit__guests_others(void);
void knit__guests_abandon(void); /* child of a fork */

#endif
