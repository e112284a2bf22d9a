/* Interrupting blocked calls until they are left.
 *
 * A region is opened by the thread that makes the call, and closed by it. From the end of its
 * context on it is in the list of those to be interrupted; the monitor sends a signal to each, at
 * once and then again and again (1 ms, 2 ms ... 64 ms): a signal that comes between the caller's
 * last check and its system call is lost on it.
 *
 * No signal after the region: sends happen with the list's lock held and only to regions in the
 * list; close takes the lock to leave the list, so after that every send has returned and none will
 * come. What is then still queued at the thread is delivered inside close (plat/linux/interrupt.c).
 * The token is the region itself, on the caller's stack: a signal cannot be meant for another task
 * that runs on the thread later, since none is under way when the thread goes on. */
#ifndef KNIT_SCHED_NUDGE_H
#define KNIT_SCHED_NUDGE_H

#include "../base/list.h"
#include "../plat/plat.h"

struct knit__nudge {
    struct knit__os_target target;
    /* the list's lock */
    struct knit__list link;
    int64_t at, gap; /* when to send again, and what to add then */
    bool sent;
};

/* 0, or a negative errno: then it is not open. */
int knit__nudge_open(struct knit__nudge *n);
/* Any thread, once, between open and close: interrupt it from now on. */
void knit__nudge(struct knit__nudge *n);
void knit__nudge_close(struct knit__nudge *n);

/* Monitor: send what is due. True: there are any. */
bool knit__nudges_send(void);
void knit__nudges_abandon(void); /* child of a fork */

#endif
