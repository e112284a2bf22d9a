/* The simulated world: the contract of plat.h with one thread running at a time, a seeded schedule
 * and a virtual clock. KNIT_SIM=seed selects it when the library is loaded.
 *
 * ESSAY: the baton
 *
 * Threads stay threads of the system, so thread-locals, errno, sanitizers, debuggers and the
 * program's own pthreads work as ever; but a thread runs only while it holds the baton. At every
 * *point* (clock, futex, yield, the pause of a spin loop, and in builds with KNIT_SIM_POINTS the
 * spots marked KNIT__POINT) a random number decides whether the baton goes on, and to whom. The
 * numbers come from the seed alone, so the same seed gives the same run. Fibers on one thread would
 * switch faster, but could not carry a plain thread that calls in. To make a switch cheap the whole
 * process stays on one processor, a wake-up does not preempt who wakes (SCHED_BATCH), and our lock
 * goes on with the baton instead of being released and fought for.
 *
 * A futex is a table of who waits for which word. When nobody can run, the clock jumps to the
 * earliest deadline; when there is none, that is a deadlock: it is reported and the process ends.
 *
 * The world outside. The program's threads also meet where we do not look: pthread_create and
 * _join, mutexes, read(2). They are not intercepted. Two observations replace that:
 *   - Before a choice the world is *settled*: threads that have appeared are found (the kernel
 *     counts them), and every thread that is neither at a point nor asleep in the kernel is waited
 *     for. So a new thread, or one whose mutex was just released, takes part in the very next such
 *     choice, always the same one; who arrives between two of them waits at the door. Asking the
 *     kernel costs as much as a switch, so while nobody is known to be outside only one in four
 *     of the points at which the baton moves does it.
 *   - A holder that falls asleep in the kernel, or ends, cannot pass the baton. A *watcher* thread,
 *     which is not part of the world, looks at the holder and passes it in its place; not while
 *     somebody outside runs, who may be about to wake it.
 * What then wakes such a sleeper (another thread of this world, or the real world) decides whether
 * the run replays.
 *
 * States of a member:
 *
 *     OUTSIDE -> ARRIVED -> READY <-> RUNNING -> WAITING -> READY
 *        ^         (settled)             | (asleep in the kernel: watcher)
 *        +-------------------------------+            any -> gone
 *
 * Descriptors are real as well: what tasks read and write is moved by the kernel. Only the wait for
 * them is the world's: it is a futex whose sleeper is also woken when the epoll set has something to
 * tell, which is looked at when the baton moves, at random, and whenever nobody can run. Between
 * threads of one process a write is there at once, so such runs replay; what other processes and
 * other machines do does not, and the clock does not wait for it.
 *
 * All of it is under one lock of our own, which only the arriving threads and the watcher ever
 * contend for. */
#ifndef KNIT_PLAT_SIM_SIM_H
#define KNIT_PLAT_SIM_SIM_H

#include "../../base/attr.h"
#include "../plat.h"

struct knit__sim_member {
    struct knit__sim_member *next; /* by order of arrival */
    uint32_t index;
    int tid;
    enum {
        KNIT__SIM_OUTSIDE, /* runs or sleeps where we do not look */
        KNIT__SIM_ARRIVED, /* has called; takes part when the world is settled */
        KNIT__SIM_READY,   /* wants the baton */
        KNIT__SIM_RUNNING, /* has it */
        KNIT__SIM_WAITING, /* on word, or for the deadline */
        KNIT__SIM_ENDING,  /* a thread of the library on its last steps */
    } state;
    bool newcomer;       /* no index yet */
    bool runaway;        /* computed for too long: nobody waits for it */
    bool yielding;       /* does nothing but yield, as far as we see */
    uint32_t points;     /* since it last did */
    bool library;        /* started by knit__os_thread_start */
    bool inside;         /* in a call of ours that may sleep: the watcher looks away */
    _Atomic uint32_t go; /* gate: 1 = the baton is yours */
    /* library threads: at their gate; their function has returned */
    _Atomic uint32_t arrived, over;
    unsigned long handle;
    bool background; /* its deadlines are not what spinning threads wait for */
    int64_t hint;    /* it runs, but sees to something at that time */
    int64_t left_at; /* when it was last seen asleep outside */
    const _Atomic uint32_t *word;
    int64_t deadline;
    void *(*fn)(void *);
    void *arg;
};

