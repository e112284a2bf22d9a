/* The test harness. See knittest.h.
 *
 * Two processes a test: the runner forks, prints and counts; the child runs one test between the
 * two halves of the fixture and tells its verdict by how it ends. A check that fails ends the child
 * at once, whatever thread or stack it is on, so nothing here needs a lock. */
#include "runner.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FD_MAX = 1024 };

static _Atomic(const char *) note;
static bool fork_off;

/* ---- failing --------------------------------------------------------------------------------- */

/* One write, so that lines of several threads do not mix. */
void knittest_say(const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t size = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    if (write(STDERR_FILENO, line, size) < 0)
        return;
}

static _Noreturn void end_failed(void)
{
    const char *words = atomic_load_explicit(&note, memory_order_relaxed);
    uint64_t seed;
    if (words)
        knittest_say("#   with: %s\n", words);
    if (knit_simulated(&seed))
        knittest_say("#   with: KNIT_SIM=%llu\n", (unsigned long long)seed);
    if (fork_off)
        knittest_say("Bail out! (CK_FORK=no: a failure ends the run)\n");
    _exit(KNITTEST_FAIL);
}

_Noreturn void knittest_fail(const char *file, int line, const char *text)
{
    knittest_say("# %s:%d: does not hold: %s\n#   in %s\n", file, line, text, knit_task_name());
    end_failed();
}

static const char *errno_words(long long code)
{
    return code < 0 && code > -4096 ? knit_strerror((int)code) : "";
}

_Noreturn void knittest_fail_int(const char *file, int line, const char *text, long long got,
                                 long long want)
{
    knittest_say("# %s:%d: does not hold: %s\n#   got %lld %s, want %lld %s\n#   in %s\n", file,
                 line, text, got, errno_words(got), want, errno_words(want), knit_task_name());
    end_failed();
}

void knittest_check_has(const char *file, int line, const char *got, const char *want)
{
    if (got && strstr(got, want))
        return;
    knittest_say("# %s:%d: \"%s\"\n#   does not contain \"%s\"\n", file, line, got ? got : "(null)",
                 want);
    end_failed();
}

_Noreturn void kt_skip(const char *why)
{
    knittest_say("# skipped: %s\n", why);
    if (fork_off)
        knittest_say("Bail out! (CK_FORK=no: cannot skip from inside a test)\n");
    _exit(KNITTEST_SKIP);
}

void kt_note(const char *words)
{
    atomic_store_explicit(&note, words, memory_order_relaxed);
}

/* ---- amounts, random numbers ----------------------------------------------------------------- */

static double env_number(const char *name, double fallback)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return fallback;
    char *end;
    double value = strtod(text, &end);
    return *end || value < 0 ? fallback : value;
}

double kt_scale(void)
{
    double scale = env_number("KNIT_TEST_SCALE", 1);
    return scale < 1 ? 1 : scale;
}

/* In a simulated run, where the next seed draws what the next round would. */
static int few(int n, int part)
{
    return n > 4 ? 3 + (n + part - 1) / part : n;
}

int kt_count(int n)
{
    if (knit_simulated(NULL))
        return few(n, 4096);
    int scaled = (int)(n / kt_scale());
    int least = n < 10 ? n : 10;
    return scaled < least ? least : scaled;
}

int kt_some(int n)
{
    return knit_simulated(NULL) ? few(n, 32) : n;
}

int kt_live(int n)
{
    if (knit_simulated(NULL))
        return few(n, 256);
    int live = kt_count(n);
    return KT_TSAN && live > 1500 ? 1500 : live;
}

