/* What the roof does with subscriptions to signals. */
#ifndef KNIT_IO_SIGNAL_H
#define KNIT_IO_SIGNAL_H

#include <stdbool.h>

/* Around fork: the forking thread gets no signal from before to after, so none is taken for its
 * parent in the child. after, in the child: no subscription is left. */
void knit__signals_before_fork(void);
void knit__signals_after_fork(bool child);
/* At exit: the program's own dispositions are put back. */
void knit__signals_stop(void);

#endif
