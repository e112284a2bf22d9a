/* The harness inside: what its two ways of running, a process per test (knittest.c) and many seeds
 * of the simulated world (seeds.c), have in common. */
#ifndef RUNNER_H
#define RUNNER_H

#include "knittest.h"

#include <sys/types.h>

enum { KNITTEST_FAIL = 1, KNITTEST_SKIP = 77 };

/* The tests of the program that are wanted. */
typedef struct knittest_list {
    const knittest *tests;
    size_t n;
    char **words; /* parts of the names; none: all */
    int n_words;
} knittest_list;

bool knittest_wanted(const knittest *t, const knittest_list *list);
/* In this process; a failure ends it. */
void knittest_run_here(const knittest *t);
/* In a process of its own: exit status, or minus the signal. */
int knittest_run_apart(const knittest *t);
int knittest_reap(pid_t pid);
/* One write to stderr. */
void knittest_say(const char *fmt, ...) KNIT_PRINTF(1, 2);

/* seeds.c: the whole program with count seeds from first, each twice. Exit status. */
int knittest_seeds(const knittest_list *list, uint64_t first, uint64_t count);

#endif
