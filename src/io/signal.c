/* Subscriptions to signals.
 *
 * ESSAY: from the handler to the task
 *
 * A handler may do next to nothing: ours walks the list of subscriptions, sets the signal's bit in
 * each that wants it, and writes to its eventfd. The rest is a task that waits for a descriptor.
 *
 * The list is changed under a lock, which the handler cannot take. It counts itself `inside` before
 * it reads the list, and a subscription is freed only when it is unlinked and nobody was seen inside
 * after that. All four accesses are seq_cst (Dekker): a handler that still found the subscription
 * read the list before the unlink, so it had counted itself before, and free sees that count. free
 * waits for handlers alone, which are tens of instructions and two system calls long. (It is the
 * simplest form of what the Linux kernel calls sleepable RCU.)
 *
 * A signal that every thread blocks runs no handler: it stays pending for the process. Threads of
 * ours block all of them, and the program's may have the mask of whoever started the process. A
 * signalfd is readable then, for every thread; without need it says nothing, because a signal that is
 * delivered is not pending. So a wait is for both: an epoll set of the eventfd and the signalfd.
 * What is read there is recorded as by the handler.
 *
 * A subscription is `once` for knit_until_signal: whoever records its first signal sets the default
 * action there and then, so there is no moment at which a second one would be swallowed. Where all
 * threads block the signal the default action would never be taken: the thread that has read it from
 * the signalfd unblocks it for itself.
 *
 * Lock: `all.lock`, taken with nothing below it. */
#define _GNU_SOURCE
#include "signal.h"

#include "../core/lock.h"
#include "../sched/guest.h"

#include <errno.h>
#include <knit/ctx.h>
#include <knit/io.h>
#include <knit/signal.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SIGNALS = 64 }; /* numbered from 1 */

struct knit_signals {
    /* set at birth */
    uint64_t set;
    bool once;
    uint32_t process; /* all.process then */
    int bell;         /* written when a bit of `pending` was set */
    int blocked;      /* a signalfd: for signals that no thread takes */
    int both;         /* an epoll set of these two */
    /* any thread, atomic */
    struct knit_signals *_Atomic next; /* changed under the lock */
    _Atomic uint64_t pending;          /* came, not taken */
    _Atomic int last;                  /* taken last: who takes turns */
};

static struct {
    struct knit__lock lock;
    /* under the lock */
    uint32_t count[SIGNALS + 1]; /* subscriptions of each signal */
    struct sigaction before[SIGNALS + 1];
    uint32_t process; /* forks that led here */
    sigset_t mask;    /* of the thread that forks */
    /* any thread, atomic */
    knit_signals *_Atomic first; /* changed under the lock */
    _Atomic uint32_t inside;     /* handlers that may be in the list */
} all;

static uint64_t bit_of(int number)
{
    return (uint64_t)1 << (number - 1);
}

static sigset_t sigset_of(uint64_t signals)
{
    sigset_t set;

    sigemptyset(&set);
    for (int number = 1; number <= SIGNALS; number++) {
        if (signals & bit_of(number))
            sigaddset(&set, number);
    }
    return set;
}

/* ---- recording; async-signal-safe ---- */

static void set_default(uint64_t set)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number <= SIGNALS; number++) {
        if (set & bit_of(number))
            sigaction(number, &action, NULL);
    }
}

static void record(int number)
{
    atomic_fetch_add_explicit(&all.inside, 1, memory_order_seq_cst);
    for (knit_signals *s = atomic_load_explicit(&all.first, memory_order_seq_cst); s;
         s = atomic_load_explicit(&s->next, memory_order_seq_cst)) {
        if (!(s->set & bit_of(number)))
            continue;
        /* release: pairs with the load in take. First: see link_in. */
        atomic_fetch_or_explicit(&s->pending, bit_of(number), memory_order_release);
        if (s->once)
            set_default(s->set);
        knit__os_bell_ring(s->bell);
    }
    /* release: pairs with the load in leave_handlers */
    atomic_fetch_sub_explicit(&all.inside, 1, memory_order_release);
}

static void came(int number)
{
    int saved = errno;

    record(number);
    errno = saved;
}

/* ---- dispositions; lock held ---- */

static bool is_ours(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == came;
}

/* Also where somebody subscribes already: the program may have put another handler there. */
static int install_locked(int number)
{
    struct sigaction action, before;

    if (is_ours(number)) {
        all.count[number]++;
        return 0;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = came;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask); /* one at a time on a thread: they are short */
    if (sigaction(number, &action, &before) != 0)
        return -errno;
    all.count[number]++;
    all.before[number] = before;
    return 0;
}

