/* The two thread-locals of the library: the worker this thread is, the guest this thread is.
 *
 * A task may be resumed on another thread, and compilers keep the addresses of thread-locals across
 * calls. So they are read here only, by volatile assembly that clobbers memory (never merged with
 * an earlier read), with the initial-exec model (no call into the loader). The worker pointer is
 * set once per thread; a task must fetch it anew after every call that may park. */
#ifndef KNIT_PLAT_TLS_H
#define KNIT_PLAT_TLS_H

struct knit__worker;
struct knit__guest;

#define KNIT__TLS __attribute__((tls_model("initial-exec"), visibility("hidden")))
extern _Thread_local struct knit__worker *knit__tls_worker KNIT__TLS;
extern _Thread_local struct knit__guest *knit__tls_guest KNIT__TLS;

/* NULL on a plain thread. */
static inline struct knit__worker *knit__worker_self(void)
{
    struct knit__worker *w;

#if defined(__x86_64__)
    __asm__ volatile("movq knit__tls_worker@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(w)
                     :
                     : "memory");
#elif defined(__aarch64__)
    unsigned long offset;

    __asm__ volatile("adrp %1, :gottprel:knit__tls_worker\n\t"
                     "ldr %1, [%1, #:gottprel_lo12:knit__tls_worker]\n\t"
                     "mrs %0, tpidr_el0\n\t"
                     "ldr %0, [%0, %1]"
                     : "=&r"(w), "=&r"(offset)
                     :
                     : "memory");
#else
#error "port plat/tls.h to this processor"
#endif
    return w;
}

/* Set by the thread itself, on its own stack. */
void knit__tls_set_worker(struct knit__worker *w);
void knit__tls_set_guest(struct knit__guest *g);
/* NULL on a thread that has not used the library, and on workers. */
struct knit__guest *knit__guest_self(void);
/* The calling thread's errno, never through a cached address. */
int knit__errno_get(void);
void knit__errno_set(int value);

#endif
