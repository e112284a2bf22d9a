/* The work that the three loops give to Knit: counting primes, in slices at the same time. What the
 * tasks report is told on the loop's thread, so nothing here needs a lock. */
#ifndef SLICES_H
#define SLICES_H

#include <knit.h>

enum { SLICES = 8, SLICE = 25000 };

struct count {
    knit_loop *loop;
    knit_errgroup group;
    struct slice {
        struct count *count;
        int from, primes;
    } slices[SLICES];
    int done, primes;
    int result;                         /* of the group, when it has ended */
    void (*ended)(struct count *count); /* the program's: called then */
};

/* Begin; the loop goes on meanwhile. */
int count_begin(struct count *c, knit_loop *loop, void (*ended)(struct count *count));

/* What came out, on the standard output. Returns an exit status. */
int count_report(const struct count *c);

#endif
