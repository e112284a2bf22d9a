/* Error records: what went wrong, kept apart from the group.
 *
 * A report is the list of records of one group, reference counted: its group holds one reference
 * through a slot of a global table, a task that waited for a nested group and a record that passed
 * its error on hold theirs. A group names its report by slot and generation, so that the table may
 * recycle the oldest one: groups that were never closed cost bounded memory. All under one lock:
 * errors are rare. */
#ifndef KNIT_GROUP_RECORD_H
#define KNIT_GROUP_RECORD_H

#include "group.h"

/* The text of knit_error, waiting for the end of its task. */
struct knit__note;
struct knit__report;

void knit__note_free(struct knit__note *note);

/* Record the failure of a run in its group. Takes over its note and its nested report. */
void knit__record_failure(struct knit__group *g, struct knit__run *run, int code);
/* Forget what a run has collected for a failure that did not happen. */
void knit__record_drop(struct knit__run *run);
/* The waiting task may pass this group's error on: its run refers to the report. */
void knit__record_nest(struct knit__run *run, struct knit__group *g, int code);

/* Exit: free everything. */
void knit__records_stop(void);
/* Around a fork: hold (true) or release the lock. */
void knit__records_fork(bool hold);

#endif
