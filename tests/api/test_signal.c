/* Signals as something to wait for. */
#include "knittest.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Blocked in every thread: nobody takes them but whoever reads what is pending. Else it is the
 * process's first thread that has the handler run.
 *
 * Two worlds allow no other: TSan runs a handler only when the thread next calls something that it
 * knows, and a handler that runs in the simulated world runs beside it. */
static void block_all(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    CHECK_INT(pthread_sigmask(how, &set, NULL), 0);
}

__attribute__((constructor)) static void choose_world(void)
{
    if (KT_TSAN || getenv("KNIT_SIM"))
        block_all(SIG_BLOCK);
}

static void send_signal(int number)
{
    CHECK_INT(kill(getpid(), number), 0);
}

static knit_signals *subscribe(int number)
{
    knit_signals *s;
    CHECK_INT(knit_signals_new(&number, 1, &s), 0);
    return s;
}

static knit_signals *subscribe_both(void)
{
    knit_signals *s;
    CHECK_INT(knit_signals_new((int[]){SIGUSR1, SIGUSR2}, 2, &s), 0);
    return s;
}

typedef void handler(int);

static handler *disposition(int number)
{
    struct sigaction now;
    CHECK_INT(sigaction(number, NULL, &now), 0);
    return now.sa_handler;
}

/* Until knit_until_signal has begun. (What was there before: the simulated world has a handler for
 * SIGTERM.) */
static void until_it_waits(handler *before)
{
    kt_until(disposition(SIGTERM) != before); /* the last of the two */
}

static void set_disposition(int number, handler *new)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = new;
    CHECK_INT(sigaction(number, &action, NULL), 0);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void a_signal_that_came_before_is_got(void)
{
    knit_signals *s = subscribe(SIGUSR1);
    send_signal(SIGUSR1);
    CHECK_INT(knit_signals_wait(s), SIGUSR1);
    CHECK_INT(knit_signals_try_wait(s), -EAGAIN);
    knit_signals_free(s);
}

static int send_soon(void *arg)
{
    for (int i = 0; i < 20; i++)
        CHECK_INT(knit_yield(), 0);
    send_signal(*(int *)arg);
    return 0;
}

static void a_signal_wakes_who_waits(void)
{
    knit_signals *s = subscribe_both();
    int numbers[] = {SIGUSR1, SIGUSR2};
    for (int i = 0; i < 20; i++) {
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, send_soon, &numbers[i % 2]), 0);
        CHECK_INT(knit_signals_wait(s), numbers[i % 2]);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
    knit_signals_free(s);
}

static void each_subscription_gets_the_signal(void)
{
    knit_signals *s[5];
    for (int i = 0; i < 5; i++)
        s[i] = i % 2 ? subscribe(SIGUSR1) : subscribe_both();
    send_signal(SIGUSR1);
    for (int i = 0; i < 5; i++)
        CHECK_INT(knit_signals_wait(s[i]), SIGUSR1);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(knit_signals_try_wait(s[i]), -EAGAIN);
        knit_signals_free(s[i]);
    }
}

static void signals_take_turns(void)
{
    knit_signals *s = subscribe_both();
    for (int i = 0; i < 10; i++) {
        send_signal(SIGUSR1);
        send_signal(SIGUSR2);
        int one = knit_signals_wait(s), two = knit_signals_wait(s);
        CHECK(one + two == SIGUSR1 + SIGUSR2);
        CHECK_INT(knit_signals_try_wait(s), -EAGAIN);
    }
    knit_signals_free(s);
}

/* Neither is left asleep with a signal in the box. */
typedef struct pair {
    knit_signals *signals;
    atomic_int got;
} pair;

static int wait_for_one(void *arg)
{
    pair *p = arg;
    int number = knit_signals_wait(p->signals);
    atomic_fetch_add(&p->got, number);
    return number > 0 ? 0 : number;
}

