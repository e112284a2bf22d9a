/* The guardian: the parent of one command, and the subreaper of all that the command starts.
 *
 *     knit-guardian SOCKET PROGRAM-PID GRACE-MS session|group PATH COMMAND...
 *
 * No process below it can get out of its sight: one whose parent ends becomes its child. So "kill the
 * children until there are none" ends the whole tree, whatever the processes did, and needs no identity
 * of any but its own children, whose numbers are nobody else's until it reaps them. It begins when
 *
 *     SIGTERM comes, or the program is gone:  SIGTERM to all descendants, and SIGKILL after the grace
 *     the command has ended, others are left: the same
 *
 * and when the kernel says that there is no child left, the guardian reports the command's status and
 * ends. Without a C library: one thread, no memory but its own, nothing to go wrong when memory is
 * short. See guardian.h for the other side. */
#define KNIT__GUARD_PROGRAM
#include "../guardian.h"

#include "../../plat/bare.h"
#include "../procstat.h"

#include <asm/errno.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/signalfd.h>
#include <linux/time.h>
#include <linux/wait.h>

enum {
    EXIT_BROKEN = 125,  /* it could not begin */
    MOST_KNOWN = 32768, /* processes of the system that SIGTERM looks at; SIGKILL has no bound */
    FIRST_PAUSE = 5,    /* ms between two rounds of SIGKILL; then longer ones */
    LONGEST_PAUSE = 320,
    SIGNALS_SIZE = 8, /* the kernel's size of a set of signals */
};

static struct {
    int control, program, signals; /* descriptors; -1: none */
    int command;                   /* pid; 0: reaped */
    int status;                    /* its wait status */
    long grace;                    /* ms */
    long long kill_at;             /* ms; when asking is over; 0: nobody is to be ended yet */
    long long round_at;            /* the next round of asking or killing */
    long pause;                    /* between two of them */
} guardian;

static struct known {
    int pid, parent;
    int mine, asked;
    uint64_t start;
} tables[2][MOST_KNOWN], *known = tables[0], *before = tables[1];
static int known_count, before_count;

