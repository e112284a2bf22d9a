/* The driver of libcurl. See fetch.h for the whole, curl_multi_socket_action(3) for the calls. */
#define _GNU_SOURCE
#include "fetch.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <knit/errno.h> /* last: a task may go on on another thread after a wait */

struct message {
    struct transfer *transfer;
    bool cancel; /* else: start it */
};

enum { INBOX = 64, EVENTS = 64 };

/* ---- what libcurl calls: in the driver, inside of curl_multi_... ---- */

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    (void)easy;
    (void)unused;
    const struct client *c = arg;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL); /* it may be closed already */
        return 0;
    }
    struct epoll_event event = {.data.fd = fd};
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    if (errno == ENOENT && epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    return -1;
}

static int timer_changed(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct client *c = arg;
    c->timer = ms < 0 ? KNIT_FOREVER : knit_now() + ms * KNIT_MILLISECOND;
    return 0;
}

/* ---- transfers ---- */

static void transfer_link(struct client *c, struct transfer *t)
{
    t->next = c->active;
    t->link = &c->active;
    if (t->next)
        t->next->link = &t->next;
    c->active = t;
}

/* After the answer the request may free the transfer. */
static void transfer_answer(struct client *c, struct transfer *t, CURLcode code)
{
    curl_multi_remove_handle(c->multi, t->easy);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    (void)knit_chan_try_send(t->done, &code); /* there is room */
}

static void transfer_begin(struct client *c, struct transfer *t)
{
    transfer_link(c, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK)
        transfer_answer(c, t, CURLE_OUT_OF_MEMORY);
}

/* A transfer that has been answered already is not found: it may be gone, so it is not looked at. A
 * new one in its place cannot be meant, since its own first message comes after this one. */
static void transfer_cancel(struct client *c, const struct transfer *wanted)
{
    struct transfer *t = c->active;
    while (t && t != wanted)
        t = t->next;
    if (t)
        transfer_answer(c, t, CURLE_ABORTED_BY_CALLBACK);
}

static void inbox_empty(struct client *c)
{
    struct message m;
    while (knit_chan_try_recv(c->inbox, &m) == 0) {
        if (m.cancel)
            transfer_cancel(c, m.transfer);
        else
            transfer_begin(c, m.transfer);
    }
}

static void answer_finished(struct client *c)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        CURLcode code = m->data.result; /* m is gone with the handle */
        struct transfer *t = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        transfer_answer(c, t, code);
    }
}

/* ---- the task ---- */

static int act(struct client *c, curl_socket_t fd, int what)
{
    int running;
    CURLMcode code = curl_multi_socket_action(c->multi, fd, what, &running);
    return code == CURLM_OK ? 0 : knit_error(-EIO, "libcurl: %s", curl_multi_strerror(code));
}

static int act_on_socket(struct client *c, const struct epoll_event *event)
{
    if (event->data.fd == c->wake) {
        (void)knit_event_wait(c->wake, 0);
        inbox_empty(c);
        return 0;
    }
    int what = 0;
    if (event->events & EPOLLIN)
        what |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (event->events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    return act(c, event->data.fd, what);
}

/* One wait, and what came of it. The deadline is the task's own: no context of it has one. */
static int drive_once(struct client *c)
{
    int r = knit_wait_fd(c->epoll, KNIT_READABLE, c->timer);
    if (r < 0 && r != -ETIMEDOUT)
        return r;

    struct epoll_event events[EVENTS];
    int n = r < 0 ? 0 : epoll_wait(c->epoll, events, EVENTS, 0);
    r = n < 0 && errno != EINTR ? -errno : 0;
    for (int i = 0; i < n && r == 0; i++)
        r = act_on_socket(c, &events[i]);
    if (r == 0 && c->timer <= knit_now()) {
        c->timer = KNIT_FOREVER; /* it is good for one call; libcurl sets it again */
        r = act(c, CURL_SOCKET_TIMEOUT, 0);
    }
    answer_finished(c);
    return r;
}

static int drive(void *arg)
{
    struct client *c = arg;
    int r;
    do
        r = drive_once(c);
    while (r == 0);

    /* Nobody is left when client_stop has ended it. After a failure some may be: they are answered,
     * and no more messages are taken. */
    knit_chan_close(c->inbox);
    inbox_empty(c);
    while (c->active)
        transfer_answer(c, c->active, CURLE_ABORTED_BY_CALLBACK);
    return r;
}

/* ---- what the requests call ---- */

static int tell(struct client *c, struct transfer *t, bool cancel)
{
    int r = knit_chan_send(c->inbox, &(struct message){.transfer = t, .cancel = cancel});
    if (r == 0)
        (void)knit_event_set(c->wake);
    return r;
}

int client_perform(struct client *c, struct transfer *t, CURLcode *ret_code)
{
    int r = tell(c, t, false);
    if (r < 0)
        return r;
    r = knit_chan_recv(t->done, ret_code);
    if (r == 0)
        return 0;

    /* The context has ended. The background context never does, so under it the wait for the answer
     * is no matter of a cancel: it is short. */
    CURLcode late;
    knit_ctx_scope scope;
    knit_ctx_enter(knit_ctx_background(), &scope);
    (void)tell(c, t, true); /* -EPIPE: the driver has failed, and answered */
    (void)knit_chan_recv(t->done, &late);
    knit_ctx_leave(&scope);
    return r;
}

static int client_init(struct client *c)
{
    int r = knit_chan_new(sizeof(struct message), INBOX, &c->inbox);
    if (r < 0)
        return r;
    c->wake = knit_event_new();
    if (c->wake < 0)
        return c->wake;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = c->wake};
    if (c->epoll < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->wake, &event) < 0)
        return -errno;
    c->multi = curl_multi_init();
    if (!c->multi)
        return -ENOMEM;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return 0;
}

static void client_fini(struct client *c)
{
    curl_multi_cleanup(c->multi); /* closes its sockets, so the set must still be there */
    if (c->epoll >= 0)
        knit_close(c->epoll);
    if (c->wake >= 0)
        knit_close(c->wake);
    knit_chan_unref(c->inbox);
}

int client_start(struct client *c)
{
    *c = (struct client){.wake = -1, .epoll = -1, .timer = KNIT_FOREVER};
    int r = client_init(c);
    if (r == 0)
        r = knit_errgroup_init(&c->group,
                               &(knit_errgroup_options){.name = "libcurl", .stack = LIBRARY_STACK});
    if (r == 0)
        r = knit_errgroup_go(&c->group, drive, c);
    if (r < 0)
        client_fini(c);
    return r;
}

int client_stop(struct client *c)
{
    int r = knit_errgroup_close(&c->group);
    client_fini(c);
    return r;
}
