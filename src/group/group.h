/* A group: a scope with errors, a limit and a context. The engine behind every public front.
 *
 * Admission: a group with a limit starts a task only while fewer children hold a place. See limit.h.
 *
 * Preparing: at its first use after birth or after a wait, a group takes the context its tasks will
 * run under. A {0} group takes the user's ambient one: borrowed where it is the base context of the
 * task on whose stack the group lies (which outlives it), else with a reference. A group that was
 * initialized makes a child of its own; what the user said about that (parent, name) lies in the
 * group only while it is not prepared, and in the context else: so a group is 80 bytes, which
 * compilers still zero with a few plain stores.
 *
 * What most groups never need (counts of failures, records, who waits for room) lies in a block of
 * its own, taken at first need: extra.h. */
#ifndef KNIT_GROUP_GROUP_H
#define KNIT_GROUP_GROUP_H

#include "../sync/ctx.h"
#include "../sync/join.h"

#include <knit/errgroup.h>

enum {
    KNIT__REC_COPY = 1,       /* rec.arg is a block of the group's, freed at the end */
    KNIT__REC_FIRST = 2,      /* its failure was the first of its group */
    KNIT__REC_HANDLE = 4,     /* rec.arg is a task's handle: see handle.c */
    KNIT__REC_SKIPPED = 8,    /* that was cancelled before it began */
    KNIT__REC_JOB = 16,       /* it has options of its own: see job.h */
    KNIT__REC_TOLD = 32,      /* its end is told to its group's policy */
    KNIT__REC_PLACELESS = 64, /* a child that holds no place, to its end */
    KNIT__REC_PERMIT = 128,   /* no job, and it holds one of its group's limiter */
    KNIT__REC_RESULT = 256,   /* rec.arg is the slot for its result: see results.c */
};

enum {
    KNIT_ERRGROUP_FLAGS = KNIT_ERRGROUP_KEEP_GOING | KNIT_ERRGROUP_LATE_OK |
                          KNIT_ERRGROUP_PANIC_ERROR | KNIT_ERRGROUP_PANIC_WAITER |
                          KNIT_ERRGROUP_STOP,
};

/* Bits of scope.flags. */
enum {
    GROUP_INITED = 1u << KNIT__SCOPE_OWN_BIT, /* has a context of its own */
    GROUP_KEEP_GOING = 1u << (KNIT__SCOPE_OWN_BIT + 1),
    GROUP_LATE_OK = 1u << (KNIT__SCOPE_OWN_BIT + 2),
    GROUP_CTX_REF = 1u << (KNIT__SCOPE_OWN_BIT + 3), /* scope.cancel holds a reference */
    GROUP_LIMITED = 1u << (KNIT__SCOPE_OWN_BIT + 4),
    GROUP_CANCELED = 1u << (KNIT__SCOPE_OWN_BIT + 5),
    GROUP_CLOSED = 1u << (KNIT__SCOPE_OWN_BIT + 6),
    GROUP_BAD = 1u << (KNIT__SCOPE_OWN_BIT + 7),      /* a KNIT_SCOPE with unusable options */
    GROUP_PARENT = 1u << (KNIT__SCOPE_OWN_BIT + 8),   /* the context's parent was given */
    GROUP_EXTRA = 1u << (KNIT__SCOPE_OWN_BIT + 9),    /* extra is valid */
    GROUP_NOT_ALL = 1u << (KNIT__SCOPE_OWN_BIT + 10), /* a task was skipped, or ended as an echo */
    GROUP_PANIC_ERROR = 1u << (KNIT__SCOPE_OWN_BIT + 11),
    GROUP_PANIC_WAITER = 1u << (KNIT__SCOPE_OWN_BIT + 12),
    GROUP_PANICKED = 1u << (KNIT__SCOPE_OWN_BIT + 13), /* a task did, and that was contained */
    GROUP_STOP = 1u << (KNIT__SCOPE_OWN_BIT + 14),
    GROUP_POLICY = 1u << (KNIT__SCOPE_OWN_BIT + 15),  /* scope.rules is its policy: see policy.h */
    GROUP_STATE = 1u << (KNIT__SCOPE_OWN_BIT + 16),   /* extra->state was there once */
    GROUP_DECIDED = 1u << (KNIT__SCOPE_OWN_BIT + 17), /* its join has had enough */
    GROUP_GATHER = 1u << (KNIT__SCOPE_OWN_BIT + 18),  /* it is that of a gathering: see family.c */
};

