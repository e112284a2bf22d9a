/* The decisions of a retry policy, for all who try again: knit_retry, and groups whose tasks do. */
#ifndef KNIT_GROUP_RETRY_H
#define KNIT_GROUP_RETRY_H

#include "../sched/task.h"

#include <knit/retry.h>

#include <stdbool.h>

/* Where a series of calls has come to. {policy} is its beginning. */
struct knit__retry {
    const knit_retry_policy *policy;
    int64_t failures;
    double bound; /* of the next pause, ns */
};

/* The policy's fields make sense. */
bool knit__retry_valid(const knit_retry_policy *policy);
/* A call has failed with code. True: wait *ret_pause (0: not at all), then call again. t: who
 * decides, for its random numbers. */
bool knit__retry_again(struct knit__retry *retry, struct knit__task *t, int code,
                       knit_duration *ret_pause);

#endif
