/* Calling a function so that it can be left from any depth of its calls: setjmp and longjmp in four
 * instructions, for the stacks of tasks.
 *
 *     r = knit__call_caught(c, fn, arg);      returns fn's result, or what was thrown
 *     knit__throw(c, r);                      on top of that call, on the same stack
 *
 * The call is in inline assembly that declares every register changed: so the compiler keeps
 * nothing in registers across it, the function around it saves the caller's ones as it must, and
 * pc, sp and fp are all there is to store. A context is good only while its call has not returned:
 * afterwards the compiler uses the stack slots for other things.
 *
 * x86-64 has a red zone: a function that calls nothing, as the compiler sees it, may keep its
 * variables below the stack pointer, where this call would write. No clobber tells it so before
 * gcc 15; the library is compiled with -mno-red-zone.
 *
 * ThreadSanitizer keeps a stack of calls of its own and follows no jump but longjmp. */
#ifndef KNIT_PLAT_CATCH_H
#define KNIT_PLAT_CATCH_H

#include "../base/attr.h"
#include "fiber.h"

#if defined(KNIT__TSAN)

#include <setjmp.h>

struct knit__catch {
    jmp_buf buffer;
    int result;
};

int knit__call_caught(struct knit__catch *c, int (*fn)(void *arg), void *arg);

#else

struct knit__catch {
    struct knit__context context;
};

#if defined(__x86_64__)
#include "x86_64/catch.h"
#elif defined(__aarch64__)
#include "aarch64/catch.h"
#endif

#define knit__call_caught(c, fn, arg) knit__context_call(&(c)->context, fn, arg)

#endif

KNIT__NORETURN void knit__throw(struct knit__catch *c, int result);

#endif
