; A kernel as one is taught: paging, system calls, a program at privilege level 3.
; The kernel is in the higher half, the program has a stack of its own, pages are given on demand,
; and faults are caught.
; It reports on the text screen through a second mapping of B8000h, and at the end OUTs to F4h.
; Boots: nasm -f bin kernel.asm -o kernel.img; the first sector reads the others by INT 13h.

PAGES      equ 100000h                 ; page directory, then its tables
LOW_TABLE  equ PAGES + 1000h           ; linear 0 and C0000000h: the first 4 MiB
USER_TABLE equ PAGES + 2000h           ; linear 08000000h: the program and its stack
SOME_TABLE equ PAGES + 3000h           ; linear 40000000h: nothing yet
TEXT_TABLE equ PAGES + 4000h           ; linear D0000000h: B8000h
FRESH      equ 200000h                 ; pages to give away
HIGH       equ 0C0000000h
USER       equ 08000000h
SOME       equ 40000000h
TEXT       equ 0D0000000h
SECTORS    equ 11
MARK       equ 0F4h

KERNEL_CODE equ 08h
KERNEL_DATA equ 10h
USER_CODE   equ 18h | 3
USER_DATA   equ 20h | 3
TASK        equ 28h

; Where a label is in memory, as a number.
%define AT(label) (label - $$ + 7C00h)

bits 16
org 7C00h

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7C00h
        mov ax, 3                       ; an empty 80x25
        int 10h
        mov ax, 0200h + SECTORS - 1    ; the other sectors
        mov bx, 7E00h
        mov cx, 2
        xor dh, dh
        int 13h
        jc $
        lgdt [gdt_at]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp KERNEL_CODE:protected

bits 32
protected:
        mov ax, KERNEL_DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov edi, PAGES                  ; no entry yet
        mov ecx, 5 * 1024
        xor eax, eax
        cld
        rep stosd
        mov edi, LOW_TABLE              ; 4 MiB to themselves, for the supervisor
        mov eax, 3
.low:   stosd
        add eax, 1000h
        cmp edi, LOW_TABLE + 1000h
        jb .low
        mov dword [USER_TABLE], AT(program) | 5  ; read-only
        mov dword [USER_TABLE + 4], FRESH | 7       ; its stack
        mov dword [TEXT_TABLE], 0B8003h
        mov dword [PAGES], LOW_TABLE | 3
        mov dword [PAGES + (HIGH >> 20)], LOW_TABLE | 3
        mov dword [PAGES + (USER >> 20)], USER_TABLE | 7
        mov dword [PAGES + (SOME >> 20)], SOME_TABLE | 7
        mov dword [PAGES + (TEXT >> 20)], TEXT_TABLE | 3
        mov eax, PAGES
        mov cr3, eax
        mov eax, cr0
        or eax, 80010000h              ; paging; read-only for the kernel, too
        mov cr0, eax
        mov eax, HIGH + high
        jmp eax

        times 510 - ($ - $$) db 0
        dw 0AA55h

; --- the kernel, at C0007E00h -------------------------------------------------------------------

high:   mov esp, HIGH + 7C00h
        lgdt [HIGH + high_gdt_at]
        lidt [HIGH + idt_at]
        mov dword [HIGH + PAGES], 0     ; from here on nothing is below
        mov eax, cr3
        mov cr3, eax
        mov ax, TASK
        ltr ax
        mov esi, HIGH + hello
        call print
        mov ecx, cr0                    ; CR0 as the processor sees it
        and ecx, 80010001h
        call print_hex
        push USER_DATA
        push USER + 2000h
        push 002h                      ; interrupts off: nobody else is there
        push USER_CODE
        push USER
        iretd

; ESI: text up to a 0, to where CURSOR is; 10 begins a line.
print:  mov edi, [HIGH + cursor]
        mov ah, 1Fh
.next:  lodsb
        test al, al
        jz .end
        cmp al, 10
        je .line
        mov [TEXT + edi], ax
        add edi, 2
        jmp .next
.line:  mov eax, edi
        xor edx, edx
        mov ebx, 160
        div ebx
        inc eax
        mul ebx
        mov edi, eax
        mov ah, 1Fh
        jmp .next
.end:   mov [HIGH + cursor], edi
        ret

; ECX in eight digits, and a new line.
print_hex:
        mov edi, [HIGH + cursor]
        mov ebx, 8
