/* A scope: the part of a group the scheduler knows. It counts children and lets others join.
 *
 * ESSAY: counting without locked instructions
 *
 * A scope that lies on the stack of the task that uses it is *private*: code running on that stack
 * counts its spawns and the children it ran itself (inline) in `plain`, with ordinary stores. A
 * stack is run by one thread at a time, so `plain` has one writer. No owner need be recorded: the
 * address of the scope tells. Children that end elsewhere, on workers, are subtracted from `left`,
 * batched per worker. Scopes elsewhere in memory (heap, globals, stacks of plain threads) and
 * scopes that somebody else touched are *shared*: everything is counted in `left`.
 *
 * left holds two sums: the low half is 4 * (children not ended) + ROOM + WAITED, the high half
 * counts submissions (a child's index). While private, the low half may be negative: ends are
 * subtracted there, starts are still in plain.
 *
 * From private to shared (knit__scope_share), once, by whoever needs it: under the lock set SHARED,
 * heavy barrier, then fold plain into left. The owner stores plain first and looks at the flags
 * after it: either it sees SHARED, or the other side sees its store (Dekker; the barrier stands for
 * the owner's missing fence). An owner that sees SHARED asks under the lock whether its store was
 * folded, and counts in left what was not. One bit tells: every store of plain changes one of its
 * two counters by one, and the folded value is the new one or the one before.
 *
 * ROOM: somebody waits for fewer children (a limit); then every end is the group floor's business
 * (knit__upcalls.leave), which subtracts under the lock and clears ROOM there.
 *
 * Joining. A child's end is one subtraction from left, its last touch of the scope, unless the
 * result would be exactly WAITED (no child, somebody waits): then, still counted, it takes the
 * lock, subtracts there, clears WAITED and wakes the waiters. WAITED is set under the lock, and
 * only cleared by that last child. A waiter that
 * sees no child and no WAITED *under the lock* may return and free the scope: nobody is on the way
 * to it. Without the lock that holds only while no child has had a reason to take it: as long as no
 * one waited slowly (that sets SHARED) or for room (KNIT__SCOPE_ROOM). */
#ifndef KNIT_SCHED_SCOPE_H
#define KNIT_SCHED_SCOPE_H

#include "../core/ring.h"

struct knit__batch;
struct knit__task;
struct knit__run;

/* What the scheduler knows of a context: whether it has ended. First member of knit_ctx. */
struct knit__cancel {
    _Atomic int err; /* 0, -ECANCELED, -ETIMEDOUT; written once */
};

enum {
    /* low bits of flags: the scheduler's */
    KNIT__SCOPE_SHARED = 1u << 0,  /* plain is folded; sticky */
    KNIT__SCOPE_SLOW_GO = 1u << 1, /* starting a child must look closer (limit, cancelled) */
    KNIT__SCOPE_SKIP = 1u << 2,    /* children that have not begun are not run */
    KNIT__SCOPE_ROOM = 1u << 3,    /* ROOM was set once: a child may be in the lock; sticky */
    KNIT__SCOPE_FOLDED = 1u << 4,  /* SHARED, and left tells how many children there are */
    KNIT__SCOPE_ODD = 1u << 5,     /* the folded counters had an odd sum */
    KNIT__SCOPE_OWN_BIT = 8,       /* bits from here are the group floor's */
    KNIT__SCOPE_STACK_SHIFT = 28,  /* from here on: the class of stack its children want, or 0 */
};
#define KNIT__SCOPE_STACK (~(uint32_t)0 << KNIT__SCOPE_STACK_SHIFT)

/* The class of stack that children of a scope with these flags want; 0: the usual one will do. */
static inline uint32_t knit__scope_stack(uint32_t flags)
{
    return flags >> KNIT__SCOPE_STACK_SHIFT;
}

struct knit__scope {
    union {
        /* the stack the scope lies on, while private: spawned << 32 | ended inline */
        _Atomic uint64_t plain;
        const void *rules; /* of one that is shared from birth: the group floor's, constant */
    };
    /* any thread, atomic: submissions << 32 + 4 * children + ROOM + WAITED */
    _Atomic int64_t left;
    /* any thread, atomic; set under the lock except at birth */
    _Atomic uint32_t flags;
    /* the group floor's: whether there is a context for the children; the owner is at that */
    _Atomic uint16_t prepared, claimed;
    struct knit__lock lock; /* the rest, once shared */
    _Atomic int error;      /* the group floor's */
    /* while prepared: context of the children; NULL: it never ends. Else the group floor's. */
    struct knit__cancel *cancel;
    struct knit__join *waiters;
};

/* A waiter in a scope's list; lives on its stack. */
struct knit__join {
    struct knit__join *next;
    struct knit__task *task;
};

