/* Threads: pthreads with asynchronous signals blocked, so that the program's handlers run on the
 * program's own threads. Faults stay deliverable. */
#define _GNU_SOURCE
#include "../simulated.h"
#include "host.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

/* only start-up, exit and faults (KNIT__FAULT_STACK) run on it */
enum { THREAD_STACK = 320 * 1024 };

int knit__host_thread_start(struct knit__os_thread *thread, void *(*fn)(void *), void *arg)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked, old;
    pthread_attr_t attr;
    pthread_t handle;
    int r, saved = errno;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);

    r = pthread_attr_init(&attr);
    if (r != 0)
        return -r;
    pthread_attr_setstacksize(&attr, THREAD_STACK > PTHREAD_STACK_MIN ? (size_t)THREAD_STACK
                                                                      : (size_t)PTHREAD_STACK_MIN);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    r = pthread_create(&handle, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    errno = saved;
    if (r == 0)
        thread->handle = (unsigned long)handle;
    return -r;
}

void knit__host_thread_join(struct knit__os_thread *thread)
{
    pthread_join((pthread_t)thread->handle, NULL);
}

void knit__os_thread_name(const char *name)
{
    prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); /* the default lets every sleep be 50 us late */
}

void knit__host_yield(void)
{
    sched_yield();
}

void knit__host_gather(void)
{
    static const struct sched_param none;
    int cpu = sched_getcpu(), saved = errno;
    cpu_set_t set;

    CPU_ZERO(&set);
    if (cpu >= 0 && cpu < CPU_SETSIZE) {
        CPU_SET((size_t)cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    if (sched_getscheduler(0) == SCHED_OTHER)
        sched_setscheduler(0, SCHED_BATCH, &none);
    errno = saved;
}

void knit__host_pause(int64_t ns)
{
    struct timespec ts = {.tv_nsec = ns};
    int saved = errno;

    nanosleep(&ts, NULL);
    errno = saved;
}

int knit__os_thread_start(struct knit__os_thread *thread, void *(*fn)(void *), void *arg)
{
    if (KNIT__UNLIKELY(knit__simulated))
        return knit__sim_thread_start(thread, fn, arg);
    return knit__host_thread_start(thread, fn, arg);
}

void knit__os_thread_join(struct knit__os_thread *thread)
{
    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_thread_join(thread);
    else
        knit__host_thread_join(thread);
}

void knit__os_yield(void)
{
    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_yield();
    else
        knit__host_yield();
}
