#include <knit.h>
#include <stdio.h>
#include <sys/stat.h>

static int measure(void *arg)
{
    const char *path = arg;
    struct stat st;
    if (stat(path, &st) < 0)
        return knit_error(-errno, "stat %s", path);
    printf("%s: %lld bytes\n", path, (long long)st.st_size);
    return 0;
}

int main(void)
{
    char *paths[] = {"/etc/passwd", "/etc/group", "/etc/no-such-file"};
    knit_errgroup group;
    knit_errgroup_init(&group, NULL); /* NULL: the first error cancels the rest */
    for (int i = 0; i < 3; i++)
        knit_errgroup_go(&group, measure, paths[i]);

    int r = knit_errgroup_wait(&group); /* no task is left; the first error, or 0 */
    char report[1024] = "";
    knit_errgroup_format(&group, report, sizeof report);
    printf("wait: %s\n%s", knit_strerror(r), report);
    return 0;
}
