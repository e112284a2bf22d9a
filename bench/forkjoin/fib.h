/* The right answer, and how many calls of fib(n) have two halves (= how many spawns). */
#ifndef BENCH_FIB_H
#define BENCH_FIB_H

static inline long fib_result(long n)
{
    long a = 0;
    long b = 1;
    for (long i = 0; i < n; i++) {
        const long next = a + b;
        a = b;
        b = next;
    }
    return a;
}

static inline double fib_spawns(long n)
{
    return (double)(fib_result(n + 1) - 1);
}

#endif