static void each_signal_goes_to_one_of_those_that_wait(void)
{
    const int n = kt_count(200);
    for (int i = 0; i < n; i++) {
        pair p = {.signals = subscribe_both()};
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, wait_for_one, &p), 0);
        CHECK_INT(knit_errgroup_go(&g, wait_for_one, &p), 0);
        if (i % 2)
            CHECK_INT(knit_yield(), 0);
        send_signal(SIGUSR1);
        send_signal(SIGUSR2);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(p.got, SIGUSR1 + SIGUSR2);
        knit_signals_free(p.signals);
    }
}

static void a_wait_ends_at_its_deadline_and_with_its_context(void)
{
    knit_signals *s = subscribe(SIGUSR1);
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_signals_wait_until(s, knit_now() + KNIT_MILLISECOND), -ETIMEDOUT);
    CHECK_INT(knit_signals_wait_until(s, 0), -ETIMEDOUT);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_signals_wait(s), -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    send_signal(SIGUSR1); /* and it has left nothing behind */
    CHECK_INT(knit_signals_wait(s), SIGUSR1);
    knit_signals_free(s);
}

static int cancel_soon(void *arg)
{
    CHECK_INT(knit_yield(), 0);
    knit_ctx_cancel(arg, 0);
    return 0;
}

static void a_wait_is_cancelled(void)
{
    knit_signals *s = subscribe(SIGUSR1);
    for (int i = 0; i < 20; i++) {
        knit_errgroup g = {0};
        knit_ctx *ctx;
        knit_ctx_scope scope;
        CHECK_INT(knit_ctx_with_cancel(knit_ctx_current(), &ctx), 0);
        CHECK_INT(knit_errgroup_go(&g, cancel_soon, ctx), 0);
        CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
        CHECK_INT(knit_signals_wait(s), -ECANCELED);
        CHECK_INT(knit_ctx_leave(&scope), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_ctx_unref(ctx);
    }
    knit_signals_free(s);
}

/* The kernel keeps one of each number, and so do we. */
static void signals_that_all_threads_block_are_got_once(void)
{
    block_all(SIG_BLOCK);
    knit_signals *s[2] = {subscribe(SIGUSR1), subscribe_both()};
    for (int i = 0; i < 3; i++)
        send_signal(SIGUSR1);
    CHECK_INT(knit_signals_wait(s[0]), SIGUSR1);
    CHECK_INT(knit_signals_wait(s[1]), SIGUSR1);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(knit_signals_try_wait(s[i]), -EAGAIN);
        knit_signals_free(s[i]);
    }
}

static void a_wait_for_blocked_signals_is_woken(void)
{
    block_all(SIG_BLOCK);
    a_signal_wakes_who_waits();
}

static void what_is_not_for_waiting_is_refused(void)
{
    static const int numbers[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
                                  SIGABRT, SIGSYS,  SIGURG,  0,      -1,     65,     1 << 30};
    knit_signals *s;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        CHECK_INT(knit_signals_new(&numbers[i], 1, &s), -EINVAL);
        CHECK_INT(knit_signals_new((int[]){SIGUSR1, numbers[i]}, 2, &s), -EINVAL);
    }
    CHECK(disposition(SIGUSR1) == SIG_DFL);
    CHECK_INT(knit_signals_new(numbers, 0, &s), -EINVAL);
    CHECK_INT(knit_signals_new(NULL, 1, &s), -EINVAL);
    CHECK_INT(knit_signals_new((int[]){SIGUSR1}, 1, NULL), -EINVAL);
    CHECK_INT(knit_signals_wait(NULL), -EINVAL);
    CHECK_INT(knit_signals_try_wait(NULL), -EINVAL);
    knit_signals_free(NULL);
}

/* ---- the program's own dispositions ---------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void handle(int number)
{
    handled = number;
}

/* To this thread, which has the handler run before raise returns. */
static void raise_here(int number)
{
    block_all(SIG_UNBLOCK);
    CHECK_INT(raise(number), 0);
}

