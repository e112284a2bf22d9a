/* The switch for AArch64 (AAPCS64, 6.1).
 *
 * As on x86-64: inline, three words stored, all else clobbered, x18 too: on Linux compilers use it
 * like any other. x29 cannot be clobbered and is the fp we store. d8-d15 are covered by v8-v15. */
#ifndef KNIT_PLAT_AARCH64_SWITCH_H
#define KNIT_PLAT_AARCH64_SWITCH_H

#define knit__switch(from, to)                                                                     \
    do {                                                                                           \
        register struct knit__context *knit__from __asm__("x0") = (from);                          \
        register const struct knit__context *knit__to __asm__("x1") = (to);                        \
        __asm__ volatile("adr x2, 1f\n\t"                                                          \
                         "mov x3, sp\n\t"                                                          \
                         "stp x2, x3, [x0]\n\t"                                                    \
                         "str x29, [x0, #16]\n\t"                                                  \
                         "ldp x2, x3, [x1]\n\t"                                                    \
                         "ldr x29, [x1, #16]\n\t"                                                  \
                         "mov sp, x3\n\t"                                                          \
                         "br x2\n\t"                                                               \
                         "1:\n\t"                                                                  \
                         "hint #36" /* bti j */                                                    \
                         : "+r"(knit__from), "+r"(knit__to)                                        \
                         :                                                                         \
                         : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",    \
                           "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",   \
                           "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", \
                           "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", \
                           "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",   \
                           "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");              \
    } while (0)

#endif
