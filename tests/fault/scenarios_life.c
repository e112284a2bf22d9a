/* The life of a task. See scenarios.h. */
#include "tally.h"

#include <string.h>
#include <unistd.h>

/* ---- deferred calls, values, names, pins ------------------------------------------------------- */

typedef struct life {
    tally tally; /* first */
    atomic_int to_defer, deferred, to_destroy, destroyed;
} life;

static atomic_int values_destroyed;

static void destroy_value(void *value)
{
    (void)value;
    atomic_fetch_add(&values_destroyed, 1);
}

static const knit_task_local keys[3] = {{destroy_value}, {destroy_value}, {NULL}};

static void count_deferred(void *arg)
{
    life *l = arg;
    atomic_fetch_add(&l->deferred, 1);
}

/* A call that was not deferred is not made; a value that was not set is not there. */
static int live_fully(void *arg)
{
    life *l = arg;
    CHECK_INT(knit_task_set_name("liver"), 0);
    for (int i = 0; i < 3; i++) {
        if (bear(knit_defer(count_deferred, l)) == 0)
            atomic_fetch_add(&l->to_defer, 1);
        bool set = bear(knit_task_local_set(&keys[i], l)) == 0;
        CHECK(knit_task_local_get(&keys[i]) == (set ? l : NULL));
        if (set && i < 2)
            atomic_fetch_add(&l->to_destroy, 1);
    }
    bool pinned = bear(knit_task_pin()) == 0;
    CHECK_INT(knit_yield(), 0);
    CHECK_INT(knit_task_unpin(), pinned ? 0 : -EPERM);
    CHECK(strcmp(knit_task_name(), "liver") == 0);
    atomic_fetch_add(&l->tally.ran, 1);
    return atomic_load(&l->tally.ran) % 2 ? knit_task_exit(0) : 0;
}

void lives(void)
{
    life l = {0};
    atomic_store(&values_destroyed, 0);
    for (int i = 0; i < 8; i++)
        start(&l.tally, live_fully, &l);
    finish(&l.tally);
    CHECK_INT(atomic_load(&l.deferred), atomic_load(&l.to_defer));
    CHECK_INT(atomic_load(&values_destroyed), atomic_load(&l.to_destroy));
    CHECK_INT(atomic_load(&l.deferred), expect_success ? 24 : atomic_load(&l.deferred));
}

/* ---- panics ------------------------------------------------------------------------------------ */

static int panic_with_text(void *arg)
{
    life *l = arg;
    atomic_fetch_add(&l->tally.ran, 1);
    if (bear(knit_defer(count_deferred, l)) == 0)
        atomic_fetch_add(&l->to_defer, 1);
    knit_panic("a text of %d words", 5);
}

/* The text may be lost, the panic not. */
void panics(void)
{
    life l = {0};
    knit_error_record record;
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_PANIC_ERROR | KNIT_ERRGROUP_KEEP_GOING};
    CHECK_INT(knit_errgroup_init(&l.tally.group, &options), 0);
    for (int i = 0; i < 3; i++)
        bear(knit_errgroup_go(&l.tally.group, panic_with_text, &l));
    int r = knit_errgroup_wait(&l.tally.group);
    CHECK(r == KNIT_PANICKED || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
    CHECK(r != KNIT_PANICKED || atomic_load(&l.tally.ran) > 0);
    CHECK_INT(atomic_load(&l.deferred), atomic_load(&l.to_defer));
    if (knit_errgroup_error(&l.tally.group, 0, &record) == 0 && record.code == KNIT_PANICKED) {
        CHECK(!*record.text || strstr(record.text, "a text of 5 words"));
        CHECK(*record.text || !expect_success);
    } else {
        CHECK(!expect_success);
    }
    CHECK_INT(knit_errgroup_close(&l.tally.group), r);
}

/* ---- handles ----------------------------------------------------------------------------------- */

static int count_and_yield(void *arg)
{
    life *l = arg;
    knit_task *self = knit_task_self();
    CHECK(self != NULL);
    atomic_fetch_add(&l->tally.ran, 1);
    (void)knit_yield();
    return 0;
}

static int wait_for_ever(void *arg)
{
    int r;
    (void)arg;
    do
        r = knit_sleep(KNIT_FOREVER);
    while (r == -ENOMEM); /* of its timer, or of the watch */
    return r;
}

