/* The test harness: a fork per test, a time limit, a fixture that finds what a test left behind,
 * and checks that may be used in tasks and threads.
 *
 * Why not Check or another framework: a passing ck_assert takes a process-wide mutex and flushes a
 * pipe; it orders the threads and hides data races from TSan. And none of them is there when the
 * tests are cross-compiled. What we need of one is this file.
 *
 *     static void a_sentence_that_is_proved(void)
 *     {
 *         CHECK(knit_now() > 0);
 *     }
 *
 *     static const knittest tests[] = {
 *         BOTH(a_sentence_that_is_proved),
 *     };
 *     KNITTEST_MAIN(tests)
 *
 * The program prints TAP and a summary. Arguments: words that select tests by a part of the name,
 * -l lists them; --seeds FIRST COUNT before the words: seeds of the simulated world, each twice
 * (seeds.c). Environment:
 *   KNIT_TEST_SCALE=k  this machine is k times slower (qemu, Valgrind, TSan): time limits are
 *                      multiplied by k, and the tests' amounts of work divided by it (kt_count)
 *   KNIT_TEST_SECONDS  the time limit of a test, default 30; 0: none
 *   CK_FORK=no         all tests in this one process (the name is Check's); a failure ends the run
 *   KNIT_SEED          seed of random tests; printed by every one of them */
#ifndef KNITTEST_H
#define KNITTEST_H

#include <knit.h>

#include <stdbool.h>
#include <stdint.h>

/* ---- what to run ----------------------------------------------------------------------------- */

enum {
    KNITTEST_IN_TASK = 1, /* the function runs as a task, else on the process's first thread */
    KNITTEST_COLD = 2,    /* the runtime has not been used before */
    KNITTEST_REAL = 8,    /* measures real time: no seed decides about it */
    KNITTEST_ALONE = 4, /* needs a process of its own: it forks, exits, skips, has an environment */
};

typedef struct knittest {
    const char *name;
    void (*fn)(void);
    unsigned flags;
} knittest;

/* clang-format off */
#define THREAD(fn) {#fn, fn, 0}
#define TASK(fn) {#fn "/task", fn, KNITTEST_IN_TASK}
#define BOTH(fn) {#fn "/thread", fn, 0}, TASK(fn)
#define COLD(fn) {#fn, fn, KNITTEST_COLD | KNITTEST_ALONE}
#define ALONE(fn) {#fn, fn, KNITTEST_ALONE}
#define REAL(fn) {#fn, fn, KNITTEST_REAL | KNITTEST_ALONE}
/* clang-format on */

#define KNITTEST_MAIN(tests)                                                                       \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return knittest_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]));               \
    }

int knittest_main(int argc, char **argv, const knittest *tests, size_t n);

/* ---- checks, usable in any task and any thread --------------------------------------------------
 * A check that holds costs one compare: no lock, no atomic, nothing that orders threads. */

#define CHECK(cond) ((cond) ? (void)0 : knittest_fail(__FILE__, __LINE__, #cond))

/* Integers of any type that long long can hold; a failure prints both. */
#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long kt_got = (long long)(got), kt_want = (long long)(want);                          \
        if (kt_got != kt_want)                                                                     \
            knittest_fail_int(__FILE__, __LINE__, #got " == " #want, kt_got, kt_want);             \
    } while (0)

/* got contains want. */
#define CHECK_HAS(got, want) knittest_check_has(__FILE__, __LINE__, got, want)

#define TASK_CHECK CHECK /* the name the design documents use */

_Noreturn void knittest_fail(const char *file, int line, const char *text);
_Noreturn void knittest_fail_int(const char *file, int line, const char *text, long long got,
                                 long long want);
void knittest_check_has(const char *file, int line, const char *got, const char *want);
_Noreturn void kt_skip(const char *why);

/* Words printed with a failure: a seed, a round. Kept, not copied; NULL: none. */
void kt_note(const char *note);

/* Let others run until cond holds. It must come true by itself: the time limit ends a hang. It
 * goes on under an ended context. */
#define kt_until(cond)                                                                             \
    do {                                                                                           \
        while (!(cond))                                                                            \
            (void)knit_yield();                                                                    \
    } while (0)

/* How often tasks have parked so far: one that is about to wait does when this has grown. */
static inline uint64_t kt_parks(void)
{
    knit_runtime_counts counts;
    CHECK_INT(knit_runtime_stats(&counts), 0);
    return counts.parks;
}

/* ---- amounts --------------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define KT_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define KT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KT_TSAN 1
#elif __has_feature(address_sanitizer)
#define KT_ASAN 1
#endif
#endif
#ifndef KT_TSAN
#define KT_TSAN 0
#endif
#ifndef KT_ASAN
#define KT_ASAN 0
#endif

/* A child is forked beside threads, and goes on to use more than system calls. */
static inline void kt_needs_fork(void)
{
    if (KT_TSAN)
        kt_skip("TSan cannot start threads in the child of a process that had some");
    if (KT_ASAN)
        kt_skip("the child inherits the locks of ASan's allocator, held by other threads");
}

double kt_scale(void);

/* A few in a simulated run, where seeds take the place of rounds and numbers; else: */
int kt_count(int n); /* so many rounds, fewer on a slow machine, at least min(n, 10) */
int kt_some(int n);  /* n */
int kt_live(int n);  /* so many tasks parked at once: TSan dies at about 8000 fibers */

/* ---- random numbers -------------------------------------------------------------------------- */

typedef struct kt_rng {
    uint64_t state;
} kt_rng;

uint64_t kt_seed(void); /* KNIT_SEED or a new one; printed once */
uint64_t kt_next(kt_rng *rng);
unsigned kt_below(kt_rng *rng, unsigned n); /* 0..n-1 */

/* ---- a gate: tasks and threads wait until it is opened, once --------------------------------- */

typedef struct kt_gate {
    knit_chan *ch;
} kt_gate;

kt_gate kt_gate_new(void);
int kt_gate_wait(kt_gate gate); /* 0 opened, else what ended the context */
void kt_gate_open(kt_gate gate);
void kt_gate_free(kt_gate gate);

/* ---- plain threads --------------------------------------------------------------------------- */

typedef struct kt_thread kt_thread;

kt_thread *kt_thread_start(void (*fn)(void *arg), void *arg);
void kt_thread_join(kt_thread *thread); /* in a task: lets other tasks run meanwhile */

/* Run body in a child process that may live 20 s times the scale. Returns its exit status, or
 * minus the signal that killed it. For ALONE tests. */
int kt_child(int (*body)(void *arg), void *arg);

#endif
