/* No signal handler: the signals are blocked in every thread, and one task reads them from a
 * descriptor, signalfd(2). A task may call anything. */
#define _GNU_SOURCE
#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct {
    /* set before the task starts */
    sigset_t signals;
    int fd;
    knit_errgroup group; /* of the task: one that the watched group does not cancel */

    atomic_int signal; /* the first that came */
} watch;

void interrupt_block(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&watch.signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old;
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(&watch.signals, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &watch.signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int watch_signals(void *arg)
{
    knit_errgroup *watched = arg;
    for (;;) {
        struct signalfd_siginfo info;
        ssize_t n = knit_read(watch.fd, &info, sizeof info);
        if (n == -ECANCELED)
            return 0; /* interrupt_end */
        if (n < 0) {  /* what cannot be interrupted any more should not go on */
            knit_errgroup_cancel(watched, (int)n);
            return (int)n;
        }
        if (atomic_load(&watch.signal) != 0)
            _exit(128 + (int)info.ssi_signo);
        atomic_store(&watch.signal, (int)info.ssi_signo);
        knit_errgroup_cancel(watched, -EINTR);
    }
}

int interrupt_watch(knit_errgroup *group)
{
    watch.fd = signalfd(-1, &watch.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch.fd < 0)
        return -errno;
    int r = knit_errgroup_init(&watch.group, NULL);
    if (r == 0)
        r = knit_errgroup_go(&watch.group, watch_signals, group);
    if (r < 0)
        knit_close(watch.fd);
    return r;
}

int interrupt_end(void)
{
    (void)knit_errgroup_close(&watch.group);
    knit_close(watch.fd);
    return atomic_load(&watch.signal);
}