static void the_last_one_puts_the_handler_back(void)
{
    set_disposition(SIGUSR1, handle);
    knit_signals *one = subscribe(SIGUSR1), *two = subscribe_both();
    raise_here(SIGUSR1);
    CHECK_INT(handled, 0);
    CHECK_INT(knit_signals_try_wait(one), SIGUSR1);
    knit_signals_free(one);
    raise_here(SIGUSR1);
    CHECK_INT(handled, 0);
    CHECK_INT(knit_signals_try_wait(two), SIGUSR1);
    knit_signals_free(two);
    CHECK(disposition(SIGUSR2) == SIG_DFL);
    raise_here(SIGUSR1);
    CHECK_INT(handled, SIGUSR1);
}

static void a_handler_set_meanwhile_stays(void)
{
    knit_signals *s = subscribe(SIGUSR1);
    set_disposition(SIGUSR1, handle);
    raise_here(SIGUSR1);
    CHECK_INT(handled, SIGUSR1);
    CHECK_INT(knit_signals_try_wait(s), -EAGAIN);
    knit_signals_free(s);
    CHECK(disposition(SIGUSR1) == handle);
}

static bool left_subscribed;

/* After everything that was registered by atexit. */
__attribute__((destructor)) static void look_after_exit(void)
{
    if (left_subscribed)
        _exit(disposition(SIGUSR1) == handle ? 7 : 8);
}

static int leave_subscribed(void *arg)
{
    (void)arg;
    set_disposition(SIGUSR1, handle);
    knit_signals *s = subscribe(SIGUSR1);
    CHECK(disposition(SIGUSR1) != handle);
    left_subscribed = s != NULL; /* and freed by nobody */
    return 1;
}

static void exit_puts_the_handler_back_too(void)
{
    kt_needs_fork();
    CHECK_INT(kt_child(leave_subscribed, NULL), 7);
}

static atomic_bool stop;

static void send_until_stopped(void *arg)
{
    (void)arg;
    block_all(SIG_UNBLOCK);
    while (!atomic_load(&stop)) {
        CHECK_INT(raise(SIGUSR1), 0);
        (void)knit_yield();
    }
}

/* One subscription lasts, so no signal ever finds the default action. */
static void subscriptions_come_and_go_under_a_flood(void)
{
    knit_signals *lasting = subscribe(SIGUSR1);
    kt_thread *senders[2];
    for (int i = 0; i < 2; i++)
        senders[i] = kt_thread_start(send_until_stopped, NULL);
    const int n = kt_count(500);
    for (int i = 0; i < n; i++) {
        knit_signals *s = subscribe_both();
        if (i % 3 == 0)
            CHECK_INT(knit_signals_wait(s), SIGUSR1);
        knit_signals_free(s);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        kt_thread_join(senders[i]);
    CHECK_INT(knit_signals_wait(lasting), SIGUSR1);
    knit_signals_free(lasting);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static int look_in_the_child(void *arg)
{
    CHECK_INT(knit_signals_try_wait(arg), -EBADF);
    CHECK_INT(knit_signals_wait(arg), -EBADF);
    CHECK(disposition(SIGUSR1) == handle);
    raise_here(SIGUSR1);
    CHECK_INT(handled, SIGUSR1);
    knit_signals_free(arg);
    CHECK(disposition(SIGUSR1) == handle);
    return 9;
}

static void the_child_of_a_fork_is_not_subscribed(void)
{
    kt_needs_fork();
    set_disposition(SIGUSR1, handle);
    knit_signals *s = subscribe(SIGUSR1);
    CHECK_INT(kt_child(look_in_the_child, s), 9);
    CHECK_INT(knit_signals_try_wait(s), -EAGAIN);
    send_signal(SIGUSR1);
    CHECK_INT(knit_signals_wait(s), SIGUSR1);
    knit_signals_free(s);
    CHECK(disposition(SIGUSR1) == handle);
}

/* ---- until one of them ----------------------------------------------------------------------- */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return knit_sleep(KNIT_FOREVER);
}

static const knit_task_options service = {.flags = KNIT_TASK_SERVICE};

static void a_group_is_cancelled_by(int number, const char *name)
{
    knit_errgroup g;
    knit_error_record record;
    handler *before = disposition(SIGTERM);
    int got = 0;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(&g, knit_until_signal, &got, &service), 0);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, NULL), 0);
    until_it_waits(before);
    send_signal(number);
    CHECK_INT(knit_errgroup_wait(&g), -EINTR);
    CHECK_INT(got, number);
    CHECK_INT(knit_errgroup_error(&g, 0, &record), 0);
    CHECK_HAS(record.text, name);
    CHECK_INT(knit_errgroup_close(&g), -EINTR);
    CHECK(disposition(SIGINT) == SIG_DFL);
    CHECK(disposition(SIGTERM) == SIG_DFL);
}