static void uninstall_locked(int number)
{
    if (--all.count[number] == 0 && is_ours(number))
        sigaction(number, &all.before[number], NULL);
}

static void uninstall_set_locked(uint64_t set)
{
    for (int number = 1; number <= SIGNALS; number++) {
        if (set & bit_of(number))
            uninstall_locked(number);
    }
}

static int install_set_locked(uint64_t set)
{
    uint64_t done = 0;

    for (int number = 1; number <= SIGNALS; number++) {
        int r = set & bit_of(number) ? install_locked(number) : 0;

        if (r < 0) {
            uninstall_set_locked(done);
            return r;
        }
        done |= set & bit_of(number);
    }
    return 0;
}

/* ---- subscriptions ---- */

static bool may_wait_for(int number)
{
    static const int refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                  SIGILL,  SIGTRAP, SIGABRT, SIGSYS, SIGURG};

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (number == refused[i])
            return false;
    }
    return number >= 1 && number <= SIGNALS;
}

static int watch(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_fds(knit_signals *s)
{
    sigset_t set = sigset_of(s->set & ~bit_of(SIGPIPE)); /* pending where a call of ours had one */
    int r;

    s->bell = knit__os_bell_open();
    if (s->bell < 0)
        return s->bell;
    s->blocked = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->blocked < 0)
        return -errno;
    s->both = epoll_create1(EPOLL_CLOEXEC);
    if (s->both < 0)
        return -errno;
    r = watch(s->both, s->bell);
    if (r == 0)
        r = watch(s->both, s->blocked);
    return r == 0 ? knit_adopt(s->both) : r;
}

static void close_fds(knit_signals *s)
{
    int saved = errno;

    if (s->both >= 0)
        knit_close(s->both);
    if (s->blocked >= 0)
        close(s->blocked);
    if (s->bell >= 0)
        knit__os_bell_close(s->bell);
    errno = saved;
}

static void unlink_locked(const knit_signals *s)
{
    knit_signals *_Atomic *at = &all.first;
    knit_signals *here;

    while ((here = atomic_load_explicit(at, memory_order_relaxed)) != NULL && here != s)
        at = &here->next;
    if (here)
        atomic_store_explicit(at, atomic_load_explicit(&s->next, memory_order_relaxed),
                              memory_order_seq_cst);
}

/* s is unlinked: wait until no handler can be at it. */
static void leave_handlers(void)
{
    int turn = 0;

    while (atomic_load_explicit(&all.inside, memory_order_seq_cst) != 0)
        knit__lock_pause(&all.inside, turn++);
}

/* Linked before the handlers are there: from then on no signal is lost. One of two that comes before
 * the handler of the other is there sets the default action too early. Who sees no pending signal
 * after that comes before the handler's set_default. */
static int link_in(knit_signals *s)
{
    int r;

    knit__lock(&all.lock);
    s->process = all.process;
    atomic_store_explicit(&s->next, atomic_load_explicit(&all.first, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&all.first, s, memory_order_seq_cst);
    r = install_set_locked(s->set);
    if (r < 0)
        unlink_locked(s);
    else if (s->once && atomic_load_explicit(&s->pending, memory_order_acquire) != 0)
        set_default(s->set);
    knit__unlock(&all.lock);
    if (r < 0)
        leave_handlers();
    return r;
}

static int subscribe(uint64_t set, bool once, knit_signals **ret_signals)
{
    knit_signals *s;
    int r = knit__start_runtime(); /* its care for fork and exit is needed */

    if (r < 0)
        return r;
    s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->set = set;
    s->once = once;
    s->bell = s->blocked = s->both = -1;
    r = open_fds(s);
    if (r == 0)
        r = link_in(s);
    if (r < 0) {
        close_fds(s);
        free(s);
        return r;
    }
    *ret_signals = s;
    return 0;
}

int knit_signals_new(const int *numbers, size_t n, knit_signals **ret_signals)
{
    uint64_t set = 0;

    if (!numbers || n == 0 || !ret_signals)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (!may_wait_for(numbers[i]))
            return -EINVAL;
        set |= bit_of(numbers[i]);
    }
    return subscribe(set, false, ret_signals);
}

void knit_signals_free(knit_signals *s)
{
    if (!s)
        return;
    knit__lock(&all.lock);
    if (s->process == all.process) {
        unlink_locked(s);
        uninstall_set_locked(s->set);
    }
    knit__unlock(&all.lock);
    leave_handlers();
    close_fds(s);
    free(s);
}

