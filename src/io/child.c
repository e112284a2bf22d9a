/* The life of a started command. See child.h. */
#define _GNU_SOURCE
#include "child.h"

#include "guardian.h"

#include <knit/blocking.h>
#include <knit/ctx.h>
#include <knit/io.h>
#include <knit/task.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <knit/errno.h> /* these functions park between calls that set errno */

#define FIRST_LOOK (KNIT_MILLISECOND / 2) /* between looks at what is left, doubled each time */
#define GUARDIAN_TIME (5 * KNIT_SECOND)   /* for its own work, besides the grace */
#define GIVE_UP (10 * KNIT_SECOND)        /* on processes that SIGKILL does not end: the kernel's */
#define UNSEEN                                                                                     \
    (50 * KNIT_MILLISECOND) /* the same and four graces, when nothing can be looked for */

static knit_time after(knit_duration d)
{
    const knit_time now = knit_now();

    return d > KNIT_FOREVER - now ? KNIT_FOREVER : now + d;
}

static knit_time sooner(knit_time a, knit_time b)
{
    return a < b ? a : b;
}

/* ---- start ---- */

struct start {
    const knit_command *command;
    struct knit__child *child;
};

static int spawn(void *arg)
{
    struct start *s = arg;

    return knit__spawn(s->command, &s->child->tree, &s->child->spawned);
}

