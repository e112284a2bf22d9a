/* The way a broken invariant ends the process: one line on stderr, then abort. */
#include "assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void knit__bug(const char *fmt, ...)
{
    va_list args;

    fputs("knit: bug: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
