/* race: SIZE calls of which EXTRA end well, as soon as all the others sleep (for an hour): knit_race for
 * one, knit_take for more. Microseconds from the call until it returns, when no loser is left; the median
 * of some rounds.
 * losers  the same from the moment the last winner ends */
#include "../lib/bench_knit.h"

enum { ROUNDS = 51, WARM = 5 };

struct track {
    _Atomic long asleep, done;
    long losers, winners;
    int64_t won_at;
};

static int loser(void *arg)
{
    struct track *track = arg;
    track->asleep++;
    return knit_sleep(3600 * KNIT_SECOND);
}

static int winner(void *arg)
{
    struct track *track = arg;
    while (track->asleep < track->losers)
        bench_check(knit_yield(), "yield");
    if (++track->done == track->winners)
        track->won_at = bench_now();
    return 0;
}

/* The winners are spread over the calls. */
static void race_round(long n, long k, double *ret_all, double *ret_losers)
{
    struct track track = {.losers = n - k, .winners = k};
    const int64_t start = bench_now();
    knit_call *calls = malloc((size_t)n * sizeof *calls);
    size_t *indexes = malloc((size_t)k * sizeof *indexes);
    bench_check(!calls || !indexes, "malloc");
    for (long i = 0; i < n; i++)
        calls[i] =
            (knit_call){i % (n / k) == n / k / 2 && i / (n / k) < k ? winner : loser, &track};
    if (k == 1)
        bench_check(knit_race(calls, (size_t)n, NULL, indexes), "race");
    else
        bench_check(knit_take(calls, (size_t)n, NULL, (size_t)k, indexes) != k, "take");
    const int64_t end = bench_now();
    for (long i = 0; i < k; i++)
        bench_check(calls[indexes[i]].fn != winner, "a winner");
    free(indexes);
    free(calls);
    *ret_all = (double)(end - start) / 1000;
    *ret_losers = (double)(end - track.won_at) / 1000;
}

static int root(void *arg)
{
    const struct bench_args *args = arg;
    double all[ROUNDS], losers[ROUNDS];
    for (int i = 0; i < WARM; i++)
        race_round(args->size, args->extra, &all[0], &losers[0]);
    for (int i = 0; i < ROUNDS; i++)
        race_round(args->size, args->extra, &all[i], &losers[i]);
    printf("%.1f losers=%.1f\n", bench_median(all, ROUNDS), bench_median(losers, ROUNDS));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench_args args = bench_parse_knit(argc, argv);
    bench_root(root, &args);
    return 0;
}
