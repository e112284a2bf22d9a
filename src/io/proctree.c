/* Walks through /proc. The essay is in proctree.h. */
#define _GNU_SOURCE
#include "proctree.h"

#include "../core/lock.h"
#include "procsigns.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_PROBES = 4096, /* numbers looked at one by one, before a walk is shorter */
    ROOT_BUCKETS = 256,
};
#define SECOND INT64_C(1000000000)

/* ---- the roots of all trees ----------------------------------------------------------------------
 * A leaf of the order of locks: nothing is taken under it. */

static struct {
    struct knit__lock lock;
    struct knit__tree *bucket[ROOT_BUCKETS];
} roots;

static bool is_root(pid_t pid)
{
    const struct knit__tree *t;

    knit__lock(&roots.lock);
    t = roots.bucket[(unsigned)pid % ROOT_BUCKETS];
    while (t && t->root != pid)
        t = t->next;
    knit__unlock(&roots.lock);
    return t != NULL;
}

/* ---- the life of a tree ---- */

/* In a form that is in no other environment, also not in that of a child of a fork; the dot is so that no
 * id is the beginning of another. */
static void make_id(char id[KNIT__TREE_ID])
{
    static _Atomic uint64_t program, number;
    uint64_t mine = atomic_load_explicit(&program, memory_order_relaxed), none = 0;

    if (mine == 0) {
        if (getrandom(&mine, sizeof mine, GRND_NONBLOCK) != (ssize_t)sizeof mine || mine == 0)
            mine = (uint64_t)knit__since_boot();
        if (!atomic_compare_exchange_strong_explicit(&program, &none, mine, memory_order_relaxed,
                                                     memory_order_relaxed))
            mine = none;
    }
    snprintf(id, KNIT__TREE_ID, "%" PRIx64 "-%lx-%" PRIx64 ".", mine, (unsigned long)getpid(),
             atomic_fetch_add_explicit(&number, 1, memory_order_relaxed));
}

void knit__tree_begin(struct knit__tree *t)
{
    const int64_t tick = SECOND / sysconf(_SC_CLK_TCK);

    *t = (struct knit__tree){.born = knit__since_boot()};
    t->since = (uint64_t)(t->born / tick);
    make_id(t->id);
}

void knit__tree_root(struct knit__tree *t, pid_t root)
{
    struct knit__tree **bucket = &roots.bucket[(unsigned)root % ROOT_BUCKETS];

    t->root = root;
    knit__lock(&roots.lock);
    t->next = *bucket;
    *bucket = t;
    knit__unlock(&roots.lock);
}

void knit__tree_end(struct knit__tree *t)
{
    struct knit__tree **at = &roots.bucket[(unsigned)t->root % ROOT_BUCKETS];

    knit__lock(&roots.lock);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    knit__unlock(&roots.lock);
    free(t->known);
    t->known = NULL;
}

/* ---- all of them ---- */

struct walk {
    struct knit__procstat *all; /* ascending pids, as /proc has them */
    enum knit__sign *mine;
    size_t count, room;
};

static bool walk_push(struct walk *w, const struct knit__procstat *p)
{
    if (w->count == w->room) {
        size_t room = w->room ? w->room * 2 : 256;
        struct knit__procstat *all = realloc(w->all, room * sizeof *all);
        enum knit__sign *mine;

        if (!all)
            return false;
        w->all = all;
        mine = realloc(w->mine, room * sizeof *mine);
        if (!mine)
            return false;
        w->mine = mine;
        w->room = room;
    }
    w->mine[w->count] = KNIT__NO;
    w->all[w->count++] = *p;
    return true;
}

/* Of descriptors or memory: nothing was seen, which does not mean that nothing is there. */
static bool is_short(void)
{
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

static bool walk_read(struct walk *w, DIR *dir)
{
    struct dirent *entry;

    while ((entry = readdir(dir))) {
        struct knit__procstat p;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        errno = 0;
        if (!knit__procstat_of((pid_t)atol(entry->d_name), &p)) {
            if (is_short())
                return false;
            continue;
        }
        if (!walk_push(w, &p))
            return false;
    }
    return true;
}

static bool parent_is_mine(const struct walk *w, size_t i)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->all[middle].pid < w->all[i].parent)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->count && w->all[low].pid == w->all[i].parent && w->mine[low] == KNIT__YES;
}

/* Children of members, and theirs. */
static void walk_close(struct walk *w)
{
    const pid_t self = getpid();
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < w->count; i++) {
            if (w->mine[i] == KNIT__YES || w->all[i].pid == self || !parent_is_mine(w, i))
                continue;
            w->mine[i] = KNIT__YES;
            more = true;
        }
    }
}

