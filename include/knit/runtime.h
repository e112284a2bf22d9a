/* The runtime: how many workers, what they did. No call here is needed to use Knit: the runtime
 * starts at first use, stops at exit, and burns no processor time while idle.
 *
 * Environment, read once at first use:
 *   KNIT_WORKERS=n   number of worker threads (1..1024); default: the processors this process may
 *                    use (affinity mask, and a cgroup CPU quota rounded up)
 *   KNIT_SPARES=n    most spare threads (0..1024) that run tasks while others are in blocking calls
 *                    (knit/blocking.h); default 256, 0: blocking calls block a worker
 *   KNIT_STACK=size  stack of a task in bytes, with k or m (16k..64m, rounded up to a power of two);
 *                    default 64k, or what the program says (knit_stack_set_size). A task may count
 *                    on half of it: a task that waits for its group may run others of the group on
 *                    top of its own stack. A group may have larger ones (knit_errgroup_options)
 *   KNIT_STACK_CENSUS=1  print at exit how much stack the tasks used, by where they were started:
 *                    knit_stack_census
 *   KNIT_GUARDS=n    debug: no more than n stacks get a guard page; default: as many as the kernel allows
 *   KNIT_MIGRATE=1   debug: every task that parked is resumed on another worker, if there is one
 *   KNIT_FENCE=1     debug: use fences where membarrier(2) would be used
 *   KNIT_SIM=seed    simulation: one thread runs at a time, in an order drawn from the seed, and
 *                    the clock jumps when all wait; the same seed gives the same run. `random` picks
 *                    a seed and prints it. Read when the library is loaded; docs/simulation.md
 *   KNIT_SIM_TRACE=  of a simulated run: `-` prints a summary at exit, else a file for its events
 * A value that cannot be used is reported once on stderr and the default is taken.
 *
 * Overflow. Below every stack lies a guard page. A task that runs into it ends the process with
 * SIGSEGV, after a report on stderr: the task's name, its group's, where it was started, the size of
 * the stack, and the same for the tasks it was run on top of. For that a handler of SIGSEGV and
 * SIGBUS is installed at first use; faults of any other kind go to the handler the program had, or
 * have the default effect. A program that installs its own later replaces it: it may call the one
 * that was there, and should use SA_ONSTACK (every worker has an alternate stack of 64 KiB). Frames
 * larger than a page can jump over the guard: compile with -fstack-clash-protection. Under ASan and
 * TSan their own reports take the place of this one.
 *
 * Linux 6.13 and later give every stack its guard. Earlier kernels count each as a mapping
 * (vm.max_map_count): a third of them are used for guards, and stacks beyond that have a canary,
 * which is looked at whenever the stack is left; a damaged one gives the same report, and abort. */
#ifndef KNIT_RUNTIME_H
#define KNIT_RUNTIME_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The number of workers. Starts the runtime (not the threads) if needed.
 *
 * Parks: no.  Cancel: not affected.  Errors: -ENOMEM.  Threads: any task, any thread. */
KNIT_API int knit_workers(void);

/* The usual size of a task's stack, as KNIT_STACK, which takes precedence: 16 KiB to 64 MiB, rounded
 * up to a power of two. Call it before anything else of Knit is used. The size is for tasks that any
 * thread may start in millions: where only some need more, give their group larger stacks.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (size 0, or more than 64 MiB), -EBUSY (the runtime has started).
 * Threads:  any thread. */
KNIT_API int knit_stack_set_size(size_t size);

/* How much stack tasks used that were started at one place. */
typedef struct knit_stack_use {
    const char *task; /* text of the function argument */
    const char *file; /* of the spawn site, or "" */
    int line;
    size_t deepest; /* bytes, the most of any of them */
    uint64_t runs;  /* so many were looked at */
} knit_stack_use;

/* Look at the stack use of every task that begins from now on, until the end of the process. What a
 * task has written to is counted, from the frame of its function down; the stack must also hold some
 * hundred bytes above that. A task that waits and runs others on top of itself has used what they
 * used. Starting and ending a task takes longer then: its stack is emptied before, and looked
 * through after it. On each worker up to 31 tasks that run on top of a waiting one may still be
 * missed at first. KNIT_STACK_CENSUS=1 does the same from the start, and prints the outcome at exit.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API int knit_stack_census_start(void);

/* What was seen so far: up to n places to ret_uses, the deepest first; returns how many places there
 * are (at most 256; tasks of more count together, without a name). Only tasks that have ended are in
 * it.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (ret_uses NULL with n > 0).
 * Pointers: the strings are those of the spawn sites.
 * Threads:  any task, any thread. */
KNIT_API int knit_stack_census(knit_stack_use *ret_uses, size_t n);

typedef struct knit_runtime_counts {
    uint64_t tasks_run;      /* functions called by workers and helping waiters */
    uint64_t parks;          /* times a task gave up its worker to wait */
    uint64_t steals;         /* batches taken from another worker */
    uint64_t wakes;          /* sleeping workers woken */
    uint64_t stacks;         /* stacks made so far (they are recycled, never given back) */
    uint64_t stacks_in_use;  /* stacks that hold a parked or running task, or a worker's loop */
    uint64_t spares;         /* threads of spare workers there are now */
    uint64_t spares_started; /* and started so far: a spare that is used again is not */
} knit_runtime_counts;

/* Counts since the start, a moment's view; all zero before first use.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL (NULL).  Threads: any task, any thread. */
KNIT_API int knit_runtime_stats(knit_runtime_counts *ret_counts);

/* 1 when this run is simulated (KNIT_SIM), 0 when it is not.
 *
 * With *ret_seed, if ret_seed is not NULL and the run is simulated: what KNIT_SIM must be to replay
 * it. Tests print it when they fail, and skip what needs real time.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API int knit_simulated(uint64_t *ret_seed);

/* In a simulated run, a place where another thread may step in; otherwise nothing, cheaply. For
 * lock-free code under test: calls of Knit that wait, wake or look at the clock are such places
 * already, an atomic operation of the program is not.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API void knit_sim_point(void);

#ifdef __cplusplus
}
#endif
#endif