static void close_all(struct knit__child *c)
{
    int *const fds[] = {&c->spawned.pidfd, &c->spawned.control, &c->spawned.ends[0],
                        &c->spawned.ends[1], &c->spawned.ends[2]};

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* The guardian has started; has the command? */
static int await_command(struct knit__child *c)
{
    knit_command_result ignored;
    knit_ctx_scope scope;
    int r;

    knit_ctx_enter(knit_ctx_background(), &scope); /* some 100 us; simpler than half a start */
    r = knit__guardian_first(c->spawned.control);
    if (r < 0) {
        close(c->spawned.control); /* if it has not ended, it will now, with all below it */
        c->spawned.control = -1;
        (void)knit__child_wait(c, KNIT_FOREVER);
        knit__child_finish(c, &knit__child_attend); /* it was killed before it could say a word */
        (void)knit__child_result(c, true, &ignored);
    }
    knit_ctx_leave(&scope);
    if (r > 0)
        c->pid = r;
    return r < 0 ? r : 0;
}

static int explain_start(int r, const knit_command *command)
{
    if (command->directory && (r == -ENOENT || r == -ENOTDIR || r == -EACCES) &&
        access(command->directory, X_OK) < 0)
        return knit_error(r, "%s: directory %s", command->argv[0], command->directory);
    return knit_error(r, "%s", command->argv[0]);
}

int knit__child_start(struct knit__child *c, const knit_command *command)
{
    struct start s = {command, c};
    int r = knit_ctx_err(knit_ctx_current());

    if (r < 0)
        return r;
    *c = (struct knit__child){.flags = command->flags,
                              .grace = command->grace ? command->grace : KNIT_COMMAND_GRACE};
    snprintf(c->name, sizeof c->name, "%s", command->argv[0]);
    knit__tree_begin(&c->tree);
    r = knit_blocking(spawn, &s);
    if (r == 0) {
        c->pid = c->spawned.root;
        if (c->spawned.control >= 0)
            r = await_command(c);
    }
    return r < 0 ? explain_start(r, command) : 0;
}

/* ---- wait ---- */

static int sleep_in_thread(void *until)
{
    const struct timespec ts = {.tv_sec = *(knit_time *)until / KNIT_SECOND,
                                .tv_nsec = *(knit_time *)until % KNIT_SECOND};

    return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int knit__child_rest(knit_time until)
{
    int r = knit_sleep_until(until);

    return r == -ENOMEM ? knit_blocking(sleep_in_thread, &until) : r;
}

/* By the pidfd, which is nobody else's; by the number where the kernel cannot. */
static int wait_for_root(const struct knit__child *c, siginfo_t *info, int flags)
{
    int r = -1;

    if (c->spawned.pidfd >= 0)
        r = waitid(P_PIDFD, (id_t)c->spawned.pidfd, info, WEXITED | flags);
    if (c->spawned.pidfd < 0 || (r < 0 && errno == EINVAL))
        r = waitid(P_PID, (id_t)c->spawned.root, info, WEXITED | flags);
    return r < 0 ? -errno : 0;
}

bool knit__child_runs(const struct knit__child *c)
{
    siginfo_t info = {0};

    return wait_for_root(c, &info, WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

bool knit__child_has_ended(struct knit__child *c)
{
    siginfo_t info = {0};
    int r = c->ended ? 0 : wait_for_root(c, &info, WNOHANG | WNOWAIT);

    if (r == -ECHILD)
        c->ended = c->tree.lost = true;
    else if (r == 0 && info.si_pid != 0)
        c->ended = true;
    return c->ended;
}

/* Where there is no pidfd, or no waiting for it: look again and again. */
static int look_until(struct knit__child *c, knit_time deadline)
{
    knit_duration pause = FIRST_LOOK;
    int r = 0;

    while (r == 0 && !knit__child_has_ended(c)) {
        if (knit_now() >= deadline)
            return -ETIMEDOUT;
        r = knit__child_rest(sooner(deadline, after(pause)));
        pause = pause < KNIT__CHILD_LOOK ? pause * 2 : KNIT__CHILD_LOOK;
    }
    return r;
}

int knit__child_wait(struct knit__child *c, knit_time deadline)
{
    int r;

    if (c->ended)
        return 0;
    if (c->spawned.pidfd < 0)
        return look_until(c, deadline);
    r = knit_wait_fd(c->spawned.pidfd, KNIT_READABLE, deadline);
    if (r >= 0)
        (void)knit__child_has_ended(c); /* is it still ours? */
    if (r < 0 && r != -ETIMEDOUT && r != -ECANCELED)
        return look_until(c, deadline); /* short of something: a command must be waited for */
    return r < 0 ? r : 0;
}

static int just_wait(struct knit__attend *attend, struct knit__child *c, knit_time deadline)
{
    (void)attend;
    return c->ended ? knit__child_rest(deadline) : knit__child_wait(c, deadline);
}

struct knit__attend knit__child_attend = {just_wait};

/* ---- the end of the tree ---- */

struct look {
    struct knit__child *child;
    enum knit__tree_action action;
    size_t left;
};

static int look(void *arg)
{
    struct look *l = arg;

    l->left = knit__tree_walk(&l->child->tree, l->action);
    l->child->unseen = l->left == KNIT__TREE_UNSEEN;
    if (l->child->unseen && l->child->spawned.control >= 0)
        l->left = 0; /* it had a guardian, which has seen to them */
    return 0;
}

/* A walk through /proc: how many are left besides the root. */
static size_t look_around(struct knit__child *c, enum knit__tree_action action)
{
    struct look l = {.child = c, .action = action};

    (void)knit_blocking(look, &l);
    return l.left;
}

/* Two walks: the first may miss a process that is started by one that ends, while it is under way. */
static bool all_gone(struct knit__child *c, enum knit__tree_action action)
{
    return c->ended && look_around(c, action) == 0 && look_around(c, action) == 0;
}

/* True: all have gone by themselves. */
static bool gone_within(struct knit__child *c, knit_time deadline, struct knit__attend *attend)
{
    knit_duration pause = FIRST_LOOK;

    while (!c->ended)
        if (attend->wait(attend, c, deadline) < 0 && knit_now() >= deadline)
            return false;
    while (!all_gone(c, KNIT__TREE_ASK)) { /* who was started meanwhile must hear of it too */
        if (knit_now() >= deadline)
            return false;
        (void)attend->wait(attend, c, sooner(deadline, after(pause)));
        pause = pause < KNIT__CHILD_LOOK ? pause * 2 : KNIT__CHILD_LOOK;
    }
    return true;
}

/* With what is left when all has got SIGKILL. */
static knit_duration patience(const struct knit__child *c)
{
    const knit_duration grace = c->grace > 0 ? c->grace : 0;

    return c->unseen && grace < GIVE_UP / 4 ? UNSEEN + 4 * grace : GIVE_UP;
}

static void kill_all(struct knit__child *c, struct knit__attend *attend)
{
    knit_duration pause = FIRST_LOOK;
    knit_time ended = KNIT_FOREVER;

    while (!all_gone(c, KNIT__TREE_KILL)) {
        if (!c->ended)
            (void)look_around(c, KNIT__TREE_KILL);
        else if (ended == KNIT_FOREVER)
            ended = knit_now();
        else if (knit_now() - ended > patience(c))
            return;
        (void)attend->wait(attend, c, after(pause));
        pause = pause < KNIT__CHILD_LOOK ? pause * 2 : KNIT__CHILD_LOOK;
    }
}

static void end_tree(struct knit__child *c, struct knit__attend *attend)
{
    const bool guarded = c->spawned.control >= 0 && !c->ended;
    knit_time deadline = after(c->grace > 0 ? c->grace : 0);

    if (guarded && deadline < KNIT_FOREVER - GUARDIAN_TIME)
        deadline += GUARDIAN_TIME;
    if (guarded)
        (void)kill(c->spawned.root, SIGTERM); /* it does all of this by itself */
    else if (c->grace > 0)
        (void)look_around(c, KNIT__TREE_ASK);
    if ((guarded || c->grace > 0) && gone_within(c, deadline, attend))
        return;
    kill_all(c, attend);
}

static bool is_left(struct knit__child *c)
{
    const enum knit__sign left = knit__tree_left(&c->tree);

    return left == KNIT__PERHAPS ? look_around(c, KNIT__TREE_LOOK) > 0 : left == KNIT__YES;
}

void knit__child_finish(struct knit__child *c, struct knit__attend *attend)
{
    const bool leave = (c->flags & KNIT_COMMAND_LEAVE) != 0;
    knit_ctx_scope scope;

    if (c->ended && (leave || !is_left(c)))
        return;
    knit_ctx_enter(knit_ctx_background(), &scope);
    end_tree(c, attend);
    knit_ctx_leave(&scope);
}

/* ---- the result ---- */

static void fill(knit_command_result *ret, int status, int signal, bool core)
{
    ret->status = signal ? -1 : status;
    ret->signal = signal;
    ret->core = core;
}

/* Of the command itself, from its guardian, who says it once. */
static bool guardian_says(struct knit__child *c, knit_command_result *ret)
{
    if (c->spawned.control >= 0 && !c->said)
        c->said = knit__guardian_last(c->spawned.control, &c->status);
    if (!c->said)
        return false;
    if (WIFEXITED(c->status))
        fill(ret, WEXITSTATUS(c->status), 0, false);
    else
        fill(ret, 0, WTERMSIG(c->status), WCOREDUMP(c->status));
    return true;
}

int knit__child_result(struct knit__child *c, bool reap, knit_command_result *ret)
{
    siginfo_t info = {0};
    int r;

    ret->pid = c->pid;
    if (reap)
        knit__tree_end(&c->tree);
    do
        r = c->tree.lost ? -ECHILD : wait_for_root(c, &info, reap ? 0 : WNOWAIT);
    while (r == -EINTR);
    if (r == 0 && !guardian_says(c, ret))
        fill(ret, info.si_status, info.si_code == CLD_EXITED ? 0 : info.si_status,
             info.si_code == CLD_DUMPED);
    if (reap)
        close_all(c);
    if (r < 0)
        return -ECHILD;
    return ret->status == 0 ? 0 : KNIT_COMMAND_FAILED;
}

/* The last line of what it wrote as errors, for a text: at most so much of it. */
static int last_line(const knit_captured *errors, const char **ret_line)
{
    enum { MOST = 200 };
    const char *data = errors->data;
    size_t end = errors->size, begin;

    while (end > 0 && (data[end - 1] == '\n' || data[end - 1] == '\r'))
        end--;
    begin = end;
    while (begin > 0 && data[begin - 1] != '\n')
        begin--;
    *ret_line = data + begin;
    return (int)(end - begin < MOST ? end - begin : MOST);
}

int knit__child_explain(const struct knit__child *c, int r, const knit_command_result *result)
{
    const char *line = "";
    int length = 0;

    if (r != KNIT_COMMAND_FAILED)
        return r < 0 ? knit_error(r, "%s", c->name) : r;
    if (result->err.data)
        length = last_line(&result->err, &line);
    if (result->signal)
        return knit_error(r, "%s: killed by SIG%s%s%.*s", c->name,
                          sigabbrev_np(result->signal) ? sigabbrev_np(result->signal) : "",
                          length ? ": " : "", length, line);
    return knit_error(r, "%s: exit status %d%s%.*s", c->name, result->status, length ? ": " : "",
                      length, line);
}
