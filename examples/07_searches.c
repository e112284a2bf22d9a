/* Three searches at the same time, the results in the order they were asked for.
 *
 * Each task gets a copy of its job and writes to its own place of the array: no lock, and no order of
 * ends to care about. The first failure would cancel the others, and be what wait returns. */
#include <knit.h>
#include <stdio.h>

enum { SEARCHES = 3 };

struct search {
    const char *kind;
    const char *query;
    char *result; /* 64 bytes */
    int delay_ms; /* stands for the distance of a server */
};

static int search(void *arg)
{
    const struct search *s = arg;
    int r = knit_sleep(s->delay_ms * KNIT_MILLISECOND);
    if (r < 0)
        return r;
    snprintf(s->result, 64, "%s result for \"%s\"", s->kind, s->query);
    return 0;
}

int main(void)
{
    const char *kinds[SEARCHES] = {"web", "image", "video"};
    char results[SEARCHES][64];
    knit_errgroup group;
    knit_errgroup_init(&group, NULL);
    for (int i = 0; i < SEARCHES; i++) {
        struct search s = {kinds[i], "golang", results[i], 9 - 4 * i}; /* the last is the fastest */
        knit_errgroup_go_copy(&group, search, &s, sizeof s);
    }
    int r = knit_errgroup_wait(&group);
    if (r < 0) {
        fprintf(stderr, "search: %s\n", knit_strerror(r));
        return 1;
    }
    for (int i = 0; i < SEARCHES; i++)
        printf("%s\n", results[i]);
    return 0;
}
