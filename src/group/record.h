/* Error records: what went wrong.
 *
 * A report is the list of records of one group, reference counted: its group holds one reference
 * through its extra block, a task that waited for a nested group and a record that passed its error
 * on hold theirs. All under the lock of extra.h: errors are rare. */
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

/* The text of the first kept record with this code; false: there is none. */
bool knit__record_text(const struct knit__group *g, int code, char *ret_text, size_t size);

/* With the table's lock of extra.h; NULL: nothing. */
void knit__report_unref_locked(struct knit__report *report);

#endif
