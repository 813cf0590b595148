/* Multiboot hands over in protected mode; Granite needs a stack, and is called. */

        .section .boot, "a"
        .long 0x1BADB002, 0, -0x1BADB002

        .text
        .globl start
start:  mov $stack, %esp
        xor %ebp, %ebp
        call kmain
stop:   cli
        hlt
        jmp stop

        .bss
        .skip 4096
stack:
