/* Failing calls to order: the program is linked with --wrap for what the library asks of the
 * system, and the n-th such call fails.
 *
 * It catches the calls of the library's objects and of the test itself, not those libc makes. The
 * test exempts its own (inject_exempt). What is handed out and given back is counted, so that a
 * program can see at its end whether anything is missing. */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>

/* From now on the n-th call fails, counted from 1; onwards: all after it, too. 0: none. */
void inject_start(int n, bool onwards);
void inject_stop(void);
/* The calling thread's calls neither fail nor count. Not across anything that may park. */
void inject_exempt(bool exempt);

int inject_failures(void);      /* since start */
const char *inject_first(void); /* the first function that failed, or "nothing" */

/* Not given back yet: blocks, mappings, threads not joined. */
struct inject_counts {
    long blocks, mappings, threads;
};
struct inject_counts inject_outstanding(void);

#endif
