/* Ctrl-C as a cancel.
 *
 * No signal handler: the signals are blocked everywhere, and one plain thread waits for them. It
 * may call anything, so it cancels the group, and the tasks end in their own order. The second
 * signal ends the process where it stands, for the case that a disk does not answer. */
#define _GNU_SOURCE
#include "digest.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct {
    /* set before the thread starts */
    sigset_t signals;
    knit_errgroup *group;
    pthread_t thread;

    /* both threads, atomic */
    atomic_int signal; /* the first that came */
    atomic_bool ending;
} watch;

void interrupt_block(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&watch.signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old;
        /* ignored from the start (nohup, a shell's background job): stays so */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(&watch.signals, numbers[i]);
    }
    sigaddset(&watch.signals, SIGUSR1); /* from interrupt_end */
    pthread_sigmask(SIG_BLOCK, &watch.signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* write reports it */
}

static void *watch_signals(void *arg)
{
    (void)arg;
    for (;;) {
        int number;
        if (sigwait(&watch.signals, &number) != 0)
            continue;
        if (atomic_load(&watch.ending))
            return NULL;
        if (number == SIGUSR1)
            continue;
        if (atomic_load(&watch.signal) != 0)
            _exit(128 + number);
        atomic_store(&watch.signal, number);
        knit_errgroup_cancel(watch.group, -EINTR);
    }
}

int interrupt_watch(knit_errgroup *group)
{
    watch.group = group;
    return -pthread_create(&watch.thread, NULL, watch_signals, NULL);
}

int interrupt_end(void)
{
    atomic_store(&watch.ending, true);
    pthread_kill(watch.thread, SIGUSR1);
    pthread_join(watch.thread, NULL);
    return atomic_load(&watch.signal);
}
