/* Handles: what a task that has one does at its end. */
#ifndef KNIT_GROUP_HANDLE_H
#define KNIT_GROUP_HANDLE_H

#include "group.h"

/* With KNIT__REC_HANDLE, rec.arg is the handle. */

/* The result says no more than that the task itself was cancelled. */
bool knit__handle_echo(const struct knit__run *run, int r);
/* The task has ended (skipped: it never ran): drops the record's reference. */
void knit__handle_ended(const struct knit__rec *rec, int r, bool skipped);

#endif
