/* Single processes: what /proc says of them, and whether they look like members of a tree
 * (proctree.h). */
#ifndef KNIT_IO_PROCSIGNS_H
#define KNIT_IO_PROCSIGNS_H

#include "procstat.h"
#include "proctree.h"

/* Since the system's start, ns: what start times are counted in. */
int64_t knit__since_boot(void);

/* False: there is no such process. */
bool knit__procstat_of(pid_t pid, struct knit__procstat *ret);

/* The number at the end of a file; 0: none. */
long knit__last_number(const char *path);
/* How long it takes at least until all process numbers were given out, ns. */
int64_t knit__pid_round(void);

/* By the signs a process has on itself; `now` is since boot. */
enum knit__sign knit__tree_looks(const struct knit__tree *t, const struct knit__procstat *p,
                                 int64_t now);
/* It was a member when the tree was last walked; NULL: not. */
const struct knit__known *knit__tree_known(const struct knit__tree *t,
                                           const struct knit__procstat *p);
/* A process of this number was met, and is a stranger. */
bool knit__stranger(pid_t pid, int64_t now);

#endif