/* splitmix64 */
uint64_t kt_next(kt_rng *rng)
{
    uint64_t z = (rng->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

unsigned kt_below(kt_rng *rng, unsigned n)
{
    return (unsigned)((kt_next(rng) >> 32) * n >> 32);
}

uint64_t kt_seed(void)
{
    static char words[64];
    const char *text = getenv("KNIT_SEED");
    uint64_t seed;
    if (text && *text) {
        seed = strtoull(text, NULL, 0);
    } else {
        kt_rng rng = {(uint64_t)knit_now() ^ (uint64_t)getpid() << 32};
        if (knit_simulated(&rng.state)) /* all of such a run comes from its seed */
            rng.state = ~rng.state;
        seed = kt_next(&rng) >> 16;
    }
    snprintf(words, sizeof words, "KNIT_SEED=%llu", (unsigned long long)seed);
    knittest_say("# %s\n", words);
    kt_note(words);
    return seed;
}

/* ---- gates, threads, child processes --------------------------------------------------------- */

kt_gate kt_gate_new(void)
{
    kt_gate gate = {NULL};
    CHECK_INT(knit_chan_new(0, 0, &gate.ch), 0);
    return gate;
}

int kt_gate_wait(kt_gate gate)
{
    int r = knit_chan_recv(gate.ch, NULL);
    return r == -EPIPE ? 0 : r;
}

void kt_gate_open(kt_gate gate)
{
    CHECK_INT(knit_chan_close(gate.ch), 0);
}

void kt_gate_free(kt_gate gate)
{
    knit_chan_unref(gate.ch);
}

struct kt_thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    atomic_bool ended;
    kt_gate end; /* in a simulated run */
};

static void *thread_main(void *arg)
{
    kt_thread *thread = arg;
    bool simulated = knit_simulated(NULL);
    if (simulated)
        (void)knit_yield(); /* join the simulation first, so that the seed decides about the rest */
    thread->fn(thread->arg);
    if (simulated)
        kt_gate_open(thread->end);
    atomic_store_explicit(&thread->ended, true, memory_order_release); /* kt_thread_join */
    return NULL;
}

kt_thread *kt_thread_start(void (*fn)(void *arg), void *arg)
{
    kt_thread *thread = calloc(1, sizeof *thread);
    CHECK(thread);
    thread->fn = fn;
    thread->arg = arg;
    if (knit_simulated(NULL)) {
        (void)knit_yield(); /* the simulation begins before there are other threads */
        thread->end = kt_gate_new();
    }
    CHECK_INT(pthread_create(&thread->id, NULL, thread_main, thread), 0);
    return thread;
}

/* Also under an ended context. */
static void await_gate(kt_gate gate)
{
    knit_ctx_scope scope;
    CHECK_INT(knit_ctx_enter(knit_ctx_background(), &scope), 0);
    CHECK_INT(kt_gate_wait(gate), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
}

void kt_thread_join(kt_thread *thread)
{
    /* In the simulated world a join that sleeps in the kernel is found out only after a while. */
    if (knit_simulated(NULL)) {
        await_gate(thread->end);
        kt_gate_free(thread->end);
        kt_until(atomic_load_explicit(&thread->ended, memory_order_acquire));
    }
    /* The thread may be waiting for a task that only this worker can run. */
    if (knit_in_task())
        kt_until(atomic_load_explicit(&thread->ended, memory_order_acquire));
    CHECK_INT(pthread_join(thread->id, NULL), 0);
    free(thread);
}

static void alarm_after(double seconds)
{
    alarm(seconds > 0 ? (unsigned)(seconds * kt_scale() + 0.5) : 0);
}

/* As a shell does: its exit status, or minus the signal. */
int knittest_reap(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -SIGCHLD;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int kt_child(int (*body)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm_after(20);
        exit(body(arg));
    }
    return knittest_reap(pid);
}

/* ---- the fixture ----------------------------------------------------------------------------- */

static int do_nothing(void *arg)
{
    (void)arg;
    return knit_sleep(1);
}

/* What the runtime opens at first use is not the test's. */
static void warm_up(void)
{
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, do_nothing, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
}

/* One call for all of them: at a call each they would take as long as many a test. */
static void list_fds(bool open[FD_MAX])
{
    struct pollfd asked[FD_MAX];
    struct rlimit limit = {.rlim_cur = 0};
    nfds_t n = FD_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < n)
        n = (nfds_t)limit.rlim_cur; /* poll refuses more */
    for (int fd = 0; fd < FD_MAX; fd++)
        asked[fd] = (struct pollfd){.fd = fd};
    bool known = poll(asked, n, 0) >= 0;
    for (nfds_t fd = 0; fd < FD_MAX; fd++)
        open[fd] = known && fd < n && !(asked[fd].revents & POLLNVAL);
}

static void name_fd(int fd, char *ret_name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, ret_name, size - 1);
    ret_name[n > 0 ? n : 0] = 0;
}

/* The library's own, from the first wait for a descriptor until exit: an epoll set and its bell. One
 * of each that was not there before may be them. */
static bool is_the_poller(int fd, bool *set, bool *bell)
{
    char name[256];
    name_fd(fd, name, sizeof name);
    bool *which = strcmp(name, "anon_inode:[eventpoll]") == 0 ? set
                  : strcmp(name, "anon_inode:[eventfd]") == 0 ? bell
                                                              : NULL;
    if (!which || *which)
        return false;
    return *which = true;
}

/* The first descriptor that is open now and was not; -1: none. */
static int new_fd(const bool before[FD_MAX])
{
    bool after[FD_MAX], set = false, bell = false;
    list_fds(after);
    for (int fd = 0; fd < FD_MAX; fd++) {
        if (after[fd] && !before[fd] && !is_the_poller(fd, &set, &bell))
            return fd;
    }
    return -1;
}

/* The library's monitor opens a file of /proc for a moment now and then, and may lose its processor
 * before it closes that: hence the poll, and the patience with such a file. */
static void check_fds(const bool before[FD_MAX])
{
    char target[256];
    struct timespec pause = {.tv_nsec = 1000 * 1000};
    if (knit_simulated(NULL))
        (void)knit_yield(); /* who has joined a thread runs beside others, who open such files */
    int fd = new_fd(before);
    for (int tries = 0; fd >= 0; tries++) {
        name_fd(fd, target, sizeof target);
        bool passing = strncmp(target, "/proc/", 6) == 0 || target[0] == 0;
        if (tries > (passing ? 10000 * kt_scale() : 100))
            break;
        nanosleep(&pause, NULL);
        fd = new_fd(before);
    }
    if (fd < 0)
        return;
    knittest_say("# fd %d was left open: %s\n", fd, target);
    end_failed();
}

