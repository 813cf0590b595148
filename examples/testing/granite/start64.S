/* Multiboot hands over in protected mode: tables that map the first GiB, then long mode. */

        .section .boot, "a"
        .long 0x1BADB002, 0, -0x1BADB002

        .text
        .code32
        .globl start
start:  mov $stack, %esp
        movl $level3 + 3, level4
        movl $level2 + 3, level3
        mov $level2, %edi
        mov $0x83, %eax                 /* pages of 2 MiB, to be written to */
        mov $512, %ecx
fill:   mov %eax, (%edi)
        add $0x200000, %eax
        add $8, %edi
        loop fill
        mov $level4, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        or $0x20, %eax                  /* PAE */
        mov %eax, %cr4
        mov $0xC0000080, %ecx           /* EFER: long mode */
        rdmsr
        or $0x100, %eax
        wrmsr
        mov %cr0, %eax
        or $0x80000000, %eax            /* paging */
        mov %eax, %cr0
        lgdt table
        ljmp $8, $long

        .code64
long:   mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %ebp, %ebp
        call kmain
stop:   cli
        hlt
        jmp stop

        .section .rodata
        .balign 8
gdt:    .quad 0
        .quad 0x00AF9B000000FFFF        /* code of 64 bits */
        .quad 0x00CF93000000FFFF        /* data */
table:  .word . - gdt - 1
        .long gdt

        .bss
        .balign 4096
level4: .skip 4096
level3: .skip 4096
level2: .skip 4096
        .skip 4096
stack:
