/* Using a known amount of stack. */
#ifndef DIVE_H
#define DIVE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Uses about so many bytes of stack below `from`, in frames that are written all over. */
static inline int dive_from(uintptr_t from, int bytes)
{
    volatile char frame[256];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)(bytes | 1);
    int below = from - (uintptr_t)frame < (uintptr_t)bytes ? dive_from(from, bytes) : 0;
    return below + frame[bytes % 256];
}

static inline int dive(int bytes)
{
    volatile char here = 0;
    return dive_from((uintptr_t)&here, bytes) * here;
}

#endif
