/* Two kinds of wrong: a caller's mistake returns a code, ours ends the process here.
 *
 * knit__assert is always on and costs one compare. knit__bug prints one line and aborts; nothing
 * else in the library writes to stderr on its own. */
#ifndef KNIT_BASE_ASSERT_H
#define KNIT_BASE_ASSERT_H

#include "attr.h"

KNIT__COLD KNIT__NORETURN void knit__bug(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#define KNIT__STR2(x) #x
#define KNIT__STR(x) KNIT__STR2(x)
#define knit__assert(cond)                                                                         \
    (KNIT__LIKELY(cond) ? (void)0 : knit__bug(__FILE__ ":" KNIT__STR(__LINE__) ": %s", #cond))

#endif
