/* Descriptors. See scenarios.h. */
#include "tally.h"

#include <signal.h>
#include <unistd.h>

typedef struct talk {
    tally tally; /* first */
    int pipe[2], event;
} talk;

/* One that would wait for ever if its partner failed gives up. */
static knit_time soon(void)
{
    return expect_success ? KNIT_FOREVER : knit_now() + 20 * KNIT_MILLISECOND;
}

static int bear_io(ssize_t r, ssize_t good)
{
    if (r == good)
        return 0;
    CHECK(r < 0 && (r == -ETIMEDOUT || r == -EMFILE || r == -ENFILE || bear((int)r) != 0));
    CHECK(!expect_success);
    return (int)r;
}

static int listen_to_it(void *arg)
{
    talk *t = arg;
    char words[5];
    int r = bear_io(knit_read_full_until(t->pipe[0], words, sizeof words, soon(), NULL), 0);
    if (r == 0)
        r = bear_io(knit_event_wait(t->event, soon()), 1);
    if (r == 0)
        r = bear_io(knit_wait_fd(t->pipe[1], KNIT_WRITABLE, soon()), KNIT_WRITABLE);
    atomic_fetch_add(&t->tally.ran, 1);
    return r == 0 || expect_success ? r : -ENOMEM;
}

static int say_it(void *arg)
{
    talk *t = arg;
    int r = bear(knit_yield());
    if (r == 0)
        r = bear_io(knit_write(t->pipe[1], "hello", 5), 5);
    CHECK_INT(knit_event_set(t->event), 0);
    atomic_fetch_add(&t->tally.ran, 1);
    return r == 0 || expect_success ? r : -ENOMEM;
}

void descriptors(void)
{
    talk t = {.pipe = {-1, -1}};
    int file, r = bear_io(knit_pipe(t.pipe), 0);
    if (r != 0)
        return;
    t.event = knit_event_new();
    if (t.event >= 0) {
        start(&t.tally, listen_to_it, &t);
        start(&t.tally, say_it, &t);
        finish(&t.tally);
        CHECK_INT(knit_close(t.event), 0);
    } else {
        bear_io(t.event, 0);
    }
    file = knit_open("/proc/self/stat", 0, 0);
    if (file >= 0) {
        (void)bear_io(knit_copy(file, t.pipe[1], 10, NULL), 0);
        CHECK_INT(knit_close(file), 0);
    } else {
        bear_io(file, 0);
    }
    CHECK_INT(knit_close(t.pipe[0]), 0);
    CHECK_INT(knit_close(t.pipe[1]), 0);
}

/* By default nothing happens because of SIGWINCH: it may come when there is no subscription. */
void signals(void)
{
    static const int numbers[] = {SIGWINCH, SIGUSR1};
    knit_signals *s[2] = {NULL, NULL};
    struct sigaction now;
    for (int i = 0; i < 2; i++) {
        if (bear_io(knit_signals_new(numbers, 2, &s[i]), 0) == 0)
            CHECK_INT(kill(getpid(), SIGWINCH), 0);
    }
    for (int i = 0; i < 2; i++) {
        if (!s[i])
            continue;
        bear_io(knit_signals_wait_until(s[i], soon()), SIGWINCH);
        knit_signals_free(s[i]);
    }
    CHECK_INT(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
}

/* ---- foreign loops --------------------------------------------------------------------------- */

static void count_end(void *arg, int result)
{
    atomic_int *ended = arg;
    bear(result);
    atomic_fetch_add(ended, 1);
}

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* What was accepted is called, once, whatever failed. */
void foreign_loop(void)
{
    tally t = {0};
    knit_loop *l;
    atomic_int ended = 0, called = 0;
    int watched = 0, posted = 0;
    if (bear_io(knit_loop_new(&l), 0) != 0)
        return;
    for (int i = 0; i < 20; i++) {
        start(&t, count_task, &t);
        posted += bear(knit_loop_post(l, count_call, &called)) == 0;
    }
    for (int i = 0; i < 2; i++)
        watched += bear(knit_loop_watch(l, &t.group, count_end, &ended)) == 0;
    knit_loop_free(l);
    CHECK_INT(ended, watched);
    CHECK_INT(called, posted);
    finish(&t);
}