#define CALL(name, a, b, c, d, e) CALL6(name, a, b, c, d, e, 0)
#define CALL6(name, a, b, c, d, e, f)                                                              \
    knit__syscall(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* The compiler may want them. */
void *memset(void *to, int value, size_t n);
void *memcpy(void *to, const void *from, size_t n);

void *memset(void *to, int value, size_t n)
{
    volatile unsigned char *at = to;

    while (n-- > 0)
        *at++ = (unsigned char)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    volatile unsigned char *at = to;
    const unsigned char *source = from;

    while (n-- > 0)
        *at++ = *source++;
    return to;
}

static long long number_of(const char *text)
{
    long long n = 0;

    while (*text >= '0' && *text <= '9')
        n = n * 10 + (*text++ - '0');
    return n;
}

static char *append(char *at, const char *end, const char *text)
{
    while (*text && at < end)
        *at++ = *text++;
    *at = 0;
    return at;
}

static long long now_ms(void)
{
    struct timespec ts = {0, 0};

    (void)CALL(clock_gettime, CLOCK_MONOTONIC, &ts, 0, 0, 0);
    return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void say(int kind, int value)
{
    const struct knit__guard_word word = {kind, value};

    (void)CALL(write, guardian.control, &word, sizeof word, 0, 0);
}

/* ---- the processes of the system ---- */

static int read_stat(const char *name, struct knit__procstat *ret)
{
    char path[64], text[KNIT__PROCSTAT_SIZE], *end = path + sizeof path - 1;
    long fd, n;

    append(append(append(path, end, "/proc/"), end, name), end, "/stat");
    fd = CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, 0);
    if (fd < 0)
        return 0;
    n = CALL(read, fd, text, sizeof text, 0, 0);
    (void)CALL(close, fd, 0, 0, 0, 0);
    return n > 0 && knit__procstat_parse(text, (size_t)n, ret);
}

struct entry { /* the kernel's linux_dirent64 */
    unsigned long long inode;
    long long offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

static void each_process(void (*fn)(const struct knit__procstat *p))
{
    static _Alignas(8) char buffer[16384];
    long fd = CALL(openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0), n;

    if (fd < 0)
        return;
    while ((n = CALL(getdents64, fd, buffer, sizeof buffer, 0, 0)) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *e = (const struct entry *)(const void *)(buffer + at);
            struct knit__procstat p;

            if (e->name[0] >= '1' && e->name[0] <= '9' && read_stat(e->name, &p))
                fn(&p);
            at += e->size;
        }
    }
    (void)CALL(close, fd, 0, 0, 0, 0);
}

static int self(void)
{
    return (int)CALL(getpid, 0, 0, 0, 0, 0);
}

static void kill_child(const struct knit__procstat *p)
{
    if (p->parent == self() && !knit__procstat_dead(p))
        (void)CALL(kill, p->pid, SIGKILL, 0, 0, 0);
}

static int was_asked(const struct knit__procstat *p)
{
    for (int i = 0; i < before_count; i++)
        if (before[i].pid == p->pid && before[i].start == p->start)
            return before[i].asked;
    return 0;
}

static void remember(const struct knit__procstat *p)
{
    if (known_count == MOST_KNOWN || knit__procstat_dead(p))
        return;
    known[known_count++] = (struct known){.pid = p->pid,
                                          .parent = p->parent,
                                          .mine = p->parent == self(),
                                          .asked = was_asked(p),
                                          .start = p->start};
}

static int parent_is_mine(const struct known *k)
{
    for (int i = 0; i < known_count; i++)
        if (known[i].pid == k->parent)
            return known[i].mine;
    return 0;
}

static void send_signal(long fd, int pid, int sig)
{
    if (fd >= 0)
        (void)CALL(pidfd_send_signal, fd, sig, 0, 0, 0);
    else
        (void)CALL(kill, pid, sig, 0, 0, 0); /* an old kernel */
}

/* A number may have got another owner since it was read: hold it, and look again. */
static void ask_to_end(const struct known *k)
{
    const long fd = CALL(pidfd_open, k->pid, 0, 0, 0, 0);
    struct knit__procstat now;
    char name[16], *at = name + sizeof name;

    *--at = 0;
    for (int n = k->pid; n > 0; n /= 10)
        *--at = (char)('0' + n % 10);
    if (read_stat(at, &now) && now.start == k->start) {
        send_signal(fd, k->pid, SIGTERM);
        send_signal(fd, k->pid, SIGCONT);
    }
    if (fd >= 0)
        (void)CALL(close, fd, 0, 0, 0, 0);
}

/* Each once: those who are started later hear of it in a later round. */
static void ask_all_to_end(void)
{
    struct known *last = known;
    int more = 1;

    known = before, before = last;
    before_count = known_count, known_count = 0;
    each_process(remember);
    while (more) {
        more = 0;
        for (int i = 0; i < known_count; i++)
            if (!known[i].mine && parent_is_mine(&known[i]))
                known[i].mine = more = 1;
    }
    for (int i = 0; i < known_count; i++)
        if (known[i].mine && !known[i].asked) {
            ask_to_end(&known[i]);
            known[i].asked = 1;
        }
}

/* ---- the command ---- */

/* Returns only when it cannot be executed: the first error that is not "not there". */
static long execute(const char *path, char **argv, char **envp)
{
    char file[4096], *end = file + sizeof file - 1;
    const char *slash = argv[0];
    long r, error = -ENOENT;

    while (*slash && *slash != '/')
        slash++;
    if (*slash)
        return CALL(execve, argv[0], argv, envp, 0, 0);
    for (;;) {
        char *at = file;

        while (*path && *path != ':' && at < end)
            *at++ = *path++;
        append(at > file ? append(at, end, "/") : at, end, argv[0]);
        r = CALL(execve, file, argv, envp, 0, 0);
        if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
            return r;
        if (r == -EACCES)
            error = r;
        if (*path != ':')
            return error;
        path++;
    }
}

static void become_command(const char *way, const char *path, char **argv, char **envp, long *error)
{
    const unsigned long long none = 0;

    if (way[0] == 's')
        (void)CALL(setsid, 0, 0, 0, 0, 0);
    else
        (void)CALL(setpgid, 0, 0, 0, 0, 0);
    (void)CALL(rt_sigprocmask, SIG_SETMASK, &none, 0, SIGNALS_SIZE, 0);
    *error = execute(path, argv, envp);
    (void)CALL(exit_group, EXIT_BROKEN, 0, 0, 0, 0);
}

/* Its pid, or why not. This process has few pages, so it is copied; CLONE_VFORK makes it wait. */
static long start(const char *way, const char *path, char **argv, char **envp)
{
    long *error = (long *)CALL6(mmap, 0, sizeof *error, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long pid;

    if ((unsigned long)error > -4096UL)
        return (long)error;
    pid = CALL(clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        become_command(way, path, argv, envp, error);
    return pid > 0 && *error != 0 ? *error : pid;
}

/* ---- the watch ---- */

/* A copy that is above the command's descriptors, of which some may be free. */
static int lift(long fd)
{
    const long copy = fd < 0 ? fd : CALL(fcntl, fd, F_DUPFD_CLOEXEC, guardian.control, 0, 0);

    if (fd >= 0)
        (void)CALL(close, fd, 0, 0, 0, 0);
    return (int)copy;
}

static int prepare(char **argv)
{
    const unsigned long long all = ~0ULL;
    const int program = (int)number_of(argv[2]);

    guardian.control = (int)number_of(argv[1]);
    guardian.grace = (long)number_of(argv[3]);
    (void)CALL(prctl, PR_SET_NAME, "knit-guardian", 0, 0, 0);
    (void)CALL(close, guardian.control + 1, 0, 0, 0, 0); /* this program's own file */
    (void)CALL(fcntl, guardian.control, F_SETFD, FD_CLOEXEC, 0, 0);
    (void)CALL(rt_sigprocmask, SIG_BLOCK, &all, 0, SIGNALS_SIZE, 0);
    guardian.signals = lift(CALL(signalfd4, -1, &all, SIGNALS_SIZE, SFD_CLOEXEC | SFD_NONBLOCK, 0));
    guardian.program = lift(CALL(pidfd_open, program, 0, 0, 0, 0));
    if (CALL(getppid, 0, 0, 0, 0, 0) != program || guardian.signals < 0)
        return 0; /* it is gone already */
    return CALL(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

static void begin_to_end(void)
{
    if (guardian.kill_at != 0)
        return;
    guardian.round_at = now_ms();
    guardian.kill_at = guardian.round_at + guardian.grace;
}

static void round_of_signals(void)
{
    const long long now = now_ms();

    if (guardian.kill_at == 0 || now < guardian.round_at)
        return;
    if (now < guardian.kill_at)
        ask_all_to_end();
    else
        each_process(kill_child);
    guardian.pause = guardian.pause == 0 ? FIRST_PAUSE : guardian.pause * 2;
    if (guardian.pause > LONGEST_PAUSE)
        guardian.pause = LONGEST_PAUSE;
    guardian.round_at = now + guardian.pause;
    if (now < guardian.kill_at && guardian.kill_at < guardian.round_at)
        guardian.round_at = guardian.kill_at;
}

/* One that was killed has given its children to the guardian: on with them. So a deep tree ends as fast
 * as its processes do, and the pauses grow only while none does. */
static void hurry(void)
{
    if (guardian.kill_at == 0 || now_ms() < guardian.kill_at)
        return;
    guardian.pause = 0;
    guardian.round_at = guardian.kill_at;
}

/* Reap. True: there is no child left. */
static int all_gone(void)
{
    long pid;
    int status;

    while ((pid = CALL(wait4, -1, &status, WNOHANG | __WALL, 0, 0)) > 0) {
        hurry();
        if (pid != guardian.command)
            continue;
        guardian.command = 0;
        guardian.status = status;
    }
    return pid == -ECHILD;
}

static void take_signals(void)
{
    struct signalfd_siginfo info;

    while (CALL(read, guardian.signals, &info, sizeof info, 0, 0) == (long)sizeof info)
        if (info.ssi_signo == SIGTERM)
            begin_to_end();
}

static void take_word(void)
{
    struct knit__guard_word word = {0, 0};
    const long n = CALL(read, guardian.control, &word, sizeof word, 0, 0);

    if (n == (long)sizeof word && word.kind == KNIT__GUARD_SIGNAL && guardian.command > 0)
        (void)CALL(kill, guardian.command, word.value, 0, 0, 0);
    if (n > 0 || n == -EAGAIN || n == -EINTR)
        return;
    (void)CALL(close, guardian.control, 0, 0, 0, 0);
    guardian.control = -1;
    begin_to_end();
}

/* Until something happens, or the next round is due. */
static void watch(void)
{
    struct pollfd fds[3] = {{.fd = guardian.signals, .events = POLLIN},
                            {.fd = guardian.control, .events = POLLIN},
                            {.fd = guardian.program, .events = POLLIN}};
    const long long left = guardian.round_at - now_ms();
    const long long ms = left > 0 ? left : 0;
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

    (void)CALL(ppoll, fds, 3, guardian.kill_at != 0 ? &ts : 0, 0, SIGNALS_SIZE);
    if (fds[0].revents)
        take_signals();
    if (fds[1].revents)
        take_word();
    if (fds[2].revents) {
        (void)CALL(close, guardian.program, 0, 0, 0, 0);
        guardian.program = -1;
        begin_to_end();
    }
}

static void watch_until_gone(void)
{
    while (!all_gone()) {
        if (guardian.command == 0)
            begin_to_end();
        round_of_signals();
        watch();
    }
}

int bare_main(long argc, char **argv, char **envp)
{
    long pid;

    if (argc < 7 || !prepare(argv))
        return EXIT_BROKEN;
    pid = start(argv[4], argv[5], argv + 6, envp);
    if (pid < 0) {
        say(KNIT__GUARD_FAILED, (int)pid);
        return EXIT_BROKEN;
    }
    guardian.command = (int)pid;
    say(KNIT__GUARD_STARTED, (int)pid);
    for (int fd = 0; fd < guardian.control; fd++) /* the ends of pipes are the command's alone */
        (void)CALL(close, fd, 0, 0, 0, 0);
    (void)CALL(chdir, "/", 0, 0, 0, 0);
    watch_until_gone();
    say(KNIT__GUARD_ENDED, guardian.status);
    return 0;
}

/* The first function: the stack is as the kernel made it. */
void bare_begin(long *stack)
{
    char **argv = (char **)(stack + 1);
    const int result = bare_main(stack[0], argv, argv + stack[0] + 1);

    (void)CALL(exit_group, result, 0, 0, 0, 0);
    for (;;)
        ;
}
