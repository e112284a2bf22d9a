/* processes without a library: posix_spawn until EXTRA commands run, then waitid for any of them. us per
 * command. */
#include "../lib/bench.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static double play(long size, long limit)
{
    char *argv[] = {(char[]){"true"}, NULL};
    const int64_t start = bench_now();
    long started = 0, running = 0;
    while (started < size || running > 0) {
        siginfo_t info;
        pid_t pid;
        if (started < size && running < limit) {
            bench_check(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ), "posix_spawnp");
            started++, running++;
            continue;
        }
        bench_check(waitid(P_ALL, 0, &info, WEXITED), "waitid");
        bench_check(info.si_status, "true");
        running--;
    }
    return (double)(bench_now() - start) / 1e3 / (double)size;
}

int main(int argc, char **argv)
{
    const struct bench_args args = bench_parse(argc, argv);
    play(args.size / 10 + 1, args.extra);
    printf("%.3f\n", play(args.size, args.extra));
    return 0;
}