enum { KNIT__SIM_MAX_THREADS = 512, KNIT__SIM_MAX_IGNORED = 16 };

/* Under lock. */
struct knit__sim {
    _Atomic uint32_t lock;
    bool started;
    bool ending;   /* a thread was on its last steps when it gave the baton away */
    bool granting; /* somebody looks for the next holder, perhaps without the lock */
    struct knit__sim_member *members; /* by index; newcomers last */
    struct knit__sim_member *holder;  /* NULL: nobody can run but for what happens outside */
    uint32_t next_index;
    int64_t clock;
    uint64_t random;
    uint32_t switch_mask; /* the baton moves when random & mask == 0 */
    uint32_t yields;      /* in a row, with nothing else between */
    uint32_t background;  /* turns in a row of threads that only watch others */
    uint64_t steps, switches, hash;
    int poll_set; /* with poll_word: descriptors that a member waits for besides */
    const _Atomic uint32_t *poll_word; /* NULL: there are none */
    int watcher; /* tid; 0: not there */
    _Atomic uint32_t watcher_tid;
    int ignored[KNIT__SIM_MAX_IGNORED]; /* threads of a tool */
    uint32_t ignored_count;
};
extern struct knit__sim knit__sim;

void knit__sim_lock(void);
void knit__sim_unlock(void);
uint32_t knit__sim_random(void);

/* baton.c. The lock is handed over with the baton: who gives it away does not unlock.
 *
 * Begin a call: the caller has the baton and the lock afterwards. */
struct knit__sim_member *knit__sim_enter(void);
/* End a call. */
void knit__sim_leave(struct knit__sim_member *self);
/* Maybe let somebody else run. Lock held before and after. */
void knit__sim_choose(struct knit__sim_member *self);
/* The same; rather somebody else. */
void knit__sim_choose_other(struct knit__sim_member *self);
/* self, READY or WAITING, hands on; returns when it has the baton again. */
void knit__sim_pass(struct knit__sim_member *self);
/* Find who runs next; NULL: nobody can. Lock held. */
struct knit__sim_member *knit__sim_next(void);
/* The baton and the lock go to m, who is READY. */
void knit__sim_give(struct knit__sim_member *m);
/* Both, or unlock: the lock is not the caller's afterwards. False: nobody can run. */
bool knit__sim_grant(void);
/* A member waits for descriptors. */
bool knit__sim_polling(void);
/* A newcomer; it takes part once it has a number. */
struct knit__sim_member *knit__sim_add(int tid);
void knit__sim_number(struct knit__sim_member *m);
void knit__sim_remove(struct knit__sim_member *m);
struct knit__sim_member *knit__sim_find(int tid); /* or NULL */
/* A new thread of the library waits for its first turn. Not locked, before or after. */
void knit__sim_await(struct knit__sim_member *self);
void knit__sim_forget_self(void); /* child of a fork: and all others */
void knit__sim_set_self(struct knit__sim_member *self);

/* world.c. The calling thread, of the program, says when it ends. */
void knit__sim_follow_self(void);
/* The first call: the caller becomes the first member, and has the baton. */
void knit__sim_begin(void);

/* outside.c */
void knit__sim_settle(void);
void knit__sim_watch_start(void);
void knit__sim_watch_stop(void);

/* trace.c. Kinds are letters. */
void knit__sim_trace(const struct knit__sim_member *m, char kind, int64_t value);
void knit__sim_trace_start(void);
KNIT__NORETURN void knit__sim_deadlock(void);
void knit__sim_print_seed(void);
void knit__sim_warn(const char *words);

#endif
