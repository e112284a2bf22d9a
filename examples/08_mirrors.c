/* The first answer wins: one file, four mirrors.
 *
 * All are asked at once. A mirror that fails is no loss as long as another answers. The first answer
 * ends the race: the other calls are cancelled in the middle of their waiting, and when knit_race
 * returns they have ended, so nobody writes to `mirrors` any more. */
#include <knit.h>
#include <stdio.h>

enum { MIRRORS = 4, LENGTH = 64 };

struct mirror {
    const char *name;
    int delay_ms; /* stands for its distance */
    int error;    /* 0, or how it fails */
    char answer[LENGTH];
};

static int fetch(void *arg)
{
    struct mirror *m = arg;
    int r = knit_sleep(m->delay_ms * KNIT_MILLISECOND);
    if (r < 0)
        return r; /* another one was faster */
    if (m->error < 0)
        return knit_error(m->error, "%s", m->name);
    snprintf(m->answer, LENGTH, "README, as %s has it", m->name);
    return 0;
}

int main(void)
{
    struct mirror mirrors[MIRRORS] = {
        {.name = "far.example", .delay_ms = 3600 * 1000},
        {.name = "broken.example", .error = -ECONNREFUSED},
        {.name = "near.example", .delay_ms = 5},
        {.name = "slow.example", .delay_ms = 3600 * 1000},
    };
    knit_call calls[MIRRORS];
    for (int i = 0; i < MIRRORS; i++)
        calls[i] = (knit_call){fetch, &mirrors[i]};

    size_t winner;
    int r = knit_race(calls, MIRRORS, NULL, &winner);
    if (r < 0) {
        printf("no mirror answered: %s\n", knit_strerror(r));
        return 1;
    }
    printf("%s\n", mirrors[winner].answer);
    return 0;
}
