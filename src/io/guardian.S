/* The guardian program (guardian/main.c), as bytes: the build makes the file. */
    .section .rodata
    .globl knit__guardian_begin
    .hidden knit__guardian_begin
    .globl knit__guardian_end
    .hidden knit__guardian_end
    .balign 16
knit__guardian_begin:
    .incbin "knit-guardian"
knit__guardian_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
