/* Starve threads of programs at random, so that what takes for granted something about time or order
 * fails here and not on somebody's busy machine.
 *
 * Usage: starve PREFIX SEED      until it is interrupted
 *
 * Twice a millisecond some threads of the programs whose executable's path begins with PREFIX get the
 * policy SCHED_IDLE for 1 to 100 ms. Beside anything else that computes, such a thread hardly runs.
 * Giving a thread its policy back takes the right to raise a priority (root, CAP_SYS_NICE). The seed
 * decides who is chosen, and for how long; what the machine makes of it happens once.
 *
 * tools/starve.sh runs the tests beside it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    VICTIMS = 64, /* at a time */
    PROGRAMS = 256,
    LOOK_MS = 10,  /* between two looks for programs */
    SHORT_MS = 8,  /* three times in four */
    LONG_MS = 100, /* else */
    PAUSE_NS = 500000,
};

static struct victim {
    int tid; /* 0: none */
    int64_t until;
} victims[VICTIMS];

static int programs[PROGRAMS];
static unsigned program_count;
static uint64_t random_state;
static volatile sig_atomic_t over;

static void stop(int sig)
{
    (void)sig;
    over = 1;
}

/* A linear congruential generator (Knuth's MMIX), its upper bits. */
static unsigned below(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static int set_policy(int tid, int policy)
{
    const struct sched_param none = {0};

    return sched_setscheduler(tid, policy, &none);
}

static void look_for_programs(const char *prefix)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;

    program_count = 0;
    while (dir && program_count < PROGRAMS && (entry = readdir(dir))) {
        char link[64], path[4096];
        const int pid = atoi(entry->d_name);
        ssize_t n;

        if (pid <= 0)
            continue;
        snprintf(link, sizeof link, "/proc/%d/exe", pid);
        n = readlink(link, path, sizeof path);
        if (n >= (ssize_t)strlen(prefix) && memcmp(path, prefix, strlen(prefix)) == 0)
            programs[program_count++] = pid;
    }
    if (dir)
        closedir(dir);
}

static int some_thread(int pid)
{
    char path[64];
    struct dirent *entry;
    unsigned seen = 0;
    int tid = 0;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && below(++seen) == 0)
            tid = atoi(entry->d_name);
    if (dir)
        closedir(dir);
    return tid;
}

static void starve_one_of(int pid, int64_t now)
{
    struct victim *v = victims;
    int tid;

    while (v < victims + VICTIMS && v->tid != 0)
        v++;
    if (v == victims + VICTIMS)
        return;
    tid = some_thread(pid);
    if (tid == 0 || sched_getscheduler(tid) != SCHED_OTHER || set_policy(tid, SCHED_IDLE) < 0)
        return;
    v->tid = tid;
    v->until = now + 1 + below(below(4) > 0 ? SHORT_MS : LONG_MS);
}

static void let_go(int64_t now)
{
    for (struct victim *v = victims; v < victims + VICTIMS; v++) {
        if (v->tid == 0 || v->until > now)
            continue;
        (void)set_policy(v->tid, SCHED_OTHER);
        v->tid = 0;
    }
}

/* May we give a policy back? */
static int is_allowed(void)
{
    if (set_policy(0, SCHED_IDLE) == 0 && set_policy(0, SCHED_OTHER) == 0)
        return 1;
    fprintf(stderr, "starve: no right to raise a priority: %s\n", strerror(errno));
    return 0;
}

int main(int argc, char **argv)
{
    int64_t looked = -LOOK_MS;

    if (argc != 3) {
        fprintf(stderr, "usage: starve PREFIX SEED\n");
        return 2;
    }
    if (!is_allowed())
        return 1;
    random_state = strtoull(argv[2], NULL, 0);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    (void)!nice(-20);
    while (!over) {
        const int64_t now = now_ms();

        if (now - looked >= LOOK_MS) {
            look_for_programs(argv[1]);
            looked = now;
        }
        let_go(now);
        for (unsigned i = 0; i < program_count; i++)
            if (below(4) == 0)
                starve_one_of(programs[i], now);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    let_go(INT64_MAX);
    return 0;
}
