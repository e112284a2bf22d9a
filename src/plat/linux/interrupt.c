/* Interrupting a thread's system call by a signal.
 *
 * ESSAY: which signal, and why it never hits a thread that has left
 *
 * The signal is SIGURG: ignored by default, so one that goes astray harms nobody; hardly any
 * program handles it, and debuggers pass it on in silence (Go chose it for the same reasons). The
 * handler does nothing: what counts is that a handler without SA_RESTART has run, so the system
 * call returns EINTR. Signals of ours carry a cookie; any other SIGURG is handed on to the handler
 * that was there before, and when the library stops that one is put back. A program that installs
 * one of its own later keeps it: the next send puts ours in front of it again.
 *
 * SIGURG is unblocked between open and close only, by the thread itself; the library's own threads
 * have it blocked everywhere else. Could a signal be on its way when the thread closes? The caller
 * guarantees that every send has returned before close begins (sched/nudge.c does it by a lock),
 * so each signal sent is already queued at this thread. Close first unblocks SIGURG once more: a
 * pending, unblocked signal is delivered before sigprocmask returns (POSIX), and only one instance
 * of a signal without queueing can be pending. Only then is it blocked. What is left for the code
 * after close is nothing.
 *
 * A send may come when the thread is between its own check and the system call; that signal is
 * lost on the call. So the sender repeats until the thread closes (sched/nudge.c). */
#define _GNU_SOURCE
#include "../plat.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

static char cookie;

static struct {
    pthread_mutex_t lock; /* installing */
    bool installed;
    struct sigaction before; /* read by the handler: changed only while ours is not installed */
} ours = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The handler before ours is being called: it may call ours, if the program put it in front of us
 * and we put ourselves in front of it again. */
static _Thread_local volatile sig_atomic_t handing_on;

static void hand_on(int number, siginfo_t *info, void *context)
{
    if (ours.before.sa_flags & SA_SIGINFO)
        ours.before.sa_sigaction(number, info, context);
    else if (ours.before.sa_handler != SIG_DFL && ours.before.sa_handler != SIG_IGN)
        ours.before.sa_handler(number);
}

static void interrupted(int number, siginfo_t *info, void *context)
{
    if (handing_on || (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &cookie))
        return;
    handing_on = 1;
    hand_on(number, info, context);
    handing_on = 0;
}

static bool is_ours(const struct sigaction *a)
{
    return (a->sa_flags & SA_SIGINFO) != 0 && a->sa_sigaction == interrupted;
}

static int install(void)
{
    struct sigaction now, want;
    int r = 0, saved = errno;

    pthread_mutex_lock(&ours.lock);
    if (sigaction(SIGURG, NULL, &now) != 0) {
        r = -errno;
    } else if (!is_ours(&now)) {
        ours.before = now;
        memset(&want, 0, sizeof want);
        want.sa_sigaction = interrupted;
        want.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&want.sa_mask);
        if (sigaction(SIGURG, &want, NULL) != 0)
            r = -errno;
        ours.installed = r == 0;
    }
    pthread_mutex_unlock(&ours.lock);
    errno = saved;
    return r;
}

static bool mask(int how)
{
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(how, &set, &before);
    return sigismember(&before, SIGURG) == 1;
}

int knit__os_target_open(struct knit__os_target *t)
{
    int r = install();

    if (r < 0)
        return r;
    t->handle = (unsigned long)pthread_self();
    t->was_blocked = mask(SIG_UNBLOCK);
    return 0;
}

void knit__os_target_send(const struct knit__os_target *t)
{
    union sigval value = {.sival_ptr = &cookie};
    struct sigaction now;
    int saved = errno;

    if ((sigaction(SIGURG, NULL, &now) == 0 && is_ours(&now)) || install() == 0)
        pthread_sigqueue((pthread_t)t->handle, SIGURG, value); /* EAGAIN: the next one comes */
    errno = saved;
}

void knit__os_target_close(struct knit__os_target *t, bool sent)
{
    if (sent)
        mask(SIG_UNBLOCK); /* delivers what is pending: see above */
    if (t->was_blocked)
        mask(SIG_BLOCK);
}

void knit__os_targets_abandon(void)
{
    ours.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void knit__os_targets_stop(void)
{
    struct sigaction now;

    pthread_mutex_lock(&ours.lock);
    if (ours.installed && sigaction(SIGURG, NULL, &now) == 0 && is_ours(&now))
        sigaction(SIGURG, &ours.before, NULL);
    ours.installed = false;
    pthread_mutex_unlock(&ours.lock);
}
