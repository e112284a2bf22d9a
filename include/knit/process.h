/* Child processes as tasks: commands that are run, watched and ended together with what they start.
 *
 * knit_command_run runs a command and waits for it, as a call like any other:
 *
 *     const knit_command list = {
 *         .argv = (const char *[]){"ls", "-l", NULL}, .out = KNIT_STDIO_CAPTURE};
 *     knit_command_result result;
 *     r = knit_command_run(&list, &result);             0 when ls exits with 0
 *
 * and knit_command_task does the same as the task of a group, with its limit and its first error.
 *
 * A command is the tree of processes it grows into. Nothing of the tree outlives the call: when the
 * context ends, and also when the command itself ends and leaves processes behind, all that is left
 * gets SIGTERM (and SIGCONT), and after the grace SIGKILL, until none is left; only then the call
 * returns. That includes processes that ignore SIGTERM, have a session of their own (setsid), or are
 * orphans (daemons).
 *
 * How they are found: the command has a process group of its own, and a variable KNIT_TREE in its
 * environment that its descendants inherit; their parents lead to the rest. So a process escapes that
 * becomes an orphan *and* leaves the process group *and* gives up or overwrites its environment,
 * before it was first looked for. KNIT_COMMAND_GUARD closes this gap. One of another user cannot be
 * signalled: what is left 10 s after SIGKILL is given up. Looking takes /proc and two descriptors:
 * without /proc only the process group is ended, without descriptors it is tried again for up to
 * four graces.
 *
 * With KNIT_COMMAND_GUARD the command has a guardian: a process of some kilobytes that is its parent
 * and the subreaper of the whole tree, so that no descendant can get out of its sight. It ends the
 * tree, in the same way, also when the program itself is gone: crashed, out of memory, kill -9. It
 * costs another fork and exec. The program must be able to execute a memfd, by /proc. If somebody
 * kills the guardian, the tree is ended as one without.
 *
 * A command sees only the descriptors it is given: 0, 1, 2, and `fds` from 3 on. It begins with no
 * signal blocked and all at their default action, as the leader of a process group in the
 * background: signals of the terminal (Ctrl-C) reach the program alone, and reading from the terminal
 * stops a command. Starting one copies no page table of the program, however large it is.
 *
 * A program that ignores SIGCHLD, or waits for any child that comes (wait, waitpid(-1)), loses the
 * results of its commands: calls fail with -ECHILD then. */
#ifndef KNIT_PROCESS_H
#define KNIT_PROCESS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a command gets for its input, output and errors; or a descriptor > 0. */
enum {
    KNIT_STDIO_DEFAULT = 0,  /* in: as NULL; out and err: as INHERIT */
    KNIT_STDIO_INHERIT = -1, /* what the program has there */
    KNIT_STDIO_NULL = -2,    /* /dev/null */
    KNIT_STDIO_PIPE = -3,    /* a pipe, the other end for the program: knit_command_start only */
    KNIT_STDIO_CAPTURE = -4, /* out, err: kept in the result; knit_command_run only */
    KNIT_STDIO_LINES = -5,   /* out, err: given to on_line; knit_command_run only */
    KNIT_STDIO_OUT = -6,     /* err: where out goes */
};

enum {
    KNIT_COMMAND_GUARD = 1,   /* with a guardian, see above */
    KNIT_COMMAND_SESSION = 2, /* a session of its own: no controlling terminal */
    KNIT_COMMAND_LEAVE = 4,   /* what a command leaves behind when it ends by itself may live on;
                                 not together with GUARD */
};

/* The result of a command that did not exit with 0; which way is in its result and error text. */
#define KNIT_COMMAND_FAILED (-EREMOTEIO)

#define KNIT_COMMAND_GRACE                                                                         \
    (5 * KNIT_SECOND) /* between SIGTERM and SIGKILL, if not said otherwise */
#define KNIT_COMMAND_KEEP                                                                          \
    ((size_t)1024 * 1024) /* bytes captured of a stream, if not said otherwise */
