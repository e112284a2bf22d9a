/* Calls that block their thread inside tasks, marked by knit_blocking and unmarked: the tasks
 * behind them run while they are still blocked. No test measures time: what ends a blocked call is
 * always done by the tasks it would hold up. (Product: promise 6.) */
#include "knittest.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_TASKS = 1000 };

/* Calls that block until they are released. */
typedef struct stage {
    int fds[2];     /* a pipe: a byte releases one reader */
    FILE *file;     /* of the reading end */
    int blocked;    /* calls */
    atomic_int in;  /* calls begun */
    atomic_int ran; /* short tasks run */
    atomic_bool over;
    bool marked;
} stage;

static stage stage_new(bool marked)
{
    stage s = {.blocked = knit_workers(), .marked = marked};
    CHECK_INT(pipe(s.fds), 0);
    s.file = fdopen(s.fds[0], "r");
    CHECK(s.file != NULL);
    setvbuf(s.file, NULL, _IONBF, 0);
    return s;
}

static void stage_free(stage *s)
{
    fclose(s->file);
    close(s->fds[1]);
}

static void release(stage *s)
{
    for (int i = 0; i < s->blocked; i++)
        CHECK_INT(write(s->fds[1], "x", 1), 1);
    atomic_store(&s->over, true);
}

static int read_byte(void *arg)
{
    stage *s = arg;
    char byte;
    atomic_fetch_add(&s->in, 1);
    return read(s->fds[0], &byte, 1) == 1 ? 0 : -EIO;
}

static int fread_byte(void *arg)
{
    stage *s = arg;
    char byte;
    atomic_fetch_add(&s->in, 1);
    return fread(&byte, 1, 1, s->file) == 1 ? 0 : -EIO;
}

static int usleep_until_over(void *arg)
{
    stage *s = arg;
    const struct timespec ms20 = {.tv_nsec = 20 * 1000 * 1000};
    atomic_fetch_add(&s->in, 1);
    while (!atomic_load(&s->over))
        nanosleep(&ms20, NULL); /* a call that blocks its thread unmarked: that is the point */
    return 0;
}

static int spin_until_over(void *arg)
{
    stage *s = arg;
    atomic_fetch_add(&s->in, 1);
    while (!atomic_load(&s->over)) {
    }
    return 0;
}

/* The last of them releases the blocked calls. */
static int short_task(void *arg)
{
    stage *s = arg;
    if (atomic_fetch_add(&s->ran, 1) + 1 == SHORT_TASKS)
        release(s);
    return 0;
}

typedef struct call {
    stage *stage;
    knit_fn *fn;
} call;

static int block(void *arg)
{
    const call *c = arg;
    return c->stage->marked ? knit_blocking(c->fn, c->stage) : c->fn(c->stage);
}

/* As many blocked calls as workers, and short tasks: they run, or nothing ends. Tasks that a thread
 * started are behind the calls already; those of a task are started when all calls have begun, by a
 * task which was queued behind one of them itself. */
static void short_tasks_run_behind(knit_fn *fn, bool marked)
{
    stage s = stage_new(marked);
    call c = {&s, fn};
    knit_errgroup g = {0};
    for (int i = 0; i < s.blocked; i++)
        CHECK_INT(knit_errgroup_go(&g, block, &c), 0);
    if (knit_in_task())
        kt_until(atomic_load(&s.in) == s.blocked);
    for (int i = 0; i < SHORT_TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, short_task, &s), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(s.ran, SHORT_TASKS);
    CHECK_INT(s.in, s.blocked);
    stage_free(&s);
}

static void tasks_run_behind_a_marked_read(void)
{
    short_tasks_run_behind(read_byte, true);
}

static void tasks_run_behind_an_unmarked_read(void)
{
    short_tasks_run_behind(read_byte, false);
}

/* fread holds the FILE's lock: one blocks in read, the others in the lock. */
static void tasks_run_behind_an_unmarked_fread(void)
{
    short_tasks_run_behind(fread_byte, false);
}

static void tasks_run_behind_an_unmarked_nanosleep(void)
{
    short_tasks_run_behind(usleep_until_over, false);
}

