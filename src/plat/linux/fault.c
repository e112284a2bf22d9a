/* Faults: SIGSEGV and SIGBUS of a thread that may have run off its stack.
 *
 * One handler for the process, installed once, with SA_ONSTACK: on a thread that has an alternate
 * stack (every worker) it runs even when the stack itself is used up. It asks the upper floor
 * whether the address is a stack's guard; if so that has written its report, the default action is
 * restored, and returning runs into the same fault again: core dump and exit status are those of
 * the fault. Whatever else arrives goes to the handler that was there before, or to the default in
 * the same way.
 *
 * Only async-signal-safe calls. `old` and `report` are written before the handler is installed.
 *
 * The sanitizers have handlers of their own that know the stacks (fiber.c): nothing is installed
 * beside them. */
#define _GNU_SOURCE
#include "../plat.h"

#include "../fiber.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum { SIGNALS = 2 };

static const int signals[SIGNALS] = {SIGSEGV, SIGBUS};

static struct {
    bool (*report)(const void *address);
    struct sigaction old[SIGNALS];
} fault;

void knit__write_stderr(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, text, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

#if defined(KNIT__ASAN) || defined(KNIT__TSAN)

void knit__fault_start(bool (*report)(const void *address))
{
    fault.report = report;
    (void)signals;
}

void knit__fault_stack(void *base, size_t size)
{
    (void)base;
    (void)size;
}

#else

/* Default action. The kernel's own faults come again when the handler returns; a signal that was
 * sent is sent again, and delivered then. */
static void take_default(int sig, bool sent)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};

    sigemptyset(&dfl.sa_mask);
    sigaction(sig, &dfl, NULL);
    if (sent)
        raise(sig);
}

static void forward(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *old = &fault.old[sig == signals[0] ? 0 : 1];
    bool sent = info->si_code <= 0;

    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(sig, info, context);
    else if (old->sa_handler == SIG_IGN && sent)
        return;
    else if (old->sa_handler == SIG_IGN || old->sa_handler == SIG_DFL)
        take_default(sig, sent); /* a fault that is ignored ends the process as well */
    else
        old->sa_handler(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    int saved = errno;

    /* si_code tells the kernel's faults from sent signals; among faults a guard gives different
     * codes by how it was made, so that the address alone decides */
    if (info->si_code > 0 && fault.report(info->si_addr))
        take_default(sig, false);
    else
        forward(sig, info, context);
    errno = saved;
}

void knit__fault_start(bool (*report)(const void *address))
{
    int saved = errno;

    fault.report = report;
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

        if (sigaction(signals[i], NULL, &fault.old[i]) != 0)
            continue;
        act.sa_mask = fault.old[i].sa_mask;
        act.sa_flags |= fault.old[i].sa_flags & (SA_NODEFER | SA_RESTART);
        sigaction(signals[i], &act, NULL);
    }
    errno = saved;
}

void knit__fault_stack(void *base, size_t size)
{
    stack_t stack = {.ss_sp = base, .ss_size = size, .ss_flags = base ? 0 : SS_DISABLE};
    int saved = errno;

    sigaltstack(&stack, NULL);
    errno = saved;
}

#endif
