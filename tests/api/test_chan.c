/* Channels: capacity, order, close, try and until forms, misuse. Programs made of channels and the
 * stress with cancels are in test_chan_programs.c.
 *
 * CH-n are the tests of Go's runtime/chan_test.go. Those that select (CH-3..CH-7, CH-9, CH-14) are in
 * test_select.c and test_select_programs.c. Not made anew: CH-8 (interfaces), CH-11..CH-13 (stacks
 * that move; Knit's never do). Of test/chan: nonblock, zerosize, chancap are here; fifo, goroutines,
 * sieve in test_chan_programs.c; doubleselect and select* in those of select; perm is a matter of
 * compile time; sendstmt of Go's syntax. */
#include "knittest.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static knit_chan *chan_of(size_t item_size, size_t capacity)
{
    knit_chan *ch = NULL;
    CHECK_INT(knit_chan_new(item_size, capacity, &ch), 0);
    CHECK(ch);
    return ch;
}

typedef struct worker {
    knit_chan *ch;
    int n, first;
    atomic_long *sum, *count;
} worker;

static int send_n(void *arg)
{
    worker *w = arg;
    for (int i = 0; i < w->n; i++) {
        int item = w->first + i;
        int r = knit_chan_send(w->ch, &item);
        if (r < 0)
            return r;
    }
    return 0;
}

static int sum_up(void *arg)
{
    worker *w = arg;
    int item, r;
    while ((r = knit_chan_recv(w->ch, &item)) == 0) {
        atomic_fetch_add(w->sum, item);
        atomic_fetch_add(w->count, 1);
    }
    return r == -EPIPE ? 0 : r;
}

static void send_n_in_thread(void *arg)
{
    CHECK_INT(send_n(arg), 0);
}

static void sum_up_in_thread(void *arg)
{
    CHECK_INT(sum_up(arg), 0);
}

/* ---- CH-1 ------------------------------------------------------------------------------------ */

static void try_forms_see_empty_and_full(size_t capacity)
{
    knit_chan *ch = chan_of(sizeof(int), capacity);
    int item = -1;
    CHECK_INT(knit_chan_try_recv(ch, &item), -EAGAIN);
    CHECK_INT(item, -1);
    for (int i = 0; i < (int)capacity; i++)
        CHECK_INT(knit_chan_try_send(ch, &i), 0);
    CHECK_INT(knit_chan_try_send(ch, &item), -EAGAIN);
    CHECK_INT(knit_chan_len(ch), capacity);
    CHECK_INT(knit_chan_cap(ch), capacity);
    knit_chan_unref(ch);
}

static void closed_drains_in_order(size_t capacity)
{
    knit_chan *ch = chan_of(sizeof(int), capacity);
    int item;
    for (int i = 0; i < (int)capacity; i++)
        CHECK_INT(knit_chan_send(ch, &i), 0);
    CHECK_INT(knit_chan_close(ch), 0);
    for (int i = 0; i < (int)capacity; i++) {
        CHECK_INT(i % 2 ? knit_chan_recv(ch, &item) : knit_chan_try_recv(ch, &item), 0);
        CHECK_INT(item, i);
    }
    for (int i = 0; i < 2; i++) {
        item = -1;
        CHECK_INT(knit_chan_recv(ch, &item), -EPIPE);
        CHECK_INT(knit_chan_try_recv(ch, &item), -EPIPE);
        CHECK_INT(knit_chan_recv_until(ch, &item, KNIT_FOREVER), -EPIPE);
        CHECK_INT(item, -1);
    }
    knit_chan_unref(ch);
}

static int expect_closed(void *arg)
{
    return knit_chan_recv(arg, NULL) == -EPIPE ? 0 : -EPROTO;
}

static void close_wakes_a_receiver(size_t capacity)
{
    knit_chan *ch = chan_of(sizeof(int), capacity);
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, expect_closed, ch), 0);
    (void)knit_yield();
    CHECK_INT(knit_chan_close(ch), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(ch);
}

static void items_come_in_the_order_they_were_sent(size_t capacity)
{
    knit_chan *ch = chan_of(sizeof(int), capacity);
    worker sender = {.ch = ch, .n = 100};
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, send_n, &sender), 0);
    for (int i = 0; i < 100; i++) {
        int item = -1;
        CHECK_INT(knit_chan_recv(ch, &item), 0);
        CHECK_INT(item, i);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    knit_chan_unref(ch);
}