static void tasks_run_behind_a_marked_computation(void)
{
    short_tasks_run_behind(spin_until_over, true);
}

static void tasks_run_behind_an_unmarked_computation(void)
{
    short_tasks_run_behind(spin_until_over, false);
}

/* Short tasks that come only when all workers are blocked already. */
static void short_tasks_come_later(knit_fn *fn, bool marked)
{
    stage s = stage_new(marked);
    call c = {&s, fn};
    knit_errgroup calls = {0}, g = {0};
    for (int i = 0; i < s.blocked; i++)
        CHECK_INT(knit_errgroup_go(&calls, block, &c), 0);
    kt_until(atomic_load(&s.in) == s.blocked);
    for (int i = 0; i < SHORT_TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, short_task, &s), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_errgroup_wait(&calls), 0);
    CHECK_INT(s.ran, SHORT_TASKS);
    stage_free(&s);
}

static void tasks_that_come_later_run_too(void)
{
    short_tasks_come_later(read_byte, true);
    short_tasks_come_later(read_byte, false);
    short_tasks_come_later(spin_until_over, false);
}

/* The first bytes come from a task that slept on a worker which blocked meanwhile. */
static int sleep_then_release(void *arg)
{
    int r = knit_sleep(5 * KNIT_MILLISECOND);
    release(arg);
    return r;
}

static void timers_of_blocked_workers_fire(void)
{
    for (int marked = 0; marked < 2; marked++) {
        stage s = stage_new(marked);
        call c = {&s, read_byte};
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, sleep_then_release, &s), 0);
        for (int i = 0; i < s.blocked; i++)
            CHECK_INT(knit_errgroup_go(&g, block, &c), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        stage_free(&s);
    }
}

static int pause_here(void *unused)
{
    (void)unused;
    pause();
    return -EINTR;
}

static int be_interrupted(void *over)
{
    knit_ctx_scope scope;
    knit_ctx *ctx;
    int r;
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), KNIT_MILLISECOND, &ctx), 0);
    CHECK_INT(knit_ctx_enter(ctx, &scope), 0);
    do
        r = knit_blocking_interruptible(pause_here, NULL);
    while (r == -EINTR);
    CHECK_INT(r, -ETIMEDOUT);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(ctx);
    atomic_store((atomic_bool *)over, true);
    return 0;
}

static int stay_busy(void *over)
{
    kt_until(atomic_load((atomic_bool *)over));
    return 0;
}

/* Nobody runs dry, so nobody searches: the deadline counts all the same. It once came seconds late,
 * which the rounds together have no time for. */
static void timers_of_blocked_workers_fire_behind_busy_ones(void)
{
    for (int round = 0; round < kt_count(20); round++) {
        atomic_bool over = false;
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, be_interrupted, &over), 0);
        CHECK_INT(knit_errgroup_go(&g, stay_busy, &over), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
}

/* A task that is woken by a plain thread while its worker blocks. */
static int wait_at_gate_then_release(void *arg)
{
    void **args = arg;
    int r = kt_gate_wait(*(kt_gate *)args[0]);
    release(args[1]);
    return r;
}

static void open_gate(void *arg)
{
    void **args = arg;
    stage *s = args[1];
    while (atomic_load(&s->in) < s->blocked)
        (void)knit_yield();
    kt_gate_open(*(kt_gate *)args[0]);
}

static void a_thread_wakes_a_task_of_a_blocked_worker(void)
{
    for (int marked = 0; marked < 2; marked++) {
        stage s = stage_new(marked);
        call c = {&s, read_byte};
        kt_gate gate = kt_gate_new();
        void *args[] = {&gate, &s};
        knit_errgroup g = {0};
        kt_thread *opener;
        CHECK_INT(knit_errgroup_go(&g, wait_at_gate_then_release, args), 0);
        for (int i = 0; i < s.blocked; i++)
            CHECK_INT(knit_errgroup_go(&g, block, &c), 0);
        opener = kt_thread_start(open_gate, args);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        kt_thread_join(opener);
        kt_gate_free(gate);
        stage_free(&s);
    }
}

/* A named FIFO, as a shell would use it: opening it blocks as well. */
typedef struct fifo {
    char dir[64], path[80];
} fifo;