static bool was_asked(const struct knit__tree *t, const struct knit__procstat *p)
{
    const struct knit__known *known = knit__tree_known(t, p);

    return known && known->asked;
}

/* Members of this walk, for the next. Without memory the former ones stay. */
static void remember(struct knit__tree *t, const struct walk *w, bool asked)
{
    struct knit__known *known = calloc(w->count ? w->count : 1, sizeof *known);
    size_t n = 0;

    if (!known)
        return;
    for (size_t i = 0; i < w->count; i++)
        if (w->mine[i] == KNIT__YES)
            known[n++] = (struct knit__known){.pid = w->all[i].pid,
                                              .start = w->all[i].start,
                                              .asked = asked || was_asked(t, &w->all[i])};
    free(t->known);
    t->known = known;
    t->known_count = n;
}

static void send_signal(int fd, pid_t pid, int sig)
{
    if (fd >= 0)
        (void)syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
    else
        (void)kill(pid, sig); /* an old kernel, or no descriptor left */
}

static void signal_member(const struct knit__procstat *p, bool ask)
{
    struct knit__procstat now;
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);

    if (knit__procstat_of(p->pid, &now) && now.start == p->start) {
        send_signal(fd, p->pid, ask ? SIGTERM : SIGKILL);
        if (ask)
            send_signal(fd, p->pid, SIGCONT);
    }
    if (fd >= 0)
        close(fd);
}

/* A zombie. If it became our child, and is nobody else's business, it is reaped. */
static void reap_member(const struct knit__tree *t, const struct knit__procstat *p)
{
    siginfo_t ignored;

    if (p->parent == getpid() && p->pid != t->root && !is_root(p->pid))
        (void)waitid(P_PID, (id_t)p->pid, &ignored, WEXITED | WNOHANG);
}

/* How many are left. */
static size_t walk_act(const struct knit__tree *t, const struct walk *w,
                       enum knit__tree_action action)
{
    const bool ask = action == KNIT__TREE_ASK;
    size_t left = 0;

    for (size_t i = 0; i < w->count; i++) {
        const struct knit__procstat *p = &w->all[i];

        if (w->mine[i] < KNIT__PERHAPS)
            continue;
        if (knit__procstat_dead(p)) {
            reap_member(t, p);
            continue;
        }
        left++;
        if (w->mine[i] == KNIT__YES && action != KNIT__TREE_LOOK && !(ask && was_asked(t, p)))
            signal_member(p, ask);
    }
    return left;
}

size_t knit__tree_walk(struct knit__tree *t, enum knit__tree_action action)
{
    struct walk w = {0};
    const int64_t now = knit__since_boot();
    size_t left = 0;
    DIR *dir;

    if (action == KNIT__TREE_KILL && !t->lost)
        (void)kill(-t->root, SIGKILL); /* the group at once: no fork gets out of it */
    dir = opendir("/proc");
    if (dir && walk_read(&w, dir)) {
        for (size_t i = 0; i < w.count; i++)
            w.mine[i] = knit__tree_looks(t, &w.all[i], now);
        walk_close(&w);
        left = walk_act(t, &w, action);
        remember(t, &w, action == KNIT__TREE_ASK);
    } else {
        left = action != KNIT__TREE_LOOK && is_short() ? KNIT__TREE_UNSEEN : 0;
        if (action == KNIT__TREE_ASK && !t->lost)
            (void)kill(-t->root, SIGTERM);
    }
    if (dir)
        closedir(dir);
    free(w.all);
    free(w.mine);
    return left;
}

/* ---- nothing left ---- */

/* System calls first, files after. */
static bool is_left(const struct knit__tree *t, pid_t pid, int64_t now)
{
    const pid_t group = getpgid(pid);
    struct knit__procstat p;

    if (group <= 0 || is_root(pid)) /* 0: a thread of the kernel */
        return false;
    if (group != t->root && knit__stranger(pid, now) && getsid(pid) != t->root)
        return false;
    return knit__procstat_of(pid, &p) && !knit__procstat_dead(&p) &&
           knit__tree_looks(t, &p, now) >= KNIT__PERHAPS;
}

enum knit__sign knit__tree_left(const struct knit__tree *t)
{
    const int64_t now = knit__since_boot();
    pid_t next = t->root + 1;

    while (now - t->born < knit__pid_round()) {
        long last = knit__last_number("/proc/loadavg");

        if (last < t->root || last - t->root > MOST_PROBES)
            break;
        if (next > last)
            return KNIT__NO;
        for (; next <= last; next++)
            if (is_left(t, next, now))
                return KNIT__YES;
    }
    return KNIT__PERHAPS;
}