static void four_senders_and_four_receivers_lose_nothing(size_t capacity)
{
    knit_chan *ch = chan_of(sizeof(int), capacity);
    atomic_long sum = 0, count = 0;
    int n = kt_count(1000);
    worker receiver = {.ch = ch, .sum = &sum, .count = &count}, senders[4];
    knit_errgroup sending = {0}, receiving = {0};
    for (int i = 0; i < 4; i++) {
        senders[i] = (worker){.ch = ch, .n = n, .first = i * n};
        CHECK_INT(knit_errgroup_go(&receiving, sum_up, &receiver), 0);
        CHECK_INT(knit_errgroup_go(&sending, send_n, &senders[i]), 0);
    }
    CHECK_INT(knit_errgroup_wait(&sending), 0);
    CHECK_INT(knit_chan_close(ch), 0);
    CHECK_INT(knit_errgroup_wait(&receiving), 0);
    CHECK_INT(count, 4 * n);
    CHECK_INT(sum, 2L * n * (4L * n - 1));
    knit_chan_unref(ch);
}

static void ch_1_every_capacity_keeps_the_rules(void)
{
    size_t most = kt_scale() > 1 || KT_TSAN ? 19 : 200;
    if (knit_simulated(NULL))
        most = 5;
    for (size_t capacity = 0; capacity < most; capacity++) {
        try_forms_see_empty_and_full(capacity);
        closed_drains_in_order(capacity);
        close_wakes_a_receiver(capacity);
        items_come_in_the_order_they_were_sent(capacity);
        four_senders_and_four_receivers_lose_nothing(capacity);
    }
}

/* ---- CH-2 ------------------------------------------------------------------------------------ */

static int try_recv_must_not_wait(void *arg)
{
    int r = knit_chan_try_recv(arg, NULL);
    return r == 0 || r == -EPIPE ? 0 : r;
}

static void ch_2_try_recv_never_says_empty_between_item_and_close(void)
{
    for (int i = 0; i < kt_count(10000); i++) {
        knit_chan *ch = chan_of(sizeof(int), 1);
        knit_errgroup g = {0};
        CHECK_INT(knit_chan_send(ch, &i), 0);
        CHECK_INT(knit_errgroup_go(&g, try_recv_must_not_wait, ch), 0);
        CHECK_INT(knit_chan_close(ch), 0);
        int r = knit_chan_recv(ch, NULL);
        CHECK(r == 0 || r == -EPIPE);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        knit_chan_unref(ch);
    }
}

/* ---- blocking -------------------------------------------------------------------------------- */

typedef struct step {
    knit_chan *ch;
    atomic_int *state;
} step;

static int send_then_note(void *arg)
{
    step *s = arg;
    int item = 42, r = knit_chan_send(s->ch, &item);
    atomic_store(s->state, 1);
    return r;
}

static void a_send_without_buffer_waits_for_its_receiver(void)
{
    for (int i = 0; i < kt_count(100); i++) {
        atomic_int state = 0;
        step s = {chan_of(sizeof(int), 0), &state};
        int item = 0;
        knit_errgroup g = {0};
        CHECK_INT(knit_errgroup_go(&g, send_then_note, &s), 0);
        for (int k = 0; k < i; k++)
            (void)knit_yield();
        CHECK_INT(state, 0); /* nobody received */
        CHECK_INT(knit_chan_len(s.ch), 0);
        CHECK_INT(knit_chan_recv(s.ch, &item), 0);
        CHECK_INT(item, 42);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(state, 1);
        knit_chan_unref(s.ch);
    }
}

static void a_receive_from_a_full_channel_admits_the_waiting_sender(void)
{
    knit_chan *ch = chan_of(sizeof(int), 2);
    worker sender = {.ch = ch, .n = 3};
    knit_errgroup g = {0};
    int item;
    CHECK_INT(knit_errgroup_go(&g, send_n, &sender), 0);
    kt_until(knit_chan_len(ch) == 2);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(knit_chan_recv(ch, &item), 0);
        CHECK_INT(item, i);
    }
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_chan_len(ch), 0);
    knit_chan_unref(ch);
}

typedef struct queued {
    knit_chan *ch;
    int item, result;
} queued;

static int send_one(void *arg)
{
    queued *q = arg;
    q->result = knit_chan_send(q->ch, &q->item);
    return 0;
}

static int recv_one(void *arg)
{
    queued *q = arg;
    q->result = knit_chan_recv(q->ch, &q->item);
    return 0;
}

