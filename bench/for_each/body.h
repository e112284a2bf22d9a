/* The body of the loop: a[i] = f(i), a byte each, so that memory is not what is measured. The
 * compiler is kept from making vectors of it, which it does for some contenders and not for others,
 * and not always to their advantage. */
#ifndef BENCH_BODY_H
#define BENCH_BODY_H

#include "../lib/bench.h"

static inline unsigned char body(long i)
{
    uint32_t x = (uint32_t)i * UINT32_C(2654435761);
    __asm__("" : "+r"(x));
    return (unsigned char)(x >> 24);
}

static inline void body_range(unsigned char *a, long begin, long end)
{
    for (long i = begin; i < end; i++)
        a[i] = body(i);
}

static inline unsigned char *body_array(long n)
{
    unsigned char *a = (unsigned char *)malloc((size_t)n);
    if (!a)
        bench_die("malloc", n);
    memset(a, 1, (size_t)n);
    return a;
}

/* All of it was done. */
static inline void body_check(const unsigned char *a, long n)
{
    uint64_t got = 0;
    uint64_t want = 0;
    for (long i = 0; i < n; i++) {
        got += a[i];
        want += body(i);
    }
    bench_check(got != want, "the sum of the results");
}

#endif
