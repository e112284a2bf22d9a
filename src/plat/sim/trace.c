/* What a run leaves behind: its seed when it fails, a line or a file when asked for, and the report
 * of a deadlock.
 *
 * KNIT_SIM_TRACE=- prints one line at exit, with a hash of all that happened; any other value is a
 * file to which every event is appended as a line: clock, member, letter, value.
 *   b begins   s gets the baton   w waits, until   k wakes, how many   o falls asleep outside
 *   e ends
 * Nothing in it is an address or a real time, so equal runs give equal traces. */
#define _GNU_SOURCE
#include "sim.h"

#include "../linux/host.h"
#include "../simulated.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DEADLOCK = 97 };

static struct {
    bool summary;
    int fd;
    size_t used;
    char path[4096], buf[8192];
    char seed_line[64];
    bool warned;
} trace = {.fd = -1};

static void write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

static void say(const char *text)
{
    write_all(STDERR_FILENO, text, strlen(text));
}

/* No descriptor stays open: programs that count theirs see none of ours. */
static void flush(void)
{
    int fd;

    if (trace.used == 0)
        return;
    fd = open(trace.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0) {
        write_all(fd, trace.buf, trace.used);
        close(fd);
    }
    trace.used = 0;
}

static void mix(uint64_t value)
{
    /* FNV-1a over the bytes (Fowler, Noll, Vo) */
    for (int i = 0; i < 8; i++)
        knit__sim.hash = (knit__sim.hash ^ (value >> (8 * i) & 255)) * 1099511628211u;
}

void knit__sim_trace(const struct knit__sim_member *m, char kind, int64_t value)
{
    int n;

    mix((uint64_t)m->index << 8 | (unsigned char)kind);
    mix((uint64_t)value);
    if (trace.path[0] == 0)
        return;
    if (sizeof trace.buf - trace.used < 128)
        flush();
    n = snprintf(trace.buf + trace.used, sizeof trace.buf - trace.used,
                 "%" PRId64 " %" PRIu32 " %c %" PRId64 "\n", knit__sim.clock, m->index, kind,
                 value);
    trace.used += n > 0 ? (size_t)n : 0;
}

void knit__sim_print_seed(void)
{
    char line[64];

    snprintf(line, sizeof line, "knit: KNIT_SIM=%" PRIu64 "\n", knit__sim_seed());
    say(line);
}

void knit__sim_warn(const char *words)
{
    if (trace.warned)
        return;
    trace.warned = true;
    say("knit: simulation: ");
    say(words);
    say("\n");
}

/* ---- the end ---- */

static void at_exit(int status, void *unused)
{
    char line[160];

    (void)unused;
    knit__sim_watch_stop();
    flush();
    if (trace.summary) {
        snprintf(line, sizeof line,
                 "knit: KNIT_SIM=%" PRIu64 ": %" PRIu64 " steps, %" PRIu64
                 " switches, trace %016" PRIx64 "\n",
                 knit__sim_seed(), knit__sim.steps, knit__sim.switches, knit__sim.hash);
        say(line);
    } else if (status != 0) {
        say(trace.seed_line);
    }
}

/* Only what a signal handler may do; then the signal again, with its own effect. */
static void on_signal(int number)
{
    say(trace.seed_line);
    raise(number);
}

static void watch_signals(void)
{
    static const int fatal[] = {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTERM};

    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        struct sigaction now,
            ours = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};

        if (sigaction(fatal[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
            now.sa_handler == SIG_DFL)
            sigaction(fatal[i], &ours, NULL);
    }
}

void knit__sim_trace_start(void)
{
    const char *value = getenv("KNIT_SIM_TRACE");

    knit__sim.hash = 14695981039346656037u;
    snprintf(trace.seed_line, sizeof trace.seed_line, "knit: KNIT_SIM=%" PRIu64 "\n",
             knit__sim_seed());
    if (value && strcmp(value, "-") == 0)
        trace.summary = true;
    else if (value && strlen(value) < sizeof trace.path)
        strcpy(trace.path, value);
    on_exit(at_exit, NULL);
    watch_signals();
}

static void describe(const struct knit__sim_member *m)
{
    static const char *const states[] = {
        "is asleep or at work outside the library",
        "could run",
        "could run",
        "runs",
        "waits in the library",
        "ends",
    };
    char line[160];

    snprintf(line, sizeof line, "knit:   thread %" PRIu32 " (%s) %s\n", m->index,
             m->library ? "worker or monitor" : "the program's", states[m->state]);
    say(line);
}

void knit__sim_deadlock(void)
{
    flush();
    say("knit: deadlock: nothing can run, and no deadline is ahead\n");
    say(trace.seed_line);
    for (const struct knit__sim_member *m = knit__sim.members; m; m = m->next)
        describe(m);
    if (knit__sim_report)
        knit__sim_report();
    _exit(EXIT_DEADLOCK);
}
