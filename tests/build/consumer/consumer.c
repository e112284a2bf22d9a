/* A user's program: built against the installed library alone. */
#include <knit.h>

#include <stdio.h>

static int square(void *arg)
{
    int *n = arg;
    *n *= *n;
    return 0;
}

int main(void)
{
    int numbers[] = {1, 2, 3, 4};
    int sum = 0;
    knit_errgroup g = {0};
    for (int i = 0; i < 4; i++)
        knit_errgroup_go(&g, square, &numbers[i]);
    int r = knit_errgroup_wait(&g);
    for (int i = 0; i < 4; i++)
        sum += numbers[i];
    printf("knit %s: %s, sum %d\n", KNIT_VERSION, knit_strerror(r), sum);
    return r == 0 && sum == 30 ? 0 : 1;
}
