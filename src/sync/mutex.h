/* What a cond must know of a mutex. */
#ifndef KNIT_SYNC_MUTEX_H
#define KNIT_SYNC_MUTEX_H

#include "waitq.h"

#include <knit/sync.h>

/* Whether anybody has it, at this moment. */
bool knit__mutex_is_locked(knit_mutex *m);

#endif
