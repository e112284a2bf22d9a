/* How many processors: the affinity mask, cut by the cgroup CPU quota (v2 cpu.max, v1 cfs files). */
#define _GNU_SOURCE
#include "../plat.h"
#include "../simulated.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read a small file as text. Returns false when it cannot be read. */
static bool read_file(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, buf, size - 1);
    close(fd);
    if (n < 0)
        return false;
    buf[n] = 0;
    return true;
}

/* Quota over period, rounded up; 0 when there is none. */
static long quota_in(const char *dir)
{
    char path[PATH_MAX + 32], buf[128];
    long long quota = -1, period = 0;

    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if (read_file(path, buf, sizeof buf)) {
        if (sscanf(buf, "%lld %lld", &quota, &period) != 2)
            return 0; /* "max 100000" */
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
        if (!read_file(path, buf, sizeof buf))
            return 0;
        quota = atoll(buf);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
        if (!read_file(path, buf, sizeof buf))
            return 0;
        period = atoll(buf);
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (long)((quota + period - 1) / period);
}

/* The smallest quota on the way from our cgroup up to the root of one hierarchy. */
static long quota_upwards(const char *root, const char *group)
{
    char dir[PATH_MAX];
    size_t root_len = strlen(root);
    long least = 0;
    int n = snprintf(dir, sizeof dir, "%s%s", root, group);

    if (n < 0 || (size_t)n >= sizeof dir)
        return 0;
    while (strlen(dir) >= root_len) {
        long quota = quota_in(dir);
        char *slash;

        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        slash = strrchr(dir, '/');
        if (!slash || strlen(dir) == root_len)
            break;
        *slash = 0;
    }
    return least;
}

/* One line of /proc/self/cgroup, "id:controllers:path": the quota it stands for, 0 for none. */
static long quota_of_line(char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path)
        return 0;
    *path++ = 0;
    controllers++;
    if (controllers[0] == 0)
        return quota_upwards("/sys/fs/cgroup", path);
    if (strncmp(controllers, "cpu", 3) == 0 && (controllers[3] == 0 || controllers[3] == ','))
        return quota_upwards("/sys/fs/cgroup/cpu", path);
    return 0;
}

static long cgroup_quota(void)
{
    char buf[4096];
    char *save = NULL;
    long least = 0;

    if (!read_file("/proc/self/cgroup", buf, sizeof buf))
        return 0;
    for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        long quota = quota_of_line(line);

        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
    }
    return least;
}

int knit__cpu_count(void)
{
    cpu_set_t set;
    long n = 0, quota;

    if (knit__simulated)
        return KNIT__SIM_CPUS;
    quota = cgroup_quota();
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (quota > 0 && quota < n)
        n = quota;
    return n < 1 ? 1 : (int)n;
}