static void sigint_cancels_the_group(void)
{
    a_group_is_cancelled_by(SIGINT, "SIGINT");
}

static void sigterm_cancels_the_group(void)
{
    a_group_is_cancelled_by(SIGTERM, "SIGTERM");
}

typedef struct work {
    handler *before;
    int result;
} work;

static int end_soon(void *arg)
{
    const work *w = arg;
    until_it_waits(w->before);
    return w->result;
}

static void it_ends_with_the_work(void)
{
    static const int codes[] = {0, -EDOM};
    for (int i = 0; i < 2; i++) {
        knit_errgroup g;
        work w = {disposition(SIGTERM), codes[i]};
        int number = 0;
        CHECK_INT(knit_errgroup_init(&g, NULL), 0);
        CHECK_INT(knit_errgroup_go_with(&g, knit_until_signal, &number, &service), 0);
        CHECK_INT(knit_errgroup_go(&g, end_soon, &w), 0);
        CHECK_INT(knit_errgroup_wait(&g), codes[i]);
        CHECK_INT(knit_errgroup_close(&g), codes[i]);
        CHECK_INT(number, 0);
        CHECK(disposition(SIGTERM) == w.before);
    }
}

static void it_succeeds_when_its_context_ends(void)
{
    knit_ctx *ctx;
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    CHECK_INT(knit_until_signal(NULL), 0);
    CHECK_INT(knit_until_signal(NULL), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
}

static void what_is_ignored_stays_ignored(void)
{
    knit_errgroup g;
    handler *before = disposition(SIGTERM);
    int number = 0;
    set_disposition(SIGINT, SIG_IGN);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, knit_until_signal, &number), 0);
    until_it_waits(before);
    CHECK(disposition(SIGINT) == SIG_IGN);
    send_signal(SIGINT);
    send_signal(SIGTERM);
    CHECK_INT(knit_errgroup_wait(&g), -EINTR);
    CHECK_INT(number, SIGTERM);
    CHECK_INT(knit_errgroup_close(&g), -EINTR);
    CHECK(disposition(SIGINT) == SIG_IGN);
}

enum { STARTED = 1, CANCELED };

/* It does not look at its context. */
static int never_end(void *arg)
{
    for (;;) {
        atomic_store((atomic_int *)arg, knit_canceled() ? CANCELED : STARTED);
        (void)knit_yield();
    }
    return 0;
}

static void send_the_second(void *arg)
{
    atomic_int *state = arg;
    kt_until(*state == CANCELED);
    send_signal(SIGINT); /* another one than the first */
}

static int hang_when_told_to_stop(void *arg)
{
    knit_errgroup g;
    atomic_int state = 0;
    handler *before = disposition(SIGTERM);
    kt_thread *thread;
    (void)arg;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_with(&g, knit_until_signal, NULL, &service), 0);
    CHECK_INT(knit_errgroup_go(&g, never_end, &state), 0);
    until_it_waits(before);
    kt_until(state == STARTED);
    thread = kt_thread_start(send_the_second, &state);
    send_signal(SIGTERM);
    knit_errgroup_wait(&g); /* for ever, if it were not for the second */
    kt_thread_join(thread);
    return 1;
}

