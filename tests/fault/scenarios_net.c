/* Sockets. See scenarios.h. */
#include "tally.h"

#include <stdio.h>

typedef struct caller {
    tally tally; /* first */
    int listener;
    char text[KNIT_ADDRESS_TEXT];
} caller;

static knit_time soon(void)
{
    return expect_success ? KNIT_FOREVER : knit_now() + 20 * KNIT_MILLISECOND;
}

/* A descriptor, or a failure that was to be expected. */
static int bear_fd(int r)
{
    if (r >= 0)
        return r;
    CHECK(!expect_success);
    CHECK(r == -ETIMEDOUT || r == -EMFILE || r == -ENFILE || bear(r) != 0);
    return r;
}

static int take_call(void *arg)
{
    caller *c = arg;
    int fd = bear_fd(knit_accept_until(c->listener, soon(), NULL));
    if (fd >= 0)
        CHECK_INT(knit_close(fd), 0);
    atomic_fetch_add(&c->tally.ran, 1);
    return fd >= 0 ? 0 : -ENOMEM;
}

/* Two addresses, one of which nobody listens at: a race. */
static int call_this_machine(void *arg)
{
    caller *c = arg;
    int fd = bear_fd(knit_dial_until("tcp", c->text, soon()));
    if (fd >= 0)
        CHECK_INT(knit_close(fd), 0);
    atomic_fetch_add(&c->tally.ran, 1);
    return fd >= 0 ? 0 : -ENOMEM;
}

/* A service must be looked up; there is no such. */
static void look_up(void)
{
    knit_address *list = NULL;
    int r = knit_resolve("tcp", "127.0.0.1:no-such-service", &list);
    if (r != -EINVAL)
        CHECK(bear_fd(r) < 0);
    CHECK(!list);
}

void sockets(void)
{
    caller c = {.listener = bear_fd(knit_listen("tcp4", "127.0.0.1:0"))};
    knit_address at;
    if (c.listener < 0)
        return;
    CHECK_INT(knit_local_address(c.listener, &at), 0);
    snprintf(c.text, sizeof c.text, ":%d", knit_address_port(&at));
    start(&c.tally, take_call, &c);
    start(&c.tally, call_this_machine, &c);
    finish(&c.tally);
    look_up();
    CHECK_INT(knit_close(c.listener), 0);
}
