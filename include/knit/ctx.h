/* Contexts: cancellation, deadlines and values, handed down a tree.
 *
 * Every task has an ambient context, inherited from its group; every Knit call that can wait looks
 * at it. A context that ended stays ended (a level, not an event): every further waiting call of a
 * task under it fails at once. A context is reference counted; each knit_ctx_with_... gives the
 * caller one reference, to be dropped with knit_ctx_unref. A child keeps its parent alive. */
#ifndef KNIT_CTX_H
#define KNIT_CTX_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct knit_ctx knit_ctx;

/* The context that never ends and holds no value.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: static; ref and unref on it do nothing.
 * Threads:  any task, any thread. */
KNIT_API knit_ctx *knit_ctx_background(void);

/* The ambient context of the caller: the one entered last, else the one its group gave the task,
 * else (plain thread) the background context. Never NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed: good until the task ends or leaves it; take a reference to keep it longer.
 * Threads:  any task, any thread. */
KNIT_API knit_ctx *knit_ctx_current(void);

/* Make a child that ends when it is cancelled or when parent ends. parent NULL is -EINVAL (the
 * ambient context is never assumed). A parent that has ended already gives a child that has ended
 * with the same error and cause.
 *
 * A child stays registered with its parent until it ends or its last reference is dropped.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL, -ENOMEM; then *ret_ctx is untouched.
 * Pointers: parent borrowed (the child takes its own reference); *ret_ctx returned: knit_ctx_unref.
 * Threads:  any task, any thread. */
KNIT_API int knit_ctx_with_cancel(knit_ctx *parent, knit_ctx **ret_ctx);

/* The same, and the child ends with -ETIMEDOUT at `deadline` (a time that has passed: at once).
 * A parent with an earlier deadline wins. KNIT_FOREVER: no deadline of its own.
 *
 * Errors: -EINVAL, -ENOMEM.  The rest as knit_ctx_with_cancel. */
KNIT_API int knit_ctx_with_deadline(knit_ctx *parent, knit_time deadline, knit_ctx **ret_ctx);

/* The same with a deadline `timeout` from now; zero and negative: at once. */
KNIT_API int knit_ctx_with_timeout(knit_ctx *parent, knit_duration timeout, knit_ctx **ret_ctx);

/* A child that holds one value under a key. Keys are compared as addresses: use the address of a
 * static object of yours. Key NULL is -EINVAL; a NULL value hides an outer one.
 *
 * Errors: -EINVAL, -ENOMEM.
 * Pointers: key and value kept until the context is freed, never dereferenced, never freed.
 * The rest as knit_ctx_with_cancel. */
KNIT_API int knit_ctx_with_value(knit_ctx *parent, const void *key, void *value,
                                 knit_ctx **ret_ctx);

/* A child that does not end with its parent and has no deadline, but sees its values. It can be
 * cancelled itself. For clean-up that must wait although the task was cancelled; prefer
 * knit_ctx_shield, which cannot last for ever.
 *
 * Errors: -EINVAL, -ENOMEM.  The rest as knit_ctx_with_cancel. */
KNIT_API int knit_ctx_without_cancel(knit_ctx *parent, knit_ctx **ret_ctx);

/* knit_ctx_without_cancel with a time budget: it ends with -ETIMEDOUT `budget` ns from now.
 *
 * Errors: -EINVAL (also for budget < 0), -ENOMEM.  The rest as knit_ctx_with_cancel. */
KNIT_API int knit_ctx_shield(knit_ctx *parent, knit_duration budget, knit_ctx **ret_ctx);

/* End ctx and everything below it: knit_ctx_err becomes -ECANCELED, knit_ctx_cause becomes cause
 * (0 stands for -ECANCELED). The first end counts, later ones do nothing. When the call returns,
 * the whole tree below has ended and its waiting tasks have been made ready. Does nothing to the
 * background context and to NULL. A value context passes its own cancel to its own children only.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed.
 * Threads:  any task, any thread (not a signal handler). */
KNIT_API void knit_ctx_cancel(knit_ctx *ctx, int cause);

/* 0 while ctx lives, -ECANCELED or -ETIMEDOUT after its end. NULL: -EINVAL.
 *
 * Parks: no.  Cancel: not affected.  Pointers: borrowed.  Threads: any task, any thread. */
