/* Memory: reserved slabs and their guard pages.
 *
 * A guard is installed with MADV_GUARD_INSTALL (Linux 6.13), which costs no mapping of its own; all
 * of a slab in one process_madvise call where that is allowed. Elsewhere mprotect makes guards, two
 * mappings each, within a third of what the kernel allows (vm.max_map_count); beyond that stacks
 * have none. Kernels are probed, not compared by version. */
#define _GNU_SOURCE
#include "../plat.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { BATCH = 64 };

static _Atomic size_t protected_pages; /* guards made with mprotect */

size_t knit__page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *knit__vm_map(size_t size)
{
    int saved = errno;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    /* a huge page per stack would cost 2 MiB each; kernels without huge pages refuse */
    if (madvise(base, size, MADV_NOHUGEPAGE) != 0)
        errno = saved;
    return base;
}

void knit__vm_unmap(void *base, size_t size)
{
    munmap(base, size);
}

bool knit__vm_forget(void *base, size_t size)
{
    int saved = errno;
    bool done = madvise(base, size, MADV_DONTNEED) == 0;

    errno = saved;
    return done;
}

/* How many guards mprotect may make: a third of the kernel's mappings, two mappings each. */
static size_t protect_budget(void)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    long max = 65530;

    if (f) {
        if (fscanf(f, "%ld", &max) != 1)
            max = 65530;
        fclose(f);
    }
    return (size_t)max / 3 / 2;
}

static size_t guard_by_protect(char *base, size_t stride, size_t count)
{
    static _Atomic size_t budget;
    size_t page = knit__page_size(), made = 0;

    if (atomic_load_explicit(&budget, memory_order_relaxed) == 0)
        atomic_store_explicit(&budget, protect_budget(), memory_order_relaxed);
    while (made < count) {
        if (atomic_fetch_add_explicit(&protected_pages, 1, memory_order_relaxed) >=
            atomic_load_explicit(&budget, memory_order_relaxed))
            break;
        if (mprotect(base + made * stride, page, PROT_NONE) != 0)
            break;
        made++;
    }
    return made;
}

/* All guards with as few system calls as possible. Returns how many slots were handled. */
static size_t guard_in_batches(char *base, size_t stride, size_t count)
{
    size_t page = knit__page_size(), done = 0;
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (self < 0)
        return 0;
    while (done < count) {
        struct iovec iov[BATCH];
        size_t n = count - done < BATCH ? count - done : BATCH;

        for (size_t i = 0; i < n; i++) {
            iov[i].iov_base = base + (done + i) * stride;
            iov[i].iov_len = page;
        }
        if (syscall(SYS_process_madvise, self, iov, n, MADV_GUARD_INSTALL, 0) != (long)(n * page))
            break;
        done += n;
    }
    close(self);
    return done;
}

size_t knit__vm_guard(void *base, size_t stride, size_t count)
{
    char *at = base;
    size_t page = knit__page_size(), done;
    int saved = errno; /* what is not there today is no error of the caller */

    done = guard_in_batches(at, stride, count);
    while (done < count && madvise(at + done * stride, page, MADV_GUARD_INSTALL) == 0)
        done++;
    if (done < count)
        done += guard_by_protect(at + done * stride, stride, count - done);
    errno = saved;
    return done;
}
