/* Words every other header uses: version, attributes, time, results, spawn sites.
 *
 * Results: `int`, 0 (or >= 0 where a count is meaningful) is success, a negative errno is failure.
 * errno itself is never used to report. Times are int64_t nanoseconds, sizes are bytes. */
#ifndef KNIT_BASE_H
#define KNIT_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define KNIT_VERSION_MAJOR 0
#define KNIT_VERSION_MINOR 1
#define KNIT_VERSION_PATCH 0
#define KNIT_VERSION "0.1.0"

#if !defined(__GNUC__)
#error "Knit needs GCC or Clang (statement expressions, the cleanup attribute, inline assembly)"
#endif

#define KNIT_API __attribute__((visibility("default")))
#define KNIT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define KNIT_MUST_CHECK __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

/* The body of a task: 0 is success, anything else is failure (a negative errno by convention).
 * Same shape as thrd_start_t. */
typedef int knit_fn(void *arg);

typedef int64_t knit_time;     /* absolute, monotonic clock, ns */
typedef int64_t knit_duration; /* ns */

#define KNIT_NANOSECOND ((knit_duration)1)
#define KNIT_MICROSECOND ((knit_duration)1000)
#define KNIT_MILLISECOND ((knit_duration)1000000)
#define KNIT_SECOND ((knit_duration)1000000000)
#define KNIT_FOREVER ((knit_duration)INT64_MAX) /* as a duration and as a deadline */

/* A place in the program that starts tasks. The spawning macros make one static object a call. */
typedef struct knit_site {
    const char *file; /* static */
    const char *what; /* static: the text of the function argument */
    int line;
} knit_site;

#define KNIT_SITE(text)                                                                            \
    (__extension__({                                                                               \
        static const knit_site knit__site = {__FILE__, text, __LINE__};                            \
        &knit__site;                                                                               \
    }))

/* The time now on the monotonic clock.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   none.
 * Threads:  any task, any thread. */
KNIT_API knit_time knit_now(void);

/* Attach a text to the failure of the running task and give the code back:
 *
 *     return knit_error(-ENOENT, "open %s", path);
 *
 * The text (cut at 4095 bytes) is kept only if the task then fails with this code; the last call
 * before the end of the task counts. It is read from the group's record (knit_errgroup_error).
 * When memory is short the text is lost, never the code. On a plain thread it does nothing.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   returns code.
 * Pointers: fmt and its arguments borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_error(int code, const char *fmt, ...) KNIT_PRINTF(2, 3);

/* The text of a result code (negative errno; the sign does not matter). Never NULL.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   none; an unknown number gives "unknown error".
 * Pointers: the result is static.
 * Threads:  any task, any thread. */
KNIT_API const char *knit_strerror(int code);

#ifdef __cplusplus
}
#endif
#endif
