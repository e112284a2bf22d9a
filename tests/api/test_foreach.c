/* Loops over indices, ranges and arrays: every body once, failures, limits, cancel. The IDs CI-n are
 * those of conc's tests of its package iter. */
#include "knittest.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

enum { MANY = 10000 };

static int never(size_t index, void *arg)
{
    (void)index, (void)arg;
    CHECK(false);
    return 0;
}

static int never_range(size_t begin, size_t end, void *arg)
{
    (void)begin, (void)end, (void)arg;
    CHECK(false);
    return 0;
}

static int never_element(void *element, size_t index, void *arg)
{
    (void)element, (void)index, (void)arg;
    CHECK(false);
    return 0;
}

static int never_map(const void *element, void *ret_slot, size_t index, void *arg)
{
    (void)element, (void)ret_slot, (void)index, (void)arg;
    CHECK(false);
    return 0;
}

/* CI-3, CI-7, CI-11, CI-16 */
static void a_loop_over_nothing_calls_nothing(void)
{
    int a[1] = {7}, code = 5;
    knit_for_each_report report;
    knit_for_each_options options = {.codes = &code, .report = &report};
    CHECK_INT(knit_for_each(3, 3, never, NULL, &options), 0);
    CHECK_INT(report.done, 0);
    CHECK(report.index == KNIT_NO_INDEX);
    CHECK_INT(code, 5);
    CHECK_INT(knit_for_ranges(0, 0, never_range, NULL, NULL), 0);
    CHECK_INT(knit_for_each_element(a, 0, sizeof a[0], never_element, NULL, NULL), 0);
    CHECK_INT(knit_for_each_element(NULL, 0, 4, never_element, NULL, NULL), 0);
    CHECK_INT(knit_map(a, 0, sizeof a[0], never_map, NULL, a, sizeof a[0], NULL), 0);
    CHECK_INT(a[0], 7);
}

