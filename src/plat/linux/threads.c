/* What the kernel says about the threads of this process: /proc/self/task. No descriptor is kept
 * open, so that a fork needs no care. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int knit__host_tid(void)
{
    return (int)syscall(SYS_gettid);
}

int knit__host_process(void)
{
    return (int)getpid();
}

void knit__host_own_files(void)
{
    int saved = errno;

    if (unshare(CLONE_FILES) == 0)
        syscall(SYS_close_range, 3, UINT_MAX, 0); /* a pipe kept open here would never end */
    errno = saved;
}

uint32_t knit__host_thread_count(void)
{
    struct stat st;
    int saved = errno;
    uint32_t n = 0;

    if (stat("/proc/self/task", &st) == 0 && st.st_nlink > 2)
        n = (uint32_t)st.st_nlink - 2; /* like any directory: itself, its parent's entry */
    errno = saved;
    return n;
}

/* One small file of a thread; the length, 0 when it cannot be read. */
static size_t read_of(int tid, const char *name, char *buf, size_t size)
{
    char path[64];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buf, size - 1);
    close(fd);
    if (n <= 0)
        return 0;
    buf[n] = 0;
    return (size_t)n;
}

/* By the letter in stat: some kernels have no `syscall` file. */
static enum knit__host_state state_by_letter(int tid)
{
    char buf[512], *after;

    if (read_of(tid, "stat", buf, sizeof buf) == 0)
        return KNIT__HOST_GONE;
    after = strrchr(buf, ')');
    if (!after || after[1] == 0)
        return KNIT__HOST_RUNNING;
    switch (after[2]) {
    case 'S': return KNIT__HOST_BLOCKED;
    case 'Z':
    case 'X': return KNIT__HOST_GONE;
    default: return KNIT__HOST_RUNNING;
    }
}

enum knit__host_state knit__host_thread_state(int tid)
{
    char buf[512];
    int saved = errno;
    enum knit__host_state state = state_by_letter(tid);

    if (state == KNIT__HOST_BLOCKED && read_of(tid, "syscall", buf, sizeof buf) > 0) {
        if (buf[0] == 'r')
            state = KNIT__HOST_RUNNING; /* woken since */
        else if (strtol(buf, NULL, 10) == SYS_futex)
            state = KNIT__HOST_FUTEX;
    }
    errno = saved;
    return state;
}

struct linux_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[];
};

/* Ids are given out upwards and start again at the bottom; none of ours is older than the process
 * (the id of its first thread). */
static int by_age(const void *a, const void *b)
{
    uint32_t first = (uint32_t)getpid();
    uint32_t x = (uint32_t) * (const int *)a - first, y = (uint32_t) * (const int *)b - first;

    return x < y ? -1 : x > y;
}

/* Without opendir: it allocates, and this also runs where the program holds locks. */
uint32_t knit__host_threads(int *tids, uint32_t max)
{
    _Alignas(8) char buf[2048];
    int saved = errno, fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t n = 0;
    long size;

    if (fd < 0)
        goto restore;
    while ((size = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) {
        for (long at = 0; at < size;) {
            const struct linux_dirent64 *d = (const void *)(buf + at);

            if (d->d_name[0] != '.' && n < max)
                tids[n++] = (int)strtol(d->d_name, NULL, 10);
            at += d->d_reclen;
        }
    }
    close(fd);
    qsort(tids, n, sizeof *tids, by_age);
restore:
    errno = saved;
    return n;
}
