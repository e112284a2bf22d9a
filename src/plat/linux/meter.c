/* Watching a thread from outside: its processor-time clock, and whether the kernel has it asleep.
 *
 * The clock alone cannot tell a blocked thread from one that wants a processor and gets none (a
 * busy machine, a cgroup quota), and a spare thread for the latter would make things worse. The
 * state in /proc/self/task/TID/stat can: R is running or runnable. Reading it costs some
 * microseconds, so it is asked only about a thread whose clock stands still. */
#define _GNU_SOURCE
#include "../plat.h"
#include "../simulated.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void knit__os_meter_begin(struct knit__os_meter *m)
{
    clockid_t clock = -1;

    if (pthread_getcpuclockid(pthread_self(), &clock) != 0)
        clock = -1;
    atomic_store_explicit(&m->clock, (int)clock, memory_order_relaxed);
    /* release: who sees the tid sees the clock */
    atomic_store_explicit(&m->tid, (int)syscall(SYS_gettid), memory_order_release);
}

int64_t knit__os_meter_cpu(const struct knit__os_meter *m)
{
    struct timespec ts;
    clockid_t clock = atomic_load_explicit(&m->clock, memory_order_relaxed);

    if (KNIT__UNLIKELY(knit__simulated))
        return knit__sim_cpu(atomic_load_explicit(&m->tid, memory_order_relaxed));
    if (clock == -1 || clock_gettime(clock, &ts) != 0)
        return -1;
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* "TID (name) S ...": the name may hold anything, so from the last parenthesis. */
bool knit__os_meter_waits(const struct knit__os_meter *m)
{
    int tid = atomic_load_explicit(&m->tid, memory_order_relaxed), fd;
    char path[64], text[256];
    const char *end;
    ssize_t n;

    if (KNIT__UNLIKELY(knit__simulated))
        return knit__sim_asleep(tid);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return true;
    text[n] = 0;
    end = strrchr(text, ')');
    return !end || end[1] == 0 || end[2] != 'R';
}
