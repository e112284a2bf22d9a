/* A task: one stack that can park, or a plain thread that waits. And a run: one function on it.
 *
 * ESSAY: how a function becomes a task
 *
 * Starting a task writes a record (core/ring.h); no stack, no structure. A worker's loop runs on a
 * stack of its own (the hot stack) and simply calls the record's function. If it returns, nothing
 * was ever allocated. If it parks, the stack with all its frames, the loop's included, stays with
 * it, and the worker goes on in a fresh loop on a cached stack. When the function finally returns,
 * it returns into the loop frame below it, which carries on as the loop of whatever worker resumed
 * it.
 *
 * Children of a group that wants larger stacks are the exception (scope.h): the loop that finds one
 * leaves its own stack for one of that size, which runs this child, never on top of another run, and
 * is given back when the child has ended. So nobody else pays for large stacks, and a loop never
 * keeps one.
 *
 * So struct knit__task is a property of a *stack* (it lies at its top, memory that stays a task
 * structure for ever), and struct knit__run, on the stack itself, is one function being run. Runs
 * nest: a waiting task runs children of the group it waits for on top of itself.
 *
 * Wait states (task->wait; see park.h):
 *
 *     IDLE -> ARMING -> PARKED -> FIRED -> IDLE
 *                 \________________/                                                            */
#ifndef KNIT_SCHED_TASK_H
#define KNIT_SCHED_TASK_H

#include "../base/list.h"
#include "../core/ring.h"
#include "../core/stack.h"
#include "../plat/catch.h"
#include "scope.h"

struct knit__worker;

/* In run.rec.flags: the second half of the run is valid, and there may be something in it to undo or
 * to hand on at the end. The bits below are the group floor's. */
#define KNIT__RUN_TOUCHED (1u << 31)
/* Its end is counted at once: somebody may wait for its place. */
#define KNIT__RUN_PROMPT (1u << 30)
/* It runs also where its scope skips what has not begun. */
#define KNIT__RUN_ANYWAY (1u << 29)

/* One function being run. The second half is written at first need (knit__run_touch): most runs
 * have none. */
struct knit__run {
    struct knit__rec rec;      /* rec.group: its scope, NULL for a plain thread */
    struct knit__cancel *ctx;  /* ambient context now; NULL: background */
    struct knit__run *up;      /* the run below on this stack */
    struct knit__catch caught; /* valid with `up`: where knit_task_exit goes on */
    /* valid when TOUCHED */
    const char *name; /* set by the task itself, or NULL */
    void *entered;    /* innermost knit_ctx_enter, of the sync floor */
    void *note;       /* text for its failure, of the group floor */
    void *nested;     /* record of a nested group, of the group floor */
    void *life;       /* what its end must do, of the sync floor; NULL: nothing */
};

static inline bool knit__run_touched(const struct knit__run *run)
{
    return (run->rec.flags & KNIT__RUN_TOUCHED) != 0;
}

/* What a run is called: the name it gave itself, else the text of its function argument. */
static inline const char *knit__run_name(const struct knit__run *run)
{
    if (knit__run_touched(run) && run->name)
        return run->name;
    return run->rec.site ? run->rec.site->what : "task";
}

static inline void knit__run_touch(struct knit__run *run)
{
    if (knit__run_touched(run))
        return;
    run->rec.flags |= KNIT__RUN_TOUCHED;
    run->name = NULL;
    run->entered = run->note = run->nested = run->life = NULL;
}

/* Two cache lines, the head of its stack: what a switch needs, and what waking needs. */
struct knit__task {
    struct knit__stack stack; /* first; unused by plain threads */
    struct knit__fiber fiber;
    /* wait protocol: the task, then one claimer (park.h) */
    KNIT__ALIGN_LINE _Atomic uint32_t wait;
    _Atomic uint32_t token; /* plain threads sleep on it */
    /* context that watches this task; its lock */
    struct knit__list watch_link;
    struct knit__cancel *watcher; /* written by the task itself */
    /* whoever claimed it, then the ready queue's owner */
    struct knit__task *next;
    /* whoever runs on it */
    struct knit__run *run; /* innermost; NULL: the stack runs a bare loop */
    int saved_errno;
    uint32_t last_worker; /* where it parked: debug migration */
    bool is_thread;
    bool apart;      /* a thread, or pinned: its waker does more than to queue it */
    uint32_t random; /* sync/random.h; 0: not seeded */
    /* the third line: rarely touched */
    struct knit__run *blocking; /* the outermost run in a blocking region; handoff.h */
    uint32_t blocking_depth;    /* knit_blocking_enter without leave */
    uint32_t pins;              /* runs on it that are pinned */
    uint32_t ran;               /* ended runs of its loop that are not in a counter yet */
    struct knit__worker *home;  /* with pins: where it runs */
    struct knit__mark *mark;    /* of the innermost measured run: census.h */
};

/* The base context of a run: what its group gave it. */
static inline struct knit__cancel *knit__run_base_ctx(const struct knit__run *run)
{
    const struct knit__scope *s = run->rec.group;

    return s ? s->cancel : NULL;
}

#endif
