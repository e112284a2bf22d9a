/* What went wrong in a group, for people. */
#ifndef EXAMPLES_ERRORS_H
#define EXAMPLES_ERRORS_H

#include <knit.h>
#include <stdbool.h>

/* How many errors to keep of a group that keeps going (knit_errgroup_options.keep_errors). */
enum { KEEP_ERRORS = 65536 };

/* The error records of a group that has ended with r, on standard error; where none can be had, the
 * text of r. */
void errors_print(const char *program, const knit_errgroup *group, int r, bool keep_going);

#endif