#define KNIT_COMMAND_LINE ((size_t)64 * 1024) /* bytes of a line that are given at once */

/* A line of output, without its newline. A line of more than KNIT_COMMAND_LINE bytes comes in several
 * parts, and the last line may lack a newline. */
typedef struct knit_line {
    const char *text; /* followed by a 0 byte */
    size_t size;
    int stream;  /* 1 output, 2 errors */
    int partial; /* 1: the line goes on with the next call for this stream */
} knit_line;

/* Anything but 0 ends the command as a cancel does, and is the result of the run. */
typedef int knit_line_fn(const knit_line *line, void *arg);

/* A captured stream: all of it, or its first and its last part. */
typedef struct knit_captured {
    char *data;    /* followed by a 0 byte; NULL: nothing was captured */
    size_t size;   /* bytes of data */
    size_t cut;    /* where in data bytes are missing */
    uint64_t lost; /* how many */
} knit_captured;

typedef struct knit_command_result {
    int pid;
    int status; /* 0..255: it exited; -1: it did not */
    int signal; /* > 0: it was killed by that signal */
    int core;   /* 1: and dumped core */
    knit_captured out, err;
} knit_command_result;

/* What to run, and how. Only argv must be set. */
typedef struct knit_command {
    const char *const
        *argv; /* ends with NULL. argv[0]: a path if there is a '/' in it (a relative one
                                begins in `directory`), else looked up in the program's PATH */
    const char *const *env; /* "NAME=value"..., ends with NULL; NULL: that of the program */
    const char *directory;  /* NULL: that of the program */
    int in, out, err;       /* KNIT_STDIO_..., or a descriptor > 0 */
    unsigned flags;         /* KNIT_COMMAND_... */
    const int *fds;         /* the command's descriptors 3, 4, ... */
    size_t fd_count;        /* at most 64 */
    knit_duration grace;    /* 0: KNIT_COMMAND_GRACE; < 0: SIGKILL at once */
    const void *input;      /* run: what the command reads from its input (in: DEFAULT) */
    size_t input_size;
    size_t keep;           /* run: bytes to capture of a stream; 0: KNIT_COMMAND_KEEP */
    knit_line_fn *on_line; /* run: for KNIT_STDIO_LINES */
    void *on_line_arg;
    knit_command_result *result; /* of knit_command_task; NULL: not wanted */
} knit_command;

/* Run a command until it and all it started have ended: 0 when it exited with 0.
 *
 * Another exit status, or its death by a signal, is KNIT_COMMAND_FAILED with an error text (knit_error:
 * "sort: exit status 2: " and the last line of captured errors); *ret_result says which. Reading of its
 * output stops when all have ended: a process that escaped, or may live on (KNIT_COMMAND_LEAVE), and
 * holds the pipe open is not waited for. Input the command does not read is dropped. Of a stream that
 * is captured the first and last keep / 2 bytes are kept; the command never waits because of that.
 * on_line is called by the caller's task, also while the tree is ended, under the context of the call,
 * and may wait; the command then waits once the pipe is full.
 *
 * Parks:    yes; starting it blocks the thread as by knit_blocking.
 * Cancel:   -ECANCELED or -ETIMEDOUT: when the ambient context ends, the tree is ended first, see
 *           above; this can take the grace, and goes on under the ended context. When it had ended
 *           before the call, nothing is started.
 * Errors:   KNIT_COMMAND_FAILED; what on_line returned. Could not be started: -ENOENT (program or
 *           directory: see the text), -EACCES, -ENOEXEC, -ENOTDIR, -ELOOP, -E2BIG, -ETXTBSY, -EBADF (a
 *           descriptor), -EMFILE, -ENFILE, -EAGAIN (limit of processes), -ENOMEM, -EINVAL (no argv, an
 *           unknown flag or number, NULL where something is needed, CAPTURE without ret_result),
 *           -EPERM, -ENOSYS (GUARD). -ECHILD: its result was lost, see above.
 * Pointers: command, with all it points to, borrowed; ret_result borrowed, set in any case:
 *           knit_command_result_fini. NULL: not wanted.
 * Threads:  any task, any thread. */
