; Stands for EMM386 and DOS boxes: a monitor in ring 0 that runs real-mode code in virtual 8086 mode.
;
;   nasm -f bin -o monitor.img monitor.asm
;
; IOPL is 0, so CLI, STI, PUSHF, POPF, INT and IRET fault to the monitor, which does them on the
; program's own stack and flags; so do accesses to port 80h, which the I/O permission bitmap has not.
; The controllers are moved to vectors 20h and 28h, and what comes there goes on to the BIOS's own.
; The program sets a text mode by INT 10h, looks at IF, waits for ticks by INT 1Ah, and tells. HLT
; with interrupts off ends it.

%include "boot.inc"
TSS     equ 0x2000                      ; the task's state, then 8 KiB of bits
IDT     equ 0x5000
BITS_AT equ 0x68
REFUSED equ 0x600                       ; how often port 80h was
CAME    equ 0x604                       ; which interrupt last
TOP     equ 0x80000                     ; the monitor's stack

        SECTOR_BEGINS

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7000
        cld
        mov ax, 0x0202                  ; the other sectors
        mov bx, 0x7E00
        mov cx, 0x0002
        xor dh, dh
        int 0x13
        cli
        mov di, TSS
        mov cx, (IDT + 0x800 - TSS) / 2
        xor ax, ax
        rep stosw
        mov [REFUSED], ax
        mov al, 0x11                    ; controllers: from 20h and 28h on
        out 0x20, al
        out 0xA0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xA1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xA1, al
        mov al, 1
        out 0x21, al
        out 0xA1, al
        lgdt [gdtr]
        lidt [idtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:wide

        SECTOR_ENDS

        bits 32
wide:   SELECTORS 10h
        mov esp, TOP
        mov dword [TSS + 4], TOP
        mov dword [TSS + 8], 0x10
        mov word [TSS + 0x66], BITS_AT
        mov byte [TSS + BITS_AT + 0x80 / 8], 1
        mov byte [TSS + BITS_AT + 0x2000], 0xFF
        mov ax, 0x18
        ltr ax
        mov edi, IDT                    ; vectors 0 to 2Fh; those of faults end it, but for 13
        mov eax, ends
        mov ecx, 0x20
        call gates
        mov eax, from_irqs
        mov ecx, 0x10
.irq:   push ecx
        mov ecx, 1
        call gates
        pop ecx
        add eax, irq_size
        loop .irq
        mov eax, fault
        mov edi, IDT + 8 * 13
        mov ecx, 1
        call gates
        xor eax, eax
        push eax                        ; GS, FS, DS, ES, SS, ESP, EFLAGS, CS, EIP
        push eax
        push eax
        push eax
        push eax
        push dword 0x7000
        push dword 0x20202              ; VM, IF
        push eax
        push dword program
        iretd

gates:  mov edx, eax                    ; ECX interrupt gates to EAX
        mov dx, 0x8E00
        movzx ebx, ax
        or ebx, 0x80000
.gate:  mov [edi], ebx
        mov [edi + 4], edx
        add edi, 8
        loop .gate
        ret

from_irqs:
%assign n 0
%rep 16
        push dword (n < 8 ? n + 8 : n + 0x68)
        jmp near irq
%if n == 0
irq_size equ $ - from_irqs
%endif
%assign n n + 1
%endrep

; On the stack: the vector or error code; EIP, CS, EFLAGS, ESP, SS of the program.
%define EIP_ ebp + 36
%define CS_  ebp + 40
%define FL_  ebp + 44
%define SP_  ebp + 48
%define SS_  ebp + 52

irq:    pushad
        call flat
        mov ecx, [ebp + 32]
        mov [CAME], ecx
        test byte [FL_ + 2], 2          ; VM
        jz back
        call reflect
        jmp back

fault:  pushad
        call flat
        test byte [FL_ + 2], 2          ; VM
        jz ends
        movzx esi, word [CS_]
        shl esi, 4
        add esi, [EIP_]
        lodsb
        inc word [EIP_]
        cmp al, 0xCD
        je .int
        cmp al, 0xCF
        je .iret
        cmp al, 0x9C
        je .pushf
        cmp al, 0x9D
        je .popf
        cmp al, 0xFA
        je .cli
        cmp al, 0xFB
        je .sti
        cmp al, 0xF4
        je .hlt
        cmp al, 0xE6
        jne ends                        ; what is not known
        cmp byte [esi], 0x80
        jne ends
        inc word [EIP_]
        inc byte [REFUSED]
        jmp back
.hlt:   test byte [FL_ + 1], 2
        jz ends
        sti                             ; wait here, and let the program have what came
        hlt
        cli
        mov ecx, [CAME]
        call reflect
        jmp back
.cli:   and byte [FL_ + 1], ~2
        jmp back
.sti:   or byte [FL_ + 1], 2
        jmp back
.int:   movzx ecx, byte [esi]
        inc word [EIP_]
        call reflect
        jmp back
.pushf: mov ax, [FL_]
        call push_ax
        jmp back
.iret:  call pop_ax
        mov [EIP_], ax
        call pop_ax
        mov [CS_], ax
.popf:  call pop_ax
        and ax, ~0x7000                 ; IOPL stays 0
        mov [FL_], ax
back:   popad
        add esp, 4
        iretd

flat:   mov ax, 0x10
        mov ds, ax
        mov es, ax
        lea ebp, [esp + 4]
        ret

reflect:                                ; on at the program's vector ECX
        mov ax, [FL_]
        call push_ax
        mov ax, [CS_]
        call push_ax
        mov ax, [EIP_]
        call push_ax
        movzx eax, word [ecx * 4]
        mov [EIP_], eax
        mov ax, [ecx * 4 + 2]
        mov [CS_], ax
        and byte [FL_ + 1], ~3          ; IF, TF
        ret

push_ax:
        sub word [SP_], 2
        call top
        mov [edx], ax
        ret

pop_ax: call top
        mov ax, [edx]
        add word [SP_], 2
        ret

top:    movzx edx, word [SS_]
        shl edx, 4
        movzx ebx, word [SP_]
        add edx, ebx
        ret

ends:   cli
        hlt

        bits 16
program:
        mov ax, 3
        int 0x10
        mov si, hello
        call print
        cli
        pushf
        pop ax
        test ah, 2
        jnz wrong
        sti
        pushf
        pop ax
        test ah, 2
        jz wrong
        mov si, flags
        call print
        out 0x80, al
        out 0x80, al
        out 0x80, al
        mov al, [REFUSED]
        add al, '0'
        mov [count], al
        mov si, count
        call print
        mov ah, 0
        int 0x1A
        lea di, [edx + 3]
waits:  hlt
        mov ah, 0
        int 0x1A
        cmp dx, di
        jb waits
        mov si, ticks
        call print
wrong:  cli
        hlt

print:  lodsb
        test al, al
        jz .done
        mov ah, 0x0E
        mov bx, 7
        int 0x10
        jmp print
.done:  ret

hello:  db "INT 10h in virtual 8086 mode", 13, 10, 0
flags:  db "CLI and STI", 13, 10, 0
count:  db "0 ports refused", 13, 10, 0
ticks:  db "three ticks", 13, 10, 0

        align 8
gdt:    dq 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
        dw BITS_AT + 0x2000, TSS
        dd 0x8900
gdtr:   dw gdtr - gdt - 1
        dd gdt
idtr:   dw 8 * 0x30 - 1
        dd IDT

        times 1536 - ($ - $$) db 0
