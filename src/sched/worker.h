/* A worker: one thread that runs tasks, and all it owns. */
#ifndef KNIT_SCHED_WORKER_H
#define KNIT_SCHED_WORKER_H

#include "../core/bias.h"
#include "../core/inject.h"
#include "../core/ring.h"
#include "../core/timers.h"
#include "../plat/tls.h"
#include "task.h"

/* Tasks ready to go on, first in first out. The worker is the owner, thieves take from the front. */
struct knit__ready {
    struct knit__bias bias; /* guards the list */
    struct knit__task *first, *last;
    _Atomic uint32_t count; /* written under the bias; anybody reads */
};

/* A ring longer than this makes the task that fills it yield. */
enum { KNIT__THROTTLE_AT = KNIT__RING_CAPACITY / 2 };

enum { KNIT__SAMPLE_EVERY = 32 };

/* How long one kind of thing takes: pace.h. */
struct knit__pace {
    _Atomic uint64_t average; /* ticks x 16; owner writes, anybody reads */
    uint32_t wake_at;         /* so many queued are worth waking another worker; at most
                                 KNIT__THROTTLE_AT, which then means that it never is; 0: in a
                                 marked call, all that is queued is for others */
    uint32_t usual;           /* the same apart from marked calls */
};

/* What to do on the new stack right after a switch. */
enum knit__after {
    KNIT__AFTER_NOTHING,
    KNIT__AFTER_COMMIT,
    KNIT__AFTER_READY,
    KNIT__AFTER_UNLOCK, /* it parks under a lock */
    KNIT__AFTER_GIVE,   /* the stack, which is not of the usual size, to the depot */
};

/* How a fresh stack begins. */
enum knit__start {
    KNIT__START_LOOP,
    KNIT__START_NEWBORN, /* a loop, counted as a searcher by whoever started the thread */
    KNIT__START_HANDED,  /* with one record, instead of a loop */
};

struct knit__worker {
    /* owner only */
    struct knit__task *task;         /* the stack this thread is on */
    int *errno_at;                   /* this thread's errno */
    struct knit__scope *ended_scope; /* ended_count ends not yet subtracted from its count */
    uint32_t ended_count;
    uint32_t tick; /* things run, and switches */
    uint32_t turn; /* turns of the loop: apart from tick, whose parity may be fixed */
    struct knit__worker *watched; /* a victim this searcher keeps an eye on: see steal.c */
    uint32_t watched_tick;
    uint64_t watched_since;
    uint64_t dry_since; /* ticks, when a search began; 0: something but timers was found since */
    struct knit__pace runs, slices; /* of records; of tasks, from a resume to a park */
    struct knit__pace *sampled;     /* which of them is being timed */
    uint64_t sample_began;          /* ticks; 0: none */
    uint32_t sample_in;             /* runs and slices until the next one is timed */
    uint32_t inline_in;             /* the same for runs on top of others */
    enum knit__after after;
    struct knit__task *after_task;
    _Atomic uint32_t *after_held; /* the word of its lock */
    struct knit__cancel *after_cancel;
    struct knit__stack_cache stacks;
    uint32_t index;
    uint32_t random;
    uint32_t burst;            /* records to run before the next ready task; 0: as usual */
    uint32_t check_in;         /* spawns until the backlog is looked at by time */
    uint64_t last_backlog;     /* ticks, when that last woke somebody */
    struct knit__fiber native; /* the thread's own stack */
    bool native_entered;
    uint32_t pins; /* stacks pinned here: its thread must not end */
    enum knit__start start;
    struct knit__rec handed; /* with START_HANDED */
    /* counters, owner writes, anybody reads */
    _Atomic uint64_t tasks_run, parks, steals;
    _Atomic uint32_t tick_seen; /* tick, as it was when the last run began */

    struct knit__ring ring;
    struct knit__ready ready;

    /* timers; lock: any thread */
    KNIT__ALIGN_LINE struct knit__lock timer_lock;
    struct knit__timers timers;
    _Atomic int64_t timer_next; /* earliest deadline, written under the lock */
    _Atomic int64_t plan; /* when it will wake for timers; NEVER also while it does not sleep */

    /* tasks made ready for this worker by others; lock */
    struct knit__lock inbox_lock;
    struct knit__task *inbox_first, *inbox_last;
    _Atomic uint32_t inbox_count;
    /* pinned tasks that are ready; the same lock. Nobody else takes them: pin.c */
    struct knit__task *pinned_first, *pinned_last;
    _Atomic uint32_t pinned_count;