/* ---- waiting ---- */

/* The signal whose turn it is, of those in pending. */
static int next_of(uint64_t pending, int last)
{
    uint64_t above = last < SIGNALS ? pending & ~(uint64_t)0 << last : 0;

    return __builtin_ctzll(above ? above : pending) + 1;
}

/* Another that waits may have emptied the eventfd, before it took one of two: so the rest is
 * announced again. */
static int take(knit_signals *s)
{
    uint64_t pending = atomic_load_explicit(&s->pending, memory_order_acquire);

    while (pending != 0) {
        int number = next_of(pending, atomic_load_explicit(&s->last, memory_order_relaxed));
        uint64_t rest = pending & ~bit_of(number);

        if (!atomic_compare_exchange_weak_explicit(&s->pending, &pending, rest,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        atomic_store_explicit(&s->last, number, memory_order_relaxed);
        if (rest != 0)
            knit__os_bell_ring(s->bell);
        return number;
    }
    return 0;
}

static void unblock(uint64_t signals)
{
    sigset_t set = sigset_of(signals);

    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Record what no thread takes. */
static void read_blocked(const knit_signals *s)
{
    struct signalfd_siginfo info;

    while (read(s->blocked, &info, sizeof info) == (ssize_t)sizeof info) {
        record((int)info.ssi_signo);
        if (s->once)
            unblock(s->set);
    }
}

static int try_take(knit_signals *s)
{
    int number = take(s), saved = errno;

    if (number != 0)
        return number;
    knit__os_bell_silence(s->bell);
    read_blocked(s);
    errno = saved;
    return take(s);
}

static bool is_inherited(const knit_signals *s)
{
    bool inherited;

    knit__lock(&all.lock);
    inherited = s->process != all.process;
    knit__unlock(&all.lock);
    return inherited;
}

int knit_signals_try_wait(knit_signals *s)
{
    int number;

    if (!s)
        return -EINVAL;
    if (is_inherited(s))
        return -EBADF;
    number = try_take(s);
    return number != 0 ? number : -EAGAIN;
}

int knit_signals_wait_until(knit_signals *s, knit_time deadline)
{
    if (!s)
        return -EINVAL;
    if (is_inherited(s))
        return -EBADF; /* the descriptors are the parent's, too */
    for (;;) {
        int number = try_take(s), r;

        if (number != 0)
            return number;
        r = knit_wait_fd(s->both, KNIT_READABLE, deadline);
        if (r < 0)
            return r;
    }
}

int knit_signals_wait(knit_signals *s)
{
    return knit_signals_wait_until(s, KNIT_FOREVER);
}

/* ---- until one of them ---- */

static bool is_ignored(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int knit_until_signal(void *ret_number)
{
    uint64_t set =
        (is_ignored(SIGINT) ? 0 : bit_of(SIGINT)) | (is_ignored(SIGTERM) ? 0 : bit_of(SIGTERM));
    knit_signals *s;
    int number, r = subscribe(set, true, &s);

    if (r < 0)
        return r;
    number = knit_signals_wait(s);
    knit_signals_free(s);
    if (number < 0)
        return knit_ctx_err(knit_ctx_current()) != 0 ? 0 : number;
    if (ret_number)
        *(int *)ret_number = number;
    return knit_error(-EINTR, "%s", number == SIGINT ? "SIGINT" : "SIGTERM");
}

/* ---- fork and exit ---- */

void knit__signals_before_fork(void)
{
    sigset_t every, mask;

    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &mask);
    knit__lock(&all.lock);
    all.mask = mask;
}

static void put_back_locked(void)
{
    for (int number = 1; number <= SIGNALS; number++) {
        if (all.count[number] > 0 && is_ours(number))
            sigaction(number, &all.before[number], NULL);
    }
}

void knit__signals_after_fork(bool child)
{
    sigset_t mask = all.mask;

    if (child) {
        put_back_locked();
        memset(all.count, 0, sizeof all.count);
        all.process++;
        atomic_store_explicit(&all.first, NULL, memory_order_relaxed);
        atomic_store_explicit(&all.inside, 0, memory_order_relaxed); /* of threads that stayed */
    }
    knit__unlock(&all.lock);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void knit__signals_stop(void)
{
    knit__lock(&all.lock);
    put_back_locked();
    knit__unlock(&all.lock);
}
