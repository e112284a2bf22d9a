/* Reminders: each at its time, one that comes again and again, and one that is never due.
 *
 *     ./11_reminders                  a day of 24 ms
 *     KNIT_SIM=1 ./11_reminders day   a real day, in no time (docs/simulation.md)
 *
 * What waits is an entry in the group's heap. When the day is over the group is closed, and what has
 * not begun is dropped. */
#include <knit.h>
#include <stdio.h>
#include <string.h>

static knit_duration hour = KNIT_MILLISECOND;
static knit_time midnight;

struct reminder {
    const char *text;
    int hour;
};

static int remind(void *arg)
{
    const struct reminder *r = arg;
    printf("%02d:00 %s\n", r->hour, r->text);
    return 0;
}

struct rounds {
    knit_schedgroup *day;
    int hour;
};

/* It schedules itself, from one fixed time to the next: what it does between takes no time away. */
static int feed_cat(void *arg)
{
    struct rounds *rounds = arg;
    printf("%02d:00 feed the cat\n", rounds->hour);
    rounds->hour += 8;
    if (rounds->hour >= 24)
        return 0;
    return knit_schedgroup_schedule(rounds->day, midnight + rounds->hour * hour, feed_cat, rounds);
}

int main(int argc, char **argv)
{
    const struct reminder reminders[] = {
        {"water the plants", 18}, {"tea", 16}, {"get up", 7}, {"pay the rent", 24 * 30}};
    if (argc > 1 && strcmp(argv[1], "day") == 0)
        hour = 3600 * KNIT_SECOND;
    knit_schedgroup day;
    knit_schedgroup_init(&day, NULL);
    midnight = knit_now();
    for (int i = 0; i < 4; i++)
        knit_schedgroup_schedule_copy(&day, midnight + reminders[i].hour * hour, remind,
                                      &reminders[i], sizeof reminders[i]);
    struct rounds rounds = {&day, 6};
    knit_schedgroup_schedule(&day, midnight + rounds.hour * hour, feed_cat, &rounds);

    int r = knit_schedgroup_wait_until(&day, midnight + 24 * hour);
    printf("24:00 %s\n", r == -ETIMEDOUT ? "something is left for another day" : "all done");
    return knit_schedgroup_close(&day);
}
