/* Ctrl-C as a cancel.
 *
 * The first SIGINT, SIGTERM or SIGHUP cancels a group with -EINTR, and its tasks end in their own
 * order. The second ends the process where it stands, for the case that something does not answer.
 * A signal that was ignored from the start (nohup, a shell's background job) stays so. */
#ifndef EXAMPLES_INTERRUPT_H
#define EXAMPLES_INTERRUPT_H

#include <knit.h>

/* Before any other thread exists, so before the first call of Knit. SIGPIPE is ignored from then
 * on: who writes gets an error. */
void interrupt_block(void);

int interrupt_watch(knit_errgroup *group);
int interrupt_end(void); /* stop watching; the number of the signal that came, or 0 */

#endif