    /* idle.c: its lock, except `token` */
    KNIT__ALIGN_LINE _Atomic uint32_t token; /* parker: 1 = wake-up pending */
    _Atomic bool asleep;                     /* written under the lock */
    _Atomic bool polling;                    /* it sleeps in the poll: by itself */
    bool started;                            /* it has a thread, which will not end by itself */
    bool joinable;                           /* there is a thread to join, started or not */
    bool retiring;             /* the thread ends: written by itself, under the lock */
    _Atomic bool thread_ready; /* = started, for readers without the lock */
    struct knit__os_thread thread;
    _Atomic uint32_t exited;
    /* handoff.h: the worker itself (0, MARKED) and the monitor (NOTICED...) */
    _Atomic uint32_t away;
    struct knit__os_meter meter; /* set by its thread */
    struct knit__os_place place; /* with `placed`: by its waker, before the token; then by itself */
    bool placed;
    /* monitor only */
    struct knit__watch {
        uint64_t seen;   /* its progress */
        int64_t since;   /* when that was first seen; 0: it did not run */
        int64_t at, cpu; /* the last look: when, processor time used until then */
    } watch;
};

/* All workers; sched.c. */
struct knit__sched {
    struct knit__worker **workers; /* room for `limit`; those below `live` are there for good */
    uint32_t count;                /* so many run at a time: the ones configured */
    uint32_t limit;                /* with the spare ones (handoff.h) */
    _Atomic uint32_t live;         /* grows under idle.lock */
    bool migrate;                  /* debug: resume every task on another worker */
    _Atomic bool stop;
    uint64_t ticks_per_us;
};
extern struct knit__sched knit__sched;

/* Workers there are now, spare ones included. */
static inline uint32_t knit__workers_live(void)
{
    /* acquire pairs with the release of who adds one: it is complete */
    return atomic_load_explicit(&knit__sched.live, memory_order_acquire);
}

int knit__sched_start(uint32_t workers, uint32_t spares, bool migrate);
struct knit__worker *knit__worker_new(uint32_t index); /* NULL: no memory */
/* True: every worker has ended and all memory is freed. False: something still runs. */
bool knit__sched_stop(void);
void knit__sched_abandon(void); /* child of a fork */

void *knit__worker_thread(void *worker);
/* The first C function on a fresh stack (entry.S). */
KNIT__NORETURN void knit__stack_main(void);
/* Prepare the task at the top of a new stack slot. */
void knit__task_made(struct knit__stack *s);

/* The task (stack or thread) of the caller; NULL: no memory for a plain thread's first use. */
struct knit__task *knit__guest_task(void);
static inline struct knit__task *knit__task_self(void)
{
    struct knit__worker *w = knit__worker_self();

    return KNIT__LIKELY(w != NULL) ? w->task : knit__guest_task();
}

/* Count what ended on this worker before it does anything else. */
static inline void knit__flush_ended(struct knit__worker *w)
{
    uint32_t n = w->ended_count;

    if (n != 0) {
        w->ended_count = 0;
        knit__scope_subtract(w->ended_scope, n);
    }
}

/* Run one record's function inline, on top of the caller's run: a child of a scope it waits for.
 * The caller counts the end. */
void knit__run_inline(struct knit__task *t, const struct knit__rec *rec);
/* Run run->rec on top of the caller's run, t's, a task of the same scope: exit and panic end it
 * alone, and no child is counted. Returns its result, of which nobody was told; the upcall `ended`
 * is the caller's business if that is not 0 or the record has flags. */
int knit__run_nested(struct knit__task *t, struct knit__run *run);

/* End the innermost run of t, the caller, with this result, from any depth of its calls. */
KNIT__NORETURN void knit__run_exit(struct knit__task *t, int r);
/* A run that ends is in no blocking region any more. */
void knit__leave_blocking(struct knit__task *t, const struct knit__run *run);

/* Put a record where a worker will find it: -ENOMEM, or what starting a thread returned. */
int knit__submit(const struct knit__rec *rec);

/* Call fn(arg), which may be anybody's and must not park. A bare loop has no run, and what is called
 * may look at its context all the same: it gets an empty one. */
KNIT__COLD void knit__call_with_run(void (*fn)(void *arg), void *arg);
/* The ring is more than half full: let others run. */
KNIT__COLD void knit__throttle(struct knit__worker *w);
/* One of another worker's queues moved here, if any is worth it: true. */
bool knit__steal(struct knit__worker *w);
/* The same from those who cannot run their queues: away, or without a thread. */
KNIT__COLD bool knit__steal_stranded(struct knit__worker *w);

#endif
