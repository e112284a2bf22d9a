/* Opt-in: an errno that is safe across a park.
 *
 * A task may be resumed on another thread. glibc declares the function behind errno const, so a
 * compiler may keep the old thread's address across a call that parks. Knit itself never reports
 * through errno and gives every task an errno value of its own; code that reads errno both before
 * and after a waiting call in one function should include this header last: it renews the address
 * on every use. */
#ifndef KNIT_ERRNO_H
#define KNIT_ERRNO_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The address of the calling thread's errno now. Do not keep it across a call that may park.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any. */
KNIT_API int *knit_errno_location(void);

#undef errno
#define errno (*knit_errno_location())

#ifdef __cplusplus
}
#endif
#endif
