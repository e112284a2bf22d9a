/* What is parked, in words. */
#ifndef KNIT_SCHED_REPORT_H
#define KNIT_SCHED_REPORT_H

/* A line on stderr for every parked task: name, and where it was started. Only when nothing runs. */
void knit__report_parked(void);

#endif
