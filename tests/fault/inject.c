/* The wrappers. See inject.h; the list of symbols is in CMakeLists.txt here. */
#define _GNU_SOURCE
#include "inject.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>

static atomic_bool active;
static atomic_int calls, failures, fail_at;
static atomic_bool fail_onwards;
static _Atomic(const char *) first;
static atomic_long blocks, mappings, threads;
static _Thread_local bool exempt_here;

void inject_start(int n, bool onwards)
{
    atomic_store(&calls, 0);
    atomic_store(&failures, 0);
    atomic_store(&fail_at, n);
    atomic_store(&fail_onwards, onwards);
    atomic_store(&first, NULL);
    atomic_store(&active, n > 0);
}

void inject_stop(void)
{
    atomic_store(&active, false);
}

void inject_exempt(bool exempt)
{
    exempt_here = exempt;
}

int inject_failures(void)
{
    return atomic_load(&failures);
}

const char *inject_first(void)
{
    const char *name = atomic_load(&first);
    return name ? name : "nothing";
}

struct inject_counts inject_outstanding(void)
{
    return (struct inject_counts){atomic_load(&blocks), atomic_load(&mappings),
                                  atomic_load(&threads)};
}

/* Whether this call is to fail. */
static bool fails(const char *name)
{
    if (!atomic_load(&active) || exempt_here)
        return false;
    int n = atomic_fetch_add(&calls, 1) + 1, at = atomic_load(&fail_at);
    if (n != at && !(n > at && atomic_load(&fail_onwards)))
        return false;
    atomic_fetch_add(&failures, 1);
    const char *none = NULL;
    atomic_compare_exchange_strong(&first, &none, name);
    return true;
}

/* ---- blocks ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *block);

static void *block_made(void *block)
{
    if (block)
        atomic_fetch_add(&blocks, 1);
    return block;
}

static void *no_block(void)
{
    errno = ENOMEM;
    return NULL;
}

void *__wrap_malloc(size_t size)
{
    return fails("malloc") ? no_block() : block_made(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails("calloc") ? no_block() : block_made(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails("realloc"))
        return no_block();
    bool fresh = !block;
    void *now = __real_realloc(block, size);
    return fresh ? block_made(now) : now;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return fails("aligned_alloc") ? no_block() : block_made(__real_aligned_alloc(align, size));
}

void __wrap_free(void *block)
{
    if (block)
        atomic_fetch_sub(&blocks, 1);
    __real_free(block);
}

/* The C library's, which the caller frees. */
char **__real_backtrace_symbols(void *const *frames, int n);
char **__wrap_backtrace_symbols(void *const *frames, int n);

char **__wrap_backtrace_symbols(void *const *frames, int n)
{
    return fails("backtrace_symbols") ? no_block()
                                      : block_made(__real_backtrace_symbols(frames, n));
}

/* ---- mappings ---- */

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
int __real_madvise(void *at, size_t size, int advice);
int __real_mprotect(void *at, size_t size, int prot);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);
int __wrap_madvise(void *at, size_t size, int advice);
int __wrap_mprotect(void *at, size_t size, int prot);

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    if (fails("mmap")) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *base = __real_mmap(at, size, prot, flags, fd, offset);
    if (base != MAP_FAILED)
        atomic_fetch_add(&mappings, 1);
    return base;
}

int __wrap_munmap(void *at, size_t size)
{
    atomic_fetch_sub(&mappings, 1);
    return __real_munmap(at, size);
}

int __wrap_madvise(void *at, size_t size, int advice)
{
    if (fails("madvise")) {
        errno = EINVAL;
        return -1;
    }
    return __real_madvise(at, size, advice);
}

int __wrap_mprotect(void *at, size_t size, int prot)
{
    if (fails("mprotect")) {
        errno = ENOMEM;
        return -1;
    }
    return __real_mprotect(at, size, prot);
}

/* ---- threads ---- */

typedef void *thread_fn(void *arg);
typedef void key_fn(void *value);