KNIT_API int knit_ctx_err(const knit_ctx *ctx);

/* 0 while ctx lives; after its end the cause given to the cancel that ended it (an ancestor's
 * where the end came from above), -ETIMEDOUT for a deadline. NULL: -EINVAL.
 *
 * Parks: no.  Cancel: not affected.  Pointers: borrowed.  Threads: any task, any thread. */
KNIT_API int knit_ctx_cause(const knit_ctx *ctx);

/* The deadline that will end ctx, its own or an ancestor's; KNIT_FOREVER when there is none.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: borrowed (NULL: KNIT_FOREVER).
 * Threads: any task, any thread. */
KNIT_API knit_time knit_ctx_deadline(const knit_ctx *ctx);

/* The value of the nearest context, from ctx upwards, made with this key; NULL when there is none.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Pointers: borrowed; the result is what was given to knit_ctx_with_value.
 * Threads: any task, any thread. */
KNIT_API void *knit_ctx_value(const knit_ctx *ctx, const void *key);

/* Wait until ctx has ended; returns knit_ctx_err(ctx). Waits under the caller's ambient context
 * too.
 *
 * Parks:    yes, unless ctx has ended.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first.
 * Errors:   -ECANCELED, -ETIMEDOUT, -EINVAL (NULL), -ENOMEM.
 * Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_ctx_wait(knit_ctx *ctx);

/* One more reference, and ctx back; drop a reference. unref(NULL) does nothing. Dropping the last
 * reference of a context that has not ended detaches it silently: it never ends.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API knit_ctx *knit_ctx_ref(knit_ctx *ctx);
KNIT_API void knit_ctx_unref(knit_ctx *ctx);

/* Where knit_ctx_enter remembers what to go back to. Caller's storage; its content is private. */
typedef struct knit_ctx_scope {
    void *knit__opaque[4];
} knit_ctx_scope;

/* Make ctx the ambient context of the calling task or thread until knit_ctx_leave(scope). Tasks
 * started in between into a {0} group inherit it. Enter and leave nest; leaving out of order or in
 * another task is -EPERM and changes nothing.
 *
 *     knit_ctx_scope scope;
 *     knit_ctx_enter(ctx, &scope);
 *     r = knit_chan_recv(ch, &item);
 *     knit_ctx_leave(&scope);
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL); leave: -EINVAL, -EPERM.
 * Pointers: ctx borrowed (a reference is held until leave); scope kept until leave.
 * Threads:  any task, any thread; leave in the task or thread that entered. */
KNIT_API int knit_ctx_enter(knit_ctx *ctx, knit_ctx_scope *scope);
KNIT_API int knit_ctx_leave(knit_ctx_scope *scope);

/* A registration of knit_ctx_after. Caller's storage; its content is private. */
typedef struct knit_ctx_after_handle {
    void *knit__opaque[8];
} knit_ctx_after_handle;

typedef void knit_ctx_after_fn(void *arg);

/* Call fn(arg) once when ctx ends; at once, before knit_ctx_after returns, when it has ended
 * already. fn runs on the thread that ends the context: keep it short; it may cancel, close or
 * ready things, and must not wait.
 *
 * knit_ctx_after_stop returns 1 when it prevented the call: fn will never run; 0 when fn has run
 * (it has then returned, except when stop is called by fn itself). After stop, or after fn ran,
 * the handle's storage may be reused. A handle must be stopped before its storage goes away.
 *
 * Parks:    after: no. stop: only while fn is running on another thread (waits for it to return).
 * Cancel:   not affected.
 * Errors:   -EINVAL (NULL).
 * Pointers: ctx borrowed (the handle holds a reference until it is stopped or fn ran); handle kept
 *           until stop or until fn ran; arg kept likewise.
 * Threads:  any task, any thread. */
KNIT_API int knit_ctx_after(knit_ctx *ctx, knit_ctx_after_fn *fn, void *arg,
                            knit_ctx_after_handle *handle);
KNIT_API int knit_ctx_after_stop(knit_ctx_after_handle *handle);

/* 1 when the caller's ambient context has ended, else 0. One relaxed load: made for loops that
 * compute.
 *
 * Parks: no.  Errors: none.  Threads: any task, any thread. */
KNIT_API int knit_canceled(void);

#ifdef __cplusplus
}
#endif
#endif
