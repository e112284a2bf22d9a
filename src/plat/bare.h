/* The beginning of a program without a C library, which has system calls and nothing else (the
 * guardian, io/guardian/main.c).
 *
 * Such a program defines  int bare_main(long argc, char **argv, char **envp); */
#ifndef KNIT_PLAT_BARE_H
#define KNIT_PLAT_BARE_H

#include "syscall.h"

int bare_main(long argc, char **argv, char **envp);
void bare_begin(long *stack);

#if defined(__x86_64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call bare_begin\n");

#elif defined(__aarch64__)

__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, sp\n"
        "    bl bare_begin\n");

#else
#error "no beginning for this processor"
#endif

#endif
