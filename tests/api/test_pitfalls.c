/* Pitfalls that users of other groups fell into, and what Knit does there: those of docs/pitfalls.md
 * that no other test shows. The numbers are those of its table. */
#include "bodies.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* Pitfall 2. Go: `g, ctx := WithContext(ctx)` hides the caller's context behind the group's, which
 * is over after Wait; what comes next fails. Here the caller has no second one in its hand. */
static void the_callers_context_outlives_a_group_that_failed(void)
{
    knit_ctx *mine = knit_ctx_current();
    int code = -EIO;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(knit_ctx_err(knit_errgroup_ctx(&g)), -ECANCELED);
    CHECK(knit_ctx_current() == mine);
    CHECK_INT(knit_ctx_err(mine), 0);
    CHECK_INT(knit_sleep(KNIT_MICROSECOND), 0); /* the commit */
    CHECK_INT(knit_errgroup_close(&g), -EIO);
    CHECK_INT(knit_sleep(KNIT_MICROSECOND), 0);
}

/* Pitfall 15. Go: the first Go beside a Wait, or one at the moment when the count is 0, is misuse of
 * the WaitGroup: a panic, or a task that nobody waits for (golang/go#70284). */

typedef struct starter {
    knit_errgroup g;
    atomic_int ran, over;
    int n;
} starter;

static void start_one_by_one(void *arg)
{
    starter *s = arg;
    for (int i = 0; i < s->n; i++) {
        CHECK_INT(knit_errgroup_go(&s->g, count_up, &s->ran), 0);
        if (i % 2 == 0)
            (void)knit_yield(); /* lets the count come back to 0 */
    }
    atomic_store(&s->over, 1);
}

static void a_start_beside_a_wait_is_waited_for_by_this_wait_or_the_next(void)
{
    for (int round = 0; round < 2; round++) {
        starter s = {.n = kt_count(2000)};
        if (round == 1)
            CHECK_INT(knit_errgroup_init(&s.g, NULL), 0);
        kt_thread *thread = kt_thread_start(start_one_by_one, &s);
        while (!atomic_load(&s.over)) {
            CHECK_INT(knit_errgroup_wait(&s.g), 0);
            (void)knit_yield();
        }
        CHECK_INT(knit_errgroup_wait(&s.g), 0);
        CHECK_INT(s.ran, s.n);
        CHECK_INT(counts_of(&s.g).submitted, s.n);
        CHECK_INT(counts_of(&s.g).pending, 0);
        kt_thread_join(thread);
    }
}

/* Pitfall 24. Trio, Swift: a shield around the place where a task is started does not shield the
 * task, which lives in its group's scope. */

static int sleep_for_ever(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return knit_sleep(KNIT_FOREVER);
}

static void a_shield_around_the_start_does_not_shield_a_task_of_an_outer_group(void)
{
    atomic_int started = 0;
    knit_ctx *shield;
    knit_ctx_scope scope;
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, count_up, &started), 0);
    CHECK_INT(knit_ctx_shield(knit_ctx_current(), 100 * KNIT_SECOND, &shield), 0);
    CHECK_INT(knit_ctx_enter(shield, &scope), 0);
    CHECK_INT(knit_errgroup_go(&g, sleep_for_ever, &started), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(shield);
    kt_until(started == 2);
    knit_errgroup_cancel(&g, 0);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(counts_of(&g).echoes, 1);
}

typedef struct cleaner {
    kt_gate gate;
    atomic_int started;
} cleaner;

static int count_and_wait_at_gate(void *arg)
{
    cleaner *c = arg;
    atomic_fetch_add(&c->started, 1);
    return kt_gate_wait(c->gate);
}

