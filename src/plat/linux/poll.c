/* Waiting for descriptors: one epoll set, and an eventfd in it as the bell.
 *
 * The bell is watched by edges, so that it need not be read: each ring is an edge. Deadlines in ns
 * need epoll_pwait2 (Linux 5.11); where it is not there they are rounded up to ms. */
#define _GNU_SOURCE
#include "../../base/assert.h"
#include "../simulated.h"
#include "host.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BELL UINT64_MAX

int knit__os_poll_open(struct knit__os_poll *p)
{
    struct epoll_event bell = {.events = EPOLLIN | EPOLLET, .data.u64 = BELL};
    int r, saved = errno;

    p->set = epoll_create1(EPOLL_CLOEXEC);
    p->bell = p->set < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->bell < 0 || epoll_ctl(p->set, EPOLL_CTL_ADD, p->bell, &bell) != 0) {
        r = -errno;
        knit__os_poll_close(p);
        errno = saved;
        return r;
    }
    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_poll_begin(p->set, &p->rung);
    return 0;
}

void knit__os_poll_close(struct knit__os_poll *p)
{
    int saved = errno;

    if (KNIT__UNLIKELY(knit__simulated))
        knit__sim_poll_begin(-1, NULL);
    if (p->bell >= 0)
        close(p->bell);
    if (p->set >= 0)
        close(p->set);
    p->set = p->bell = -1;
    errno = saved;
}

static uint32_t epoll_bits(uint32_t what, bool once)
{
    uint32_t bits = once ? EPOLLONESHOT : EPOLLET;

    if (what & KNIT__POLL_IN)
        bits |= EPOLLIN | EPOLLRDHUP;
    if (what & KNIT__POLL_OUT)
        bits |= EPOLLOUT;
    if (what & KNIT__POLL_PRI)
        bits |= EPOLLPRI;
    return bits;
}

static uint32_t our_bits(uint32_t bits)
{
    uint32_t what = 0;

    if (bits & (EPOLLHUP | EPOLLERR))
        return KNIT__POLL_IN | KNIT__POLL_OUT | KNIT__POLL_PRI | KNIT__POLL_ENDED;
    if (bits & EPOLLRDHUP) /* and there may be room to write, or not */
        what |= KNIT__POLL_IN | KNIT__POLL_ENDED;
    if (bits & EPOLLIN)
        what |= KNIT__POLL_IN;
    if (bits & EPOLLOUT)
        what |= KNIT__POLL_OUT;
    if (bits & EPOLLPRI)
        what |= KNIT__POLL_PRI;
    return what;
}

int knit__os_poll_watch(struct knit__os_poll *p, int fd, uint64_t data, uint32_t what, bool once,
                        bool likely)
{
    struct epoll_event e = {.events = epoll_bits(what, once), .data.u64 = data};
    int r, saved = errno;

    r = epoll_ctl(p->set, likely ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
    if (r == -ENOENT || r == -EEXIST)
        r = epoll_ctl(p->set, likely ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e) == 0 ? 0 : -errno;
    errno = saved;
    return r == -EINVAL || r == -ELOOP ? -EPERM
                                       : r; /* the set itself; sets too deep in each other */
}

void knit__os_poll_unwatch(struct knit__os_poll *p, int fd)
{
    int saved = errno;

    (void)epoll_ctl(p->set, EPOLL_CTL_DEL, fd, NULL);
    errno = saved;
}

bool knit__host_poll_ready(int set)
{
    struct pollfd p = {.fd = set, .events = POLLIN};
    int saved = errno;
    bool ready = poll(&p, 1, 0) > 0;

    errno = saved;
    return ready;
}

/* As epoll_wait, for so many ns (-1: without end). */
static int wait_ns(int set, struct epoll_event *events, int n, int64_t ns)
{
    static _Atomic bool no_pwait2;

    if (ns > 0 && !atomic_load_explicit(&no_pwait2, memory_order_relaxed)) {
        struct timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        int r = (int)syscall(SYS_epoll_pwait2, set, events, n, &ts, NULL, (size_t)0);

        if (r >= 0 || errno != ENOSYS)
            return r;
        atomic_store_explicit(&no_pwait2, true, memory_order_relaxed);
    }
    if (ns > 0)
        ns = ns / 1000000 >= INT_MAX ? INT_MAX : (ns + 999999) / 1000000;
    return epoll_wait(set, events, n, (int)ns);
}

/* Programs that close every descriptor there is would wait for ever, or without a pause. */
static KNIT__COLD KNIT__NORETURN void closed(void)
{
    knit__bug("descriptors of Knit's were closed by the program");
}

static uint32_t collect(struct knit__os_poll *p, int64_t ns)
{
    int saved = errno, r;

    _Static_assert(sizeof(struct epoll_event) * KNIT__POLL_AT_ONCE <= sizeof p->got, "room");
    r = wait_ns(p->set, (struct epoll_event *)(void *)p->got, KNIT__POLL_AT_ONCE, ns);
    if (r < 0 && errno != EINTR)
        closed();
    errno = saved;
    return r < 0 ? 0 : (uint32_t)r;
}

/* Copied: to the compiler the room is not made of these, and they need not be aligned. */
struct knit__os_event knit__os_poll_event(const struct knit__os_poll *p, uint32_t i)
{
    struct epoll_event e;

    memcpy(&e, (const char *)p->got + i * sizeof e, sizeof e);
    return (struct knit__os_event){e.data.u64, e.data.u64 == BELL ? 0 : our_bits(e.events)};
}

/* The clock and the bell are those of the simulated world; what happens at the descriptors is real.
 * Others run while this one waits, but none of them polls: the first look found nothing, so the
 * second one overwrites nothing. */
static uint32_t wait_simulated(struct knit__os_poll *p, int64_t deadline)
{
    uint32_t rung = atomic_load_explicit(&p->rung, memory_order_acquire);
    uint32_t found = collect(p, 0);

    if (found > 0 || deadline == 0)
        return found;
    knit__sim_futex_wait(&p->rung, rung, deadline);
    return collect(p, 0);
}

uint32_t knit__os_poll_wait(struct knit__os_poll *p, int64_t deadline)
{
    int64_t ns = -1;

    if (KNIT__UNLIKELY(knit__simulated))
        return wait_simulated(p, deadline);
    if (deadline == 0) {
        ns = 0;
    } else if (deadline != KNIT__NEVER) {
        ns = deadline - knit__clock_now();
        ns = ns < 0 ? 0 : ns;
    }
    return collect(p, ns);
}

void knit__os_poll_wake(struct knit__os_poll *p)
{
    int saved = errno;

    if (KNIT__UNLIKELY(knit__simulated)) {
        atomic_fetch_add_explicit(&p->rung, 1, memory_order_release);
        knit__sim_futex_wake(&p->rung, 1);
    } else {
        if (eventfd_write(p->bell, 1) != 0 && errno != EAGAIN) /* full: it rings already */
            closed();
    }
    errno = saved;
}