_Static_assert(GROUP_GATHER < 1u << KNIT__SCOPE_STACK_SHIFT, "the bits above are the scheduler's");

/* Values of scope.prepared: also tell a group from garbage. WATCHED: prepared, and with a policy or
 * services, so that a wait has something to say first. */
enum { GROUP_NEW = 0, GROUP_PREPARED = 0x4b4e, GROUP_WATCHED = 0x4b4f };

struct knit__extra;

struct knit__group {
    struct knit__scope scope; /* first; unprepared: scope.cancel is the parent, see GROUP_PARENT */
    union {
        /* while prepared; for a group on a task's stack: the group its owner belongs to */
        struct knit__group *_Atomic up;
        const char *name; /* unprepared; NULL: none */
    };
    _Atomic int limit; /* valid with GROUP_LIMITED; written under the lock */
    uint32_t keep;     /* error records to keep; 0: the default. Set by init */
    struct knit__extra *_Atomic extra;
    int64_t deadline; /* 0: none. Set by init */
};

_Static_assert(sizeof(struct knit__group) <= sizeof(knit_errgroup), "the public type is storage");

static inline struct knit__group *knit__group_of(const knit_errgroup *g)
{
    return (struct knit__group *)(uintptr_t)g;
}

/* relaxed: whoever climbs from a task got there by way of its record, which its owner handed over
 * after it had set this. */
static inline struct knit__group *knit__group_up(const struct knit__group *g)
{
    return atomic_load_explicit(&g->up, memory_order_relaxed);
}

static inline void knit__group_set_up(struct knit__group *g, struct knit__group *up)
{
    atomic_store_explicit(&g->up, up, memory_order_relaxed);
}

/* Not garbage, as far as can be told. */
static inline bool knit__group_valid(const struct knit__group *g)
{
    uint32_t prepared = atomic_load_explicit(&g->scope.prepared, memory_order_acquire);

    return (prepared == GROUP_NEW || (prepared | 1) == GROUP_WATCHED) &&
           atomic_load_explicit(&g->scope.claimed, memory_order_relaxed) <= 1;
}

static inline uint32_t knit__group_flags(const struct knit__group *g)
{
    return atomic_load_explicit(&g->scope.flags, memory_order_seq_cst);
}

static inline void knit__group_set(struct knit__group *g, uint32_t flags)
{
    /* seq_cst: against a go that counts, then looks */
    atomic_fetch_or_explicit(&g->scope.flags, flags, memory_order_seq_cst);
}

/* Make the scope shared, with its lock held by the caller. */
static inline void knit__group_share_locked(struct knit__group *g, const struct knit__task *t)
{
    knit__scope_share_locked(&g->scope,
                             knit__scope_is_ours(t, &g->scope) || !knit__stacks_cover(g));
}

static inline int knit__group_first_error(const struct knit__group *g)
{
    return atomic_load_explicit(&g->scope.error, memory_order_acquire);
}