/* A group that is made inside the shield is shielded: its context is a child of it. */
static int clean_up_in_a_group_of_its_own(void *arg)
{
    cleaner *c = arg;
    knit_ctx *shield;
    knit_ctx_scope scope;
    knit_errgroup g;
    CHECK_INT(knit_ctx_shield(knit_ctx_current(), 100 * KNIT_SECOND, &shield), 0);
    CHECK_INT(knit_ctx_enter(shield, &scope), 0);
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, count_and_wait_at_gate, c), 0);
    CHECK_INT(knit_errgroup_wait(&g), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    knit_ctx_unref(shield);
    return knit_yield();
}

static void a_group_made_inside_a_shield_is_shielded(void)
{
    cleaner c = {.gate = kt_gate_new()};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, NULL), 0);
    CHECK_INT(knit_errgroup_go(&g, clean_up_in_a_group_of_its_own, &c), 0);
    kt_until(c.started == 1);
    knit_errgroup_cancel(&g, 0);
    kt_gate_open(c.gate);
    CHECK_INT(knit_errgroup_wait(&g), -ECANCELED);
    CHECK_INT(counts_of(&g).echoes, 1);
    kt_gate_free(c.gate);
}

/* Pitfall 29. Trio (before strict groups), facebook's errgroup: one error comes as it is, several
 * come as a group of errors; the handler that was tested with one misses the other. */
static void one_error_and_many_have_the_same_shape(void)
{
    for (int n = 0; n <= 5; n++) {
        knit_error_record record;
        knit_errgroup g = {0};
        for (int i = 0; i < n; i++) {
            int code = -1000 - i;
            CHECK_INT(knit_errgroup_go_copy(&g, return_copied_code, &code, sizeof code), 0);
            CHECK_INT(knit_errgroup_wait(&g), -1000);
        }
        CHECK_INT(knit_errgroup_wait(&g), n ? -1000 : 0);
        CHECK_INT(counts_of(&g).failed, n);
        for (int i = 0; i < n; i++) {
            CHECK_INT(knit_errgroup_error(&g, (size_t)i, &record), 0);
            CHECK_INT(record.code, -1000 - i);
        }
        CHECK_INT(knit_errgroup_error(&g, (size_t)n, &record), -ENOENT);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

enum { MAPPED, RESIDENT };

/* Of this process, in bytes. */
static long memory_now(int which)
{
    long pages[2] = {0, 0};
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f);
    CHECK_INT(fscanf(f, "%ld %ld", &pages[0], &pages[1]), 2);
    fclose(f);
    return pages[which] * sysconf(_SC_PAGESIZE);
}

enum { ROUNDS = 10 };

static void run_rounds(knit_errgroup *g, int rounds, int n, atomic_int *ran)
{
    static int code = -EIO;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < n; i++) {
            CHECK_INT(knit_errgroup_go(g, count_up, ran), 0);
            if (i % 1000 == 0)
                CHECK_INT(knit_errgroup_go(g, return_copied_code, &code), 0);
        }
    }
}

/* Pitfall 27. Swift (SE-0381), Tokio: what finished tasks leave for whoever may ask piles up in a
 * group that never ends. Here a task leaves nothing but counts, and the first error records. */
static void finished_tasks_leave_nothing(void)
{
    if (KT_TSAN)
        kt_skip("TSan itself grows");
    atomic_int ran = 0;
    int n = kt_count(50000), rounds = 1;
    long before, grown;
    knit_errgroup_options options = {.limit = 100, .flags = KNIT_ERRGROUP_KEEP_GOING};
    knit_errgroup g;
    CHECK_INT(knit_errgroup_init(&g, &options), 0);
    run_rounds(&g, 1, n, &ran);
    /* Less than 8 bytes for each of half a million (80, where the machine is slow). Threads and
     * stacks may be added meanwhile, more of them when workers stand still; but not for ever. */
    do {
        CHECK(rounds < 8 * ROUNDS);
        before = memory_now(RESIDENT);
        run_rounds(&g, ROUNDS, n, &ran);
        rounds += ROUNDS;
        grown = memory_now(RESIDENT) - before;
    } while (grown >= 4 << 20);
    CHECK_INT(knit_errgroup_wait(&g), -EIO);
    CHECK_INT(ran, n * rounds);
    CHECK_INT(counts_of(&g).failed, (n + 999) / 1000 * rounds);
}

