/* The calls that led here, as text. */
#include "../plat.h"

#if defined(__has_include)
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAVE_BACKTRACE 1
#endif
#endif
#include <stdio.h>
#include <stdlib.h>

enum { FRAMES_MAX = 32 };

size_t knit__os_backtrace(char *text, size_t size, int skip)
{
    size_t length = 0;
#if defined(HAVE_BACKTRACE)
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);
    char **names = n > 0 ? backtrace_symbols(frames, n) : NULL;

    for (int i = skip; names && i < n; i++) {
        int more = snprintf(text + length, size - length, "\n    %s", names[i]);

        if (more < 0 || (size_t)more >= size - length)
            break;
        length += (size_t)more;
    }
    free(names);
#endif
    text[length] = 0; /* also cuts a line that did not fit */
    return length;
}
