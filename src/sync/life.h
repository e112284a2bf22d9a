/* What a run leaves to be done at its end: deferred calls, task-local values, pins.
 *
 * ESSAY: ending a run
 *
 * A run ends by returning from its function, or by knit_task_exit or knit_panic anywhere in it.
 * Both ways come through knit__life_finish: deferred calls, newest first, under a shield; then the
 * values' destructors. A return has left the function's frames by then; an exit has not: it does
 * all that *on top* of the frames it is going to leave, so what deferred calls point to may lie in
 * those frames.
 *
 * Then an exit leaves the frames. A run that the loop called has nothing of value below it: its
 * stack is given back as it is, and the loop starts afresh on another one. A run on top of a
 * waiting one (sched/task.h) must give the waiter its frame back: it was called through
 * knit__call_caught (plat/catch.h), and the exit goes there.
 *
 * A deferred call is itself caught, whatever it belongs to: an exit in it ends that call alone, and
 * its result becomes the task's. Catching reuses run->caught, so finish puts the outer one back.
 *
 * A guard is a deferred call in the frame it guards (once, singleflight: others wait for the call in
 * that frame). An exit makes it while the frame still stands: as one of the deferred calls, or, where
 * a deferred call exits, before the jump. */
#ifndef KNIT_SYNC_LIFE_H
#define KNIT_SYNC_LIFE_H

#include "../sched/task.h"

/* A deferred call; on the heap it is freed before it is made. */
struct knit__defer {
    struct knit__defer *next;
    void (*fn)(void *arg);
    void *arg;
    bool on_heap;
};

/* d (fn and arg set) guards a call of the program's code that may exit: it is made when the run of
 * t, the caller, exits before unguard; it must not park or exit. Not on the heap; it lives until one
 * of both. A plain thread exits nowhere: nothing is done. -ENOMEM. */
int knit__life_guard(struct knit__task *t, struct knit__defer *d);
void knit__life_unguard(struct knit__task *t, struct knit__defer *d);
/* In such a call, what those get who waited for the code that exited. */
int knit__life_exit_error(const struct knit__task *t);

/* Upcall of the scheduler, and first half of an exit. */
int knit__life_finish(struct knit__run *run, int r);
/* End the innermost run of t, a task of a group. */
KNIT__NORETURN void knit__life_exit(struct knit__task *t, int r);

#endif