/* Pitfall 31. A limit that is a channel of n tokens is feared to take memory in n
 * (oras-project/oras-go#363). Here it is a number. */
static void a_limit_of_two_thousand_million_takes_no_memory(void)
{
    enum { N = 100 };
    atomic_int ran = 0;
    knit_errgroup groups[N] = {0};
    CHECK_INT(knit_errgroup_go(&groups[0], count_up, &ran), 0); /* the runtime is up */
    CHECK_INT(knit_errgroup_wait(&groups[0]), 0);
    long before = memory_now(MAPPED);
    for (int i = 0; i < N; i++) {
        CHECK_INT(knit_errgroup_set_limit(&groups[i], INT_MAX), 0);
        CHECK_INT(knit_errgroup_try_go(&groups[i], count_up, &ran), 0);
    }
    /* A bit for each place would be 25 GiB; what other threads may have mapped is far below that. */
    CHECK(memory_now(MAPPED) - before < 4L << 30);
    for (int i = 0; i < N; i++)
        CHECK_INT(knit_errgroup_wait(&groups[i]), 0);
    CHECK_INT(ran, N + 1);
    CHECK_INT(sizeof(knit_errgroup), 80);
}

/* Pitfall 32. Trio: a task that is started inside a block with a time limit belongs to its nursery,
 * and does not have that limit. */

static int note_deadline(void *arg)
{
    *(knit_time *)arg = knit_ctx_deadline(knit_ctx_current());
    return 0;
}

static void a_timed_block_bounds_the_groups_made_in_it_and_no_others(void)
{
    knit_time outer = 0, inner = 0, given = 0, deadline;
    kt_gate gate = kt_gate_new();
    knit_ctx *block;
    knit_ctx_scope scope;
    knit_errgroup before, within, by_option;
    CHECK_INT(knit_errgroup_init(&before, NULL), 0);
    CHECK_INT(knit_errgroup_go(&before, wait_at_gate, &gate), 0);
    CHECK_INT(knit_ctx_with_timeout(knit_ctx_current(), 1000 * KNIT_SECOND, &block), 0);
    deadline = knit_ctx_deadline(block);
    CHECK_INT(knit_ctx_enter(block, &scope), 0);
    CHECK_INT(knit_errgroup_init(&within, NULL), 0);
    CHECK_INT(knit_errgroup_go(&before, note_deadline, &outer), 0);
    CHECK_INT(knit_errgroup_go(&within, note_deadline, &inner), 0);
    CHECK_INT(knit_ctx_leave(&scope), 0);
    CHECK_INT(knit_errgroup_init(&by_option, &(knit_errgroup_options){.ctx = block}), 0);
    CHECK_INT(knit_errgroup_go(&by_option, note_deadline, &given), 0);
    kt_gate_open(gate);
    CHECK_INT(knit_errgroup_wait(&before), 0);
    CHECK_INT(knit_errgroup_wait(&within), 0);
    CHECK_INT(knit_errgroup_wait(&by_option), 0);
    CHECK(outer == KNIT_FOREVER);
    CHECK(inner == deadline);
    CHECK(given == deadline);
    knit_ctx_unref(block);
    kt_gate_free(gate);
}

static const knittest tests[] = {
    BOTH(the_callers_context_outlives_a_group_that_failed),
    BOTH(a_start_beside_a_wait_is_waited_for_by_this_wait_or_the_next),
    BOTH(a_shield_around_the_start_does_not_shield_a_task_of_an_outer_group),
    BOTH(a_group_made_inside_a_shield_is_shielded),
    BOTH(one_error_and_many_have_the_same_shape),
    BOTH(finished_tasks_leave_nothing),
    BOTH(a_limit_of_two_thousand_million_takes_no_memory),
    BOTH(a_timed_block_bounds_the_groups_made_in_it_and_no_others),
};
KNITTEST_MAIN(tests)
