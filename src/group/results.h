/* Results: what the end of a task that has a slot does. */
#ifndef KNIT_GROUP_RESULTS_H
#define KNIT_GROUP_RESULTS_H

#include "group.h"

/* With KNIT__REC_RESULT, rec.arg is the slot. The task has ended (skipped: it never ran). */
void knit__result_ended(const struct knit__rec *rec, int r, bool skipped);

#endif
