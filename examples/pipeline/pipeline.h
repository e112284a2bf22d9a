/* Three stages over channels: lines are read, hashed by several workers, and written in their order.
 *
 *            read              done
 *     reader ----> workers x n ----> writer
 *        ^                             |
 *        +-----------------------------+
 *                     empty
 *
 * There are LINES buffers for lines, and no more: whoever has read a line too fast waits until the
 * writer has sent an empty buffer back. That is the back-pressure, and the bound on memory.
 *
 * The end travels downwards: the reader closes `read`, the last worker closes `done`, the writer
 * returns. A failure travels through the group: it cancels, and every stage, wherever it waits, gets
 * -ECANCELED and returns. */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <knit.h>
#include <stdatomic.h>

enum { LINES = 256, LONGEST = 1 << 20, OUTPUT = 1 << 16 };

struct line {
    uint64_t number; /* from 0 */
    char *text;      /* without its end */
    size_t length, room;
    uint64_t hash;
};

struct pipeline {
    int in, out;
    knit_chan *empty, *read, *done; /* of struct line * */
    struct line lines[LINES];
    atomic_int workers; /* that have not ended */
    uint64_t written;   /* lines; the writer's */
};

/* The tasks; their argument is the pipeline. */
int read_lines(void *arg);
int hash_lines(void *arg);
int write_lines(void *arg);

#endif