static void close_wakes_all_receivers_and_senders(void)
{
    enum { N = 20 };
    for (int round = 0; round < kt_count(50); round++) {
        queued senders[N], receivers[N];
        knit_chan *full = chan_of(sizeof(int), 1), *empty = chan_of(sizeof(int), 0);
        knit_errgroup g = {0};
        int item = 99;
        CHECK_INT(knit_chan_send(full, &item), 0);
        for (int i = 0; i < N; i++) {
            senders[i] = (queued){full, i, 7};
            receivers[i] = (queued){empty, -1, 7};
            CHECK_INT(knit_errgroup_go(&g, send_one, &senders[i]), 0);
            CHECK_INT(knit_errgroup_go(&g, recv_one, &receivers[i]), 0);
        }
        for (int i = 0; i < round; i++)
            (void)knit_yield();
        CHECK_INT(knit_chan_close(full), 0);
        CHECK_INT(knit_chan_close(empty), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        for (int i = 0; i < N; i++) {
            CHECK_INT(senders[i].result, -EPIPE);
            CHECK_INT(receivers[i].result, -EPIPE);
            CHECK_INT(receivers[i].item, -1);
        }
        CHECK_INT(knit_chan_recv(full, &item), 0); /* what was in the buffer stays readable */
        CHECK_INT(item, 99);
        CHECK_INT(knit_chan_recv(full, &item), -EPIPE);
        knit_chan_unref(full);
        knit_chan_unref(empty);
    }
}

static void a_closed_channel_refuses_to_send_and_to_close(void)
{
    int item = 1;
    knit_chan *ch = chan_of(sizeof item, 4);
    CHECK_INT(knit_chan_send(ch, &item), 0);
    CHECK_INT(knit_chan_close(ch), 0);
    CHECK_INT(knit_chan_close(ch), -EPIPE);
    CHECK_INT(knit_chan_send(ch, &item), -EPIPE);
    CHECK_INT(knit_chan_try_send(ch, &item), -EPIPE);
    CHECK_INT(knit_chan_send_until(ch, &item, KNIT_FOREVER), -EPIPE);
    CHECK_INT(knit_chan_len(ch), 1);
    CHECK_INT(knit_chan_cap(ch), 4);
    CHECK_INT(knit_chan_recv(ch, &item), 0);
    CHECK_INT(knit_chan_recv(ch, &item), -EPIPE);
    knit_chan_unref(ch);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void until_forms_time_out_and_nothing_moved(void)
{
    int item = 5;
    knit_chan *none = chan_of(sizeof item, 0), *full = chan_of(sizeof item, 1);
    CHECK_INT(knit_chan_send(full, &item), 0);
    for (int i = 0; i < 3; i++) {
        knit_time deadline = knit_now() + KNIT_MILLISECOND * i;
        CHECK_INT(knit_chan_recv_until(none, &item, deadline), -ETIMEDOUT);
        CHECK(knit_now() >= deadline);
        CHECK_INT(knit_chan_send_until(none, &item, deadline), -ETIMEDOUT);
        CHECK_INT(knit_chan_send_until(full, &item, deadline), -ETIMEDOUT);
    }
    CHECK_INT(item, 5);
    CHECK_INT(knit_chan_len(full), 1);
    CHECK_INT(knit_chan_try_recv(none, &item), -EAGAIN); /* no sender was left behind */
    CHECK_INT(knit_chan_try_send(none, &item), -EAGAIN);
    knit_chan_unref(none);
    knit_chan_unref(full);
}

static void until_forms_do_not_look_at_the_clock_when_they_need_not_wait(void)
{
    int item = 5;
    knit_chan *ch = chan_of(sizeof item, 1);
    CHECK_INT(knit_chan_send_until(ch, &item, 0), 0);
    CHECK_INT(knit_chan_recv_until(ch, &item, 0), 0);
    CHECK_INT(knit_chan_recv_until(ch, &item, 0), -ETIMEDOUT);
    knit_chan_unref(ch);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void chancap_len_and_cap_are_exact(void)
{
    int item = 0;
    for (size_t capacity = 0; capacity <= 20; capacity++) {
        knit_chan *ch = chan_of(sizeof item, capacity);
        CHECK_INT(knit_chan_cap(ch), capacity);
        for (size_t len = 0; len < capacity; len++) {
            CHECK_INT(knit_chan_len(ch), len);
            CHECK_INT(knit_chan_send(ch, &item), 0);
        }
        CHECK_INT(knit_chan_len(ch), capacity);
        knit_chan_unref(ch); /* drops what is in its buffer */
    }
    CHECK_INT(knit_chan_len(NULL), 0);
    CHECK_INT(knit_chan_cap(NULL), 0);
}

static void chancap_sizes_out_of_range_are_refused(void)
{
    knit_chan *ch = (knit_chan *)&ch;
    CHECK_INT(knit_chan_new(1, SIZE_MAX, &ch), -EINVAL);
    CHECK_INT(knit_chan_new(SIZE_MAX, 1, &ch), -EINVAL);
    CHECK_INT(knit_chan_new(SIZE_MAX / 2, 3, &ch), -EINVAL);
    CHECK_INT(knit_chan_new((size_t)1 << 32, (size_t)1 << 32, &ch), -EINVAL);
    CHECK_INT(knit_chan_new(1, 1, NULL), -EINVAL);
    CHECK(ch == (knit_chan *)&ch); /* untouched */
}

static void zerosize_items_are_signals(void)
{
    for (size_t capacity = 0; capacity <= 3; capacity++) {
        knit_chan *ch = chan_of(0, capacity);
        knit_errgroup g = {0};
        worker sender = {.ch = ch, .n = 100};
        CHECK_INT(knit_errgroup_go(&g, send_n, &sender), 0);
        for (int i = 0; i < 100; i++)
            CHECK_INT(knit_chan_recv(ch, NULL), 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(knit_chan_try_recv(ch, NULL), -EAGAIN);
        knit_chan_unref(ch);
    }
    /* Without bytes there is no end to the capacity. */
    knit_chan *many = chan_of(0, 1000000);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(knit_chan_send(many, NULL), 0);
    CHECK_INT(knit_chan_len(many), 1000);
    knit_chan_unref(many);
}

typedef struct big {
    knit_chan *ch;
    size_t size;
} big;

static int send_big_items(void *arg)
{
    big *b = arg;
    unsigned char *item = malloc(b->size);
    if (!item)
        return -ENOMEM;
    int r = 0;
    for (int i = 0; i < 20 && r == 0; i++) {
        memset(item, i, b->size);
        r = knit_chan_send(b->ch, item);
        memset(item, 0xFF, b->size); /* it was copied */
    }
    free(item);
    return r;
}

/* CH-8 */
static void items_of_every_size_arrive_whole(void)
{
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 16, 63, 64, 65, 4096, 70000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t capacity = 0; capacity <= 3; capacity += 3) {
            big b = {chan_of(sizes[s], capacity), sizes[s]};
            unsigned char *item = malloc(b.size);
            CHECK(item);
            knit_errgroup g = {0};
            CHECK_INT(knit_errgroup_go(&g, send_big_items, &b), 0);
            for (int i = 0; i < 20; i++) {
                CHECK_INT(knit_chan_recv(b.ch, item), 0);
                for (size_t k = 0; k < b.size; k++)
                    CHECK(item[k] == i);
            }
            CHECK_INT(knit_errgroup_wait(&g), 0);
            free(item);
            knit_chan_unref(b.ch);
        }
    }
}

static void a_receive_into_null_throws_the_item_away(void)
{
    int item;
    knit_chan *buffered = chan_of(sizeof item, 3), *direct = chan_of(sizeof item, 0);
    worker sender = {.ch = direct, .n = 2};
    knit_errgroup g = {0};
    CHECK_INT(knit_errgroup_go(&g, send_n, &sender), 0);
    CHECK_INT(knit_chan_recv(direct, NULL), 0);
    CHECK_INT(knit_chan_recv(direct, &item), 0);
    CHECK_INT(item, 1);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(knit_chan_send(buffered, &i), 0);
    CHECK_INT(knit_chan_recv(buffered, NULL), 0);
    CHECK_INT(knit_chan_try_recv(buffered, NULL), 0);
    CHECK_INT(knit_chan_recv(buffered, &item), 0);
    CHECK_INT(item, 2);
    knit_chan_unref(buffered);
    knit_chan_unref(direct);
}

static void null_is_refused(void)
{
    int item = 0;
    knit_chan *ch = chan_of(sizeof item, 1);
    CHECK_INT(knit_chan_send(NULL, &item), -EINVAL);
    CHECK_INT(knit_chan_try_send(NULL, &item), -EINVAL);
    CHECK_INT(knit_chan_send_until(NULL, &item, 0), -EINVAL);
    CHECK_INT(knit_chan_recv(NULL, &item), -EINVAL);
    CHECK_INT(knit_chan_try_recv(NULL, &item), -EINVAL);
    CHECK_INT(knit_chan_recv_until(NULL, &item, 0), -EINVAL);
    CHECK_INT(knit_chan_close(NULL), -EINVAL);
    CHECK_INT(knit_chan_send(ch, NULL), -EINVAL);
    CHECK_INT(knit_chan_try_send(ch, NULL), -EINVAL);
    CHECK_INT(knit_chan_send_until(ch, NULL, 0), -EINVAL);
    knit_chan_unref(NULL);
    CHECK(knit_chan_ref(ch) == ch);
    knit_chan_unref(ch);
    CHECK_INT(knit_chan_send(ch, &item), 0);
    knit_chan_unref(ch);
}

/* ---- nonblock -------------------------------------------------------------------------------- */

static void nonblock_try_forms_meet_a_waiting_peer(void)
{
    for (int i = 0; i < kt_count(1000); i++) {
        knit_chan *ch = chan_of(sizeof(int), 0);
        queued receiver = {ch, -1, 7}, sender = {ch, 1234, 7};
        knit_errgroup g = {0};
        int item = 4321, got = 0;
        CHECK_INT(knit_errgroup_go(&g, recv_one, &receiver), 0);
        kt_until(knit_chan_try_send(ch, &item) == 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(receiver.item, 4321);
        CHECK_INT(knit_errgroup_go(&g, send_one, &sender), 0);
        kt_until(knit_chan_try_recv(ch, &got) == 0);
        CHECK_INT(knit_errgroup_wait(&g), 0);
        CHECK_INT(got, 1234);
        CHECK_INT(sender.result, 0);
        knit_chan_unref(ch);
    }
}

/* ---- threads and tasks ----------------------------------------------------------------------- */

static void tasks_and_threads_share_one_channel(void)
{
    enum { N = 4 };
    for (size_t capacity = 0; capacity <= 16; capacity += 8) {
        knit_chan *ch = chan_of(sizeof(int), capacity);
        atomic_long sum = 0, count = 0;
        int n = kt_count(2000);
        worker receiver = {.ch = ch, .sum = &sum, .count = &count};
        worker sender = {.ch = ch, .n = n, .first = 1};
        knit_errgroup sending = {0}, receiving = {0};
        kt_thread *senders[N], *receivers[N];
        for (int i = 0; i < N; i++) {
            CHECK_INT(knit_errgroup_go(&receiving, sum_up, &receiver), 0);
            CHECK_INT(knit_errgroup_go(&sending, send_n, &sender), 0);
            receivers[i] = kt_thread_start(sum_up_in_thread, &receiver);
            senders[i] = kt_thread_start(send_n_in_thread, &sender);
        }
        for (int i = 0; i < N; i++)
            kt_thread_join(senders[i]);
        CHECK_INT(knit_errgroup_wait(&sending), 0);
        CHECK_INT(knit_chan_close(ch), 0);
        CHECK_INT(knit_errgroup_wait(&receiving), 0);
        for (int i = 0; i < N; i++)
            kt_thread_join(receivers[i]);
        CHECK_INT(count, 2 * N * n);
        CHECK_INT(sum, N * (long)n * (n + 1));
        knit_chan_unref(ch);
    }
}

static const knittest tests[] = {
    COLD(a_send_without_buffer_waits_for_its_receiver),
    COLD(until_forms_time_out_and_nothing_moved),
    BOTH(ch_1_every_capacity_keeps_the_rules),
    BOTH(ch_2_try_recv_never_says_empty_between_item_and_close),
    BOTH(a_send_without_buffer_waits_for_its_receiver),
    BOTH(a_receive_from_a_full_channel_admits_the_waiting_sender),
    BOTH(close_wakes_all_receivers_and_senders),
    BOTH(a_closed_channel_refuses_to_send_and_to_close),
    BOTH(until_forms_time_out_and_nothing_moved),
    BOTH(until_forms_do_not_look_at_the_clock_when_they_need_not_wait),
    BOTH(chancap_len_and_cap_are_exact),
    BOTH(chancap_sizes_out_of_range_are_refused),
    BOTH(zerosize_items_are_signals),
    BOTH(items_of_every_size_arrive_whole),
    BOTH(a_receive_into_null_throws_the_item_away),
    BOTH(null_is_refused),
    BOTH(nonblock_try_forms_meet_a_waiting_peer),
    BOTH(tasks_and_threads_share_one_channel),
};
KNITTEST_MAIN(tests)
