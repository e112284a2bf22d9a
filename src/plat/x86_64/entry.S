/* First instructions on a fresh stack. Reached by a jump with sp at the 16-byte aligned top.
 *
 *     void knit__context_entry(void);      calls knit__stack_main(), which never returns
 *
 * The caller's frame is undefined: unwinders stop here. A zero return address and frame pointer
 * stop those that walk frame pointers. */
        .text
        .globl  knit__context_entry
        .hidden knit__context_entry
        .type   knit__context_entry, @function
        .p2align 4
knit__context_entry:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        xorl    %ebp, %ebp
        pushq   $0
        pushq   $0
        call    knit__stack_main
        ud2
        .cfi_endproc
        .size   knit__context_entry, .-knit__context_entry
        .section .note.GNU-stack, "", @progbits
