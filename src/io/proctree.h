/* The processes of a command: finding them, signalling them, knowing that none is left.
 *
 * ESSAY: which processes are a command's
 *
 * The kernel does not remember it. When a process ends, its children get another parent; a process may
 * change its group and session. What is left are signs, and a process with one of them is a member:
 *
 *   - it is the root (the process that was started, not reaped yet), or in the root's group or session;
 *   - its parent is a member;
 *   - it was a member when it was last looked for;
 *   - its environment, as it was at exec, has the tree's id in KNIT_TREE.
 *
 * The root stays a zombie until its tree is gone. So its number, and with it the numbers of its group
 * and session, can belong to nobody else. Other members may be reaped by their parents at any time; they
 * are told from a later user of their number by their start time, looked at once more after a pidfd was
 * opened, and signalled by the pidfd: it cannot change its mind.
 *
 * The program is not made a subreaper, which would keep orphans in sight: it is a property of the whole
 * process, and the orphans of what the program starts by itself would become its zombies. Where the
 * program is one already, or is process 1, members that became its children are reaped, and no others.
 *
 * Nothing left
 *
 * A walk through /proc costs milliseconds, a command half of one. After a normal end the answer is
 * nearly always that nothing is left, so there is a shorter way to it. Numbers of processes are given
 * out in ascending order, and /proc/loadavg has the last one. A member's number lies between the root's
 * and that one: few numbers, of which most are free again, or are roots of other commands, which a
 * table knows. The shorter way is taken while the numbers cannot have gone round once; a number takes
 * some 200 ns, and to use one up takes a fork.
 *
 * A process in the middle of exec has no environment for some microseconds. One that has none and is
 * young is therefore a "perhaps": it is counted, so that the caller looks again, but not signalled. */
#ifndef KNIT_IO_PROCTREE_H
#define KNIT_IO_PROCTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KNIT__TREE_VARIABLE "KNIT_TREE"

enum { KNIT__TREE_ID = 48 };

/* Is a process a member? PERHAPS: look again. STRANGER: no member of any tree of this program, ever. */
enum knit__sign { KNIT__STRANGER, KNIT__NO, KNIT__PERHAPS, KNIT__YES };

struct knit__known {
    pid_t pid;
    bool asked; /* it got SIGTERM */
    uint64_t start;
};

/* The tree of one command; used by one caller at a time. */
struct knit__tree {
    char id[KNIT__TREE_ID];
    pid_t root;
    bool lost;      /* somebody else reaped the root: its number says nothing */
    int64_t born;   /* since boot, ns */
    uint64_t since; /* no member started before: clock ticks since boot */
    struct knit__known *known;
    size_t known_count;
    struct knit__tree *next; /* in the table of roots, under its lock */
};

/* Before the root is started: its id, the time. */
void knit__tree_begin(struct knit__tree *t);
/* After. */
void knit__tree_root(struct knit__tree *t, pid_t root);
/* Before the root is reaped, when nothing is left, or shall be left. */
void knit__tree_end(struct knit__tree *t);

/* The root has ended, and is not reaped: is anything else left? PERHAPS: only a walk can tell. Takes
 * some 10 us. */
enum knit__sign knit__tree_left(const struct knit__tree *t);

enum knit__tree_action { KNIT__TREE_LOOK, KNIT__TREE_ASK, KNIT__TREE_KILL };

/* Find the members, less zombies: how many there are, with those that perhaps are members. ASK: each
 * gets SIGTERM (and SIGCONT) once, so do it again for those who come later. KILL: SIGKILL. Takes
 * milliseconds. Without memory, descriptors or /proc only the root's group is signalled; short of memory
 * or descriptors ASK and KILL say UNSEEN, so that the caller looks again. */
#define KNIT__TREE_UNSEEN SIZE_MAX
size_t knit__tree_walk(struct knit__tree *t, enum knit__tree_action action);

#endif
