/* The context switch of this processor. */
#ifndef KNIT_PLAT_SWITCH_H
#define KNIT_PLAT_SWITCH_H

#include <stdint.h>

/* Where a stopped stack goes on. The offsets 0, 8, 16 are known to the assembly. */
struct knit__context {
    void *pc;
    void *sp;
    void *fp;
};

_Static_assert(sizeof(struct knit__context) == 24, "the switch knows these offsets");

#if defined(__x86_64__)
#include "x86_64/switch.h"
#elif defined(__aarch64__)
#include "aarch64/switch.h"
#else
#error "port plat/<cpu>/switch.h to this processor"
#endif

#endif