/* True: code is the group's first error. */
static inline bool knit__group_set_error(struct knit__group *g, int code)
{
    int none = 0;

    return atomic_compare_exchange_strong_explicit(&g->scope.error, &none, code,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static inline bool knit__group_is_prepared(const struct knit__group *g)
{
    return atomic_load_explicit(&g->scope.prepared, memory_order_acquire) != GROUP_NEW;
}

/* The context of the children; NULL: it never ends, or there is none yet. */
static inline struct knit__cancel *knit__group_ctx(const struct knit__group *g)
{
    return knit__group_is_prepared(g) ? g->scope.cancel : NULL;
}

/* The owner of a private group writes what belongs to being prepared without the lock: it claims
 * that, then looks whether the group is shared; who shares it does so, and then waits for the end of
 * a claim (Dekker, as with plain). False: it is shared, the lock is needed. */
static inline bool knit__group_claim(struct knit__group *g)
{
    if (KNIT__LIKELY(knit__asymmetric)) {
        atomic_store_explicit(&g->scope.claimed, 1, memory_order_relaxed);
        knit__compiler_barrier();
    } else {
        (void)atomic_exchange_explicit(&g->scope.claimed, 1, memory_order_seq_cst);
    }
    if (KNIT__LIKELY((knit__group_flags(g) & KNIT__SCOPE_SHARED) == 0))
        return true;
    atomic_store_explicit(&g->scope.claimed, 0, memory_order_release);
    return false;
}

static inline void knit__group_unclaim(struct knit__group *g)
{
    atomic_store_explicit(&g->scope.claimed, 0, memory_order_release);
}

/* prepare.c */
/* Give the group its context unless it has one. ours: the caller is on the stack it lies on. */
int knit__group_prepare(struct knit__group *g, struct knit__task *t, bool ours);
/* If no task is left: give the context back; settle: and keep what wait returns. */
void knit__group_release_ctx(struct knit__group *g, bool settle);
/* A go found no room and gave up: perhaps nobody will wait for the group, so without children it
 * keeps no extra block. */
void knit__group_turned_away(struct knit__group *g, bool ours);

/* It has a policy, or services. */
static inline bool knit__group_is_watched(const struct knit__group *g)
{
    return (knit__group_flags(g) & (GROUP_POLICY | GROUP_STATE)) != 0;
}

static inline const struct knit_policy *knit__group_policy(const struct knit__group *g)
{
    return knit__group_flags(g) & GROUP_POLICY ? g->scope.rules : NULL;
}

/* errgroup.c */
/* Why the group takes no more tasks; 0: it does. With its lock, or holding a count of it. */
int knit__group_ended(const struct knit__group *g);
/* Whether t runs a task of g, or of a group nested in g. */
bool knit__group_is_member(const struct knit__group *g, const struct knit__task *t);
/* A start with flags of the record's own. */
int knit__group_go(struct knit__group *g, knit_fn *fn, void *arg, const knit_site *site,
                   uint32_t rec_flags);
/* A start that failed before there was a record. */
int knit__group_fail(struct knit__group *g, int r);
bool knit__group_usable(const struct knit__group *g);
/* knit_errgroup_wait by a task that is no member, which has no part in what the group's tasks did: it
 * passes no error on, and raises no panic again. */
int knit__group_await(struct knit__group *g);

/* family.c */
/* A child of a group with GATHER did not succeed: r, or (skipped) never called. */
void knit__gather_ended(struct knit__group *g, uint32_t index, int r, bool skipped);

/* end.c */
/* A child ended, or was skipped (upcall of the scheduler). */
void knit__group_task_ended(struct knit__run *run, int r, bool skipped);
/* Cancel: no new tasks, waiters and queue are turned away, the own context ends. cause: what wait
 * will return unless there is an error. record: store it as that. */
void knit__group_end(struct knit__group *g, int cause, bool record);
/* The same without an error, and what runs is not told. */
void knit__group_stop(struct knit__group *g);
/* The group's first error is r: what that means for the others. */
void knit__group_first_failed(struct knit__group *g, int r);
/* Settle a counted task that cannot run with error r (0: skip it). */
void knit__group_settle(struct knit__group *g, const struct knit__rec *rec, int r);
/* Give back what the record itself owns: nobody will run it any more. */
void knit__rec_release(const struct knit__rec *rec, int r, bool skipped);

#endif
