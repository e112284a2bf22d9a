/* Fibers: preparing a fresh stack, and the annotations ASan, TSan and Valgrind want. */
#include "fiber.h"

#if defined(KNIT__ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define HAVE_VALGRIND 1
#endif
#endif

#if defined(KNIT__TSAN)
/* Declared here: gcc 12 does not install sanitizer/tsan_interface.h. */
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
#endif

void knit__fiber_prepare(struct knit__fiber *f)
{
    f->context.pc = (void *)(uintptr_t)knit__context_entry;
    f->context.sp = (void *)((uintptr_t)f->hi & ~(uintptr_t)15);
    f->context.fp = NULL;
#if defined(KNIT__ASAN)
    /* Frames that were left without returning have poisoned red zones behind. */
    __asan_unpoison_memory_region(f->lo, (size_t)(f->hi - f->lo));
    f->tool = NULL;
#elif defined(KNIT__TSAN)
    f->tool = __tsan_create_fiber(0);
    f->reap = NULL;
#endif
}

void knit__fiber_register(char *lo, char *hi)
{
#if defined(HAVE_VALGRIND)
    (void)VALGRIND_STACK_REGISTER(lo, hi);
#else
    (void)lo;
    (void)hi;
#endif
}

#if defined(KNIT__ASAN)
void knit__fiber_adopt(struct knit__fiber *f)
{
    f->tool = NULL; /* its bounds are learnt when the first switch away from it has happened */
}

void knit__fiber_before(struct knit__fiber *from, struct knit__fiber *to, bool dies)
{
    if (to->lo)
        __sanitizer_start_switch_fiber(dies ? NULL : &from->tool, to->lo,
                                       (size_t)(to->hi - to->lo));
    else
        __sanitizer_start_switch_fiber(dies ? NULL : &from->tool, to->native_lo, to->native_size);
}

void knit__fiber_after(struct knit__fiber *self)
{
    __sanitizer_finish_switch_fiber(self->tool, NULL, NULL);
}

void knit__fiber_entered(struct knit__fiber *self, struct knit__fiber *native)
{
    (void)self;
    if (native)
        __sanitizer_finish_switch_fiber(NULL, &native->native_lo, &native->native_size);
    else
        __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
}
#elif defined(KNIT__TSAN)
void knit__fiber_adopt(struct knit__fiber *f)
{
    f->tool = __tsan_get_current_fiber();
    f->reap = NULL;
}

void knit__fiber_after(struct knit__fiber *self)
{
    if (self->reap)
        __tsan_destroy_fiber(self->reap);
    self->reap = NULL;
}

void knit__fiber_entered(struct knit__fiber *self, struct knit__fiber *native)
{
    (void)native;
    knit__fiber_after(self);
}
#endif
