/* Moving a command's input and output. See pump.h. */
#define _GNU_SOURCE
#include "pump.h"

#include "fd.h"

#include <knit/ctx.h>
#include <knit/io.h>
#include <knit/task.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <knit/errno.h> /* these functions park between calls that set errno */

enum { CHILD = 3 }; /* among the numbers of the pipes: 0 input, 1 output, 2 errors */

/* Out of the set by hand: a close does not do it while a child of a fork holds a copy. */
static void drop(struct knit__pump *p, int *fd)
{
    if (*fd < 0)
        return;
    if (p->set >= 0)
        (void)epoll_ctl(p->set, EPOLL_CTL_DEL, *fd, NULL);
    close(*fd);
    *fd = -1;
}

/* ---- moving ---- */

static ssize_t write_some(struct knit__pump *p)
{
    struct knit__no_sigpipe guard;
    ssize_t n;

    knit__sigpipe_off(&guard);
    do
        n = write(p->input, p->input_at, p->input_left);
    while (n < 0 && errno == EINTR);
    n = n < 0 ? -errno : n;
    knit__sigpipe_on(&guard, n == -EPIPE);
    return n;
}

static void move_input(struct knit__pump *p)
{
    ssize_t n = p->input_left > 0 ? write_some(p) : 0;

    if (n > 0) {
        p->input_at += n;
        p->input_left -= (size_t)n;
    }
    if (n != -EAGAIN && (n < 0 || p->input_left == 0))
        drop(p, &p->input); /* all of it, or nobody reads any more */
}

/* on_line is called under the context of the run, also while the tree is ended under another: what it
 * waits for ends with that context, and never holds up the end. */
static void add_lines(struct knit__pump *p, struct knit__outlet *o, size_t n)
{
    knit_ctx_scope scope;

    knit_ctx_enter(p->ctx, &scope);
    p->error = knit__lines_add(&o->lines, n);
    knit_ctx_leave(&scope);
}

static void end_lines(struct knit__pump *p, struct knit__outlet *o)
{
    knit_ctx_scope scope;

    if (p->error != 0 || o->captured)
        return;
    knit_ctx_enter(p->ctx, &scope);
    p->error = knit__lines_end(&o->lines);
    knit_ctx_leave(&scope);
}

/* After an error what comes is read and dropped: the command need not wait for us. */
static void take(struct knit__pump *p, struct knit__outlet *o, size_t n)
{
    if (p->error != 0)
        o->lines.used = 0;
    else if (o->captured)
        p->error = knit__capture_add(&o->capture, o->buffer, n);
    else
        add_lines(p, o, n);
}

/* How many bytes were read; 0: there was nothing. */
static size_t move_output(struct knit__pump *p, struct knit__outlet *o)
{
    ssize_t n;

    do
        n = read(o->fd, o->buffer + o->lines.used, knit__lines_room(&o->lines));
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        take(p, o, (size_t)n);
        return (size_t)n;
    }
    if (n < 0 && errno == EAGAIN)
        return 0;
    drop(p, &o->fd);
    end_lines(p, o);
    return 0;
}

/* ---- waiting ---- */