int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, thread_fn *fn, void *arg);
int __real_pthread_join(pthread_t id, void **value);
int __real_pthread_attr_init(pthread_attr_t *attr);
int __real_pthread_key_create(pthread_key_t *key, key_fn *destroy);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, thread_fn *fn, void *arg);
int __wrap_pthread_join(pthread_t id, void **value);
int __wrap_pthread_attr_init(pthread_attr_t *attr);
int __wrap_pthread_key_create(pthread_key_t *key, key_fn *destroy);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, thread_fn *fn, void *arg)
{
    if (fails("pthread_create"))
        return EAGAIN;
    int detached = PTHREAD_CREATE_JOINABLE;
    int r = __real_pthread_create(id, attr, fn, arg);
    if (attr)
        pthread_attr_getdetachstate(attr, &detached);
    if (r == 0 && detached == PTHREAD_CREATE_JOINABLE)
        atomic_fetch_add(&threads, 1);
    return r;
}

int __wrap_pthread_join(pthread_t id, void **value)
{
    int r = __real_pthread_join(id, value);
    if (r == 0)
        atomic_fetch_sub(&threads, 1);
    return r;
}

int __wrap_pthread_attr_init(pthread_attr_t *attr)
{
    return fails("pthread_attr_init") ? ENOMEM : __real_pthread_attr_init(attr);
}

/* The library's key: a sanitizer's runtime may have its own, and dies without its value. */
static atomic_bool key_made;
static _Atomic pthread_key_t key_of_library;

int __wrap_pthread_key_create(pthread_key_t *key, key_fn *destroy)
{
    if (fails("pthread_key_create"))
        return EAGAIN;
    int r = __real_pthread_key_create(key, destroy);
    if (r == 0 && atomic_load(&active)) {
        atomic_store(&key_of_library, *key);
        atomic_store(&key_made, true);
    }
    return r;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
    bool ours = atomic_load(&key_made) && key == atomic_load(&key_of_library);
    if (ours && value && fails("pthread_setspecific")) /* taking a value back cannot fail */
        return ENOMEM;
    return __real_pthread_setspecific(key, value);
}

/* ---- files and system calls ---- */

FILE *__real_fopen(const char *path, const char *mode);
int __real_open(const char *path, int flags, ...);
long __real_syscall(long number, ...);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_open(const char *path, int flags, ...);
long __wrap_syscall(long number, ...);

FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (fails("fopen")) {
        errno = EMFILE;
        return NULL;
    }
    return __real_fopen(path, mode);
}

/* The library creates no file: there is no mode. */
int __wrap_open(const char *path, int flags, ...)
{
    if (fails("open")) {
        errno = EMFILE;
        return -1;
    }
    return __real_open(path, flags);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

struct epoll_event;
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __real_eventfd(unsigned count, int flags);
int __real_pipe2(int fds[2], int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_pipe2(int fds[2], int flags);

static int refuse(int code)
{
    errno = code;
    return -1;
}

int __wrap_epoll_create1(int flags)
{
    return fails("epoll_create1") ? refuse(EMFILE) : __real_epoll_create1(flags);
}

/* Taking a descriptor out of a set cannot fail. */
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
    return event && fails("epoll_ctl") ? refuse(ENOMEM) : __real_epoll_ctl(set, op, fd, event);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fails("eventfd") ? refuse(ENFILE) : __real_eventfd(count, flags);
}

int __wrap_pipe2(int fds[2], int flags)
{
    return fails("pipe2") ? refuse(EMFILE) : __real_pipe2(fds, flags);
}

/* ---- system calls by number ------------------------------------------------------------------ */

/* What may fail: a futex call does not, and a membarrier that once worked works for ever. */
static const char *may_fail(long number, long argument)
{
    if (number == SYS_membarrier && argument == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
        return "membarrier";
#ifdef SYS_pidfd_open
    if (number == SYS_pidfd_open)
        return "pidfd_open";
#endif
#ifdef SYS_process_madvise
    if (number == SYS_process_madvise)
        return "process_madvise";
#endif
    return NULL;
}

long __wrap_syscall(long number, ...)
{
    long arg[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(args, long);
    va_end(args);

    const char *name = may_fail(number, arg[0]);
    if (name && fails(name)) {
        errno = EPERM;
        return -1;
    }
    return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