.digit: rol ecx, 4
        mov al, cl
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 7
.put:   mov ah, 1Eh
        mov [TEXT + edi], ax
        add edi, 2
        dec ebx
        jnz .digit
        mov [HIGH + cursor], edi
        mov esi, HIGH + newline
        jmp print

; EAX 1: print the text at EBX; 2: print ECX; 3: the end.
system_call:
        pushad
        cmp eax, 1
        jne .not_1
        mov esi, ebx
        call print
        jmp .back
.not_1: cmp eax, 2
        jne .end
        call print_hex
.back:  popad
        iretd
.end:   mov esi, HIGH + done
        call print
        mov ecx, [HIGH + faults]
        call print_hex
        mov al, 1
        out MARK, al
        cli
        hlt
        jmp $ - 2

; A page that is not there is given where there may be one. What is forbidden is told, and left out:
; all that the program tries takes as many bytes as ESI says.
page_fault:
        pushad
        inc dword [HIGH + faults]
        mov eax, cr2
        mov edx, eax
        and edx, 0FFC00000h
        cmp edx, SOME
        jne .no
        test byte [esp + 32], 1
        jnz .no
        shr eax, 12
        and eax, 3FFh
        mov edx, [HIGH + fresh]
        add dword [HIGH + fresh], 1000h
        or edx, 7
        mov [HIGH + SOME_TABLE + 4 * eax], edx
        popad
        add esp, 4
        iretd
.no:    mov esi, HIGH + forbidden
        call print
        mov ecx, cr2
        call print_hex
        mov esi, HIGH + why
        call print
        mov ecx, [esp + 32]
        call print_hex
        popad
        add esp, 4
        add [esp], esi
        iretd

protection:
        pushad
        inc dword [HIGH + faults]
        mov esi, HIGH + privileged
        call print
        mov ecx, [esp + 36]
        call print_hex
        popad
        add esp, 4
        add [esp], esi
        iretd

hello:      db "kernel at C0000000h; CR0 ", 0
forbidden:  db "no: address ", 0
why:        db "    error code ", 0
privileged: db "privileged instruction at ", 0
done:       db "PASS; faults ", 0
newline:    db 10, 0

align 4
cursor: dd 0
fresh:  dd FRESH + 1000h
faults: dd 0

; The first 104 bytes of a task state: of it, only the kernel's stack is used.
task:   dd 0, HIGH + 7C00h, KERNEL_DATA
        times 22 dd 0
        dd 104 << 16

align 8
gdt:    dq 0
        dq 00CF9B000000FFFFh, 00CF93000000FFFFh       ; kernel; all accessed
        dq 00CFFB000000FFFFh, 00CFF3000000FFFFh       ; program
        dw 103, AT(task)
        db 0, 89h, 0, HIGH >> 24
gdt_end:
gdt_at: dw gdt_end - gdt - 1
        dd gdt
high_gdt_at:
        dw gdt_end - gdt - 1
        dd HIGH + gdt

%macro gate 2                           ; handler, attributes
        dw AT(%1), KERNEL_CODE
        dw %2, HIGH >> 16
%endmacro

align 8
idt:    times 13 dq 0
        gate protection, 8E00h
        gate page_fault, 8E00h
        times 80h - 15 dq 0
        gate system_call, 0EE00h        ; the program may call it
idt_end:
idt_at: dw idt_end - idt - 1
        dd HIGH + idt

; --- the program, at 08000000h ------------------------------------------------------------------

        times 1400h - ($ - $$) db 0    ; a page of its own: 9000h
program:
        mov ebx, USER + text - program
        mov eax, 1
        int 80h
        xor ecx, ecx                    ; 16 pages on demand: the sum of their addresses
        mov edi, SOME
.touch: mov [edi], edi
        add ecx, [edi]                  ; a read, and another store to the same page
        mov [edi + 4], ecx
        push ecx                        ; its own stack is used, too
        pop ecx
        add edi, 1000h
        cmp edi, SOME + 10000h
        jb .touch
        mov eax, 2
        int 80h
        mov esi, 6                      ; bytes of each of these
        mov eax, [dword HIGH]           ; the kernel's
        nop
        mov [dword USER], eax           ; read-only
        nop
        mov esi, 1
        cli
        mov esi, 2
        int 0Dh                        ; a gate that is not for programs
        mov eax, 3
        int 80h
text:   db "program at 08000000h; sum ", 0

        times SECTORS * 512 - ($ - $$) db 0