static int write_fifo(void *arg)
{
    FILE *f = fopen(((fifo *)arg)->path, "w");
    CHECK(f != NULL);
    CHECK_INT(fwrite("hello", 1, 5, f), 5);
    fclose(f);
    return 0;
}

static int read_fifo(void *arg)
{
    char text[8] = "";
    FILE *f = fopen(((fifo *)arg)->path, "r");
    CHECK(f != NULL);
    CHECK_INT(fread(text, 1, sizeof text, f), 5);
    fclose(f);
    CHECK_INT(memcmp(text, "hello", 5), 0);
    return 0;
}

static void both_ends_of_a_fifo_may_be_tasks(void)
{
    fifo f = {"/tmp/knit_fifo_XXXXXX", ""};
    knit_errgroup g = {0};
    CHECK(mkdtemp(f.dir) != NULL);
    snprintf(f.path, sizeof f.path, "%s/fifo", f.dir);
    CHECK_INT(mkfifo(f.path, 0600), 0);
    CHECK_INT(knit_errgroup_go(&g, write_fifo, &f), 0);
    CHECK_INT(knit_errgroup_go(&g, read_fifo, &f), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    unlink(f.path);
    rmdir(f.dir);
}

static int resolve(void *arg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int r = getaddrinfo("localhost", "80", &hints, &found);
    if (r == 0) {
        CHECK(found != NULL);
        freeaddrinfo(found);
    }
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0; /* a machine without a resolver has no names: what counts is that it came back */
}

static int resolve_marked(void *arg)
{
    return knit_blocking(resolve, arg);
}

static void getaddrinfo_works_in_tasks(void)
{
    atomic_int done = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(knit_errgroup_go(&g, resolve, &done), 0);
        CHECK_INT(knit_errgroup_go(&g, resolve_marked, &done), 0);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(done, 8);
}

/* ---- the markers ----------------------------------------------------------------------------- */

static int return_seven(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    errno = ENOTTY;
    return 7;
}

static void the_result_and_errno_are_those_of_the_function(void)
{
    atomic_int called = 0;
    errno = 0;
    CHECK_INT(knit_blocking(return_seven, &called), 7);
    CHECK_INT(errno, ENOTTY);
    CHECK_INT(called, 1);
    CHECK_INT(knit_blocking(NULL, NULL), -EINVAL);
    CHECK_INT(knit_blocking_interruptible(NULL, NULL), -EINVAL);
    CHECK_INT(knit_blocking_interruptible(return_seven, &called), 7);
    CHECK_INT(called, 2);
}

static void enter_and_leave_nest(void)
{
    CHECK_INT(knit_blocking_leave(), knit_in_task() ? -EPERM : 0);
    CHECK_INT(knit_blocking_enter(), 0);
    CHECK_INT(knit_blocking_enter(), 0);
    CHECK_INT(knit_blocking_leave(), 0);
    errno = EBADF;
    CHECK_INT(knit_blocking_leave(), 0);
    CHECK_INT(errno, EBADF);
    CHECK_INT(knit_blocking_leave(), knit_in_task() ? -EPERM : 0);
}

static int forget_to_leave(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_blocking_enter();
}

static int leave_without_enter(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    CHECK_INT(knit_blocking_leave(), -EPERM);
    return 0;
}

static void a_task_that_ends_has_left(void)
{
    atomic_int ran = 0;
    for (int i = 0; i < 100; i++) {
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, forget_to_leave, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(knit_errgroup_go(&g, leave_without_enter, &ran), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
    }
    CHECK_INT(ran, 200);
}

static int park_in_a_region(void *arg)
{
    CHECK_INT(knit_sleep(KNIT_MILLISECOND), 0);
    (void)knit_yield();
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static int mark_and_park(void *arg)
{
    return knit_blocking(park_in_a_region, arg);
}

static void a_task_may_park_in_a_region(void)
{
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 50; i++)
        CHECK_INT(knit_errgroup_go(&g, mark_and_park, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 50);
    short_tasks_run_behind(read_byte, true);
}

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* A marked call inside a child run by its waiting parent, many times: the books stay right. */
static int tree(void *arg)
{
    knit_errgroup g = {0};
    for (int i = 0; i < 5; i++) {
        CHECK_INT(knit_errgroup_go(&g, count_up, arg), 0);
        CHECK_INT(knit_blocking(count_up, arg), 0);
    }
    return knit_errgroup_wait(&g);
}

static void many_marked_calls_lose_no_task(void)
{
    const int n = kt_count(2000);
    atomic_int ran = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < n; i++)
        CHECK_INT(knit_errgroup_go(&g, tree, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(ran, 10 * n);
}

/* ---- statistics ------------------------------------------------------------------------------ */

static uint64_t total(uint64_t (*of)(const knit_blocking_site *), const char *what)
{
    knit_blocking_site sites[128];
    uint64_t sum = 0;
    int n = knit_blocking_sites(sites, 128);
    CHECK(n >= 0 && n <= 128);
    for (int i = 0; i < n; i++) {
        if (!what || (sites[i].site && strcmp(sites[i].site->what, what) == 0))
            sum += of(&sites[i]);
    }
    return sum;
}

static uint64_t calls_of(const knit_blocking_site *s)
{
    return s->calls;
}

static uint64_t handoffs_of(const knit_blocking_site *s)
{
    return s->handoffs;
}

static uint64_t blocked_of(const knit_blocking_site *s)
{
    return s->blocked;
}

static uint64_t computed_of(const knit_blocking_site *s)
{
    return s->computed;
}

static void calls_are_counted_by_site(void)
{
    CHECK_INT(knit_blocking_sites(NULL, 1), -EINVAL);
    uint64_t before = total(calls_of, "c->fn");
    short_tasks_come_later(read_byte, true);
    CHECK_INT(total(calls_of, "c->fn") - before, knit_workers());
}

/* Tasks that are queued behind a call when it begins. */
static int start_short_then_block(void *arg)
{
    stage *s = arg;
    knit_errgroup g = {0};
    for (int i = 0; i < SHORT_TASKS; i++)
        CHECK_INT(knit_errgroup_go(&g, short_task, s), 0);
    CHECK_INT(knit_blocking(read_byte, s), 0);
    return knit_errgroup_wait(&g);
}

static void a_handoff_is_counted(void)
{
    uint64_t before = total(handoffs_of, "read_byte");
    for (int i = 0; total(handoffs_of, "read_byte") == before; i++) {
        stage s = stage_new(true);
        knit_errgroup g = {0};
        s.blocked = 1;
        CHECK_INT(knit_errgroup_go(&g, start_short_then_block, &s), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        stage_free(&s);
    }
}

/* Long enough for the monitor to sleep for good; a real sleep is the point. */
static int rest(void *arg)
{
    const struct timespec ts = {.tv_nsec = 100 * 1000 * 1000};
    (void)arg;
    return nanosleep(&ts, NULL);
}

static int write_byte(void *arg)
{
    const int *fds = arg;
    return write(fds[1], "x", 1) == 1 ? 0 : -EIO;
}

static int rest_then_block(void *arg)
{
    const int *fds = arg;
    knit_errgroup g = {0};
    char c;
    CHECK_INT(knit_blocking(rest, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, write_byte, arg), 0);
    CHECK_INT(read(fds[0], &c, 1), 1);
    return knit_errgroup_wait(&g);
}

/* The monitor does not look at marked calls; it must again at what comes after. */
static void an_unmarked_call_after_a_marked_one_is_noticed(void)
{
    int fds[2];
    knit_errgroup g = {0};
    CHECK_INT(pipe(fds), 0);
    CHECK_INT(knit_errgroup_go(&g, rest_then_block, fds), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(close(fds[0]) + close(fds[1]), 0);
}

/* ---- Knit's own functions within a marked call ---- */

typedef struct inside {
    int fds[2];
    knit_errgroup g;
    knit_chan *ch;
    atomic_bool parked;
} inside;

static int rest_start_and_block(void *arg)
{
    inside *in = arg;
    char c;
    CHECK_INT(rest(NULL), 0);
    CHECK_INT(knit_errgroup_go(&in->g, write_byte, in->fds), 0);
    return read(in->fds[0], &c, 1) == 1 ? 0 : -EIO;
}

static int call_it(void *arg)
{
    return knit_blocking(rest_start_and_block, arg);
}

static void run_inside(knit_fn *first, knit_fn *second)
{
    inside in = {.parked = false};
    CHECK_INT(pipe(in.fds), 0);
    CHECK_INT(knit_chan_new(0, 0, &in.ch), 0);
    CHECK_INT(knit_errgroup_go(&in.g, first, &in), 0);
    if (second)
        CHECK_INT(knit_errgroup_go(&in.g, second, &in), 0);
    CHECK_INT(knit_errgroup_wait(&in.g), 0);
    knit_chan_unref(in.ch);
    CHECK_INT(close(in.fds[0]) + close(in.fds[1]), 0);
}

/* Nobody looks at a marked call; what it starts must be told to somebody. */
static void what_a_marked_call_starts_runs_while_it_blocks(void)
{
    run_inside(call_it, NULL);
}

static int recv_it(void *arg)
{
    inside *in = arg;
    atomic_store(&in->parked, true);
    return knit_chan_recv(in->ch, NULL);
}

static int park_in_a_call(void *arg)
{
    return knit_blocking(recv_it, arg);
}

static int block_then_tell(void *arg)
{
    inside *in = arg;
    kt_until(atomic_load(&in->parked));
    CHECK_INT(rest_start_and_block(in), 0);
    return knit_chan_send(in->ch, NULL);
}

/* It has said that it blocks, not the one that runs on its thread then. */
static void who_runs_when_a_marked_call_parks_is_noticed(void)
{
    run_inside(park_in_a_call, block_then_tell);
}

/* A worker that was noticed and has not looked around since is not noticed again, so: until. */
static void noticed_ones_are_counted(void)
{
    uint64_t blocked = total(blocked_of, NULL), computed = total(computed_of, NULL);
    while (total(blocked_of, NULL) == blocked)
        short_tasks_come_later(read_byte, false);
    while (total(computed_of, NULL) == computed)
        short_tasks_come_later(spin_until_over, false);
}

static void the_dump_names_the_site(void)
{
    char text[4096];
    int fds[2];
    ssize_t n;
    short_tasks_run_behind(read_byte, true);
    CHECK_INT(pipe(fds), 0);
    CHECK_INT(knit_blocking_dump(fds[1]), 0);
    close(fds[1]);
    n = read(fds[0], text, sizeof text - 1);
    CHECK(n > 0);
    text[n] = 0;
    close(fds[0]);
    CHECK_HAS(text, "test_blocking.c");
    CHECK_HAS(text, "c->fn");
    CHECK_INT(knit_blocking_dump(-1), -EIO);
}

static const knittest tests[] = {
    BOTH(tasks_run_behind_a_marked_read),
    BOTH(tasks_run_behind_an_unmarked_read),
    BOTH(tasks_run_behind_an_unmarked_fread),
    BOTH(tasks_run_behind_an_unmarked_nanosleep),
    BOTH(tasks_run_behind_a_marked_computation),
    BOTH(tasks_run_behind_an_unmarked_computation),
    THREAD(tasks_that_come_later_run_too),
    BOTH(timers_of_blocked_workers_fire),
    THREAD(timers_of_blocked_workers_fire_behind_busy_ones),
    THREAD(a_thread_wakes_a_task_of_a_blocked_worker),
    BOTH(both_ends_of_a_fifo_may_be_tasks),
    BOTH(getaddrinfo_works_in_tasks),
    BOTH(the_result_and_errno_are_those_of_the_function),
    BOTH(enter_and_leave_nest),
    BOTH(a_task_that_ends_has_left),
    BOTH(a_task_may_park_in_a_region),
    BOTH(many_marked_calls_lose_no_task),
    THREAD(calls_are_counted_by_site),
    THREAD(a_handoff_is_counted),
    BOTH(an_unmarked_call_after_a_marked_one_is_noticed),
    BOTH(what_a_marked_call_starts_runs_while_it_blocks),
    BOTH(who_runs_when_a_marked_call_parks_is_noticed),
    THREAD(noticed_ones_are_counted),
    BOTH(the_dump_names_the_site),
};

KNITTEST_MAIN(tests)
