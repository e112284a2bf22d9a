/* Seeds: the same one gives the same run, others give others; a planted lost wake-up is found within
 * 10,000 of them, reported as a deadlock with its seed, and found again with that seed.
 *
 * Every run is a process of its own: this program again, with KNIT_SIM set and the name of the
 * part to play as its argument. Without one it is the test. */
#include "knittest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SEEDS = 10000, DEADLOCK = 97, CALM_SEEDS = 100 };

/* ---- the parts ---- */

/* A bell that can be rung once. The planted bug: it is heard only by who is known to wait, and who
 * is about to wait is not known yet. `careful` looks once more after saying so (Dekker). */
struct bell {
    atomic_bool rung, waited_for;
    bool careful;
    knit_chan *wake;
};

static int wait_for_bell(void *arg)
{
    struct bell *b = arg;

    if (atomic_load(&b->rung))
        return 0;
    knit_sim_point();
    atomic_store(&b->waited_for, true);
    if (b->careful && atomic_load(&b->rung))
        return 0;
    return knit_chan_recv(b->wake, NULL) == -EPIPE ? 0 : -EPROTO;
}

static int ring_bell(void *arg)
{
    struct bell *b = arg;

    atomic_store(&b->rung, true);
    if (atomic_load(&b->waited_for))
        CHECK_INT(knit_chan_close(b->wake), 0);
    return 0;
}

static void ring_in_thread(void *arg)
{
    ring_bell(arg);
}

static int play_bell(bool careful)
{
    struct bell b = {.careful = careful};
    knit_errgroup g = {0};

    (void)knit_yield(); /* the first call, before there are other threads */
    CHECK_INT(knit_chan_new(0, 0, &b.wake), 0);
    kt_thread *ringer = kt_thread_start(ring_in_thread, &b);
    CHECK_INT(knit_errgroup_go(&g, wait_for_bell, &b), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    kt_thread_join(ringer);
    knit_chan_unref(b.wake);
    return 0;
}

static int pass_on(void *arg)
{
    knit_chan *ch = *(knit_chan **)arg;
    int item, r = knit_chan_recv(ch, &item);

    if (r == 0 && ++item < 40)
        r = knit_chan_send(ch, &item);
    return knit_sleep(1000) < 0 ? -EPROTO : r;
}

/* A bit of everything that waits; the channel is the caller's. */
static knit_chan *start_crowd(knit_errgroup *g, int n)
{
    knit_chan *ch;
    int first = 0;

    CHECK_INT(knit_chan_new(sizeof(int), 2, &ch), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go_copy(g, pass_on, &ch, sizeof ch), 0);
    CHECK_INT(knit_chan_send(ch, &first), 0);
    return ch;
}

static int play_crowd(void)
{
    knit_errgroup g = {0};
    knit_chan *ch = start_crowd(&g, 20);

    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(ch);
    return 0;
}

/* A thread that is not in the simulated world yet has a lock of the program's for a time that is never
 * the same, and the thread that is simulated wants it. */
static struct {
    pthread_mutex_t lock;
    atomic_bool has_it;
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void compute_for_ns(int64_t ns)
{
    struct timespec begun, now;

    clock_gettime(CLOCK_MONOTONIC, &begun);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begun.tv_sec) * INT64_C(1000000000) + now.tv_nsec - begun.tv_nsec < ns);
}

static void *keep_the_lock(void *unused)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    CHECK_INT(pthread_mutex_lock(&meeting.lock), 0);
    atomic_store(&meeting.has_it, true);
    compute_for_ns(now.tv_nsec % 10000000);
    CHECK_INT(pthread_mutex_unlock(&meeting.lock), 0);
    (void)knit_yield();
    return unused;
}

