/* Interruptible blocking calls: woken by the end of the context, through a signal that never comes
 * after the call. */
#include "knittest.h"
#include "source.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

static int read_interruptibly(void *arg)
{
    return knit_blocking_interruptible(read_byte, arg);
}

static int fail_when_all_read(void *arg)
{
    source *s = arg;
    kt_until(atomic_load(&s->in) == 3);
    return -EDOM;
}

static void the_first_error_wakes_blocked_siblings(void)
{
    source s = source_new();
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_errgroup_go(&g, read_interruptibly, &s), 0);
    CHECK_INT(knit_errgroup_go(&g, fail_when_all_read, &s), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EDOM);
    CHECK_INT(s.done, 3);
    CHECK_INT(knit_errgroup_close(&g), -EDOM);
    source_free(&s);
}

/* One call under a deadline; true when the call was made, false when the deadline came first. */
static bool a_call_under_a_deadline(int64_t timeout)
{
    source s = source_new();
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), timeout, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_blocking_interruptible(read_byte, &s), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    bool made = atomic_load(&s.done) == 1;
    source_free(&s);
    return made;
}

/* The deadline lies in the heap of the worker that blocks. On a slow machine it may pass before the
 * call is made: then once more, with a later one. */
static void a_deadline_wakes_the_call(void)
{
    int64_t timeout = 3 * KNIT_MILLISECOND;
    while (!a_call_under_a_deadline(timeout))
        timeout *= 2;
}

static void an_ended_context_makes_no_call(void)
{
    source s = source_new();
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    knit_ctx_cancel(ctx, 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_blocking_interruptible(read_byte, &s), -ECANCELED);
    CHECK_INT(s.done, 0);
    CHECK_INT(write(s.fds[1], "x", 1), 1);
    CHECK_INT(knit_blocking(read_byte, &s), 0); /* the plain form is not affected */
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    source_free(&s);
}

static int succeed_under_ended_context(void *arg)
{
    knit_ctx_cancel(arg, 0);
    return 5;
}

static void a_result_that_is_not_eintr_is_kept(void)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_blocking_interruptible(succeed_under_ended_context, ctx), 5);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

/* The signal comes between any two steps of the call; it must not hit what comes after it. */
static int cancel_soon(void *arg)
{
    knit_ctx_cancel(arg, 0);
    return 0;
}

static void cancel_from_thread(void *arg)
{
    knit_ctx_cancel(arg, 0);
}

static int poll_once(void *arg)
{
    struct pollfd p = {.fd = *(int *)arg, .events = POLLIN};
    return poll(&p, 1, 0) < 0 ? -errno : 0;
}

static void no_signal_comes_after_the_call(void)
{
    source s = source_new();
    const int n = kt_count(300);
    for (int i = 0; i < n; i++) {
        struct pollfd p = {.fd = s.fds[0], .events = POLLIN};
        knit_errgroup g = {0};
        knit_ctx *ctx;
        knit_ctx_scope scope;
        int r;
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
        CHECK_INT(knit_errgroup_go(&g, cancel_soon, ctx), 0);
        CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
        (void)knit_blocking_interruptible(poll_once, &s.fds[0]);
        r = poll(&p, 1, i % 4 == 0); /* EINTR if a signal came late */
        CHECK_INT(r, 0);
        CHECK_INT(knit_ctx_leave(&scope), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_ctx_unref(ctx);
    }
    source_free(&s);
}

static void a_cancel_at_any_moment_ends_the_call(void)
{
    source s = source_new();
    const int n = kt_count(100);
    for (int i = 0; i < n; i++) {
        knit_ctx *ctx;
        knit_ctx_scope scope;
        kt_thread *canceller;
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_background(), &ctx), 0);
        canceller = kt_thread_start(cancel_from_thread, ctx);
        CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
        CHECK_INT(knit_blocking_interruptible(read_byte, &s), -ECANCELED);
        CHECK_INT(knit_ctx_leave(&scope), 0);
        kt_thread_join(canceller);
        knit_ctx_unref(ctx);
    }
    source_free(&s);
}

/* ---- the program's own handler --------------------------------------------------------------- */

static atomic_int urgent;

static void on_urgent(int number)
{
    (void)number;
    atomic_fetch_add(&urgent, 1);
}

static void the_programs_handler_still_gets_its_signals(void)
{
    struct sigaction mine = {.sa_handler = on_urgent}, before;
    sigset_t set;
    sigemptyset(&mine.sa_mask);
    CHECK_INT(sigaction(SIGURG, &mine, &before), 0);
    for (int i = 0; i < 2; i++) {
        int seen = atomic_load(&urgent);
        a_deadline_wakes_the_call();
        CHECK_INT(atomic_load(&urgent), seen); /* ours are not handed on */
        CHECK_INT(raise(SIGURG), 0);
        CHECK_INT(atomic_load(&urgent), seen + 1);
        CHECK_INT(sigaction(SIGURG, &mine, NULL), 0); /* again in front of ours */
    }
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
    CHECK_INT(sigismember(&set, SIGURG), 0);
    CHECK_INT(sigaction(SIGURG, &before, NULL), 0);
}

static struct sigaction in_front_of; /* what on_urgent_chained found installed */

static void on_urgent_chained(int number, siginfo_t *info, void *context)
{
    atomic_fetch_add(&urgent, 1);
    if (in_front_of.sa_flags & SA_SIGINFO)
        in_front_of.sa_sigaction(number, info, context);
}

/* The program puts a handler that calls the one before it in front of the library's; the library
 * then puts its own in front of that. */
static void a_handler_that_calls_the_one_before_it_is_called_once(void)
{
    struct sigaction mine = {.sa_sigaction = on_urgent_chained, .sa_flags = SA_SIGINFO}, before;
    sigemptyset(&mine.sa_mask);
    CHECK_INT(sigaction(SIGURG, NULL, &before), 0);
    a_deadline_wakes_the_call();
    CHECK_INT(sigaction(SIGURG, &mine, &in_front_of), 0);
    CHECK(in_front_of.sa_flags & SA_SIGINFO);
    a_deadline_wakes_the_call();
    int seen = atomic_load(&urgent);
    CHECK_INT(raise(SIGURG), 0);
    CHECK_INT(atomic_load(&urgent), seen + 1);
    CHECK_INT(sigaction(SIGURG, &before, NULL), 0);
}

static void a_blocked_signal_is_blocked_again(void)
{
    sigset_t set, now;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    a_deadline_wakes_the_call();
    CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &set, &now), 0);
    CHECK_INT(sigismember(&now, SIGURG), 1);
}

static const knittest tests[] = {
    BOTH(the_first_error_wakes_blocked_siblings),
    BOTH(a_deadline_wakes_the_call),
    BOTH(an_ended_context_makes_no_call),
    BOTH(a_result_that_is_not_eintr_is_kept),
    BOTH(no_signal_comes_after_the_call),
    BOTH(a_cancel_at_any_moment_ends_the_call),
    ALONE(the_programs_handler_still_gets_its_signals),
    ALONE(a_handler_that_calls_the_one_before_it_is_called_once),
    ALONE(a_blocked_signal_is_blocked_again),
};

KNITTEST_MAIN(tests)