static void misuse_is_refused(void)
{
    int a[2] = {0};
    CHECK_INT(knit_for_each(3, 2, never, NULL, NULL), -EINVAL);
    CHECK_INT(knit_for_each(0, 2, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(knit_for_ranges(0, 2, NULL, NULL, NULL), -EINVAL);
    CHECK_INT(knit_for_each_element(NULL, 2, 4, never_element, NULL, NULL), -EINVAL);
    CHECK_INT(knit_map(NULL, 2, 4, never_map, NULL, a, 4, NULL), -EINVAL);
    CHECK_INT(knit_map(a, 2, 4, never_map, NULL, NULL, 4, NULL), -EINVAL);
    CHECK_INT(knit_for_each(0, 2, never, NULL, &(knit_for_each_options){.flags = 1u << 20}),
              -EINVAL);
    CHECK_INT(knit_for_each(0, 2, never, NULL, &(knit_for_each_options){.timeout = -1}), -EINVAL);
}

/* ---- every body once ------------------------------------------------------------------------- */

static int count_index(size_t index, void *arg)
{
    atomic_uchar *counts = arg;
    CHECK(knit_in_task());
    atomic_fetch_add_explicit(&counts[index], 1, memory_order_relaxed);
    return 0;
}

static int count_range(size_t begin, size_t end, void *arg)
{
    CHECK(begin < end);
    for (size_t i = begin; i < end; i++)
        count_index(i, arg);
    return 0;
}

static atomic_uchar counts[1000000];

static void check_counts(size_t begin, size_t end)
{
    for (size_t i = 0; i < sizeof counts; i++)
        CHECK_INT(counts[i], i >= begin && i < end);
    memset(counts, 0, sizeof counts);
}

static void every_index_is_called_once(void)
{
    const int limits[] = {0, 1, 2, 7, -1};
    const size_t chunks[] = {0, 1, 3, 5000};
    size_t n = (size_t)kt_count(MANY);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (size_t j = 0; j < sizeof chunks / sizeof chunks[0]; j++) {
            knit_for_each_options options = {.limit = limits[i], .chunk = chunks[j]};
            CHECK_INT(knit_for_each(5, n, count_index, counts, &options), 0);
            check_counts(5, n);
            CHECK_INT(knit_for_ranges(1, n - 1, count_range, counts, &options), 0);
            check_counts(1, n - 1);
        }
    }
}

static void a_long_loop_of_tiny_bodies(void)
{
    size_t n = (size_t)kt_count(sizeof counts);
    CHECK_INT(knit_for_each(0, n, count_index, counts, NULL), 0);
    check_counts(0, n);
    CHECK_INT(knit_for_ranges(0, n, count_range, counts, NULL), 0);
    check_counts(0, n);
}

/* The last tenth sleeps: what was taken for its many tiny bodies must be shared again. */
static int count_slowly(size_t index, void *arg)
{
    size_t n = (size_t)kt_count(MANY);
    if (index >= n - n / 10)
        CHECK_INT(knit_sleep(KNIT_MICROSECOND), 0);
    return count_index(index, arg);
}

static void bodies_that_get_long_are_called_once(void)
{
    size_t n = (size_t)kt_count(MANY);
    for (int limit = 0; limit < 20; limit += 6) {
        CHECK_INT(
            knit_for_each(0, n, count_slowly, counts, &(knit_for_each_options){.limit = limit}), 0);
        check_counts(0, n);
    }
}

static int note_highest(size_t index, void *arg)
{
    if (index == SIZE_MAX - 1)
        atomic_store((atomic_size_t *)arg, index);
    return 0;
}

static void indices_may_be_as_high_as_they_get(void)
{
    atomic_size_t highest = 0;
    CHECK_INT(knit_for_each(SIZE_MAX - 5, SIZE_MAX, note_highest, &highest, NULL), 0);
    CHECK(highest == SIZE_MAX - 1);
}

static int check_chunk(size_t begin, size_t end, void *arg)
{
    CHECK_INT(begin % 7, 0);
    CHECK(end == begin + 7 || end == 100);
    return count_range(begin, end, arg);
}

static void a_fixed_chunk_is_what_a_range_is(void)
{
    CHECK_INT(knit_for_ranges(0, 100, check_chunk, counts, &(knit_for_each_options){.chunk = 7}),
              0);
    check_counts(0, 100);
}

static int in_order(size_t index, void *arg)
{
    size_t *next = arg;
    CHECK_INT(index, *next);
    ++*next;
    return 0;
}

static void one_at_a_time_goes_in_order(void)
{
    size_t next = 10, n = 10 + (size_t)kt_count(MANY);
    CHECK_INT(knit_for_each(10, n, in_order, &next, &(knit_for_each_options){.limit = 1}), 0);
    CHECK_INT(next, n);
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static int increment(void *element, size_t index, void *arg)
{
    (void)index, (void)arg;
    ++*(int *)element;
    return 0;
}

static int set_to_index(void *element, size_t index, void *arg)
{
    (void)arg;
    *(int *)element = (int)index;
    return 0;
}

/* CI-5, CI-6, CI-9, CI-10 */
static void elements_may_be_changed_in_place(void)
{
    int few[] = {1, 2, 3, 4, 5};
    static int many[MANY];
    CHECK_INT(knit_for_each_element(few, 5, sizeof few[0], increment, NULL, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(few[i], i + 2);
    CHECK_INT(knit_for_each_element(many, MANY, sizeof many[0], set_to_index, NULL, NULL), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(many[i], i);
}

/* CI-1: options are only read, and may be used again. */
static void options_are_not_changed(void)
{
    const knit_for_each_options options = {.limit = 999};
    int a[3] = {0};
    for (int round = 1; round <= 2; round++)
        CHECK_INT(knit_for_each_element(a, 3, sizeof a[0], increment, NULL, &options), 0);
    CHECK_INT(options.limit, 999);
    CHECK_INT(a[0] + a[1] + a[2], 6);
}

static int plus_one(const void *element, void *ret_slot, size_t index, void *arg)
{
    (void)index, (void)arg;
    *(int *)ret_slot = *(const int *)element + 1;
    return 0;
}

static int one_of_input(const void *element, void *ret_slot, size_t index, void *arg)
{
    (void)element, (void)index, (void)arg;
    *(char *)ret_slot = 1;
    return 0;
}

/* CI-14, CI-15, CI-19, CI-22 */
static void map_writes_the_slot_of_each_element(void)
{
    int in[] = {1, 2, 3, 4, 5}, out[5] = {0};
    static int many[MANY];
    static char ones[MANY];
    CHECK_INT(knit_map(in, 5, sizeof in[0], plus_one, NULL, out, sizeof out[0], NULL), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(in[i], i + 1);
        CHECK_INT(out[i], i + 2);
    }
    CHECK_INT(knit_map(many, MANY, sizeof many[0], one_of_input, NULL, ones, 1, NULL), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(ones[i], 1);
}

/* The input is const for fn; who wants to change it has it as arg. */
static int change_input(const void *element, void *ret_slot, size_t index, void *arg)
{
    (void)element, (void)ret_slot;
    ((int *)arg)[index]++;
    return 0;
}

/* CI-13, CI-18 */
static void map_may_change_its_input(void)
{
    int in[] = {1, 2, 3, 4, 5}, out[5] = {0};
    CHECK_INT(knit_map(in, 5, sizeof in[0], change_input, in, out, sizeof out[0], NULL), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(in[i], i + 2);
        CHECK_INT(out[i], 0);
    }
}

/* ---- failures -------------------------------------------------------------------------------- */

static int fail_three_and_four(const void *element, void *ret_slot, size_t index, void *arg)
{
    int n = *(const int *)element;
    if (n == 3)
        return knit_error(-EIO, "three of %s", "five");
    if (n == 4 && arg)
        return -EPERM;
    return plus_one(element, ret_slot, index, arg);
}

/* CI-20 */
static void a_failed_element_leaves_its_slot(void)
{
    int in[] = {1, 2, 3, 4, 5}, out[5] = {0}, want[] = {2, 3, 0, 5, 6};
    knit_for_each_report report;
    knit_for_each_options options = {.flags = KNIT_ERRGROUP_KEEP_GOING, .report = &report};
    CHECK_INT(
        knit_map(in, 5, sizeof in[0], fail_three_and_four, NULL, out, sizeof out[0], &options),
        -EIO);
    CHECK_INT(memcmp(out, want, sizeof out), 0);
    CHECK_INT(report.done, 4);
    CHECK_INT(report.failed, 1);
    CHECK_INT(report.index, 2);
}

/* CI-21 */
static void codes_tell_of_every_failure(void)
{
    int in[] = {1, 2, 3, 4, 5}, out[5] = {0}, want[] = {2, 3, 0, 0, 6};
    int codes[5], want_codes[] = {0, 0, -EIO, -EPERM, 0};
    knit_for_each_report report;
    knit_for_each_options options = {
        .flags = KNIT_ERRGROUP_KEEP_GOING, .codes = codes, .report = &report};
    int r = knit_map(in, 5, sizeof in[0], fail_three_and_four, in, out, sizeof out[0], &options);
    CHECK(r == -EIO || r == -EPERM);
    CHECK_INT(report.index, r == -EIO ? 2 : 3);
    CHECK_INT(report.failed, 2);
    CHECK_INT(memcmp(out, want, sizeof out), 0);
    CHECK_INT(memcmp(codes, want_codes, sizeof codes), 0);
}

static int loop_in_task(void *arg)
{
    int in[] = {1, 2, 3, 4, 5}, out[5];
    return knit_map(in, 5, sizeof in[0], fail_three_and_four, arg, out, sizeof out[0], NULL);
}

static void the_record_names_the_body_and_its_index(void)
{
    knit_errgroup g = {0};
    knit_error_record rec;
    char text[400];
    CHECK_INT(knit_errgroup_go(&g, loop_in_task, NULL), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_INT(rec.causes, 1);
    CHECK(knit_errgroup_format(&g, text, sizeof text) > 0);
    CHECK_HAS(text, "#2 fail_three_and_four");
    CHECK_HAS(text, "three of five");
}

static int fail_or_wait(size_t index, void *arg)
{
    if (index == 3) {
        kt_until(atomic_load((atomic_int *)arg) == 3);
        return -EIO;
    }
    atomic_fetch_add((atomic_int *)arg, 1);
    int r = knit_sleep(KNIT_FOREVER);
    CHECK_INT(r, -ECANCELED);
    return r;
}

static void the_first_failure_wakes_and_stops_the_rest(void)
{
    enum { N = 1000 };
    static int codes[N];
    atomic_int waiting = 0;
    knit_for_each_report report;
    knit_for_each_options options = {.limit = 4, .codes = codes, .report = &report};
    CHECK_INT(knit_for_each(0, N, fail_or_wait, &waiting, &options), -EIO);
    CHECK_INT(waiting, 3);
    CHECK_INT(report.index, 3);
    CHECK_INT(report.failed, 1);
    CHECK_INT(report.done, 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(codes[i], i == 3 ? -EIO : -ECANCELED);
}

static int fail_first_or_yield(size_t index, void *arg)
{
    if (index == 0) {
        kt_until(atomic_load((atomic_int *)arg) >= 1);
        return -EIO;
    }
    atomic_fetch_add((atomic_int *)arg, 1);
    for (int i = 0; i < 100; i++)
        CHECK_INT(knit_yield(), 0); /* it is not told */
    return 0;
}

/* KNIT_ERRGROUP_STOP */
static void a_loop_that_stops_lets_the_running_bodies_end(void)
{
    atomic_int others = 0;
    knit_for_each_report report;
    knit_for_each_options options = {
        .limit = 2, .chunk = 1, .flags = KNIT_ERRGROUP_STOP, .report = &report};
    CHECK_INT(knit_for_each(0, SIZE_MAX, fail_first_or_yield, &others, &options), -EIO);
    CHECK_INT(report.failed, 1);
    CHECK_INT(report.done, others);
}

static int fail_at(size_t index, void *arg)
{
    return index == *(size_t *)arg ? -EIO : 0;
}

/* What is counted and kept adds up, wherever the failure is. */
static void codes_and_report_agree(void)
{
    enum { N = 3000 };
    static int codes[N];
    kt_rng rng = {kt_seed()};
    for (int round = 0; round < kt_count(100); round++) {
        size_t bad = kt_below(&rng, N), done = 0;
        bool keep = round % 2 == 0;
        knit_for_each_report report;
        knit_for_each_options options = {.codes = codes,
                                         .report = &report,
                                         .limit = (int)kt_below(&rng, 4),
                                         .flags = keep ? KNIT_ERRGROUP_KEEP_GOING : 0};
        CHECK_INT(knit_for_each(0, N, fail_at, &bad, &options), -EIO);
        for (size_t i = 0; i < N; i++) {
            done += codes[i] == 0;
            CHECK(codes[i] == (i == bad ? -EIO : 0) || (!keep && codes[i] == -ECANCELED));
        }
        CHECK_INT(codes[bad], -EIO);
        CHECK_INT(report.done, done);
        CHECK_INT(report.index, bad);
        CHECK_INT(report.failed, 1);
        if (keep)
            CHECK_INT(done, N - 1);
    }
}

static int fail_range(size_t begin, size_t end, void *arg)
{
    (void)arg;
    return begin <= 50 && 50 < end ? -EIO : 0;
}

static void a_failed_range_is_a_failure_of_all_of_it(void)
{
    int codes[100];
    knit_for_each_report report;
    knit_for_each_options options = {
        .chunk = 10, .flags = KNIT_ERRGROUP_KEEP_GOING, .codes = codes, .report = &report};
    CHECK_INT(knit_for_ranges(0, 100, fail_range, NULL, &options), -EIO);
    CHECK_INT(report.index, 50);
    CHECK_INT(report.done, 90);
    CHECK_INT(report.failed, 1);
    for (int i = 0; i < 100; i++)
        CHECK_INT(codes[i], i / 10 == 5 ? -EIO : 0);
}

/* ---- exits and panics ------------------------------------------------------------------------ */

static void count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int exit_each(size_t index, void *arg)
{
    CHECK_INT(knit_defer(count_up, arg), 0);
    return knit_task_exit(index % 3 == 0 ? -EIO : 0);
}

/* conc loses the elements behind a Goexit, and reports nothing. */
static void an_exit_ends_one_body(void)
{
    enum { N = 100 };
    int codes[N];
    atomic_int deferred = 0;
    knit_for_each_report report;
    knit_for_each_options options = {
        .flags = KNIT_ERRGROUP_KEEP_GOING, .codes = codes, .report = &report};
    CHECK_INT(knit_for_each(0, N, exit_each, &deferred, &options), -EIO);
    CHECK_INT(deferred, N);
    CHECK_INT(report.failed, 34);
    CHECK_INT(report.done, 66);
    for (int i = 0; i < N; i++)
        CHECK_INT(codes[i], i % 3 == 0 ? -EIO : 0);
}

static int panic_at_two(size_t index, void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    if (index == 2)
        knit_panic("body %d", 2);
    return 0;
}

static int loop_that_panics(void *arg)
{
    knit_for_each_options options = {.flags =
                                         KNIT_ERRGROUP_KEEP_GOING | KNIT_ERRGROUP_PANIC_WAITER};
    knit_for_each(0, 10, panic_at_two, arg, &options);
    CHECK(false);
    return 0;
}

/* CI-4, CI-8, CI-12, CI-17: the call panics; with KEEP_GOING all other bodies ran. */
static void a_panic_goes_to_the_caller(void)
{
    atomic_int ran = 0;
    knit_errgroup g;
    knit_error_record rec;
    knit_errgroup_options options = {.flags = KNIT_ERRGROUP_PANIC_ERROR};
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    CHECK_INT(knit_errgroup_go(&g, loop_that_panics, &ran), 0);
    CHECK_INT(knit_errgroup_wait(&g), KNIT_PANICKED);
    CHECK_INT(knit_errgroup_error(&g, 0, &rec), 0);
    CHECK_HAS(rec.text, "body 2");
    CHECK_INT(ran, 10);
}

static void a_contained_panic_is_the_failure_of_its_index(void)
{
    atomic_int ran = 0;
    knit_for_each_report report;
    knit_for_each_options options = {.flags = KNIT_ERRGROUP_PANIC_ERROR, .report = &report};
    CHECK_INT(knit_for_each(0, 3, panic_at_two, &ran, &options), KNIT_PANICKED);
    CHECK_INT(report.index, 2);
}

/* ---- limits ---------------------------------------------------------------------------------- */

struct meeting {
    atomic_int there, most;
    int wanted;
    kt_gate gate;
};

static int meet(size_t index, void *arg)
{
    struct meeting *m = arg;
    (void)index;
    if (atomic_fetch_add(&m->there, 1) + 1 == m->wanted)
        kt_gate_open(m->gate);
    return kt_gate_wait(m->gate);
}

/* CI-2: as many bodies at once as the limit says, whatever the number of workers. */
static void bodies_up_to_the_limit_can_wait_for_each_other(void)
{
    struct meeting m = {.wanted = 2 * knit_workers() + 3, .gate = kt_gate_new()};
    CHECK_INT(
        knit_for_each(0, (size_t)m.wanted, meet, &m, &(knit_for_each_options){.limit = m.wanted}),
        0);
    kt_gate_free(m.gate);
}

/* A negative limit of conc's runs nothing and says nothing. */
static void a_negative_limit_is_none(void)
{
    struct meeting m = {.wanted = 50, .gate = kt_gate_new()};
    CHECK_INT(knit_for_each(0, 50, meet, &m, &(knit_for_each_options){.limit = -1}), 0);
    CHECK_INT(m.there, 50);
    kt_gate_free(m.gate);
}

static int crowd(size_t index, void *arg)
{
    struct meeting *m = arg;
    int now = atomic_fetch_add(&m->there, 1) + 1, most = atomic_load(&m->most);
    while (now > most && !atomic_compare_exchange_weak(&m->most, &most, now)) {
    }
    if (index % 2 == 0)
        CHECK_INT(knit_sleep(10 * KNIT_MICROSECOND), 0);
    atomic_fetch_sub(&m->there, 1);
    return 0;
}

static void there_are_never_more_than_the_limit(void)
{
    for (int limit = 1; limit < 8; limit += 3) {
        struct meeting m = {0};
        CHECK_INT(knit_for_each(0, (size_t)kt_count(1000), crowd, &m,
                                &(knit_for_each_options){.limit = limit}),
                  0);
        CHECK(m.most <= limit);
    }
}

static atomic_bool ended[64];

static int wait_for_lower(size_t index, void *arg)
{
    (void)arg;
    if (index > 0)
        kt_until(atomic_load(&ended[index - 1]));
    atomic_store(&ended[index], true);
    return 0;
}

static void a_body_may_wait_for_lower_indices(void)
{
    for (int limit = 0; limit < 5; limit++) {
        memset(ended, 0, sizeof ended);
        CHECK_INT(
            knit_for_each(0, 64, wait_for_lower, NULL, &(knit_for_each_options){.limit = limit}),
            0);
    }
}

static int wait_for_last(size_t index, void *arg)
{
    kt_gate *gate = arg;
    if (index == 63)
        kt_gate_open(*gate);
    return index == 0 ? kt_gate_wait(*gate) : 0;
}

static void a_body_that_waits_does_not_hold_up_the_rest(void)
{
    kt_gate gate = kt_gate_new();
    CHECK_INT(knit_for_each(0, 64, wait_for_last, &gate, &(knit_for_each_options){.limit = 2}), 0);
    kt_gate_free(gate);
}

static int inner(size_t index, void *arg)
{
    return count_index(index, arg);
}

static int outer(size_t index, void *arg)
{
    atomic_uchar *row = (atomic_uchar *)arg + index * 50;
    return knit_for_each(0, 50, inner, row, NULL);
}

static void loops_nest(void)
{
    CHECK_INT(knit_for_each(0, 100, outer, counts, NULL), 0);
    check_counts(0, 5000);
}

static const knittest tests[] = {
    BOTH(a_loop_over_nothing_calls_nothing),
    BOTH(misuse_is_refused),
    BOTH(every_index_is_called_once),
    BOTH(a_long_loop_of_tiny_bodies),
    BOTH(bodies_that_get_long_are_called_once),
    THREAD(indices_may_be_as_high_as_they_get),
    THREAD(a_fixed_chunk_is_what_a_range_is),
    BOTH(one_at_a_time_goes_in_order),
    BOTH(elements_may_be_changed_in_place),
    THREAD(options_are_not_changed),
    BOTH(map_writes_the_slot_of_each_element),
    THREAD(map_may_change_its_input),
    BOTH(a_failed_element_leaves_its_slot),
    BOTH(codes_tell_of_every_failure),
    BOTH(the_record_names_the_body_and_its_index),
    BOTH(the_first_failure_wakes_and_stops_the_rest),
    BOTH(a_loop_that_stops_lets_the_running_bodies_end),
    BOTH(codes_and_report_agree),
    THREAD(a_failed_range_is_a_failure_of_all_of_it),
    BOTH(an_exit_ends_one_body),
    BOTH(a_panic_goes_to_the_caller),
    BOTH(a_contained_panic_is_the_failure_of_its_index),
    BOTH(bodies_up_to_the_limit_can_wait_for_each_other),
    BOTH(a_negative_limit_is_none),
    BOTH(there_are_never_more_than_the_limit),
    BOTH(a_body_may_wait_for_lower_indices),
    BOTH(a_body_that_waits_does_not_hold_up_the_rest),
    BOTH(loops_nest),
};
KNITTEST_MAIN(tests)