static int play_meeting(void)
{
    knit_errgroup g = {0};
    knit_chan *ch = start_crowd(&g, 10);

    for (int i = 0; i < 5; i++) {
        pthread_t other;
        atomic_store(&meeting.has_it, false);
        CHECK_INT(pthread_create(&other, NULL, keep_the_lock, NULL), 0);
        while (!atomic_load(&meeting.has_it))
            sched_yield();
        CHECK_INT(pthread_mutex_lock(&meeting.lock), 0);
        CHECK_INT(pthread_mutex_unlock(&meeting.lock), 0);
        (void)knit_yield();
        CHECK_INT(pthread_join(other, NULL), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(ch);
    return 0;
}

/* ---- playing them ---- */

struct run {
    int status;       /* exit status, or minus a signal */
    char words[4096]; /* on stderr */
};

static char self_path[4096];

/* A deadlock ends the program while its other thread may have ended and cannot be joined. */
static void expect_thread_leaks(void)
{
    const char *options = getenv("TSAN_OPTIONS");
    char text[512];

    snprintf(text, sizeof text, "%s report_thread_leaks=0", options ? options : "");
    setenv("TSAN_OPTIONS", text, 1);
}

static void play(const char *part, int seed, struct run *ret_run)
{
    int fds[2], status;
    size_t used = 0;
    ssize_t n;

    CHECK_INT(pipe(fds), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char text[32];

        snprintf(text, sizeof text, "%d", seed);
        setenv("KNIT_SIM", text, 1);
        setenv("KNIT_SIM_TRACE", "-", 1);
        expect_thread_leaks();
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        alarm((unsigned)(30 * kt_scale()));
        execl(self_path, self_path, "play", part, (char *)NULL);
        _exit(126);
    }
    close(fds[1]);
    while ((n = read(fds[0], ret_run->words + used, sizeof ret_run->words - 1 - used)) > 0)
        used += (size_t)n;
    ret_run->words[used] = 0;
    close(fds[0]);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    ret_run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void check_same(const struct run *a, const struct run *b)
{
    CHECK_INT(a->status, b->status);
    CHECK(strcmp(a->words, b->words) == 0);
}

static void check_replays(const char *part)
{
    static struct run a, b, last;
    int others = 0;

    for (int seed = 1; seed <= 20; seed++) {
        play(part, seed, &a);
        play(part, seed, &b);
        CHECK_INT(a.status, 0);
        CHECK_HAS(a.words, "trace");
        check_same(&a, &b);
        others += seed > 1 && strcmp(strstr(a.words, "trace"), strstr(last.words, "trace")) != 0;
        last = a;
    }
    CHECK_INT(others, 19);
}

static void the_same_seed_gives_the_same_run(void)
{
    check_replays("crowd");
}

static void who_waits_for_a_thread_outside_is_waited_for(void)
{
    check_replays("meeting");
}

static void a_planted_lost_wakeup_is_found_and_replays(void)
{
    static struct run found, again;
    char seed_line[32];
    int seed = 0;

    do {
        CHECK(++seed <= SEEDS);
        play("bell", seed, &found);
        CHECK(found.status == 0 || found.status == DEADLOCK);
    } while (found.status == 0);

    snprintf(seed_line, sizeof seed_line, "KNIT_SIM=%d\n", seed);
    CHECK_HAS(found.words, "deadlock");
    CHECK_HAS(found.words, seed_line);
    CHECK_HAS(found.words, "wait_for_bell"); /* the task that waits */
    for (int i = 0; i < 3; i++) {
        play("bell", seed, &again);
        check_same(&found, &again);
    }
}

static void without_the_bug_nothing_is_found(void)
{
    static struct run run;

    for (int seed = 1; seed <= CALM_SEEDS; seed++) {
        play("careful bell", seed, &run);
        CHECK_INT(run.status, 0);
    }
}

static const knittest tests[] = {
    ALONE(the_same_seed_gives_the_same_run),
    ALONE(who_waits_for_a_thread_outside_is_waited_for),
    ALONE(a_planted_lost_wakeup_is_found_and_replays),
    ALONE(without_the_bug_nothing_is_found),
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "play") == 0) {
        if (strcmp(argv[2], "crowd") == 0)
            return play_crowd();
        if (strcmp(argv[2], "meeting") == 0)
            return play_meeting();
        return play_bell(strcmp(argv[2], "careful bell") == 0);
    }
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
    self_path[n > 0 ? n : 0] = 0;
    unsetenv("KNIT_SIM"); /* who plays is simulated, not who looks on */
    return knittest_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
