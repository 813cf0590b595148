; A DOS extender in small: protected mode from DOS, its memory by XMS, INT 21h of a gate that goes
; back to real mode for each call; a file is read and summed above 1 MiB.
%include "dos.inc"
CODE    equ 8
DATA    equ 16
FLAT    equ 24
ROWS    equ 64
main:   mov bx, 0x800
        mov ah, 0x4A
        int 0x21
        mov ax, 0x1687                  ; nobody is a host already
        int 0x2F
        test ax, ax
        setz al
        mov ah, 0
        number ax
        mov ax, 0x4310
        int 0x2F
        mov [xms], bx
        mov [xms + 2], es
        mov ah, 3                       ; A20
        call far [xms]
        number ax
        mov ah, 9
        mov dx, 64
        call far [xms]
        number ax
        mov [xms_handle], dx
        mov ah, 0x0C                    ; locked: DX:BX is where
        call far [xms]
        mov [memory], bx
        mov [memory + 2], dx
        cmp dx, 0x10
        setae al
        mov ah, 0
        number ax
        line
        xor eax, eax
        mov ax, cs
        mov [real_cs], ax
        shl eax, 4
        or [gdt + CODE + 2], eax
        or [gdt + DATA + 2], eax
        add [gdt_at + 2], eax
        add [idt_at + 2], eax
        mov word [idt + 8 * 0x21], reflect
        mov dword [idt + 8 * 0x21 + 2], 0x8600 << 16 | CODE
        mov word [idt + 8 * 0x0D], fault
        mov dword [idt + 8 * 0x0D + 2], 0x8600 << 16 | CODE
        cli
        lgdt [gdt_at]
        call protect
        ; A string is typed, a file is made: by DOS, asked from protected mode.
        mov dx, hello
        mov ah, 9
        int 0x21
        mov cx, 0
        mov dx, name_a
        mov ah, 0x3C
        int 0x21
        mov [handle], ax
        mov bp, ROWS
.write: mov bx, [handle]
        mov cx, 16
        mov dx, row
        mov ah, 0x40
        int 0x21
        inc byte [row]
        dec bp
        jnz .write
        mov bx, [handle]
        mov ax, 0x4200
        xor cx, cx
        xor dx, dx
        int 0x21
        ; It is read through a buffer below, and moved above.
        mov edi, [memory]
.read:  mov bx, [handle]
        mov cx, 100
        mov dx, buffer
        mov ah, 0x3F
        int 0x21
        jc .done
        movzx ecx, ax
        jcxz .done
        mov esi, buffer
        cld
        a32 rep movsb
        jmp .read
.done:  mov bx, [handle]
        mov ah, 0x3E
        int 0x21
        sub edi, [memory]
        mov [count], di
        mov ecx, edi
        mov esi, [memory]
        xor bx, bx
.sum:   movzx ax, byte [es:esi]
        add bx, ax
        rol bx, 1
        inc esi
        loop .sum
        mov [sum], bx
        ; What is not there, a selector that is none.
        mov dx, name_none
        mov ax, 0x3D00
        int 0x21
        setc [missing]
        mov [missing + 1], al
        mov ax, 0x70
        mov gs, ax
        call unprotect
        sti
        number [count]
        number [sum]
        number [missing]
        number [faults]
        number [fault_code]
        mov dx, [xms_handle]
        mov ah, 0x0D
        call far [xms]
        mov ah, 0x0A
        call far [xms]
        number ax
        line
        jmp finish

; To protected mode and back; the stack stays where it is.
protect:
        lidt [idt_at]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE:.there
.there: mov ax, DATA
        mov ds, ax
        mov ss, ax
        mov ax, FLAT
        mov es, ax
        mov fs, ax
        ret
unprotect:
        mov ax, DATA                    ; limits as real mode has them
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov eax, cr0
        and al, 0xFE
        mov cr0, eax
        db 0xEA
        dw real_back
real_cs: dw 0
real_back:
        mov ax, cs
        mov ds, ax
        mov ss, ax
        mov es, ax
        lidt [real_idt]
        ret

; INT 21h in protected mode: the same registers in real mode, and its carry flag.
reflect:
        mov [kept_ax], ax
        mov [kept_eax], eax
        push es
        push fs
        call unprotect
        mov eax, [kept_eax]
        sti
        int 0x21
        cli
        mov [kept_ax], ax
        pushf
        pop word [kept_flags]
        call protect
        pop fs
        pop es
        mov ax, [kept_flags]
        push bp
        mov bp, sp
        and ax, 1
        and word [bp + 6], 0xFFFE
        or [bp + 6], ax
        pop bp
        mov ax, [kept_ax]
        iret

; #GP: past MOV GS, AX.
fault:  pop word [fault_code]
        inc word [faults]
        push bp
        mov bp, sp
        add word [bp + 2], 2
        pop bp
        iret

hello:  db 'asked from protected mode', 13, 10, '$'
name_a: db 'A.DAT', 0
name_none: db 'NONE.DAT', 0
row:    db '0123456789ABCDEF'
        align 8
gdt:    dq 0
        dq 0x00009A000000FFFF
        dq 0x000092000000FFFF
        dq 0x00CF92000000FFFF
gdt_at: dw 31
        dd gdt
idt_at: dw 8 * 0x22 - 1
        dd idt
real_idt: dw 0x3FF
        dd 0
xms:    dd 0
memory: dd 0
kept_eax: dd 0
kept_ax: dw 0
xms_handle: dw 0
kept_flags: dw 0
handle: dw 0
count:  dw 0
sum:    dw 0
missing: dw 0
faults: dw 0
fault_code: dw 0
idt:    times 8 * 0x22 db 0
buffer: times 128 db 0
