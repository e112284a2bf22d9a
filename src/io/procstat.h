/* What /proc/PID/stat says of a process. Freestanding: the guardian, which has no C library, reads it
 * too. */
#ifndef KNIT_IO_PROCSTAT_H
#define KNIT_IO_PROCSTAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct knit__procstat {
    int pid, parent, group, session;
    char state;
    bool kernel;    /* a thread of the kernel */
    uint64_t start; /* since the system's boot, clock ticks: tells two users of a number apart */
};

enum { KNIT__PROCSTAT_SIZE = 512 }; /* the fields that are wanted, with the longest name, fit in */

static inline bool knit__procstat_dead(const struct knit__procstat *p)
{
    return p->state == 'Z' || p->state == 'X';
}

/* "PID (NAME) STATE PARENT GROUP SESSION ...": NAME may contain anything, so the last ) ends it.
 * False: that is no such text. */
static inline bool knit__procstat_parse(const char *text, size_t n, struct knit__procstat *ret)
{
    enum { PARENT = 4, GROUP = 5, SESSION = 6, FLAGS = 9, START = 22, KERNEL_THREAD = 0x200000 };
    uint64_t field[START + 1] = {0};
    size_t at = n;
    int number = PARENT;

    while (at > 0 && text[at - 1] != ')')
        at--;
    if (at == 0 || at + 3 >= n)
        return false;
    ret->state = text[at + 1];
    for (at += 3; at < n && number <= START; at++) {
        if (text[at] >= '0' && text[at] <= '9')
            field[number] = field[number] * 10 + (uint64_t)(text[at] - '0');
        else if (text[at] == ' ')
            number++;
    }
    ret->pid = 0;
    for (at = 0; at < n && text[at] >= '0' && text[at] <= '9'; at++)
        ret->pid = ret->pid * 10 + (text[at] - '0');
    ret->parent = (int)field[PARENT];
    ret->group = (int)field[GROUP];
    ret->session = (int)field[SESSION];
    ret->kernel = (field[FLAGS] & KERNEL_THREAD) != 0;
    ret->start = field[START];
    return number > START;
}

#endif