static int block_and_hang(void *arg)
{
    block_all(SIG_BLOCK);
    return hang_when_told_to_stop(arg);
}

static void the_second_signal_ends_the_process(void)
{
    kt_needs_fork();
    CHECK_INT(kt_child(hang_when_told_to_stop, NULL), -SIGINT);
}

static void the_second_ends_it_when_both_are_blocked(void)
{
    kt_needs_fork();
    CHECK_INT(kt_child(block_and_hang, NULL), -SIGINT);
}

/* ---- SIGPIPE --------------------------------------------------------------------------------- */

static void write_to_nobody(int fds[2])
{
    CHECK(disposition(SIGPIPE) == SIG_DFL);
    CHECK_INT(knit_close(fds[0]), 0);
    for (int i = 0; i < 3; i++) {
        size_t done = 1;
        CHECK_INT(knit_write(fds[1], "x", 1), -EPIPE);
        CHECK_INT(knit_write_full(fds[1], "xyz", 3, &done), -EPIPE);
        CHECK_INT(done, 0);
        CHECK_INT(knit_writev_until(fds[1], &(struct iovec){(char[]){'x'}, 1}, 1, KNIT_FOREVER),
                  -EPIPE);
    }
    CHECK_INT(knit_close(fds[1]), 0);
}

static void a_pipe_without_a_reader_is_an_error_only(void)
{
    int fds[2];
    CHECK_INT(knit_pipe(fds), 0);
    write_to_nobody(fds);
    CHECK_INT(pipe(fds), 0); /* not one of Knit's */
    write_to_nobody(fds);
}

static void a_socket_without_a_reader_is_an_error_only(void)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    write_to_nobody(fds);
}

static void copying_to_a_pipe_without_a_reader_is_an_error_only(void)
{
    int from[2], to[2];
    uint64_t copied = 1;
    CHECK_INT(knit_pipe(from), 0);
    CHECK_INT(knit_pipe(to), 0);
    CHECK_INT(knit_write(from[1], "x", 1), 1);
    CHECK_INT(knit_close(from[1]), 0);
    CHECK_INT(knit_close(to[0]), 0);
    CHECK_INT(knit_copy(from[0], to[1], UINT64_MAX, &copied), -EPIPE);
    CHECK_INT(copied, 0);
    CHECK_INT(knit_close(from[0]), 0);
    CHECK_INT(knit_close(to[1]), 0);
}

/* What forks is REAL: no seed decides when its child begins. */
static const knittest tests[] = {
    BOTH(a_pipe_without_a_reader_is_an_error_only),
    BOTH(a_socket_without_a_reader_is_an_error_only),
    BOTH(copying_to_a_pipe_without_a_reader_is_an_error_only),
    BOTH(a_signal_that_came_before_is_got),
    BOTH(a_signal_wakes_who_waits),
    BOTH(each_subscription_gets_the_signal),
    BOTH(signals_take_turns),
    BOTH(each_signal_goes_to_one_of_those_that_wait),
    BOTH(a_wait_ends_at_its_deadline_and_with_its_context),
    BOTH(a_wait_is_cancelled),
    ALONE(signals_that_all_threads_block_are_got_once),
    ALONE(a_wait_for_blocked_signals_is_woken),
    BOTH(what_is_not_for_waiting_is_refused),
    ALONE(the_last_one_puts_the_handler_back),
    ALONE(a_handler_set_meanwhile_stays),
    REAL(exit_puts_the_handler_back_too),
    REAL(subscriptions_come_and_go_under_a_flood),
    REAL(the_child_of_a_fork_is_not_subscribed),
    BOTH(sigint_cancels_the_group),
    BOTH(sigterm_cancels_the_group),
    BOTH(it_ends_with_the_work),
    BOTH(it_succeeds_when_its_context_ends),
    ALONE(what_is_ignored_stays_ignored),
    REAL(the_second_signal_ends_the_process),
    REAL(the_second_ends_it_when_both_are_blocked),
};
KNITTEST_MAIN(tests)
