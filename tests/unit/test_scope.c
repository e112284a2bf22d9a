/* The counts of a scope. */
#include "sched/scope.h"

#include "knittest.h"

/* A private scope: starts in plain, ends on workers in left. */
static int32_t open_after(uint64_t started, uint64_t ended_inline, uint64_t ended_elsewhere)
{
    uint64_t plain = (started << 32) + (ended_inline & UINT32_MAX);
    int64_t left = -(int64_t)ended_elsewhere * KNIT__LEFT_CHILD;
    return knit__open(left, plain);
}

static void counts_that_wrapped_around_add_up(void)
{
    static const uint64_t many[] = {0,
                                    1,
                                    UINT64_C(1) << 28,
                                    (UINT64_C(1) << 29) - 1,
                                    UINT64_C(1) << 29,
                                    (UINT64_C(1) << 29) + 1,
                                    UINT64_C(1) << 31,
                                    (UINT64_C(1) << 32) - 1,
                                    UINT64_C(1) << 32,
                                    UINT64_C(3) << 40};
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        for (uint64_t open = 0; open < 5; open++) {
            CHECK_INT(open_after(many[i] + open, 0, many[i]), open);
            CHECK_INT(open_after(many[i] + open, many[i], 0), open);
            CHECK_INT(open_after(2 * many[i] + open, many[i], many[i]), open);
        }
    }
}

static void the_flags_of_left_do_not_count(void)
{
    int64_t left = 7 * KNIT__LEFT_CHILD + 9 * KNIT__LEFT_SUBMITTED;
    CHECK_INT(knit__open(left + KNIT__LEFT_ROOM + KNIT__LEFT_WAITED, 0), 7);
    CHECK_INT(knit__left_open(left + KNIT__LEFT_ROOM + KNIT__LEFT_WAITED), 7);
    CHECK_INT(knit__left_high(left + KNIT__LEFT_ROOM + KNIT__LEFT_WAITED), 9);
    left = -3 * KNIT__LEFT_CHILD + KNIT__LEFT_ROOM;
    CHECK_INT(knit__open(left, UINT64_C(5) << 32), 2);
}

static const knittest tests[] = {
    COLD(counts_that_wrapped_around_add_up),
    COLD(the_flags_of_left_do_not_count),
};
KNITTEST_MAIN(tests)
