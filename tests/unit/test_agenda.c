/* The agenda of a schedgroup against a model: the plans in an array that is searched. */
#include "group/agenda.h"

#include "knittest.h"

#include <string.h>

enum { PLANS = 500 };

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void add(struct knit__agenda *a, int64_t when, uint32_t index)
{
    struct knit__plan plan = {.when = when, .fn = nothing, .index = index};

    CHECK_INT(knit__agenda_reserve(a), 0);
    knit__agenda_add(a, &plan);
}

/* SCH-11 */
static void plans_come_out_by_time(void)
{
    const int64_t orders[2][3] = {{1, 2, 3}, {3, 1, 2}};

    for (int i = 0; i < 2; i++) {
        struct knit__agenda a = {0};

        for (uint32_t k = 0; k < 3; k++)
            add(&a, orders[i][k], k);
        for (int64_t when = 1; when <= 3; when++) {
            CHECK_INT(knit__agenda_next(&a), when);
            CHECK_INT(knit__agenda_take(&a).when, when);
        }
        CHECK_INT(knit__agenda_next(&a), INT64_MAX);
        knit__agenda_fini(&a);
    }
}

static void plans_of_one_time_come_out_in_their_order(void)
{
    struct knit__agenda a = {0};
    uint32_t first = UINT32_MAX - PLANS / 2; /* the number wraps in the middle */

    for (uint32_t i = 0; i < PLANS; i++)
        add(&a, 7, first + i);
    for (uint32_t i = 0; i < PLANS; i++)
        CHECK_INT(knit__agenda_take(&a).index, first + i);
    knit__agenda_fini(&a);
}

static void random_plans_come_out_as_from_the_model(void)
{
    struct knit__agenda a = {0};
    kt_rng rng = {kt_seed()};
    bool there[PLANS] = {false};
    int64_t when[PLANS];
    uint32_t n = 0;

    for (int round = 0; round < kt_count(20000); round++) {
        uint32_t i = kt_below(&rng, PLANS), first = PLANS;

        if (!there[i] && kt_below(&rng, 100) < 60) {
            there[i] = true;
            when[i] = kt_below(&rng, 50);
            add(&a, when[i], i);
            n++;
        } else if (n > 0) {
            for (uint32_t k = 0; k < PLANS; k++) {
                if (there[k] && (first == PLANS || when[k] < when[first]))
                    first = k;
            }
            CHECK_INT(knit__agenda_next(&a), when[first]);
            CHECK_INT(knit__agenda_take(&a).index, first);
            there[first] = false;
            n--;
        }
        CHECK_INT(a.count, n);
    }
    knit__agenda_fini(&a);
}

static void memory_follows_the_number_of_plans_down(void)
{
    struct knit__agenda a = {0};

    for (uint32_t i = 0; i < 100000; i++)
        add(&a, i, i);
    CHECK(a.capacity < 200000);
    for (uint32_t i = 0; i < 99990; i++)
        CHECK_INT(knit__agenda_take(&a).when, i);
    CHECK(a.capacity <= 64);
    knit__agenda_fini(&a);
    CHECK_INT(sizeof(struct knit__plan), 40); /* as knit/schedgroup.h says */
}

static const knittest tests[] = {
    THREAD(plans_come_out_by_time),
    THREAD(plans_of_one_time_come_out_in_their_order),
    THREAD(random_plans_come_out_as_from_the_model),
    THREAD(memory_follows_the_number_of_plans_down),
};
KNITTEST_MAIN(tests)