/* Every stack but those of the workers' loops is home. A worker gives the last one back a moment
 * after the last wait returned, hence the poll. */
static void check_stacks(void)
{
    knit_runtime_counts counts;
    uint64_t loops;
    knit_time give_up = knit_now() + (knit_duration)(10 * kt_scale()) * KNIT_SECOND;
    for (;;) {
        CHECK_INT(knit_runtime_stats(&counts), 0);
        loops = (uint64_t)knit_workers() + counts.spares;
        if (counts.stacks_in_use == 0 || counts.stacks_in_use <= loops)
            return;
        if (knit_now() > give_up)
            break;
        CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    }
    knittest_say("# %llu stacks are in use after the test, %llu are the workers'\n",
                 (unsigned long long)counts.stacks_in_use, (unsigned long long)loops);
    end_failed();
}

static int call_test(void *arg)
{
    const knittest *t = arg;
    t->fn();
    return 0;
}

void knittest_run_here(const knittest *t)
{
    static bool fds[FD_MAX]; /* the runner's thread only */
    double seconds = env_number("KNIT_TEST_SECONDS", 30);
    alarm_after(seconds);
    kt_note(NULL);
    if (!(t->flags & KNITTEST_COLD))
        warm_up();
    list_fds(fds);

    if (t->flags & KNITTEST_IN_TASK) {
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, call_test, (void *)(uintptr_t)t), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    } else {
        t->fn();
    }

    if (!(t->flags & KNITTEST_COLD))
        check_fds(fds);
    check_stacks();
    alarm(0);
}

/* ---- the runner ------------------------------------------------------------------------------ */

int knittest_run_apart(const knittest *t)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return KNITTEST_FAIL;
    }
    if (pid == 0) {
        setpgid(0, 0);
        knittest_run_here(t);
        exit(0); /* not _exit: sanitizers and gcov report at exit */
    }
    setpgid(pid, pid); /* both sides, whoever is first */
    int status = knittest_reap(pid);
    kill(-pid, SIGKILL); /* children the test left behind */
    return status;
}

/* KNITTEST_SKIP with *ret_why for what this way of running cannot do. */
static int run_one(const knittest *t, const char **ret_why)
{
    *ret_why = "";
    if (!fork_off)
        return knittest_run_apart(t);
    if (t->flags & KNITTEST_ALONE) {
        *ret_why = "needs a process of its own";
        return KNITTEST_SKIP;
    }
    knittest_run_here(t);
    return 0;
}

bool knittest_wanted(const knittest *t, const knittest_list *list)
{
    for (int i = 0; i < list->n_words; i++) {
        if (strstr(t->name, list->words[i]))
            return true;
    }
    return list->n_words == 0;
}

static void print_ending(int status)
{
    if (status == -SIGALRM)
        printf("# did not end in time\n");
    else if (status < 0)
        printf("# killed by signal %d, %s\n", -status, strsignal(-status));
    else if (status != KNITTEST_FAIL)
        printf("# exit status %d\n", status);
}

static double seconds_now(void)
{
    struct timespec ts; /* not knit_now: the runner itself never enters the library */
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static int print_names(const knittest_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        puts(list->tests[i].name);
    return 0;
}

static int run_list(const knittest_list *list)
{
    const knittest *tests = list->tests;
    size_t n = list->n, total = 0, failed = 0, skipped = 0, number = 0;
    for (size_t i = 0; i < n; i++)
        total += knittest_wanted(&tests[i], list);
    printf("TAP version 13\n1..%zu\n", total);
    double start = seconds_now();
    for (size_t i = 0; i < n; i++) {
        if (!knittest_wanted(&tests[i], list))
            continue;
        const char *why;
        double t0 = seconds_now();
        int status = run_one(&tests[i], &why);
        bool ok = status == 0 || status == KNITTEST_SKIP;
        printf("%sok %zu - %s", ok ? "" : "not ", ++number, tests[i].name);
        if (status == KNITTEST_SKIP)
            printf(" # SKIP %s", why);
        printf(seconds_now() - t0 > 1 ? " # %.1f s\n" : "\n", seconds_now() - t0);
        failed += !ok;
        skipped += status == KNITTEST_SKIP;
        if (!ok)
            print_ending(status);
        fflush(stdout);
    }
    printf("# %zu passed, %zu failed, %zu skipped, %.1f s\n", number - failed - skipped, failed,
           skipped, seconds_now() - start);
    return failed || !total ? 1 : 0;
}

int knittest_main(int argc, char **argv, const knittest *tests, size_t n)
{
    knittest_list list = {tests, n, argv + 1, argc > 1 ? argc - 1 : 0};
    const char *mode = getenv("CK_FORK");
    fork_off = mode && strcmp(mode, "no") == 0;
    if (argc > 1 && strcmp(argv[1], "-l") == 0)
        return print_names(&list);
    if (argc > 3 && strcmp(argv[1], "--seeds") == 0) {
        list.words += 3;
        list.n_words -= 3;
        return knittest_seeds(&list, strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
    }
    return run_list(&list);
}