KNIT_API int knit_command_run(const knit_command *command, knit_command_result *ret_result);

/* knit_command_run(command, command->result), as a task: knit_errgroup_go(&g, knit_command_task,
 * &command).
 *
 * Parks, Cancel, Errors, Threads: as knit_command_run.
 * Pointers: command is a knit_command, borrowed. */
KNIT_API int knit_command_task(void *command);

/* Free what was captured. {0} and NULL are fine.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API void knit_command_result_fini(knit_command_result *result);

/* ---- for longer ---- */

/* A command that was started. */
typedef struct knit_process knit_process;

/* Start a command that is to run beside the caller. It belongs to the task that starts it: if it is
 * not closed when that task ends, it is closed then, before the task's group goes on. One that a plain
 * thread starts is closed by knit_process_close alone.
 * Not for what only run can do: CAPTURE, LINES, input.
 *
 * Parks:    with GUARD, for some 100 us; starting it blocks the thread as by knit_blocking.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context has ended; nothing was started.
 * Errors:   as run, where it could not be started.
 * Pointers: command, with all it points to, borrowed; *ret_process returned: knit_process_close;
 *           untouched on failure.
 * Threads:  any task, any thread. */
KNIT_API int knit_command_start(const knit_command *command, knit_process **ret_process);

/* Its process id. Do not signal or wait for it by this number: it may have ended.
 *
 * Parks: no.  Cancel: not affected.  Errors: -EINVAL (NULL).  Pointers: borrowed.
 * Threads:  any task, any thread. */
KNIT_API int knit_process_pid(const knit_process *process);

/* Take the program's end of a KNIT_STDIO_PIPE: 0 to write the command's input, 1 and 2 to read its
 * output and errors, by knit_write and knit_read. Close it by knit_close, the input to say that there
 * is no more. What is never taken is closed by knit_process_close.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EBADF (no pipe, or taken before), -EINVAL.
 * Pointers: process borrowed; the descriptor is the caller's.
 * Threads:  one at a time. */
KNIT_API int knit_process_take(knit_process *process, int which);

/* Send a signal to the command itself, not to what it started.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ESRCH (it has ended), -EINVAL, -EPERM.
 * Pointers: borrowed.
 * Threads:  any task, any thread, until it is closed. */
KNIT_API int knit_process_signal(knit_process *process, int signal);

/* Wait until the command itself has ended (with GUARD: and all it started): its result, as of
 * knit_command_run. It stays to be closed.
 *
 * Parks:    yes, unless it has ended.
 * Cancel:   -ECANCELED or -ETIMEDOUT when the ambient context ends first; the command goes on.
 * Errors:   -ETIMEDOUT (deadline; KNIT_FOREVER: none), KNIT_COMMAND_FAILED, -ECHILD, -EINVAL, -ENOMEM.
 * Pointers: process borrowed; ret_result borrowed, or NULL; untouched unless it has ended.
 * Threads:  any task, any thread; one at a time. */
KNIT_API int knit_process_wait(knit_process *process, knit_time deadline,
                               knit_command_result *ret_result);

/* The end: SIGTERM to all that is left of the tree, after the grace SIGKILL, until none is left; a
 * command that has ended leaves nothing either (but with KNIT_COMMAND_LEAVE). Returns the result, as
 * of knit_command_run, and frees process.
 *
 * Parks:    yes, while something is left.
 * Cancel:   not affected; it lasts no longer than the grace and what killing takes.
 * Errors:   0, KNIT_COMMAND_FAILED (also: killed by this call), -ECHILD, -EINVAL.
 * Pointers: process given; ret_result borrowed, set in any case, or NULL.
 * Threads:  any task, any thread; nothing else may use process any more. */
KNIT_API int knit_process_close(knit_process *process, knit_command_result *ret_result);

#ifdef __cplusplus
}
#endif
#endif