#define KNIT__LEFT_CHILD ((int64_t)4)
#define KNIT__LEFT_ROOM ((int64_t)2)
#define KNIT__LEFT_WAITED ((int64_t)1)
#define KNIT__LEFT_SUBMITTED ((int64_t)1 << 32)

/* The two halves of left. */
static inline int32_t knit__left_low(int64_t left)
{
    return (int32_t)(uint32_t)((uint64_t)left & 0xffffffffu);
}

static inline uint32_t knit__left_high(int64_t left)
{
    return (uint32_t)((uint64_t)(left - knit__left_low(left)) >> 32);
}

/* Children that `left` says are not ended; negative while others are in `plain`. */
static inline int32_t knit__left_open(int64_t left)
{
    return knit__left_low(left) >> 2;
}

/* Children that both together say are not ended. Added before the sign is looked at: while private,
 * either counter may have wrapped around. */
static inline int32_t knit__open(int64_t left, uint64_t plain)
{
    uint32_t open = (uint32_t)(plain >> 32) - (uint32_t)plain;

    return (int32_t)((uint32_t)((uint64_t)left & 0xffffffffu) + 4 * open) >> 2;
}

/* Children that `plain` says are not ended. */
static inline int32_t knit__plain_open(uint64_t plain)
{
    return (int32_t)((uint32_t)(plain >> 32) - (uint32_t)plain);
}

/* Calls from the scheduler up to the group floor. Wired in runtime.c. */
struct knit__upcalls {
    /* A child ended with r, or (skipped) was never called. Called when r != 0 or the flags of
     * the run's record are not 0. Must not park. */
    void (*ended)(struct knit__run *run, int r, bool skipped);
    /* A child leaves a scope with ROOM set: subtract it, under the lock. */
    void (*leave)(struct knit__scope *s);
    /* A run with `life` has returned r: what it left to be done; returns its result. May park. */
    int (*finish)(struct knit__run *run, int r);
    /* The task t ends or changes its context: forget it in the context that watches it. */
    void (*unwatch)(struct knit__task *t);
    /* The name of the scope's group while it has children; NULL: none. Async-signal-safe. */
    const char *(*name)(const struct knit__scope *s);
};
extern const struct knit__upcalls knit__upcalls;

/* Fold plain into left; idempotent. lock held. owner: the caller is on the stack that may count in
 * plain (or nobody can be): no barrier is needed. */
void knit__scope_share_locked(struct knit__scope *s, bool owner);
/* Count one more child (shared scopes); returns its index. */
uint32_t knit__scope_enter_shared(struct knit__scope *s);
/* The owner stored `plain` but found the scope shared: true if the fold missed that store, which
 * then must be counted in left. */
KNIT__COLD bool knit__scope_fold_missed(struct knit__scope *s, uint64_t plain);

/* Owner: store a new value of plain; true: it counts. False: the scope is shared, and the fold may
 * have missed it (knit__scope_fold_missed). */
static inline bool knit__scope_try_plain(struct knit__scope *s, uint64_t plain)
{
    if (KNIT__LIKELY(knit__asymmetric)) {
        atomic_store_explicit(&s->plain, plain, memory_order_relaxed);
        knit__compiler_barrier(); /* the heavy barrier of the one that shares does the rest */
    } else {
        (void)atomic_exchange_explicit(&s->plain, plain, memory_order_seq_cst);
    }
    return KNIT__LIKELY(
        (atomic_load_explicit(&s->flags, memory_order_seq_cst) & KNIT__SCOPE_SHARED) == 0);
}

/* The same; false: the fold has missed it. */
static inline bool knit__scope_store_plain(struct knit__scope *s, uint64_t plain)
{
    return knit__scope_try_plain(s, plain) || !knit__scope_fold_missed(s, plain);
}
/* n children ended. The last touch of s unless somebody waits. */
void knit__scope_subtract(struct knit__scope *s, uint32_t n);
/* Change left, with the lock; at no child left, who waits for that goes into the batch. Returns what
 * left was before. */
int64_t knit__scope_change_locked(struct knit__scope *s, int64_t change, struct knit__batch *ready);
/* Submissions so far, and those of them that have not ended, of one moment: what is between them does
 * not get less. */
struct knit__scope_counts {
    uint32_t submitted, pending;
};

static inline struct knit__scope_counts knit__scope_counts(const struct knit__scope *s)
{
    int64_t left = atomic_load_explicit(&s->left, memory_order_acquire);
    bool shared = (atomic_load_explicit(&s->flags, memory_order_relaxed) & KNIT__SCOPE_SHARED) != 0;
    uint64_t plain = shared ? 0 : atomic_load_explicit(&s->plain, memory_order_relaxed);
    int32_t open = shared ? knit__left_open(left) : knit__open(left, plain);

    return (struct knit__scope_counts){.submitted = knit__left_high(left) + (uint32_t)(plain >> 32),
                                       .pending = open > 0 ? (uint32_t)open : 0};
}

#endif
