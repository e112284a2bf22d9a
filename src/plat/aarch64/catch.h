/* A call that can be left, for AArch64. See plat/catch.h; the offsets are those of the switch. */
#ifndef KNIT_PLAT_AARCH64_CATCH_H
#define KNIT_PLAT_AARCH64_CATCH_H

static inline __attribute__((always_inline)) int knit__context_call(struct knit__context *c,
                                                                    int (*fn)(void *), void *arg)
{
    register void *x0 __asm__("x0") = arg;
    register struct knit__context *x1 __asm__("x1") = c;
    register int (*x2)(void *) __asm__("x2") = fn;

    __asm__ volatile("adr x9, 1f\n\t"
                     "mov x10, sp\n\t"
                     "stp x9, x10, [x1]\n\t"
                     "str x29, [x1, #16]\n\t"
                     "blr x2\n"
                     "1:\n\t"
                     "hint #36" /* bti j */
                     : "+r"(x0), "+r"(x1), "+r"(x2)
                     :
                     : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
                       "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25",
                       "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",
                       "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",
                       "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
                       "v30", "v31", "cc", "memory");
    return (int)(intptr_t)x0;
}

#define knit__context_jump(c, result)                                                              \
    do {                                                                                           \
        register long knit__r __asm__("x0") = (result);                                            \
        register struct knit__context *knit__c __asm__("x1") = (c);                                \
        __asm__ volatile("ldp x9, x10, [x1]\n\t"                                                   \
                         "ldr x29, [x1, #16]\n\t"                                                  \
                         "mov sp, x10\n\t"                                                         \
                         "br x9"                                                                   \
                         :                                                                         \
                         : "r"(knit__r), "r"(knit__c)                                              \
                         : "x9", "x10", "memory");                                                 \
    } while (0)

#endif
