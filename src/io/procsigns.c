/* Single processes: what /proc says of them, and whose they look. See procsigns.h. */
#define _GNU_SOURCE
#include "procsigns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    NUMBERS_A_SECOND = 100000, /* used up by a processor at most: threads have numbers too */
    LEAST_PID_MAX = 32768,
    ENVIRON_CHUNK = 4096,
    STRANGERS = 1024,
    LOOKS = 3, /* at an environment that is empty */
};
#define SECOND INT64_C(1000000000)
#define YOUNG (SECOND / 10)

int64_t knit__since_boot(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* Up to size - 1 bytes of a file, with a 0 byte; -1: it cannot be read. */
static ssize_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -1;
    do
        n = read(fd, text, size - 1);
    while (n < 0 && errno == EINTR);
    close(fd);
    if (n >= 0)
        text[n] = 0;
    return n;
}

bool knit__procstat_of(pid_t pid, struct knit__procstat *ret)
{
    char path[32], text[KNIT__PROCSTAT_SIZE];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    n = read_text(path, text, sizeof text);
    return n > 0 && knit__procstat_parse(text, (size_t)n, ret);
}

/* A number at the end of a file; 0: none. */
long knit__last_number(const char *path)
{
    char text[128];
    ssize_t n = read_text(path, text, sizeof text);

    while (n > 0 && (text[n - 1] < '0' || text[n - 1] > '9'))
        n--;
    if (n <= 0)
        return 0;
    text[n] = 0;
    while (n > 0 && text[n - 1] >= '0' && text[n - 1] <= '9')
        n--;
    return atol(text + n);
}

static long processors(void)
{
    static _Atomic long all;
    long n = atomic_load_explicit(&all, memory_order_relaxed);

    if (n == 0) {
        n = sysconf(_SC_NPROCESSORS_CONF);
        if (n <= 0)
            n = 1;
        atomic_store_explicit(&all, n, memory_order_relaxed);
    }
    return n;
}

/* How long it takes at least until all numbers were given out. */
int64_t knit__pid_round(void)
{
    static _Atomic long most; /* reading it twice does no harm */
    long n = atomic_load_explicit(&most, memory_order_relaxed);

    if (n == 0) {
        n = knit__last_number("/proc/sys/kernel/pid_max");
        if (n <= 0)
            n = LEAST_PID_MAX;
        atomic_store_explicit(&most, n, memory_order_relaxed);
    }
    return n * (SECOND / NUMBERS_A_SECOND) / processors();
}

/* ---- strangers ----------------------------------------------------------------------------------
 * A process without any id of this program in its environment is no member of any tree of it, and will
 * never be one. The numbers of those that were met are kept for as long as a number cannot have got
 * another owner, so that they are looked at once, not at the end of each command: in each word the
 * number, and the second (since boot) in which it was met. */

static _Atomic uint64_t strangers[STRANGERS];

static uint64_t stranger_word(pid_t pid, int64_t now)
{
    return (uint64_t)pid << 32 | (uint32_t)(now / SECOND);
}

static void stranger_add(pid_t pid, int64_t now)
{
    atomic_store_explicit(&strangers[(unsigned)pid % STRANGERS], stranger_word(pid, now),
                          memory_order_relaxed);
}

bool knit__stranger(pid_t pid, int64_t now)
{
    const uint64_t word = atomic_load_explicit(&strangers[(unsigned)pid % STRANGERS],
                                               memory_order_relaxed),
                   met = (uint32_t)word;

    return word >> 32 == (uint64_t)pid && now - (int64_t)met * SECOND < knit__pid_round();
}

/* Does this much of an environment have the id, or one of the program's others? */
static enum knit__sign text_has(const char *text, size_t n, const char *id, size_t length)
{
    const size_t program = (size_t)(strrchr(id, '-') + 1 - id);

    if (memmem(text, n, id, length))
        return KNIT__YES;
    return memmem(text, n, id, program) ? KNIT__NO : KNIT__STRANGER;
}

/* Does the environment of pid? PERHAPS: it is empty. */
static enum knit__sign environ_has(pid_t pid, const char *id)
{
    const size_t length = strlen(id);
    char path[32], text[KNIT__TREE_ID + ENVIRON_CHUNK];
    enum knit__sign found = KNIT__PERHAPS;
    size_t kept = 0;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return KNIT__NO;
    while (found != KNIT__YES && (n = read(fd, text + kept, ENVIRON_CHUNK)) > 0) {
        size_t have = kept + (size_t)n;
        enum knit__sign here = text_has(text, have, id, length);

        if (found == KNIT__PERHAPS || here > found)
            found = here;
        kept = have < length ? have : length - 1; /* it may begin here and end in the next chunk */
        memmove(text, text + have - kept, kept);
    }
    close(fd);
    return found;
}

const struct knit__known *knit__tree_known(const struct knit__tree *t,
                                           const struct knit__procstat *p)
{
    for (size_t i = 0; i < t->known_count; i++)
        if (t->known[i].pid == p->pid && t->known[i].start == p->start)
            return &t->known[i];
    return NULL;
}

/* Do orphans become children of this process? Otherwise no child of it is left by a command. */
static bool adopts_orphans(void)
{
    int subreaper = 0;

    (void)prctl(PR_GET_CHILD_SUBREAPER, (unsigned long)&subreaper, 0UL, 0UL, 0UL);
    return subreaper != 0 || getpid() == 1;
}

/* By its environment. An empty one: it is between two programs, or has just ended. */
static enum knit__sign looks_marked(const struct knit__tree *t, const struct knit__procstat *p,
                                    int64_t now)
{
    const int64_t tick = SECOND / sysconf(_SC_CLK_TCK);
    struct knit__procstat again = *p;
    enum knit__sign found = KNIT__PERHAPS;

    for (int i = 0; i < LOOKS && found == KNIT__PERHAPS; i++) {
        found = environ_has(p->pid, t->id);
        if (found == KNIT__PERHAPS &&
            (!knit__procstat_of(p->pid, &again) || knit__procstat_dead(&again)))
            return KNIT__NO;
    }
    if (found == KNIT__STRANGER)
        stranger_add(p->pid, now);
    if (found == KNIT__PERHAPS && now - (int64_t)p->start * tick > YOUNG)
        return KNIT__NO;
    return found;
}

/* By the signs a process has on itself. */
enum knit__sign knit__tree_looks(const struct knit__tree *t, const struct knit__procstat *p,
                                 int64_t now)
{
    if (p->kernel || p->pid == getpid())
        return KNIT__NO;
    if (!t->lost && (p->pid == t->root || p->group == t->root || p->session == t->root))
        return KNIT__YES;
    if (knit__tree_known(t, p))
        return KNIT__YES;
    if (knit__procstat_dead(p) || p->start < t->since || knit__stranger(p->pid, now))
        return KNIT__NO;
    if (p->parent == getpid() && !adopts_orphans())
        return KNIT__NO;
    return looks_marked(t, p, now);
}