static int watch(struct knit__pump *p, int fd, uint32_t events, uint32_t number)
{
    struct epoll_event event = {.events = events, .data.u32 = number};

    return fd >= 0 && epoll_ctl(p->set, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void child_ended(struct knit__pump *p, struct knit__child *c)
{
    if (!knit__child_has_ended(c))
        return;
    if (p->watches_child)
        (void)epoll_ctl(p->set, EPOLL_CTL_DEL, c->spawned.pidfd, NULL);
    p->watches_child = false;
}

static void move(struct knit__pump *p, struct knit__child *c)
{
    struct epoll_event events[4];
    int n = epoll_wait(p->set, events, 4, 0);

    for (int i = 0; i < n; i++) {
        const uint32_t number = events[i].data.u32;

        if (number == CHILD)
            child_ended(p, c);
        else if (number == 0)
            move_input(p);
        else
            (void)move_output(p, &p->outlets[number - 1]);
    }
}

static bool has_pipes(const struct knit__pump *p)
{
    return p->set >= 0 && (p->input >= 0 || p->outlets[0].fd >= 0 || p->outlets[1].fd >= 0);
}

/* One wait, and what came of it: 0, or what ended the wait. A command that never stops writing ends
 * none of its waits by parking: others run in between, and the deadline counts all the same. */
static int step(struct knit__pump *p, struct knit__child *c, knit_time deadline)
{
    const knit_time look = knit_now() + KNIT__CHILD_LOOK;
    const bool blind = !c->ended && !p->watches_child && look < deadline;
    int r = knit_wait_fd(p->set, KNIT_READABLE, blind ? look : deadline);

    if (r >= 0) {
        move(p, c);
        if (knit_in_task())
            (void)knit_yield();
        if (knit_now() >= deadline)
            return -ETIMEDOUT;
    }
    if (blind && knit__child_has_ended(c))
        return 0;
    return r < 0 && !(blind && r == -ETIMEDOUT) ? r : 0;
}

static int pump_wait(struct knit__attend *attend, struct knit__child *c, knit_time deadline)
{
    struct knit__pump *p = (struct knit__pump *)(void *)attend;
    const bool before = c->ended;
    int r = 0;

    while (r == 0 && c->ended == before) {
        if (!has_pipes(p))
            return before ? knit__child_rest(deadline) : knit__child_wait(c, deadline);
        r = step(p, c, deadline);
        if (r < 0 && r != -ETIMEDOUT &&
            r != -ECANCELED) /* short of something, and yet to be ended */
            return before ? knit__child_rest(deadline) : knit__child_wait(c, deadline);
    }
    return r;
}

int knit__pump_run(struct knit__pump *p, struct knit__child *c)
{
    int r = 0;

    while (r == 0 && !c->ended && p->error == 0)
        r = has_pipes(p) ? step(p, c, KNIT_FOREVER) : knit__child_wait(c, KNIT_FOREVER);
    return r;
}

/* ---- begin and end ---- */

static int init_outlet(struct knit__outlet *o, int number, int fd, int what,
                       const knit_command *command)
{
    o->fd = fd;
    if (fd < 0)
        return 0;
    o->captured = what == KNIT_STDIO_CAPTURE;
    o->capture.keep = command->keep ? command->keep : KNIT_COMMAND_KEEP;
    o->buffer = malloc(KNIT_COMMAND_LINE + 1);
    o->lines = (struct knit__lines){
        .buffer = o->buffer, .stream = number, .fn = command->on_line, .arg = command->on_line_arg};
    return o->buffer ? 0 : -ENOMEM;
}

static int make_set(struct knit__pump *p, const struct knit__child *c)
{
    int r;

    p->set = epoll_create1(EPOLL_CLOEXEC);
    if (p->set < 0)
        return -errno;
    r = watch(p, p->input, EPOLLOUT, 0);
    for (uint32_t i = 0; i < 2 && r == 0; i++)
        r = watch(p, p->outlets[i].fd, EPOLLIN, i + 1);
    if (r == 0)
        r = watch(p, c->spawned.pidfd, EPOLLIN, CHILD);
    p->watches_child = r == 0 && c->spawned.pidfd >= 0;
    return r;
}

int knit__pump_init(struct knit__pump *p, struct knit__child *c, const knit_command *command)
{
    int *ends = c->spawned.ends, r;

    *p = (struct knit__pump){.attend = {pump_wait},
                             .ctx = knit_ctx_current(),
                             .set = -1,
                             .input = ends[0],
                             .input_at = command->input,
                             .input_left = command->input_size};
    r = init_outlet(&p->outlets[0], 1, ends[1], command->out, command);
    if (init_outlet(&p->outlets[1], 2, ends[2], command->err, command) < 0)
        r = -ENOMEM;
    if (r == 0 && (ends[0] >= 0 || ends[1] >= 0 || ends[2] >= 0))
        r = make_set(p, c);
    ends[0] = ends[1] = ends[2] = -1; /* ours now */
    return r;
}

/* What is in the pipe by now, and no more: who holds it open may write faster than it is read. */
static void drain(struct knit__pump *p, struct knit__outlet *o)
{
    int there = 0;
    size_t left, n;

    if (o->fd < 0 || !o->buffer || ioctl(o->fd, FIONREAD, &there) < 0)
        return;
    for (left = (size_t)there; o->fd >= 0; left -= n < left ? n : left) {
        n = move_output(p, o);
        if (n == 0 || n >= left)
            return;
    }
}

int knit__pump_drain(struct knit__pump *p, knit_command_result *ret)
{
    knit_captured *captured[2] = {&ret->out, &ret->err};

    for (int i = 0; i < 2; i++) {
        struct knit__outlet *o = &p->outlets[i];

        drain(p, o);
        if (o->fd >= 0) /* somebody else holds it open */
            end_lines(p, o);
        if (o->captured && knit__capture_take(&o->capture, captured[i]) < 0 && p->error == 0)
            p->error = -ENOMEM;
    }
    return p->error;
}

void knit__pump_fini(struct knit__pump *p)
{
    if (p->set >= 0)
        close(p->set); /* with all that is in it */
    p->set = -1;
    drop(p, &p->input);
    for (int i = 0; i < 2; i++) {
        drop(p, &p->outlets[i].fd);
        free(p->outlets[i].buffer);
        free(p->outlets[i].capture.data);
    }
}
