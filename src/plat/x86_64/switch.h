/* The switch for x86-64 (System V ABI, AMD64 supplement 1.0, 3.2).
 *
 * Inline, not a called function: call and return stay paired, so the processor's return-stack
 * predictions hold (measured: 32 ns a channel round trip against 48 with a called switch that
 * jumps). Only pc, sp and fp are stored; every other register is declared clobbered, so the
 * compiler saves just what it needs. Nothing is pushed: the red zone is safe. mxcsr and the x87
 * control word belong to the thread, as in Go: a task that changes them must not park before it
 * has put them back. No shadow-stack support, and no property note that claims it. */
#ifndef KNIT_PLAT_X86_64_SWITCH_H
#define KNIT_PLAT_X86_64_SWITCH_H

#ifdef __AVX512F__
#define KNIT__CLOBBER_AVX512                                                                       \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define KNIT__CLOBBER_AVX512
#endif

#define knit__switch(from, to)                                                                     \
    do {                                                                                           \
        struct knit__context *knit__from = (from);                                                 \
        const struct knit__context *knit__to = (to);                                               \
        __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"                                               \
                         "movq %%rax, 0(%%rdi)\n\t"                                                \
                         "movq %%rsp, 8(%%rdi)\n\t"                                                \
                         "movq %%rbp, 16(%%rdi)\n\t"                                               \
                         "movq 8(%%rsi), %%rsp\n\t"                                                \
                         "movq 16(%%rsi), %%rbp\n\t"                                               \
                         "jmpq *0(%%rsi)\n\t"                                                      \
                         "1:\n\t"                                                                  \
                         "endbr64"                                                                 \
                         : "+D"(knit__from), "+S"(knit__to)                                        \
                         :                                                                         \
                         : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",     \
                           "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",   \
                           "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",    \
                           "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st",  \
                           "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc",    \
                           "memory" KNIT__CLOBBER_AVX512);                                         \
    } while (0)

#endif