void handles(void)
{
    life l = {0};
    CHECK_INT(knit_errgroup_init(&l.tally.group, NULL), 0);
    for (int i = 0; i < 6; i++) {
        knit_task *task = NULL;
        knit_fn *fn = i % 3 == 2 ? wait_for_ever : count_and_yield;
        int result = 1;
        if (bear(knit_errgroup_go_task(&l.tally.group, fn, &l, &task)) != 0) {
            CHECK(!task);
            continue;
        }
        if (fn == wait_for_ever)
            knit_task_cancel(task, 0);
        if (bear(knit_task_wait(task, &result)) == 0)
            CHECK(result == 0 || result == -ECANCELED || (!expect_success && result == -ENOMEM));
        knit_task_unref(task);
    }
    bear(knit_errgroup_wait(&l.tally.group));
    CHECK(atomic_load(&l.tally.ran) == 4 || !expect_success);
    bear(knit_errgroup_close(&l.tally.group));
}

/* ---- start and ready --------------------------------------------------------------------------- */

static int say_ready(void *arg)
{
    life *l = arg;
    bear(knit_task_ready(l));
    atomic_fetch_add(&l->tally.ran, 1);
    return 0;
}

void handshakes(void)
{
    life l = {0};
    for (int i = 0; i < 4; i++) {
        void *value = NULL;
        l.tally.submitted++;
        int r = bear(knit_errgroup_start(&l.tally.group, say_ready, &l, &value));
        CHECK(value == (r == 0 ? &l : NULL));
        l.tally.accepted += r == 0;
    }
    int r = bear(knit_errgroup_wait(&l.tally.group));
    CHECK(atomic_load(&l.tally.ran) >= l.tally.accepted);
    CHECK(r != 0 || atomic_load(&l.tally.ran) == l.tally.submitted || !expect_success);
    bear(knit_errgroup_close(&l.tally.group));
}

/* ---- blocking calls ---------------------------------------------------------------------------- */

typedef struct blocker {
    tally tally; /* first */
    int fds[2];
} blocker;

static int read_byte(void *arg)
{
    blocker *b = arg;
    char byte;
    return read(b->fds[0], &byte, 1) == 1 ? 0 : -EIO;
}

static int write_byte(void *arg)
{
    blocker *b = arg;
    atomic_fetch_add(&b->tally.ran, 1);
    return write(b->fds[1], "x", 1) == 1 ? 0 : -EIO;
}

static int block_for_it(void *arg)
{
    blocker *b = arg;
    int r = knit_blocking(read_byte, b);
    atomic_fetch_add(&b->tally.ran, 1);
    return r;
}

static int give_two(void *unused)
{
    (void)unused;
    return 2;
}

/* Interruptible calls need memory, and a signal that can be had. */
static int block_interruptibly(void *arg)
{
    blocker *b = arg;
    int r = knit_blocking_interruptible(give_two, NULL);
    CHECK(r == 2 || (!expect_success && (r == -ENOMEM || r == -EAGAIN)));
    atomic_fetch_add(&b->tally.ran, 1);
    return 0;
}

/* As many block as there are workers: others must run who write. Where no spare thread can be
 * started the writers wait until one can, so this process writes what they did not. */
void blocking_calls(void)
{
    enum { BLOCKED = 4 };
    blocker b = {0};
    CHECK_INT(pipe(b.fds), 0);
    for (int i = 0; i < BLOCKED; i++)
        start(&b.tally, block_for_it, &b);
    int readers = b.tally.accepted;
    for (int i = 0; i < BLOCKED; i++)
        start(&b.tally, write_byte, &b);
    for (int i = b.tally.accepted - readers; i < readers || (i < BLOCKED && !expect_success); i++)
        CHECK_INT(write(b.fds[1], "y", 1), 1);
    for (int i = 0; i < 3; i++)
        start(&b.tally, block_interruptibly, &b);
    if (!expect_success)
        for (int i = 0; i < BLOCKED; i++)
            CHECK_INT(write(b.fds[1], "z", 1), 1);
    finish(&b.tally);
    CHECK_INT(close(b.fds[0]) | close(b.fds[1]), 0);
}

/* ---- larger stacks ----------------------------------------------------------------------------- */

static int use_much_stack(void *arg)
{
    volatile char frame[100 * 1024];
    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = 1;
    atomic_fetch_add(&tally_of(arg)->ran, 1);
    return knit_yield() + frame[512] - 1;
}

/* A task that gets no such stack fails. */
void large_stacks(void)
{
    for (size_t stack = 256 * 1024; stack <= 4096 * 1024; stack *= 4) {
        tally t = {0};
        CHECK_INT(knit_errgroup_init(&t.group, &(knit_errgroup_options){.stack = stack}), 0);
        for (int i = 0; i < 10; i++)
            start(&t, use_much_stack, &t.group);
        finish(&t);
    }
}
