/* First instructions on a fresh stack. Reached by a branch with sp at the 16-byte aligned top.
 *
 *     void knit__context_entry(void);      calls knit__stack_main(), which never returns
 *
 * The caller's frame is undefined: unwinders stop here. */
        .text
        .globl  knit__context_entry
        .hidden knit__context_entry
        .type   knit__context_entry, %function
        .p2align 4
knit__context_entry:
        .cfi_startproc
        .cfi_undefined x30
        hint    #38                     /* bti jc */
        mov     x29, #0
        mov     x30, #0
        stp     x29, x30, [sp, #-16]!
        bl      knit__stack_main
        brk     #1
        .cfi_endproc
        .size   knit__context_entry, .-knit__context_entry
        .section .note.GNU-stack, "", %progbits
