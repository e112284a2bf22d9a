/* A call that can be left, for x86-64. See plat/catch.h; the offsets are those of the switch. */
#ifndef KNIT_PLAT_X86_64_CATCH_H
#define KNIT_PLAT_X86_64_CATCH_H

/* Named as an operand of the call, so that the frame is complete before it. */
__extension__ register void *knit__stack_pointer __asm__("rsp");

static inline __attribute__((always_inline)) int knit__context_call(struct knit__context *c,
                                                                    int (*fn)(void *), void *arg)
{
    int r;

    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, 0(%%rsi)\n\t"
                     "movq %%rsp, 8(%%rsi)\n\t"
                     "movq %%rbp, 16(%%rsi)\n\t"
                     "callq *%%rdx\n"
                     "1:\n\t"
                     "endbr64"
                     : "=a"(r), "+S"(c), "+d"(fn), "+D"(arg), "+r"(knit__stack_pointer)
                     :
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
                       "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2",
                       "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                       "st(5)", "st(6)", "st(7)", "cc", "memory" KNIT__CLOBBER_AVX512);
    return r;
}

#define knit__context_jump(c, result)                                                              \
    __asm__ volatile("movq 8(%%rsi), %%rsp\n\t"                                                    \
                     "movq 16(%%rsi), %%rbp\n\t"                                                   \
                     "jmpq *0(%%rsi)"                                                              \
                     :                                                                             \
                     : "S"(c), "a"(result)                                                         \
                     : "memory")

#endif
