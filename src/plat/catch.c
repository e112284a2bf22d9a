/* Leaving a caught call. See catch.h. */
#include "catch.h"

#if defined(KNIT__ASAN)
#include <sanitizer/asan_interface.h>
#endif

#if defined(KNIT__TSAN)

int knit__call_caught(struct knit__catch *c, int (*fn)(void *arg), void *arg)
{
    if (setjmp(c->buffer) != 0)
        return c->result;
    return fn(arg);
}

void knit__throw(struct knit__catch *c, int result)
{
    c->result = result;
    longjmp(c->buffer, 1);
}

#else

void knit__throw(struct knit__catch *c, int result)
{
#if defined(KNIT__ASAN)
    __asan_handle_no_return(); /* the frames that are left have poisoned red zones */
#endif
    knit__context_jump(&c->context, result);
    __builtin_unreachable();
}

#endif
